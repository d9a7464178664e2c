//! What the suite and its programs agree on, and what they do alike.
#![no_std]

use abi::Message;
use probe::{Counter, Register, State};
use report::Spent;

/// Name of the suite in the boot table.
pub const SUITE: &str = "suite";

/// Calls of a mirror.
pub mod mirror {
    protocol::protocol! {
        mirror = 0x7730;
        /// Spends time with all registers filled, then sends a [`super::report::Spent`]. Sent, not answered.
        1 fn spend(Spend { seed: u64 }) -> Spending {};
        /// The same words; `trouble` counts what was wrong so far with the registers that the mirror found after its
        /// traps.
        2 fn reflect(Reflect { words: [u64; 6] }) -> Reflected { words: [u64; 6], trouble: u64 };
    }
}

/// What a mirror sends to the suite.
pub mod report {
    protocol::protocol! {
        report = 0x7740;
        /// Says between which ticks time was spent, and whether registers changed meanwhile. Sent, not answered.
        1 fn spent(Spent { start: u64, end: u64, trouble: u64 }) -> Noted {};
    }
}

/// Calls of the newborn.
pub mod newborn {
    protocol::protocol! {
        newborn = 0x7750;
        /// What the newborn found when it started.
        1 fn birth(GetBirth {}) -> Birth {
            /// A bit for each general register that was not zero, in the order of [`probe::Register::ALL`].
            general: u64,
            rsp: u64,
            rflags: u64,
            selectors: u64,
            /// 1 if the floating-point state was not the initial one.
            fpu: u64
        };
    }
}

/// The registers of `message` on top of `state`.
#[must_use]
pub fn with_message(mut state: State, trap: abi::Trap, message: &Message, from: abi::Endpoint) -> State {
    state.set(Register::Rax, trap.rax());
    state.set(Register::Rdi, message.peer.raw().into());
    state.set(Register::Rsi, message.header());
    state.set(Register::Rdx, from.raw().into());
    for (register, word) in Register::BODY.into_iter().zip(message.body) {
        state.set(register, word);
    }
    state
}

/// The message in the registers after a trap.
#[must_use]
pub fn message_in(state: &State) -> Message {
    let peer = abi::Endpoint::from_raw(state.get(Register::Rdi) as u32);
    let mut message = Message::new(peer, abi::Kind(0));
    message.set_header(state.get(Register::Rsi));
    message.body = Register::BODY.map(|register| state.get(register));
    message
}

/// All registers filled, data segment registers too.
#[must_use]
pub fn filled(seed: u64) -> State {
    let selector = probe::user_selector();
    // Half of the patterns leave some of them null.
    let selectors = core::array::from_fn(|i| if seed >> i & 1 == 0 { selector } else { 0 });
    State { selectors, ..State::pattern(seed) }
}

/// Ticks that the longest stretch takes at least: more than a program is given at a time.
const TICKS: u64 = 12;
/// Rounds of the loop in the first stretch.
const ROUNDS: u64 = 1 << 20;

/// Fills all registers and waits, in longer and longer stretches until one takes some turns, in both kinds of loop.
///
/// # Errors
/// What was changed meanwhile; or the kernel call fails that tells the time.
pub fn spend_time(seed: u64) -> Result<Spent, &'static str> {
    let now = || sys::ticks().map_err(|_| "the time is not told");
    let start = now()?;
    for counter in [Counter::Memory, Counter::Rcx] {
        let before = filled(seed.wrapping_add(counter as u64));
        let mut rounds = ROUNDS;
        loop {
            let begin = now()?;
            let after = probe::spin(&before, rounds, counter);
            probe::after_spin(&before, &after, counter)?;
            if now()? - begin >= TICKS {
                break;
            }
            rounds *= 2;
        }
    }
    Ok(Spent { start, end: now()?, trouble: 0 })
}
