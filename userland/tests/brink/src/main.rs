//! Traps with the last two bytes of user space: the kernel would return to an address that no program can have. Were it
//! another page further up, that address would not be canonical, and SYSRET would fault in the kernel.
#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};
use hostile::{Ask, Client};
use protocol::Call;
use protocol::kernel::Times;
use sys::Ipc;

sys::entry!(main);

/// The linker script puts it at the end of user space.
#[unsafe(naked)]
#[unsafe(link_section = ".brink")]
extern "C" fn last_instruction() {
    naked_asm!("syscall")
}

fn main() -> u64 {
    let Some(to) = sys::lookup(hostile::SUITE) else { return 1 };
    // There is only one thing that it can do.
    let order = Client { to, transport: Ipc::default() }.ask(Ask {});
    if order.is_err() {
        return 1;
    }
    // SAFETY: a kernel call that changes nothing but registers. The kernel is expected to stop the program behind it, where
    // there is nothing.
    unsafe {
        asm!(
            "movabs rcx, offset {last}", // too far for a jump relative to rip
            "jmp rcx",
            last = sym last_instruction,
            in("rax") abi::Trap::KernelCall.rax(),
            in("rsi") u64::from(Times::KIND.0),
            options(noreturn),
        )
    }
}
