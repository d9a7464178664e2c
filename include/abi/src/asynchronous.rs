//! Tables of asynchronous messages: what [`crate::Trap::SendA`] reads.
//!
//! The table stays in the sender's memory. The kernel delivers each message when its receiver takes it, writes the result
//! into the entry and marks it as done; until then the sender may change the entry, or withdraw the table by registering
//! another or none. Flags are written last, so that no half-written entry is read.

use crate::{Endpoint, Message};
use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most entries of a table: the kernel looks at all of them in one go.
pub const MAX_ENTRIES: usize = 64;

bitflags! {
    /// The state of an entry.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AsyncFlags: u32 {
        /// The entry holds a message. Without this bit and any other the entry is empty.
        const VALID = 1;
        /// Set by the kernel: it is finished with the entry, and the result is there.
        const DONE = 1 << 1;
        /// The sender wants a notification from [`Endpoint::ASYNCM`] when the entry is done.
        const NOTIFY = 1 << 2;
        /// The message must not be taken for the answer of a SENDREC.
        const NO_REPLY = 1 << 3;
        /// Like NOTIFY, if the result is an error.
        const NOTIFY_ERROR = 1 << 4;
    }
}

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct AsyncEntry {
    /// Bits of [`AsyncFlags`].
    pub flags: u32,
    /// To whom; [`Endpoint::SELF`] for the sender.
    pub destination: Endpoint,
    /// Written by the kernel: 0, or a negative error number.
    pub result: i64,
    /// The message; its peer does not count.
    pub message: Message,
}

const _: () = assert!(size_of::<AsyncEntry>() == 80);

impl AsyncEntry {
    /// An entry that holds nothing.
    pub const EMPTY: Self = Self {
        flags: 0,
        destination: Endpoint::NONE,
        result: 0,
        message: Message::new(Endpoint::NONE, crate::Kind(0)),
    };
}
