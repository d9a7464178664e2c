//! I/O ports.

use kernel_core::devices::Width;
use x86::io::{inb, inl, inw, outb, outl, outw};

/// Reads at a port; upper bits beyond the width are 0.
///
/// # Safety
/// Whatever device is there, reading it does the kernel no harm.
pub(crate) unsafe fn read(port: u16, width: Width) -> u32 {
    // SAFETY: by contract.
    unsafe {
        match width {
            Width::Byte => inb(port).into(),
            Width::Word => inw(port).into(),
            Width::Long => inl(port),
        }
    }
}

/// Writes the lowest bits of `value` to a port.
///
/// # Safety
/// Whatever device is there, writing to it does the kernel no harm.
pub(crate) unsafe fn write(port: u16, width: Width, value: u32) {
    // SAFETY: by contract.
    unsafe {
        match width {
            Width::Byte => outb(port, value as u8),
            Width::Word => outw(port, value as u16),
            Width::Long => outl(port, value),
        }
    }
}
