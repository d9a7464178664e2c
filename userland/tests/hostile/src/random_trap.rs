//! Traps with random registers.

use abi::layout::USER_END;
use abi::{Endpoint, Errno, Kind, Message, TRAP_BASE, Trap};
use probe::{Random, Register, State};
use protocol::kernel;

/// Registers for a trap. Everything is possible, but what gets past the first checks is frequent.
#[must_use]
pub fn registers(random: &mut Random) -> State {
    let mut state = State::pattern(random.word());
    state.set(Register::Rax, number(random));
    state.set(Register::Rdi, endpoint(random));
    state.set(Register::Rsi, header(random));
    state.set(Register::Rdx, endpoint(random));
    for register in Register::BODY {
        state.set(register, word(random));
    }
    state
}

fn number(random: &mut Random) -> u64 {
    /// More than there are traps.
    const NEAR: u64 = 20;
    let near = u64::from(TRAP_BASE) + random.below(NEAR);
    match random.below(16) {
        0 => random.word(),
        1 => near ^ 1 << random.below(64),
        2 => random.below(512),
        3..=7 => Trap::KernelCall.rax(),
        _ => near,
    }
}

fn endpoint(random: &mut Random) -> u64 {
    let special = [Endpoint::ANY, Endpoint::NONE, Endpoint::SELF, Endpoint::SYSTEM, Endpoint::CLOCK];
    let slot = random.below(4);
    match random.below(8) {
        0 => random.word(),
        1 => u64::from(special[random.below(special.len() as u64) as usize].raw()),
        2 => slot | random.below(3) << 15,
        3 => random.below(1 << 15),
        4 => slot | random.word() << 32,
        _ => slot,
    }
}

fn header(random: &mut Random) -> u64 {
    let tag = random.word() << 16;
    match random.below(4) {
        0 => random.word(),
        1 => u64::from(Kind::NOTIFY.0) | tag,
        2 => (u64::from(protocol::echo::PROTOCOL.base) + random.below(4)) | tag,
        _ => (u64::from(kernel::PROTOCOL.base) + random.below(64)) | tag,
    }
}

fn word(random: &mut Random) -> u64 {
    let edges = [0, 1, u64::MAX, i64::MIN as u64, USER_END, 1 << 47, 0xffff_8000_0000_0000, kernel::MAX_DIAG as u64];
    match random.below(4) {
        0 => edges[random.below(edges.len() as u64) as usize],
        1 => random.below(1 << 16),
        _ => random.word(),
    }
}

/// Checks the registers after a trap of which nothing is known.
///
/// # Errors
/// The rule of [`abi::Trap`] that does not hold.
pub fn check(before: &State, after: &State) -> Result<(), &'static str> {
    use Register::{R8, R9, R10, R12, R13, R14, R15, Rax, Rdi, Rdx, Rsi};
    let message = [Rdi, Rsi, Rdx, R8, R9, R10, R12, R13, R14, R15];
    if !is_result(after.get(Rax)) {
        return Err("rax is neither 0 nor a known error");
    }
    if after.get(Rax) != 0 && before.difference(after, &message).is_some() {
        return Err("a failed trap changed message registers");
    }
    probe::after_trap(before, after)
}

fn is_result(rax: u64) -> bool {
    rax == 0 || Errno::ALL.iter().any(|errno| errno.to_result() as u64 == rax)
}

protocol::protocol! {
    fuzz = 0x7720;
    /// So many traps were made, the last one being wrong if `wrong` is 1. Sent, or asked.
    1 fn progress(Progress {
        /// [`MAGIC`]: what random traps send looks different.
        magic: [u64; 4],
        traps: u64,
        wrong: u64
    }) -> Noted {};
}

/// Marks true reports of progress.
pub const MAGIC: [u64; 4] =
    [0x8a5c_d789_635d_2dff, 0x121f_d215_5c47_2f96, 0x6d3c_c1f7_0b2e_9a51, 0x3b1e_44a8_90f2_77cd];

/// The report of progress in a message, if it is one.
#[must_use]
pub fn progress_in(message: &Message) -> Option<Progress> {
    let is_progress = message.kind == <Progress as protocol::Call>::KIND;
    protocol::decode(message).ok().filter(|progress: &Progress| is_progress && progress.magic == MAGIC)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use probe::Fpu;
    use std::collections::BTreeSet;

    #[test]
    fn all_traps_errors_and_edges_come_up() {
        let mut random = Random::new(1);
        let states: std::vec::Vec<_> = (0..20_000).map(|_| registers(&mut random)).collect();
        let traps = states.iter().filter_map(|s| Trap::from_rax(s.get(Register::Rax))).map(|t| t as u32);
        assert_eq!(traps.collect::<BTreeSet<_>>().len(), 8);
        let foreign = states.iter().filter(|s| Trap::from_rax(s.get(Register::Rax)).is_none()).count();
        assert!(foreign > 1000, "{foreign}");
        let header = |s: &State| Kind(s.get(Register::Rsi) as u16);
        for call in kernel::PROTOCOL.calls {
            assert!(states.iter().any(|s| header(s) == Kind(kernel::PROTOCOL.base + call.number)), "{}", call.name);
        }
        assert!(states.iter().any(|s| s.get(Register::Rdi) as u32 == Endpoint::ANY.raw()));
    }

    fn good() -> (State, State) {
        let before = registers(&mut Random::new(7));
        let mut after = State { fpu: Fpu::INITIAL, ..before };
        after.set(Register::Rax, Errno::BadCall.to_result() as u64);
        after.set(Register::Rcx, 0x40_1000);
        after.set(Register::R11, before.rflags);
        (before, after)
    }

    #[test]
    fn a_good_result_is_accepted() {
        let (before, mut after) = good();
        assert_eq!(check(&before, &after), Ok(()));
        after.set(Register::Rax, 0);
        after.set(Register::R8, 1);
        assert_eq!(check(&before, &after), Ok(()));
    }

    #[test]
    fn every_broken_rule_is_found() {
        let spoiled = |spoil: &dyn Fn(&mut State)| {
            let (before, mut after) = good();
            spoil(&mut after);
            check(&before, &after).is_err()
        };
        use Register::{R11, Rax, Rcx};
        for value in [1, u64::MAX - 99, i64::MIN as u64, 0xffff_ffff_8000_0000] {
            assert!(spoiled(&|s| s.set(Rax, value)), "{value:#x}");
        }
        for register in Register::ALL.into_iter().filter(|r| ![Rax, Rcx, R11].contains(r)) {
            assert!(spoiled(&|s| s.set(register, !s.get(register))), "{register:?}");
        }
        assert!(spoiled(&|s| s.set(Rcx, 0xffff_ffff_8010_0000)));
        assert!(spoiled(&|s| s.set(R11, 0x3202)));
        assert!(spoiled(&|s| s.fpu.xmm[3] = 1));
        assert!(spoiled(&|s| s.fpu.mxcsr = 0x1fc0));
        assert!(spoiled(&|s| s.selectors[2] = 0x1b));
    }

    #[test]
    fn progress_is_told_from_random_messages() {
        let progress = Progress { magic: MAGIC, traps: 3, wrong: 0 };
        let message = protocol::encode(<Progress as protocol::Call>::KIND, &progress);
        assert_eq!(progress_in(&message), Some(progress));
        assert_eq!(progress_in(&Message { kind: Kind(0x7722), ..message }), None);
        let mut forged = message;
        forged.body[3] ^= 1;
        assert_eq!(progress_in(&forged), None);
    }
}
