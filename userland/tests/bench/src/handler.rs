//! A signal manager that lets everybody go on whose signal it gets, without an instruction more than that takes.
#![no_std]
#![no_main]

use abi::{Endpoint, Trap};
use core::arch::asm;
use protocol::Call;
use protocol::kernel::EndKSig;

sys::entry!(main);

fn main() -> u64 {
    let status: u64;
    // SAFETY: as in `rt::trap`; the loop ends when a call fails.
    unsafe {
        asm!(
            "2:",
            "mov eax, {receive}",
            "mov edx, {any}",
            "syscall",
            "mov eax, {kernel_call}",
            "mov esi, {endksig}",
            "mov r8, r10", // Whose signals they are: see `abi::event`.
            "syscall",
            "test rax, rax",
            "jz 2b",
            any = const Endpoint::ANY.raw(), receive = const Trap::Receive.rax(),
            kernel_call = const Trap::KernelCall.rax(), endksig = const EndKSig::KIND.0,
            out("rax") status, out("rdi") _, out("rsi") _, out("rdx") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("sysv64"), options(nostack),
        );
    }
    status
}
