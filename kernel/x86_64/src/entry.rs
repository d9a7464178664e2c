//! The ways into ring 0 and out of it.
//!
//! Why this is sound, in the order of the dangers:
//! - Between SYSCALL and `swapgs`, GS is the program's, and until the stack pointer is loaded so is the stack; the same
//!   backwards on the way out. No interrupt can come there (interrupts are off), and exceptions cannot either; NMI, #DB
//!   and #MC can, so each has a stack of its own with the processor's address at its base and does not look at GS.
//! - SYSRET with a non-canonical rcx would fault in ring 0. rip is what SYSCALL stored, and the last page below the hole
//!   is never mapped, so it is canonical.
//! - rflags is what ring 3 had: it cannot have IOPL, VM or a cleared IF, since POPF does not let it.
//! - FXSAVE comes before any Rust code, for compiled code may use vector registers. Kernel code does no floating-point
//!   arithmetic, so MXCSR and control words of the program do no harm here.
//! - Nothing of the kernel leaves: after a trap every register is the process's own, the message's or constant, the FPU
//!   state is the initial one, and the data segment registers are null; after an interrupt all is as it was.
//! - Loading a saved selector cannot fault: the program had it loaded, and the segments never change. All have base 0.

use crate::cpu::CpuLocal;
use crate::exception::{exception_entry, kernel_exception_entry};
use crate::frame::{Entered, Fpu, Frame};
use crate::machine::X86;
use crate::run::{
    STATE, call_entry, fast_notify, fast_receive, fast_reply_receive, fast_sendrec, fast_times, interrupt_entry,
    trap_entry, wait_for_lock,
};
use crate::tables::{KERNEL_CODE, SYSRET_BASE, USER_CODE, USER_DATA};
use crate::{traced, watchdog};
use abi::{Status, Trap};
use core::arch::{global_asm, naked_asm};
use core::mem::offset_of;
use kernel_core::Process;
use protocol::Call;
use protocol::kernel::Times;
use x86::msr;

/// Bytes from one interrupt stub to the next.
const STUB_SIZE: usize = 16;

/// Vectors below are exceptions.
pub(crate) const FIRST_INTERRUPT: usize = 32;

// A stub for each vector: brings all of them to the same shape on the stack, vector and error code below what the
// processor pushed. Vectors 8, 10-14, 17, 21, 29 and 30 come with an error code (Intel SDM volume 3, 6.15, and AMD APM
// volume 2, 8.2), the others get 0.
global_asm!(
    ".balign 16",
    "interrupt_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)",
    ".else",
    "pushq $0",
    ".endif",
    "pushq $vector",
    "jmp interrupt_common",
    ".set vector, vector + 1",
    ".endr",
    options(att_syntax)
);

unsafe extern "C" {
    static interrupt_stubs: u8;
}

/// The address of the handler of a vector.
pub(crate) fn handler(vector: usize) -> u64 {
    match vector {
        1 => debug as *const () as u64,
        2 => nmi as *const () as u64,
        _ => &raw const interrupt_stubs as u64 + (vector * STUB_SIZE) as u64,
    }
}

/// NMI may strike anywhere: counts itself and goes back, on nothing but its own stack. But where another processor has waited
/// too long for the kernel lock, and this one is in the kernel, neither idle nor waiting itself, it does not go back.
#[unsafe(naked)]
unsafe extern "C" fn nmi() {
    naked_asm!(
        "push rax",
        "mov rax, [rsp + 48]", // The base of this stack: above rax and the five words of the processor.
        "lock inc qword ptr [rax + {nmis}]",
        "cmp dword ptr [rip + {alarm}], 0",
        "je 2f",
        "test byte ptr [rsp + 16], 3", // cs
        "jnz 2f",
        "test dword ptr [rsp + 24], {interrupts_on}",
        "jnz 2f",
        "movzx eax, byte ptr [rax + {id}]",
        "bt dword ptr [rip + {waiting}], eax",
        "jnc 3f",
        "2:",
        "pop rax",
        "iretq",
        // A backtrace goes on where it was.
        "3:",
        "cld",
        "mov edi, eax",
        "mov rsi, [rsp + 8]",
        "push rsi",
        "push rbp",
        "mov rbp, rsp",
        "and rsp, -16",
        "call {report}",
        "ud2",
        nmis = const offset_of!(CpuLocal, nmis), id = const offset_of!(CpuLocal, id),
        interrupts_on = const 1 << 9,
        alarm = sym watchdog::ALARM, waiting = sym watchdog::WAITING, report = sym watchdog::report,
    )
}

/// #DB from ring 3 is an exception like the others. In ring 0 it strikes between SYSCALL and `swapgs` at the earliest, when
/// a program loaded SS just before; nothing is debugged there, so it goes back with the trap flag cleared.
#[unsafe(naked)]
unsafe extern "C" fn debug() {
    naked_asm!(
        "test byte ptr [rsp + 8], 3",
        "jnz 2f",
        "and qword ptr [rsp + 16], ~0x100",
        "iretq",
        "2:",
        "push 0",
        "push 1",
        "jmp {interrupt}",
        interrupt = sym interrupt,
    )
}

/// All interrupts and exceptions. On the stack: vector, error code, rip, cs, rflags, rsp, ss.
#[unsafe(naked)]
#[unsafe(export_name = "interrupt_common")]
unsafe extern "C" fn interrupt() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3",
        "jz 4f",
        "swapgs",
        "push rbx",
        "mov rbx, gs:[{current}]",
        "mov [rbx + {rax}], rax",
        "mov [rbx + {rcx}], rcx",
        "mov [rbx + {rdx}], rdx",
        "mov [rbx + {rsi}], rsi",
        "mov [rbx + {rdi}], rdi",
        "mov [rbx + {rbp}], rbp",
        "mov [rbx + {r8}], r8",
        "mov [rbx + {r9}], r9",
        "mov [rbx + {r10}], r10",
        "mov [rbx + {r11}], r11",
        "mov [rbx + {r12}], r12",
        "mov [rbx + {r13}], r13",
        "mov [rbx + {r14}], r14",
        "mov [rbx + {r15}], r15",
        "pop rax",
        "mov [rbx + {rbx}], rax",
        "mov rsi, [rsp]",
        "mov rdx, [rsp + 8]",
        "mov rax, [rsp + 16]",
        "mov [rbx + {rip}], rax",
        "mov rax, [rsp + 32]",
        "mov [rbx + {rflags}], rax",
        "mov rax, [rsp + 40]",
        "mov [rbx + {rsp}], rax",
        "mov qword ptr [rbx + {entered}], {interrupted}",
        "mov [rbx + {selectors}], ds",
        "mov [rbx + {selectors} + 2], es",
        "mov [rbx + {selectors} + 4], fs",
        "mov [rbx + {selectors} + 6], gs",
        "fxsave64 [rbx + {fpu}]",
        "3:",
        // Known flags, alignment check and direction among them, without instructions that not every processor has.
        "push 2",
        "popfq",
        "mov rdi, gs:[{me}]",
        "mov rsp, gs:[{kernel_stack}]",
        "xor ebp, ebp", // Backtraces end here.
        "cmp esi, {first_interrupt}",
        "jb 6f",
        "call {interrupt_entry}",
        "jmp {resume}",
        "6:",
        "call {exception_entry}",
        "jmp {resume}",
        "4:",
        "cmp qword ptr [rsp], {first_interrupt}",
        "jb 5f",
        // An interrupt in ring 0 ends the idle loop, which has nothing to save.
        "mov rsi, [rsp]",
        "jmp 3b",
        // An exception in ring 0 is a bug. Its registers go below what is on the stack already; the return address and
        // frame pointer under them let a backtrace go on where it happened.
        "5:",
        "push r15",
        "push r14",
        "push r13",
        "push r12",
        "push r11",
        "push r10",
        "push r9",
        "push r8",
        "push rbp",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push rbx",
        "push rax",
        "cld",
        "mov rdi, rsp",
        "push [rsp + 136]",
        "push rbp",
        "mov rbp, rsp",
        "and rsp, -16",
        "call {kernel_exception_entry}",
        "ud2",
        current = const offset_of!(CpuLocal, current),
        me = const offset_of!(CpuLocal, me),
        kernel_stack = const offset_of!(CpuLocal, kernel_stack),
        rax = const offset_of!(Frame, rax), rbx = const offset_of!(Frame, rbx), rcx = const offset_of!(Frame, rcx),
        rdx = const offset_of!(Frame, rdx), rsi = const offset_of!(Frame, rsi), rdi = const offset_of!(Frame, rdi),
        rbp = const offset_of!(Frame, rbp), rsp = const offset_of!(Frame, rsp), r8 = const Frame::R8,
        r9 = const Frame::R9, r10 = const Frame::R10, r11 = const offset_of!(Frame, r11),
        r12 = const Frame::R12, r13 = const Frame::R13, r14 = const Frame::R14,
        r15 = const Frame::R15, rip = const offset_of!(Frame, rip),
        rflags = const offset_of!(Frame, rflags), entered = const offset_of!(Frame, entered),
        selectors = const offset_of!(Frame, selectors), fpu = const offset_of!(Frame, fpu),
        interrupted = const Entered::Interrupt as u64,
        first_interrupt = const FIRST_INTERRUPT,
        interrupt_entry = sym interrupt_entry,
        exception_entry = sym exception_entry,
        kernel_exception_entry = sym kernel_exception_entry,
        resume = sym resume,
    )
}

/// SYSCALL. The kernel lock is taken here, so that the functions for the fast path call nothing and need no stack. SENDREC and
/// REPLY_RECEIVE first try to switch straight to the partner: then what the caller sends is still in r12-r15, which Rust code
/// preserves, and the rest is taken from its frame.
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
        "mov [rsp + {rbx}], rbx",
        "mov [rsp + {rdx}], rdx",
        "mov [rsp + {rsi}], rsi",
        "mov [rsp + {rdi}], rdi",
        "mov [rsp + {rbp}], rbp",
        "mov [rsp + {r8}], r8",
        "mov [rsp + {r9}], r9",
        "mov [rsp + {r10}], r10",
        "mov rbx, rsp",
        "mov rsp, gs:[{kernel_stack}]",
        "movzx ecx, byte ptr gs:[{id}]",
        "xor ebp, ebp", // Backtraces end here.
        "mov r11d, 1",
        "xchg [rip + {lock}], r11b",
        "test r11d, r11d",
        "jnz 5f",
        "cmp rax, {sendrec}",
        "jne 6f",
        // The caller blocks; should its trap fail, it finds them again.
        "mov [rbx + {r12}], r12",
        "mov [rbx + {r13}], r13",
        "mov [rbx + {r14}], r14",
        "mov [rbx + {r15}], r15",
        "call {fast_sendrec}",
        "mov edx, {sendrec_status}",
        "test rax, rax",
        "jnz 3f",
        "mov eax, {sendrec}",
        "4:",
        "mov [rbx + {rax}], rax",
        "mov [rbx + {r12}], r12",
        "mov [rbx + {r13}], r13",
        "mov [rbx + {r14}], r14",
        "mov [rbx + {r15}], r15",
        "mov rdi, gs:[{me}]",
        "call {trap_entry}",
        "jmp {resume}",
        // A kernel call.
        "7:",
        "mov [rbx + {rax}], rax",
        "mov [rbx + {r12}], r12",
        "mov [rbx + {r13}], r13",
        "mov [rbx + {r14}], r14",
        "mov [rbx + {r15}], r15",
        "mov rdi, gs:[{me}]",
        "call {call_entry}",
        "jmp {resume}",
        // Another processor is in the kernel. It may stop or end the caller meanwhile: no fast path, and nothing is written to
        // the frame any more.
        "5:",
        "mov [rbx + {rax}], rax",
        "mov [rbx + {r12}], r12",
        "mov [rbx + {r13}], r13",
        "mov [rbx + {r14}], r14",
        "mov [rbx + {r15}], r15",
        "mov rdi, gs:[{me}]",
        "call {wait_for_lock}",
        "mov rdi, gs:[{me}]",
        "call {trap_entry}",
        "jmp {resume}",
        "6:",
        "cmp rax, {reply_receive}",
        "jne 8f",
        "call {fast_reply_receive}",
        "mov edx, {reply_receive_status}",
        "test rax, rax",
        "jnz 3f",
        "mov eax, {reply_receive}",
        "jmp 4b",
        "8:",
        "cmp rax, {kernel_call}",
        "jne 9f",
        "cmp si, {times}",
        "jne 7b",
        "call {fast_times}",
        "test eax, eax",
        "mov rax, rbx",
        "jnz 12f",
        "mov eax, {kernel_call}",
        "jmp 4b",
        "9:",
        "cmp rax, {notify}",
        "jne 11f",
        "mov [rbx + {r12}], r12",
        "mov [rbx + {r13}], r13",
        "mov [rbx + {r14}], r14",
        "mov [rbx + {r15}], r15",
        "call {fast_notify}",
        "test eax, eax",
        "mov rax, rbx",
        "jnz 12f",
        "mov eax, {notify}",
        "jmp 4b",
        "11:",
        "cmp rax, {receive}",
        "jne 4b",
        "call {fast_receive}",
        "test rax, rax",
        "jnz 13f",
        "mov eax, {receive}",
        "jmp 4b",
        // To the process whose frame is at rax: another one, or the caller.
        "13:",
        "mov gs:[{current}], rax",
        "12:",
        "mov byte ptr [rip + {lock}], 0",
        "jmp {resume}",
        // From the frame at rbx to the process whose frame is at rax, which came by SYSCALL too.
        "3:",
        "mov gs:[{current}], rax",
        "fxrstor64 [rip + {initial}]",
        "xor ecx, ecx",
        "mov ds, ecx",
        "mov es, ecx",
        "mov fs, ecx",
        "swapgs",
        "mov gs, ecx",
        "mov edi, [rbx + {endpoint}]", // The true source.
        "mov esi, [rbx + {rsi}]",
        "mov r8, [rbx + {r8}]",
        "mov r9, [rbx + {r9}]",
        "mov r10, [rbx + {r10}]",
        "mov byte ptr [rip + {lock}], 0", // The message is out of the caller's frame: from here on it may get another.
        "mov rcx, [rax + {rip}]",
        "mov r11, [rax + {rflags}]",
        "mov rbx, [rax + {rbx}]",
        "mov rbp, [rax + {rbp}]",
        "mov rsp, [rax + {rsp}]",
        "xor eax, eax",
        "sysretq",
        scratch = const offset_of!(CpuLocal, scratch), current = const offset_of!(CpuLocal, current),
        me = const offset_of!(CpuLocal, me), id = const offset_of!(CpuLocal, id), kernel_stack = const offset_of!(CpuLocal, kernel_stack),
        rax = const offset_of!(Frame, rax), rbx = const offset_of!(Frame, rbx), rdx = const offset_of!(Frame, rdx),
        rsi = const offset_of!(Frame, rsi), rdi = const offset_of!(Frame, rdi), rbp = const offset_of!(Frame, rbp),
        rsp = const offset_of!(Frame, rsp), r8 = const Frame::R8, r9 = const Frame::R9,
        r10 = const Frame::R10, r12 = const Frame::R12, r13 = const Frame::R13,
        r14 = const Frame::R14, r15 = const Frame::R15, rip = const offset_of!(Frame, rip),
        rflags = const offset_of!(Frame, rflags), endpoint = const offset_of!(Process<X86>, endpoint),
        sendrec = const Trap::SendRec.rax(), sendrec_status = const Status::sent_with(Trap::SendRec).0,
        reply_receive = const Trap::ReplyReceive.rax(),
        reply_receive_status = const Status::sent_with(Trap::ReplyReceive).0,
        initial = sym INITIAL_FPU,
        lock = sym STATE,
        fast_sendrec = sym fast_sendrec,
        fast_reply_receive = sym fast_reply_receive,
        trap_entry = sym trap_entry,
        fast_times = sym fast_times,
        times = const Times::KIND.0,
        fast_notify = sym fast_notify,
        fast_receive = sym fast_receive,
        notify = const Trap::Notify.rax(), receive = const Trap::Receive.rax(),
        call_entry = sym call_entry,
        kernel_call = const Trap::KernelCall.rax(),
        wait_for_lock = sym wait_for_lock,
        resume = sym resume,
    )
}

static INITIAL_FPU: Fpu = Fpu::INITIAL;

/// Leaves to the process whose frame rax points to, the way that it came.
///
/// # Safety
/// Jumped to, never called: on the kernel stack, with GS the kernel's, the process's address space loaded and its frame
/// in rax and in `CpuLocal::current`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn resume() -> ! {
    naked_asm!(
        "mov rbx, rax",
        "cmp qword ptr [rbx + {entered}], {trapped}",
        "jne 2f",
        "fxrstor64 [rip + {initial}]",
        "xor eax, eax",
        "mov ds, eax",
        "mov es, eax",
        "mov fs, eax",
        "swapgs", // Loading gs sets the base that is in force: the program's from here on.
        "mov gs, eax",
        "mov rcx, [rbx + {rip}]",
        "mov r11, [rbx + {rflags}]",
        "mov rax, [rbx + {rax}]",
        "mov rdx, [rbx + {rdx}]",
        "mov rsi, [rbx + {rsi}]",
        "mov rdi, [rbx + {rdi}]",
        "mov rbp, [rbx + {rbp}]",
        "mov r8, [rbx + {r8}]",
        "mov r9, [rbx + {r9}]",
        "mov r10, [rbx + {r10}]",
        "mov r12, [rbx + {r12}]",
        "mov r13, [rbx + {r13}]",
        "mov r14, [rbx + {r14}]",
        "mov r15, [rbx + {r15}]",
        "mov rsp, [rbx + {rsp}]",
        "mov rbx, [rbx + {rbx}]",
        "sysretq",
        "2:",
        "mov qword ptr [rbx + {entered}], {trapped}", // So that traps need not say it.
        "fxrstor64 [rbx + {fpu}]",
        "mov ds, [rbx + {selectors}]",
        "mov es, [rbx + {selectors} + 2]",
        "mov fs, [rbx + {selectors} + 4]",
        "swapgs",
        "mov gs, [rbx + {selectors} + 6]",
        "push {user_data}",
        "push [rbx + {rsp}]",
        "push [rbx + {rflags}]",
        "push {user_code}",
        "push [rbx + {rip}]",
        "mov rax, [rbx + {rax}]",
        "mov rcx, [rbx + {rcx}]",
        "mov rdx, [rbx + {rdx}]",
        "mov rsi, [rbx + {rsi}]",
        "mov rdi, [rbx + {rdi}]",
        "mov rbp, [rbx + {rbp}]",
        "mov r8, [rbx + {r8}]",
        "mov r9, [rbx + {r9}]",
        "mov r10, [rbx + {r10}]",
        "mov r11, [rbx + {r11}]",
        "mov r12, [rbx + {r12}]",
        "mov r13, [rbx + {r13}]",
        "mov r14, [rbx + {r14}]",
        "mov r15, [rbx + {r15}]",
        "mov rbx, [rbx + {rbx}]",
        "iretq",
        rax = const offset_of!(Frame, rax), rbx = const offset_of!(Frame, rbx), rcx = const offset_of!(Frame, rcx),
        rdx = const offset_of!(Frame, rdx), rsi = const offset_of!(Frame, rsi), rdi = const offset_of!(Frame, rdi),
        rbp = const offset_of!(Frame, rbp), rsp = const offset_of!(Frame, rsp), r8 = const Frame::R8,
        r9 = const Frame::R9, r10 = const Frame::R10, r11 = const offset_of!(Frame, r11),
        r12 = const Frame::R12, r13 = const Frame::R13, r14 = const Frame::R14,
        r15 = const Frame::R15, rip = const offset_of!(Frame, rip),
        rflags = const offset_of!(Frame, rflags), entered = const offset_of!(Frame, entered),
        selectors = const offset_of!(Frame, selectors), fpu = const offset_of!(Frame, fpu),
        trapped = const Entered::Trap as u64,
        initial = sym INITIAL_FPU,
        user_data = const USER_DATA, user_code = const USER_CODE,
    )
}

/// Waits on the idle stack until an interrupt comes; its entry does not come back here.
///
/// # Safety
/// On a processor whose `CpuLocal` this is, with the kernel lock free.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn idle(local: *mut CpuLocal) -> ! {
    naked_asm!(
        "mov rsp, [rdi + {idle_stack}]",
        "xor ebp, ebp",
        "2:",
        "sti",
        "hlt",
        "jmp 2b",
        idle_stack = const offset_of!(CpuLocal, idle_stack),
    )
}

/// Goes to the first process.
///
/// # Safety
/// As for [`resume`], but called.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn first_resume(frame: *const Frame) -> ! {
    naked_asm!("mov rax, rdi", "jmp {resume}", resume = sym resume)
}

/// Lets SYSCALL come in at [`trap`], or where messages are [`traced`], with interrupts, direction, alignment check, nested task, I/O privilege and trap flag
/// cleared. SYSENTER stays off: its code segment is null.
///
/// # Safety
/// The segments are those of [`crate::tables`], and GS is set up.
pub(crate) unsafe fn enable_traps() {
    const SYSCALL_ENABLE: u64 = 1;
    const MASKED_FLAGS: u64 = 0x4_7700;
    let entry = traced::entry().unwrap_or(trap as *const () as u64);
    // SAFETY: by contract the entry code finds what it needs.
    unsafe {
        msr::wrmsr(msr::IA32_EFER, msr::rdmsr(msr::IA32_EFER) | SYSCALL_ENABLE);
        msr::wrmsr(msr::IA32_STAR, u64::from(SYSRET_BASE | 3) << 48 | u64::from(KERNEL_CODE) << 32);
        msr::wrmsr(msr::IA32_LSTAR, entry);
        msr::wrmsr(msr::IA32_FMASK, MASKED_FLAGS);
        msr::wrmsr(msr::IA32_SYSENTER_CS, 0);
    }
}
