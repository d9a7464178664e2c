//! The ways out: stop, reset, leave QEMU.

use core::arch::asm;
use x86::io::{inb, outb, outl};

/// Stops this processor for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts off nothing but an NMI ends the wait, and the loop waits again.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Resets the machine: by the reset control register of PC chipsets, by the keyboard controller, by a triple fault.
pub fn reset() -> ! {
    const RESET_CONTROL: u16 = 0xcf9;
    const HARD_RESET: u8 = 0x02;
    const DO_RESET: u8 = 0x04;
    const KEYBOARD_COMMAND: u16 = 0x64;
    const KEYBOARD_BUSY: u8 = 0x02;
    const PULSE_RESET: u8 = 0xfe;
    // SAFETY: the machine ends here; whatever these ports do besides, nobody sees it.
    unsafe {
        outb(RESET_CONTROL, HARD_RESET);
        outb(RESET_CONTROL, HARD_RESET | DO_RESET);
        for _ in 0..0xffff {
            if inb(KEYBOARD_COMMAND) & KEYBOARD_BUSY == 0 {
                break;
            }
        }
        outb(KEYBOARD_COMMAND, PULSE_RESET);
    }
    triple_fault()
}

/// Makes the processor shut down: an exception without a table of handlers.
pub fn triple_fault() -> ! {
    let nothing = [0_u16; 5];
    // SAFETY: the machine ends here.
    unsafe {
        asm!("lidt [{}]", "int3", in(reg) &nothing, options(nostack, noreturn));
    }
}

/// Leaves QEMU through its `isa-debug-exit` device at `port`; returns where there is none.
///
/// # Safety
/// The port is that device's, or nobody's.
pub unsafe fn leave_qemu(port: u16, code: u32) {
    // SAFETY: by contract.
    unsafe { outl(port, code) };
}
