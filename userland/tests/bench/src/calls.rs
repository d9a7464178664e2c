//! The calls of the process manager, which stands for one: it makes and ends processes, and waits for their end.

use abi::Endpoint;

/// Name of the process manager.
pub const MANAGER: &str = "manager";

protocol::protocol! {
    manager = 0x7300;

    /// Makes a copy of the caller, which goes on where the caller does. `EBUSY` if it has one already.
    1 fn fork(Fork {}) -> Forked {
        /// [`Endpoint::NONE`] for the copy itself.
        child: Endpoint,
        reserved: u32
    };
    /// The same, but the copy never gets an answer: it stays where it is.
    2 fn fork_only(ForkOnly {}) -> ForkedOnly { child: Endpoint, reserved: u32 };
    /// Ends the caller, a copy. There is no answer.
    3 fn leave(Leave {}) -> Left {};
    /// Waits until the caller's copy has ended. `ESRCH` if it has none.
    4 fn wait(Wait {}) -> Waited {};
    /// Ends the caller's copy, whatever it does. `ESRCH` if there is none.
    5 fn end(End {}) -> Ended {};
}
