//! Answers every notification with one.
#![no_std]
#![no_main]

use abi::{Endpoint, Trap};
use core::arch::asm;

sys::entry!(main);

fn main() -> u64 {
    let status: u64;
    // SAFETY: as in `rt::trap`; the loop ends when a notification fails.
    unsafe {
        asm!(
            "2:",
            "mov eax, {receive}",
            "mov edx, {any}",
            "syscall",
            "mov eax, {notify}", // rdi is whom it came from.
            "syscall",
            "test rax, rax",
            "jz 2b",
            any = const Endpoint::ANY.raw(), receive = const Trap::Receive.rax(), notify = const Trap::Notify.rax(),
            out("rax") status, out("rdi") _, out("rsi") _, out("rdx") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("sysv64"), options(nostack),
        );
    }
    status
}
