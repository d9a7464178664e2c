//! How a program starts and ends.

use crate::kernel_call;
use core::arch::asm;
use protocol::Call;
use protocol::kernel::Exit;

/// Ends the program; 0 says that all is well.
pub fn exit(status: u64) -> ! {
    let mut message = protocol::encode(Exit::KIND, &Exit { status });
    // Returns only to a program whose call mask lacks it.
    let _ = kernel_call(&mut message);
    // SAFETY: raises an exception, by which the kernel stops the program.
    unsafe { asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// Names the main function of a program, `fn main() -> u64`: its value is the exit status, 0 if all is well.
///
/// Defines `_start`. At its first instruction all registers are zero but `rsp`; a program's initial stack is aligned to
/// 16 bytes, and its arguments lie where `rsp` points (as in the System V ABI for x86-64): [`arguments`](crate::arguments) has them.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        extern "C" fn _start() -> ! {
            ::core::arch::naked_asm!(
                "xor ebp, ebp", // the end of every backtrace
                "mov rdi, rsp",
                "and rsp, -16",
                "call {run}",
                "ud2",
                run = sym run_main,
            )
        }

        /// Called once, with the address of the initial stack.
        extern "C" fn run_main(stack: *const u64) -> ! {
            // SAFETY: `_start` gives what the stack pointer was.
            unsafe { $crate::started_with(stack) };
            let status: u64 = $main();
            $crate::exit(status)
        }
    };
}
