//! What the suite orders its peers to do.
#![no_std]

use abi::{BODY_WORDS, Endpoint, Message, Trap};

/// Name of the suite in the boot table.
pub const SUITE: &str = "suite";

/// The kind of the messages that peers are ordered to send.
pub const KIND: abi::Kind = abi::Kind(0x1234);
/// Their tag.
pub const TAG: u16 = 0xabcd;

protocol::protocol! {
    peer = 0x7700;
    /// Makes a trap with these registers; the rest of the payload is that of [`body`]. Not answered: the suite sends it and
    /// goes on, while the peer may block.
    1 fn perform(Perform { rax: u64, rdi: u64, rsi: u64, rdx: u64, words: [u64; 3] }) -> Performed {};
    /// The registers after the last trap.
    2 fn outcome(GetOutcome {}) -> Outcome {
        rax: u64,
        rdi: u64,
        rsi: u64,
        rdx: u64,
        r8: u64,
        /// See [`digest`].
        digest: u64
    };
    /// Notifies the suite, then answers.
    3 fn notify_first(NotifyFirst {}) -> NotifiedFirst {};
    /// Ends without an answer.
    4 fn leave(Leave {}) -> Left {};
    /// Does nothing, without an answer: can only be delivered to a peer that waits for orders.
    5 fn idle(Idle {}) -> WasIdle {};
}

impl Perform {
    /// The trap with a message of [`KIND`] and [`TAG`] to `to`, receiving from `from`.
    #[must_use]
    pub fn new(trap: Trap, to: Endpoint, from: Endpoint, words: [u64; 3]) -> Self {
        let mut message = Message::new(to, KIND);
        message.tag = TAG;
        Self { rax: trap.rax(), rdi: to.raw().into(), rsi: message.header(), rdx: from.raw().into(), words }
    }
}

/// A whole payload made of three words.
#[must_use]
pub fn body([a, b, c]: [u64; 3]) -> [u64; BODY_WORDS] {
    [a, b, c, !a, !b, !c, a ^ b.rotate_left(1) ^ c.rotate_left(2)]
}

/// A number that depends on every bit and on the order of a payload.
#[must_use]
pub fn digest(body: &[u64; BODY_WORDS]) -> u64 {
    body.iter().fold(0, |sum: u64, word| (sum.rotate_left(7) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
