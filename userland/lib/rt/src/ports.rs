//! I/O ports: many accesses with one kernel call.

use crate::kernel_call::call_unchecked;
use abi::Errno;
use protocol::kernel::{PortAccess, PortValue, SDevIo, VDevIo};

/// What a port can hold.
pub trait PortWidth: sealed::Sealed {
    /// Reads that much.
    const READ: PortAccess;
    /// Writes it.
    const WRITE: PortAccess;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! widths {
    ($($width:ty, $read:ident, $write:ident;)+) => {$(
        impl sealed::Sealed for $width {}
        impl PortWidth for $width {
            const READ: PortAccess = PortAccess::$read;
            const WRITE: PortAccess = PortAccess::$write;
        }
    )+};
}

widths! {
    u8, Read8, Write8;
    u16, Read16, Write16;
    u32, Read32, Write32;
}

/// Reads a port as many times as there is room for.
///
/// # Errors
/// See [`SDevIo`]; no port is touched then.
pub fn read_ports<T: PortWidth>(port: u16, into: &mut [T]) -> Result<(), Errno> {
    let (address, count) = (into.as_mut_ptr() as u64, into.len() as u64);
    // SAFETY: the kernel writes the borrowed memory only, and any bytes are a value of the type.
    unsafe { call_unchecked(&SDevIo { access: T::READ, port: port.into(), address, count }) }.map(drop)
}

/// Writes numbers to a port, one after the other.
///
/// # Errors
/// As of [`read_ports`].
pub fn write_ports<T: PortWidth>(port: u16, from: &[T]) -> Result<(), Errno> {
    let (address, count) = (from.as_ptr() as u64, from.len() as u64);
    // SAFETY: the kernel reads memory.
    unsafe { call_unchecked(&SDevIo { access: T::WRITE, port: port.into(), address, count }) }.map(drop)
}

/// Makes a list of accesses of one sort; values that are read go there.
///
/// # Errors
/// See [`VDevIo`]; no port is touched then.
pub fn list_of_ports(access: PortAccess, list: &mut [PortValue]) -> Result<(), Errno> {
    let count = u32::try_from(list.len()).map_err(|_| Errno::TooBig)?;
    // SAFETY: the kernel writes the borrowed memory only, and any bytes are a value of the type.
    unsafe { call_unchecked(&VDevIo { access, count, address: list.as_mut_ptr() as u64 }) }.map(drop)
}
