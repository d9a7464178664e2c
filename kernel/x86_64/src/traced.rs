//! The entry of traps when messages or uses of rights are told of, or the kernel checks itself. It is installed instead of the ordinary one,
//! so that both cost nothing without their options.

use crate::check;
use crate::cpu::CpuLocal;
use crate::entry::resume;
use crate::frame::{Entered, Frame};
use crate::run::traced_trap_entry;
use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_core::options::Trace;

/// Whether processors that are set up later have this entry, to tell of each message.
static MESSAGES: AtomicBool = AtomicBool::new(false);
/// The same, to tell of rights that are used.
static USES: AtomicBool = AtomicBool::new(false);

/// Lets every processor that is set up from now on tell of something.
pub fn switch_on(trace: Trace) {
    let switch = match trace {
        Trace::Ipc => &MESSAGES,
        Trace::Use => &USES,
    };
    switch.store(true, Ordering::Relaxed);
}

/// Whether each message is told of.
pub(crate) fn tells_messages() -> bool {
    MESSAGES.load(Ordering::Relaxed)
}

/// Whether rights that are used are told of.
pub(crate) fn tells_uses() -> bool {
    USES.load(Ordering::Relaxed)
}

/// The entry to install, if messages are told of, or the kernel checks itself.
pub(crate) fn entry() -> Option<u64> {
    (tells_messages() || tells_uses() || check::is_on()).then_some(trap as *const () as u64)
}

/// SYSCALL, as [`crate::entry`] has it but for the short way to a partner: nobody would hear of that.
#[unsafe(naked)]
unsafe extern "C" fn trap() {
    naked_asm!(
        "swapgs",
        "mov gs:[{scratch}], rsp",
        "mov rsp, gs:[{current}]", // The frame of the caller; not a stack.
        "mov [rsp + {rip}], rcx",
        "mov [rsp + {rflags}], r11",
        "mov rcx, gs:[{scratch}]",
        "mov [rsp + {rsp}], rcx",
        "mov [rsp + {rax}], rax",
        "mov [rsp + {rbx}], rbx",
        "mov [rsp + {rdx}], rdx",
        "mov [rsp + {rsi}], rsi",
        "mov [rsp + {rdi}], rdi",
        "mov [rsp + {rbp}], rbp",
        "mov [rsp + {r8}], r8",
        "mov [rsp + {r9}], r9",
        "mov [rsp + {r10}], r10",
        "mov [rsp + {r12}], r12",
        "mov [rsp + {r13}], r13",
        "mov [rsp + {r14}], r14",
        "mov [rsp + {r15}], r15",
        "mov qword ptr [rsp + {entered}], {trapped}",
        "mov rsp, gs:[{kernel_stack}]",
        "mov rdi, gs:[{me}]",
        "xor ebp, ebp", // Backtraces end here.
        "call {entry}",
        "jmp {resume}",
        scratch = const offset_of!(CpuLocal, scratch), current = const offset_of!(CpuLocal, current),
        me = const offset_of!(CpuLocal, me), kernel_stack = const offset_of!(CpuLocal, kernel_stack),
        rax = const offset_of!(Frame, rax), rbx = const offset_of!(Frame, rbx), rdx = const offset_of!(Frame, rdx),
        rsi = const offset_of!(Frame, rsi), rdi = const offset_of!(Frame, rdi), rbp = const offset_of!(Frame, rbp),
        rsp = const offset_of!(Frame, rsp), r8 = const Frame::R8, r9 = const Frame::R9,
        r10 = const Frame::R10, r12 = const Frame::R12, r13 = const Frame::R13,
        r14 = const Frame::R14, r15 = const Frame::R15, rip = const offset_of!(Frame, rip),
        rflags = const offset_of!(Frame, rflags), entered = const offset_of!(Frame, entered),
        trapped = const Entered::Trap as u64,
        entry = sym traced_trap_entry,
        resume = sym resume,
    )
}
