//! What must hold for registers after a trap and after time has passed.

use crate::{Counter, Fpu, Register, State};
use abi::layout::PROGRAM_BASE;

/// More than any program of ours has of text.
const TEXT_SIZE: u64 = 1 << 24;

/// Checks what is the same for all traps (see [`abi::Trap`]): nothing but the caller's own values and constants in the
/// registers that carry no message.
///
/// # Errors
/// The rule that does not hold.
pub fn after_trap(before: &State, after: &State) -> Result<(), &'static str> {
    let (rcx, r11) = (after.get(Register::Rcx), after.get(Register::R11));
    let own_flags = [before.rflags, State::FLAGS_SET, 0];
    if before.difference(after, &[Register::Rbx, Register::Rbp, Register::Rsp]).is_some() {
        return Err("rbx, rbp or rsp is not preserved");
    }
    if rcx != 0 && !(PROGRAM_BASE..PROGRAM_BASE + TEXT_SIZE).contains(&rcx) {
        return Err("rcx is neither the caller's address nor zero");
    }
    if !own_flags.contains(&r11) {
        return Err("r11 is neither the caller's flags nor constant");
    }
    if !own_flags.contains(&after.rflags) {
        return Err("rflags are neither the caller's nor constant");
    }
    if after.selectors != [0; 4] {
        return Err("a data segment register is not null");
    }
    after.fpu.difference(&Fpu::INITIAL).map_or(Ok(()), Err)
}

/// Checks that nothing has changed, besides what the loop changes itself.
///
/// # Errors
/// What has changed.
pub fn after_spin(before: &State, after: &State, counter: Counter) -> Result<(), &'static str> {
    let used = |r: Register| counter == Counter::Rcx && r == Register::Rcx;
    if Register::ALL.into_iter().any(|r| !used(r) && before.get(r) != after.get(r)) {
        return Err("a general register");
    }
    let flags = match counter {
        Counter::Rcx => u64::MAX,
        Counter::Memory => !State::FLAGS_ARITHMETIC,
    };
    if (before.rflags ^ after.rflags) & flags != 0 {
        return Err("rflags");
    }
    if before.selectors != after.selectors {
        return Err("a data segment register");
    }
    before.fpu.difference(&after.fpu).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trapped() -> (State, State) {
        let before = State::pattern(1);
        let mut after = State { fpu: Fpu::INITIAL, ..before };
        after.set(Register::Rcx, PROGRAM_BASE + 5);
        after.set(Register::R11, before.rflags);
        (before, after)
    }

    #[test]
    fn good_states_are_accepted() {
        let (before, after) = trapped();
        assert_eq!(after_trap(&before, &after), Ok(()));
        assert_eq!(after_spin(&before, &before, Counter::Memory), Ok(()));
        let mut counted = before;
        counted.set(Register::Rcx, 0);
        assert_eq!(after_spin(&before, &counted, Counter::Rcx), Ok(()));
    }

    #[test]
    fn every_leak_of_a_trap_is_found() {
        let (before, good) = trapped();
        for register in [Register::Rbx, Register::Rbp, Register::Rsp, Register::Rcx, Register::R11] {
            let mut after = good;
            after.set(register, 0xffff_ffff_8000_0000);
            assert!(after_trap(&before, &after).is_err(), "{register:?}");
        }
        assert!(after_trap(&before, &State { rflags: good.rflags ^ 1, ..good }).is_err());
        assert!(after_trap(&before, &State { selectors: [0, 0, 0x1b, 0], ..good }).is_err());
        assert_eq!(after_trap(&before, &State { fpu: before.fpu, ..good }), Err("x87 control word"));
        let mut after = good;
        after.fpu.st[0][0] = 1;
        assert_eq!(after_trap(&before, &after), Err("x87 and MMX registers"));
    }

    #[test]
    fn every_change_by_time_is_found() {
        let before = State::pattern(1);
        for register in Register::ALL {
            let mut after = before;
            after.set(register, 0);
            assert!(after_spin(&before, &after, Counter::Memory).is_err(), "{register:?}");
        }
        let flag = State { rflags: before.rflags ^ 1, ..before };
        assert!(after_spin(&before, &flag, Counter::Rcx).is_err());
        assert!(after_spin(&before, &State { selectors: [0x1b; 4], ..before }, Counter::Rcx).is_err());
        assert!(after_spin(&before, &State { fpu: Fpu::INITIAL, ..before }, Counter::Rcx).is_err());
    }
}
