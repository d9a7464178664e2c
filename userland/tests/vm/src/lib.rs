//! What the suite tells a player to do, and what the player tells it.
//!
//! A player asks for the next order with SENDREC, and so tells what has become of the last one. While it waits it can be forked, and a
//! child of it waits for an order, too.
#![no_std]

mod orders {
    //! The calls between players and suite.

    protocol::protocol! {
        player = 0x7200;

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

/// What a player can do; the words of the order are its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Do {
    /// Nothing.
    Nothing,
    /// Reads a word at an address.
    Read,
    /// Writes it.
    Write,
    /// Reads the first word of each of so many pages; tells their sum.
    Sum,
    /// Writes the first word of each: a number that grows from page to page.
    Fill,
    /// Asks the memory server: the kind of a request, and its payload.
    Ask,
    /// Makes a kernel call: its kind, and its payload.
    Call,
    /// Sends the memory server a notification.
    Notify,
    /// Calls a function at an address.
    Jump,
    /// Ends.
    Exit,
}

impl Do {
    /// What an order says; `None` if that is nothing.
    pub fn of(what: u64) -> Option<Self> {
        let all = [
            Self::Nothing,
            Self::Read,
            Self::Write,
            Self::Sum,
            Self::Fill,
            Self::Ask,
            Self::Call,
            Self::Notify,
            Self::Jump,
            Self::Exit,
        ];
        all.into_iter().find(|order| *order as u64 == what)
    }
}

/// Name of the program that players are forked from.
pub const SEED: &str = "player";
/// Name of the suite.
pub const SUITE: &str = "suite";
/// Name of the memory server.
pub const SERVER: &str = "vm";
