//! Traps between two readings of the time-stamp counter.

use abi::{BODY_WORDS, Endpoint, Trap};
use core::arch::asm;
use rt::Registers;

/// A trap that was measured.
pub struct Sample {
    /// What came back; `rdx` is not kept.
    pub registers: Registers,
    /// Instructions from one reading of the counter to the next.
    pub instructions: u32,
}

/// The time-stamp counter.
#[inline]
pub fn now() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Makes a trap; five instructions of the measure are the program's own.
pub fn trap(trap: Trap, to: Endpoint, header: u64, body: [u64; BODY_WORDS]) -> Sample {
    let mut registers = Registers { rax: trap.rax(), rdi: to.raw().into(), rsi: header, rdx: 0, body };
    let instructions: u64;
    let [r8, r9, r10, r12, r13, r14, r15] = &mut registers.body;
    // SAFETY: as in `rt::trap`; rbx, which the trap preserves, is given back.
    unsafe {
        asm!(
            "push rbx",
            "push rcx",
            "rdtsc",
            "mov ebx, eax",
            "pop rax",
            "syscall",
            "mov rcx, rax",
            "rdtsc",
            "sub eax, ebx",
            "pop rbx",
            out("rax") instructions, inlateout("rcx") registers.rax, out("rdx") _, out("r11") _,
            inlateout("rdi") registers.rdi, inlateout("rsi") registers.rsi,
            inlateout("r8") *r8, inlateout("r9") *r9, inlateout("r10") *r10, inlateout("r12") *r12,
            inlateout("r13") *r13, inlateout("r14") *r14, inlateout("r15") *r15,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _,
            out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _,
        );
    }
    Sample { registers, instructions: instructions as u32 }
}

/// Leaves a notification for `to` and receives from anybody; nine instructions of the measure are the program's own.
pub fn notify_and_receive(to: Endpoint) -> Sample {
    let mut registers = Registers { rax: 0, rdi: to.raw().into(), rsi: 0, rdx: 0, body: [0; BODY_WORDS] };
    let instructions: u64;
    // SAFETY: as in `rt::trap`; rbx, which the traps preserve, is given back.
    unsafe {
        asm!(
            "push rbx",
            "rdtsc",
            "mov ebx, eax",
            "mov eax, {notify}",
            "syscall",
            "mov eax, {receive}",
            "mov edx, {any}",
            "syscall",
            "mov rcx, rax",
            "rdtsc",
            "sub eax, ebx",
            "pop rbx",
            notify = const Trap::Notify.rax(), receive = const Trap::Receive.rax(), any = const Endpoint::ANY.raw(),
            out("rax") instructions, out("rcx") registers.rax, out("rdx") _, inlateout("rdi") registers.rdi,
            inlateout("rsi") registers.rsi, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    Sample { registers, instructions: instructions as u32 }
}

/// Executes a breakpoint, with which the signal manager of this program lets it go on; three instructions of the measure are
/// the program's own.
pub fn breakpoint() -> u32 {
    let instructions: u64;
    // SAFETY: the exception changes no register; rbx is given back.
    unsafe {
        asm!(
            "push rbx",
            "rdtsc",
            "mov ebx, eax",
            "int3",
            "rdtsc",
            "sub eax, ebx",
            "pop rbx",
            out("rax") instructions, out("rdx") _,
        );
    }
    instructions as u32
}

/// Writes a word at an address, as a program does that touches its memory; three instructions of the measure are the program's own.
///
/// # Safety
/// The address is a word of memory that may be written, though it may not be there yet.
pub unsafe fn store(address: u64, word: u64) -> u32 {
    let instructions: u64;
    // SAFETY: by contract; a page fault changes no register, and rbx is given back.
    unsafe {
        asm!(
            "push rbx",
            "rdtsc",
            "mov ebx, eax",
            "mov [rsi], rdi",
            "rdtsc",
            "sub eax, ebx",
            "pop rbx",
            out("rax") instructions, out("rdx") _, in("rsi") address, in("rdi") word,
        );
    }
    instructions as u32
}
