//! Deeds with memory.

use core::arch::asm;
use hostile::Deed;
use probe::{Counter, Register, State};
use protocol::Call;
use protocol::kernel::Times;

/// The instruction `ret`, where no instructions belong: in data that can be written, and in constants.
static mut DATA: [u8; 16] = [RET; 16];
static CONSTANTS: [u8; 16] = [RET; 16];
const RET: u8 = 0xc3;

/// How long to wait for interrupts.
const TICKS: u64 = 5;
/// Rounds of a loop between two looks at the clock; far more instructions than the looking takes.
const ROUNDS: u64 = 1_000_000;

pub(crate) fn perform(deed: Deed, argument: u64) -> Option<u64> {
    match deed {
        Deed::Read => read(argument),
        Deed::Write => write(argument),
        Deed::Call => call(argument),
        Deed::ReturnTo => return_to(argument),
        Deed::WriteText => write(perform as *const () as u64),
        Deed::WriteConstants => write(CONSTANTS.as_ptr() as u64),
        Deed::ExecuteData => call(&raw const DATA as u64),
        Deed::ExecuteConstants => call(CONSTANTS.as_ptr() as u64),
        Deed::ExecuteStack => call(core::hint::black_box([RET; 16]).as_ptr() as u64),
        Deed::OverflowStack => return Some(overflow(0)),
        Deed::PushAt => push_at(argument),
        Deed::TrapWithStackAt => return Some(trap_with_stack_at(argument)),
        Deed::InterruptedWithStackAt => return Some(interrupted(&with_stack_at(argument))),
        _ => return None,
    }
    Some(0)
}

fn read(address: u64) {
    // SAFETY: the kernel is expected to stop the program here; otherwise the value is dropped.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack, readonly)) };
}

fn write(address: u64) {
    // SAFETY: the kernel is expected to stop the program here; otherwise it reports and ends, and what it needs for that is
    // not at this address. The byte keeps its value, so that even that would do no harm.
    unsafe { asm!("lock or byte ptr [{}], 0", in(reg) address, options(nostack)) };
}

fn call(address: u64) {
    // SAFETY: the kernel is expected to stop the program here; otherwise there is a `ret`.
    unsafe { asm!("call {}", in(reg) address, clobber_abi("sysv64")) };
}

fn return_to(address: u64) {
    // SAFETY: the kernel is expected to stop the program here: there is nothing at this address.
    unsafe { asm!("push {}", "ret", in(reg) address) };
}

fn push_at(address: u64) {
    // SAFETY: the kernel is expected to stop the program here; otherwise it has its stack back.
    unsafe { asm!("mov {1}, rsp", "mov rsp, {0}", "push 0", "mov rsp, {1}", in(reg) address, out(reg) _) };
}

/// Calls itself until the stack ends.
fn overflow(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 64]);
    if depth > 1 << 20 { depth } else { overflow(depth + 1) + frame[0] }
}

fn with_stack_at(address: u64) -> State {
    let mut state = State::INITIAL;
    state.set(Register::Rsp, address);
    state
}

fn trap_with_stack_at(address: u64) -> u64 {
    times(&with_stack_at(address))
}

/// Makes a kernel call with these registers; returns 1 if it fails, and 2 if it costs the stack pointer.
pub(crate) fn times(state: &State) -> u64 {
    let mut state = *state;
    state.set(Register::Rax, abi::Trap::KernelCall.rax());
    state.set(Register::Rsi, Times::KIND.0.into());
    let after = probe::trap(&state);
    if after.get(Register::Rax) != 0 {
        return 1;
    }
    if state.difference(&after, &[Register::Rsp]).is_some() { 2 } else { 0 }
}

/// Is interrupted with these registers again and again; returns 3 if time stands still, 4 if registers change.
pub(crate) fn interrupted(state: &State) -> u64 {
    let Ok(start) = sys::ticks() else { return 3 };
    while sys::ticks().is_ok_and(|now| now < start + TICKS) {
        let after = probe::spin(state, ROUNDS, Counter::Memory);
        if state.difference(&after, &Register::ALL).is_some() {
            return 4;
        }
    }
    0
}
