//! Crashes on purpose, by the option `crash=`: for testing whoever must notice them.

use kernel_core::options::Crash;
use kernel_x86_64::{power, watchdog};

/// Crashes.
pub(crate) fn crash(how: Crash) -> ! {
    match how {
        Crash::Panic => panic_on_purpose(),
        Crash::PageFault => fault_on_purpose(),
        Crash::Stack => overflow_on_purpose(0),
        Crash::TripleFault => power::triple_fault(),
        Crash::Reset => power::reset(),
        Crash::Hang => power::halt(),
        Crash::Lock => hold_lock_on_purpose(),
    }
}

/// A function of its own, so that a backtrace can name it.
#[inline(never)]
fn panic_on_purpose() -> ! {
    panic!("the command line asked for it")
}

#[inline(never)]
fn hold_lock_on_purpose() -> ! {
    watchdog::hold_lock()
}

#[inline(never)]
fn fault_on_purpose() -> ! {
    /// In the user half, where the kernel maps nothing.
    const UNMAPPED: *const u8 = 0xdead_0000 as *const u8;
    // SAFETY: unsound on purpose: the fault is what was asked for.
    unsafe { UNMAPPED.read_volatile() };
    unreachable!("the page fault did not come")
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "on purpose")]
fn overflow_on_purpose(depth: u64) -> ! {
    let fill = core::hint::black_box([depth; 64]);
    overflow_on_purpose(fill[0] + 1)
}
