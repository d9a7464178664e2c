//! What the suite tells a user to do, and what that tells it.
//!
//! A user asks for the next order with SENDREC, and so tells what has become of the last one. A child that an order has made asks, too.
#![no_std]

mod orders {
    //! The calls between users and suite.

    protocol::protocol! {
        user = 0x7300;

        /// The last order has been carried out; the next one is wanted.
        1 fn next(Next {
            /// 0, or the error of a call.
            error: u64,
            words: [u64; 6]
        }) -> Order {
            /// What to do: one of [`Do`](crate::Do).
            what: u64,
            words: [u64; 6]
        };
    }
}

pub use orders::{Next, Order, PROTOCOL};

/// What a user can do; the words of the order are its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Do {
    /// Nothing.
    Nothing,
    /// Asks the process manager: the kind of a request, and its payload.
    Ask,
    /// Gets a handler for a signal: which, flags, and what is blocked meanwhile.
    Catch,
    /// Tells how often a handler was called.
    Count,
    /// Runs until a handler has been called so often.
    Spin,
    /// Reads memory at an address.
    Touch,
    /// Divides by 0.
    Divide,
    /// Executes what is no instruction.
    Illegal,
    /// Gives up its stack, and sends itself a signal.
    LoseStack,
    /// So many times: makes a child that ends at once, and waits for it. Tells the first round that went wrong.
    Cycle,
}

impl Do {
    /// What an order says; `None` if that is nothing.
    pub fn of(what: u64) -> Option<Self> {
        let all = [
            Self::Nothing,
            Self::Ask,
            Self::Catch,
            Self::Count,
            Self::Spin,
            Self::Touch,
            Self::Divide,
            Self::Illegal,
            Self::LoseStack,
            Self::Cycle,
        ];
        all.into_iter().find(|order| *order as u64 == what)
    }
}

/// Name of the first user.
pub const FIRST: &str = "init";
/// Name of the suite.
pub const SUITE: &str = "suite";
/// Name of the process manager.
pub const SERVER: &str = "pm";
/// Name of the memory server.
pub const MEMORY: &str = "vm";
