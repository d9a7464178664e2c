//! Loading all registers, doing something, storing all registers.

use crate::{Fpu, Register, State};
use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

// What the assembly keeps outside of registers. Programs have one thread.
static STACK: AtomicU64 = AtomicU64::new(0);
static AFTER: AtomicU64 = AtomicU64::new(0);
static RAX: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);
static CLEAN: Fpu = Fpu::INITIAL;

/// A function that loads the state at rdi into the processor, executes `$body`, stores the state at rsi, and gives its
/// caller back what the calling convention promises. rsp is part of the state: between the two it points anywhere.
macro_rules! with_all_registers {
    ($(#[$doc:meta])* $name:ident, $($body:literal),+ $(, $operand:ident = $kind:ident $value:expr)*) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name(before: *const State, after: *mut State) {
            naked_asm!(
                "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
                "mov [rip + {stack}], rsp",
                "mov [rip + {after}], rsi",
                "fxrstor64 [rdi]",
                "mov ax, [rdi + {selectors}]", "mov ds, ax",
                "mov ax, [rdi + {selectors} + 2]", "mov es, ax",
                "mov ax, [rdi + {selectors} + 4]", "mov fs, ax",
                "mov ax, [rdi + {selectors} + 6]", "mov gs, ax",
                "push [rdi + {rflags}]", "popfq",
                "mov rax, [rdi + {rax}]", "mov rbx, [rdi + {rbx}]", "mov rcx, [rdi + {rcx}]",
                "mov rdx, [rdi + {rdx}]", "mov rsi, [rdi + {rsi}]", "mov rbp, [rdi + {rbp}]",
                "mov rsp, [rdi + {rsp}]", "mov r8, [rdi + {r8}]", "mov r9, [rdi + {r9}]",
                "mov r10, [rdi + {r10}]", "mov r11, [rdi + {r11}]", "mov r12, [rdi + {r12}]",
                "mov r13, [rdi + {r13}]", "mov r14, [rdi + {r14}]", "mov r15, [rdi + {r15}]",
                "mov rdi, [rdi + {rdi}]",
                $($body,)+
                "mov [rip + {saved_rax}], rax",
                "mov rax, [rip + {after}]",
                "mov [rax + {rbx}], rbx", "mov [rax + {rcx}], rcx", "mov [rax + {rdx}], rdx",
                "mov [rax + {rsi}], rsi", "mov [rax + {rdi}], rdi", "mov [rax + {rbp}], rbp",
                "mov [rax + {rsp}], rsp", "mov [rax + {r8}], r8", "mov [rax + {r9}], r9",
                "mov [rax + {r10}], r10", "mov [rax + {r11}], r11", "mov [rax + {r12}], r12",
                "mov [rax + {r13}], r13", "mov [rax + {r14}], r14", "mov [rax + {r15}], r15",
                "mov rsp, [rip + {stack}]",
                "pushfq", "pop [rax + {rflags}]",
                "push 2", "popfq", // all flags of a program clear, DF among them
                "mov rcx, [rip + {saved_rax}]", "mov [rax + {rax}], rcx",
                "mov [rax + {selectors}], ds", "mov [rax + {selectors} + 2], es",
                "mov [rax + {selectors} + 4], fs", "mov [rax + {selectors} + 6], gs",
                "fxsave64 [rax]",
                "fxrstor64 [rip + {clean}]",
                "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
                "ret",
                stack = sym STACK, after = sym AFTER, saved_rax = sym RAX, clean = sym CLEAN,
                selectors = const offset_of!(State, selectors), rflags = const offset_of!(State, rflags),
                rax = const at(Register::Rax), rbx = const at(Register::Rbx), rcx = const at(Register::Rcx),
                rdx = const at(Register::Rdx), rsi = const at(Register::Rsi), rdi = const at(Register::Rdi),
                rbp = const at(Register::Rbp), rsp = const at(Register::Rsp), r8 = const at(Register::R8),
                r9 = const at(Register::R9), r10 = const at(Register::R10), r11 = const at(Register::R11),
                r12 = const at(Register::R12), r13 = const at(Register::R13), r14 = const at(Register::R14),
                r15 = const at(Register::R15),
                $($operand = $kind $value,)*
            )
        }
    };
}

const fn at(register: Register) -> usize {
    offset_of!(State, general) + register as usize * size_of::<u64>()
}

with_all_registers!(syscall, "syscall");
// `lea` and `jrcxz` leave the flags alone.
with_all_registers!(spin_rcx, "2: lea rcx, [rcx - 1]", "jrcxz 3f", "jmp 2b", "3:");
with_all_registers!(spin_memory, "2: dec qword ptr [rip + {count}]", "jnz 2b", count = sym COUNT);

fn run(what: unsafe extern "sysv64" fn(*const State, *mut State), before: &State) -> State {
    let mut after = State::INITIAL;
    // SAFETY: both pointers are valid and aligned; the function restores what its caller needs, and what it executes in
    // between touches registers only (no trap makes the kernel write the caller's memory). A state that cannot be loaded
    // (reserved bits of MXCSR, selectors that do not exist) is an exception, which ends the program.
    unsafe { what(before, &mut after) };
    after
}

/// Executes `SYSCALL` with these registers.
#[must_use]
pub fn trap(before: &State) -> State {
    run(syscall, before)
}

/// Where [`spin`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// In rcx, which ends as 0: the flags are not used.
    Rcx,
    /// In memory: all general registers keep their values, and the flags are those of a result of 0.
    Memory,
}

/// Spends time with these registers: `count` rounds of a loop, at least 1. Returns them as they are at the end.
#[must_use]
pub fn spin(before: &State, count: u64, counter: Counter) -> State {
    let count = count.max(1);
    match counter {
        Counter::Rcx => {
            let mut before = *before;
            before.set(Register::Rcx, count);
            run(spin_rcx, &before)
        }
        Counter::Memory => {
            COUNT.store(count, Ordering::Relaxed);
            run(spin_memory, before)
        }
    }
}

/// The selector of the caller's stack segment: besides 0 the one that a program can load into any data segment register.
#[must_use]
pub fn user_selector() -> u16 {
    let selector: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, ss", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector as u16
}
