//! Keeps what its registers held at its first instruction.
#![no_std]
#![no_main]

use core::arch::naked_asm;
use core::mem::offset_of;
use probe::{Fpu, Register, State};
use protocol::{Answer, Caller};
use registers::newborn::{Birth, GetBirth, Server, answer};

/// Written by [`_start`] only.
static mut BIRTH: State = State::INITIAL;

const fn at(register: Register) -> usize {
    offset_of!(State, general) + register as usize * size_of::<u64>()
}

/// Stores all registers, then goes on like any other program.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!(
        "mov [rip + {birth} + {rax}], rax", "mov [rip + {birth} + {rbx}], rbx", "mov [rip + {birth} + {rcx}], rcx",
        "mov [rip + {birth} + {rdx}], rdx", "mov [rip + {birth} + {rsi}], rsi", "mov [rip + {birth} + {rdi}], rdi",
        "mov [rip + {birth} + {rbp}], rbp", "mov [rip + {birth} + {rsp}], rsp", "mov [rip + {birth} + {r8}], r8",
        "mov [rip + {birth} + {r9}], r9", "mov [rip + {birth} + {r10}], r10", "mov [rip + {birth} + {r11}], r11",
        "mov [rip + {birth} + {r12}], r12", "mov [rip + {birth} + {r13}], r13", "mov [rip + {birth} + {r14}], r14",
        "mov [rip + {birth} + {r15}], r15",
        "mov [rip + {birth} + {selectors}], ds", "mov [rip + {birth} + {selectors} + 2], es",
        "mov [rip + {birth} + {selectors} + 4], fs", "mov [rip + {birth} + {selectors} + 6], gs",
        "fxsave64 [rip + {birth}]",
        "pushfq", "pop [rip + {birth} + {rflags}]",
        "and rsp, -16",
        "call {main}",
        "ud2",
        birth = sym BIRTH, main = sym main,
        selectors = const offset_of!(State, selectors), rflags = const offset_of!(State, rflags),
        rax = const at(Register::Rax), rbx = const at(Register::Rbx), rcx = const at(Register::Rcx),
        rdx = const at(Register::Rdx), rsi = const at(Register::Rsi), rdi = const at(Register::Rdi),
        rbp = const at(Register::Rbp), rsp = const at(Register::Rsp), r8 = const at(Register::R8),
        r9 = const at(Register::R9), r10 = const at(Register::R10), r11 = const at(Register::R11),
        r12 = const at(Register::R12), r13 = const at(Register::R13), r14 = const at(Register::R14),
        r15 = const at(Register::R15),
    )
}

/// What it found.
struct Newborn {
    birth: Birth,
}

extern "C" fn main() -> ! {
    // SAFETY: `_start` has written it, and nobody writes it any more.
    let state = unsafe { (&raw const BIRTH).read() };
    sys::serve(&mut Newborn { birth: describe(&state) }, answer);
    sys::exit(1)
}

fn describe(state: &State) -> Birth {
    let dirty = |r: &Register| *r != Register::Rsp && state.get(*r) != 0;
    Birth {
        general: Register::ALL.into_iter().filter(dirty).fold(0, |bits, r| bits | 1 << r as u32),
        rsp: state.get(Register::Rsp),
        rflags: state.rflags,
        selectors: state.selectors.iter().fold(0, |all, &selector| all << 16 | u64::from(selector)),
        fpu: state.fpu.difference(&Fpu::INITIAL).is_some().into(),
    }
}

impl Server for Newborn {
    fn birth(&mut self, _: Caller, _: GetBirth) -> Answer<Birth> {
        Answer::Reply(self.birth)
    }
}
