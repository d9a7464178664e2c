//! The first registers of a program.

use crate::program;
use abi::layout::{STACK_SIZE, STACK_TOP};
use probe::State;
use registers::newborn::{Client, GetBirth};
use suite::{Outcome, check, check_eq};
use sys::Ipc;

/// The newborn is less urgent than all others, so the patterns of others were in the processor before it started.
pub(crate) fn a_program_starts_with_nothing_in_its_registers() -> Outcome {
    let mut newborn = Client { to: program("newborn")?, transport: Ipc::default() };
    let birth = newborn.birth(GetBirth {})?;
    check_eq!(birth.general, 0);
    check_eq!(birth.rflags, State::FLAGS_SET);
    check_eq!(birth.selectors, 0);
    check_eq!(birth.fpu, 0);
    let stack = STACK_TOP - STACK_SIZE..=STACK_TOP;
    check!(birth.rsp % 16 == 0 && stack.contains(&birth.rsp), "rsp is {:#x}", birth.rsp);
    Ok(())
}
