//! What the suite [orders](suite::orders) a user to do.
#![no_std]

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// What a user can do; the words of the order are its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
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

/// Name of the first user.
pub const FIRST: &str = "init";
/// Name of the suite.
pub const SUITE: &str = "suite";
/// Name of the process manager.
pub const SERVER: &str = "pm";
/// Name of the memory server.
pub const MEMORY: &str = "vm";
