//! The other programs, as the suite sees them.

use abi::{Endpoint, Errno, Message, Trap};
use peer::{GetOutcome, Idle, Leave, NotifyFirst, Outcome, Perform};
use protocol::echo::Count;
use protocol::{Call, encode};
use suite::{Failure, Outcome as TestOutcome, Text};
use sys::Ipc;

/// Words of a payload, different in all bits.
pub(crate) const WORDS: [u64; 3] = [0x0123_4567_89ab_cdef, 0xf0e1_d2c3_b4a5_9687, 0x55aa_33cc_0ff0_9669];

/// A program of this image.
pub(crate) fn program(name: &str) -> Result<Endpoint, Failure> {
    let missing = || Failure::Failed(Text::new(format_args!("no program {name} in this image")));
    sys::lookup(name).ok_or_else(missing)
}

/// The suite itself.
pub(crate) fn me() -> Result<Endpoint, Failure> {
    Ok(sys::whoami()?.endpoint)
}

/// Waits until all others are blocked: `echo` is less urgent than anybody else, so it answers only then.
pub(crate) fn settle() -> TestOutcome {
    let mut echo = protocol::echo::Client { to: program("echo")?, transport: Ipc::default() };
    echo.count(Count {})?;
    Ok(())
}

/// A program that obeys orders.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) Endpoint);

impl Peer {
    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        program(name).map(Self)
    }

    /// Gives an order that is not answered.
    fn order<C: Call>(self, order: &C) -> Result<(), Errno> {
        rt::send(&Message { peer: self.0, ..encode(C::KIND, order) })
    }

    fn client(self) -> peer::Client<Ipc> {
        peer::Client { to: self.0, transport: Ipc::default() }
    }

    /// Has the peer make a trap; returns when it is blocked in it, or done.
    pub(crate) fn perform(self, trap: Trap, to: Endpoint, from: Endpoint) -> TestOutcome {
        self.perform_words(trap, to, from, WORDS)
    }

    pub(crate) fn perform_words(self, trap: Trap, to: Endpoint, from: Endpoint, words: [u64; 3]) -> TestOutcome {
        self.perform_raw(&Perform::new(trap, to, from, words))
    }

    pub(crate) fn perform_raw(self, perform: &Perform) -> TestOutcome {
        self.order(perform)?;
        settle()
    }

    /// Has the peer send to `to`.
    pub(crate) fn send_to(self, to: Endpoint) -> TestOutcome {
        self.perform(Trap::Send, to, Endpoint::NONE)
    }

    /// Has the peer receive from `from`.
    pub(crate) fn receive_from(self, from: Endpoint) -> TestOutcome {
        self.perform(Trap::Receive, Endpoint::NONE, from)
    }

    pub(crate) fn notify_first(self) -> Result<(), Errno> {
        self.client().notify_first(NotifyFirst {}).map(drop)
    }

    /// What came of the last trap; the peer must be idle.
    pub(crate) fn outcome(self) -> Result<Outcome, Failure> {
        if !self.is_idle()? {
            return Err(Failure::Failed(Text::new(format_args!("{} is still blocked", self.0))));
        }
        Ok(self.client().outcome(GetOutcome {})?)
    }

    /// The result of the last trap.
    pub(crate) fn result(self) -> Result<Result<u64, Errno>, Failure> {
        Ok(Errno::from_result(self.outcome()?.rax as i64))
    }

    /// Whether the peer waits for orders.
    pub(crate) fn is_idle(self) -> Result<bool, Failure> {
        settle()?;
        match rt::send_nb(&Message { peer: self.0, ..encode(Idle::KIND, &Idle {}) }) {
            Ok(()) => settle().map(|()| true),
            Err(Errno::NotReady) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the peer.
    pub(crate) fn end(self) -> TestOutcome {
        self.order(&Leave {})?;
        settle()
    }
}

/// The message that a peer sends when it is told to.
pub(crate) fn message_from(peer: Endpoint, words: [u64; 3]) -> Message {
    Message { peer, kind: peer::KIND, tag: peer::TAG, body: peer::body(words) }
}
