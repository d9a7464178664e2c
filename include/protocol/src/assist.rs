//! A service for tests, which does wrong on request.

use abi::Endpoint;
use abi::boot::NAME_LEN;

crate::protocol! {
    assist = 0x7100;

    /// Does something wrong. Where that lets it answer at all, the answer tells how it went.
    1 fn misbehave(Misbehave {
        deed: Deed,
        /// Whom it is done to.
        target: Endpoint,
        /// How much of it.
        count: u64
    }) -> Misbehaved {
        /// 0, or the error number of the last try.
        error: u32,
        reserved: u32
    };
    /// Counts its calls, and says so.
    2 fn count(Count {}) -> Counted {
        calls: u64,
        /// How it began: see [`crate::rs::Init`].
        how: u32,
        /// Signals that it was told of, a bit each.
        signals: u32,
        /// Of the calls, those of the caller; 0 if it does not count them for so many.
        yours: u64
    };
    /// An argument of its program; 0 is the program's name. `ENOENT` if it has not so many, `E2BIG` for one that is longer.
    3 fn argument(GetArgument { number: u64 }) -> Argument {
        /// So many bytes of the text are it.
        len: u64,
        text: [u8; 48]
    };
    /// Has it ask the root system process for something, and tells how that went.
    4 fn control(Control {
        wish: Wish,
        reserved: u32,
        label: [u8; NAME_LEN],
        /// For [`Wish::Up`] and [`Wish::Update`].
        program: [u8; NAME_LEN]
    }) -> Controlled {
        /// 0, or the error number.
        error: u32,
        reserved: u32
    };
}

crate::vmctl::field_enum! {
    /// What the root system process is asked for: see [`crate::rs`].
    Wish {
        /// Start a service.
        Up = 0,
        /// End it.
        Down = 1,
        /// End it and start it again.
        Refresh = 2,
        /// Start a dead one.
        Restart = 3,
        /// Replace it.
        Update = 4,
        /// Ping it no more.
        Edit = 5,
        /// End all.
        Shutdown = 6,
    }
}

crate::vmctl::field_enum! {
    /// What it does.
    Deed {
        /// Writes to address 0.
        WriteToNull = 0,
        /// Panics.
        Panic = 1,
        /// Ends itself.
        Exit = 2,
        /// Computes for ever.
        Loop = 3,
        /// Waits for nobody for ever.
        Wait = 4,
        /// Answers no pings any more.
        IgnorePings = 5,
        /// Ignores that it is asked to end.
        IgnoreTerm = 6,
        /// Notifies the target so often.
        Flood = 7,
        /// Maps so many pages, touches them, and forgets them.
        Leak = 8,
        /// Sends the target a request that it may not send.
        Send = 9,
        /// Reads a port that it has no right to.
        Port = 10,
        /// Has a kernel call made that it has no right to.
        Kernel = 11,
        /// Makes a call of the memory server that it has no right to.
        Memory = 12,
        /// Enables an interrupt that it has no right to.
        Interrupt = 13,
        /// Refuses to be replaced, from now on.
        RefuseUpdate = 14,
        /// Cannot save its state, from now on.
        FailToSave = 15,
    }
}
