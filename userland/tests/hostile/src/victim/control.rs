//! Exceptions, software interrupts, returns and flags.

use crate::memory::{interrupted, times};
use core::arch::asm;
use hostile::Deed;
use probe::State;

/// The kernel's code and stack selectors: the first two of its table, as SYSCALL wants them.
const KERNEL_CODE: u64 = 0x08;
const KERNEL_STACK: u64 = 0x10;
/// Flags.
const INTERRUPTS: u64 = 1 << 9;
const IOPL_3: u64 = 3 << 12;
const NESTED_TASK: u64 = 1 << 14;
const TRAP: u64 = 1 << 8;
/// An address that is none.
const NON_CANONICAL: u64 = 0x8000_0000_0000;

/// Executes instructions by which the kernel is expected to stop the program.
macro_rules! execute {
    ($($asm:tt)*) => {{
        // SAFETY: the kernel is expected to stop the program here; if it goes on behind these instructions, stack and
        // preserved registers are as before.
        unsafe { asm!($($asm)*) };
        Some(0)
    }};
}

pub(crate) fn perform(deed: Deed, argument: u64) -> Option<u64> {
    match deed {
        Deed::Int3 => execute!("int3"),
        Deed::Icebp => execute!(".byte 0xf1"),
        Deed::Int8 => execute!("int 8"),
        Deed::Int14 => execute!("int 14"),
        Deed::Int32 => execute!("int 32"),
        Deed::Int128 => execute!("int 128"),
        Deed::Int255 => execute!("int 255"),
        Deed::Ud2 => execute!("ud2"),
        Deed::UndefinedOpcode => execute!(".byte 0x06", "nop"),
        Deed::DivideByZero => execute!("div {0:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _),
        Deed::DivideOverflow => {
            execute!("idiv {0}", in(reg) -1_i64, inout("rax") i64::MIN => _, inout("rdx") -1_i64 => _)
        }
        Deed::MisalignedSse => misaligned_sse(),
        Deed::SimdException => simd_exception(),
        Deed::X87Exception => x87_exception(),
        Deed::IretToRing0 => iret(KERNEL_CODE, KERNEL_STACK, 0),
        Deed::IretWithNestedTask => iret(user_code(), u64::from(probe::user_selector()), NESTED_TASK),
        Deed::IretToNonCanonical => iret_to_non_canonical(),
        Deed::LretToRing0 => {
            execute!("lea {0}, [rip + 2f]", "push {1}", "push {0}", "retfq", "2:", out(reg) _, in(reg) KERNEL_CODE)
        }
        Deed::SetTrapFlag => execute!("pushfq", "or qword ptr [rsp], {}", "popfq", "nop", "nop", const TRAP),
        Deed::RaiseIopl => execute!("pushfq", "or qword ptr [rsp], {}", "popfq", "cli", const IOPL_3),
        Deed::ClearInterruptFlag => Some(clear_interrupt_flag()),
        Deed::TrapWithFlags => Some(times(&State { rflags: State::FLAGS_SET | argument, ..State::INITIAL })),
        Deed::InterruptedWithFlags => {
            Some(interrupted(&State { rflags: State::FLAGS_SET | argument, ..State::INITIAL }))
        }
        _ => None,
    }
}

fn misaligned_sse() -> Option<u64> {
    let room = [0_u128; 2];
    execute!("movaps xmm0, [{} + 1]", in(reg) &raw const room, out("xmm0") _)
}

fn simd_exception() -> Option<u64> {
    let unmasked: u32 = 0;
    execute!(
        "ldmxcsr [{}]", "pxor xmm0, xmm0", "mov {1:e}, 1", "cvtsi2ss xmm1, {1:e}", "divss xmm1, xmm0",
        in(reg) &raw const unmasked, out(reg) _, out("xmm0") _, out("xmm1") _
    )
}

fn x87_exception() -> Option<u64> {
    let unmasked: u16 = 0x340;
    execute!(
        "fldcw [{}]", "fldz", "fld1", "fdivrp", "fwait", "fninit", in(reg) &raw const unmasked,
        out("st(0)") _, out("st(1)") _
    )
}

fn user_code() -> u64 {
    let selector;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cs", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector
}

/// Returns by `iretq` to the next instruction, with these selectors and with a flag set before.
fn iret(code: u64, stack: u64, flag: u64) -> Option<u64> {
    execute!(
        "pushfq", "or [rsp], {flag}", "popfq",
        "mov {rsp}, rsp", "lea {rip}, [rip + 2f]",
        "push {ss}", "push {rsp}", "pushfq", "push {cs}", "push {rip}",
        "iretq",
        "2:",
        flag = in(reg) flag, ss = in(reg) stack, cs = in(reg) code, rsp = out(reg) _, rip = out(reg) _,
    )
}

fn iret_to_non_canonical() -> Option<u64> {
    execute!(
        "push {ss}", "push rsp", "pushfq", "push {cs}", "push {rip}", "iretq",
        ss = in(reg) u64::from(probe::user_selector()), cs = in(reg) user_code(), rip = in(reg) NON_CANONICAL,
    )
}

/// Returns 5 if the flag is cleared, else what [`interrupted`] says.
fn clear_interrupt_flag() -> u64 {
    let flags: u64;
    // SAFETY: the flag is one that a program cannot change.
    unsafe {
        asm!("pushfq", "and qword ptr [rsp], {}", "popfq", "pushfq", "pop {}", const !INTERRUPTS as i32, out(reg) flags);
    }
    if flags & INTERRUPTS == 0 { 5 } else { interrupted(&State::INITIAL) }
}
