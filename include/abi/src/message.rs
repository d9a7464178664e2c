//! Messages.

use crate::{Endpoint, Errno};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of payload in a message.
pub const BODY_LEN: usize = 56;
/// The same in 64-bit words: one register each.
pub const BODY_WORDS: usize = BODY_LEN / 8;

/// What a message is: a request's call number, a notification, or a reply with its status.
///
/// Bit 15 marks a reply; its low 15 bits are 0 for success or an error number. So a reply leaves all of the body to
/// its values, and a request is never mistaken for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Kind(pub u16);

impl Kind {
    /// A notification. Anybody can write this number into a message: whether the kernel made it, only the status that
    /// RECEIVE returns can tell (see [`crate::Status`]).
    pub const NOTIFY: Self = Self(0x1000);
    const REPLY: u16 = 0x8000;
    /// The reply of a call that succeeded.
    pub const OK: Self = Self(Self::REPLY);

    /// The reply of a call that failed.
    pub const fn failed(errno: Errno) -> Self {
        Self(Self::REPLY | errno as u16)
    }

    /// A reply as the result of a trap: 0, or the negative error number.
    pub const fn result(self) -> i64 {
        -((self.0 & !Self::REPLY) as i64)
    }

    /// The status of a reply; `None` for a request or notification. An error number that is not ours comes out as
    /// [`Errno::Proto`].
    pub const fn status(self) -> Option<Result<(), Errno>> {
        if self.0 & Self::REPLY == 0 {
            return None;
        }
        Some(match self.0 & !Self::REPLY {
            0 => Ok(()),
            number => match Errno::from_number(number) {
                Some(errno) => Err(errno),
                None => Err(Errno::Proto),
            },
        })
    }
}

/// A message: 64 bytes, which travel in registers (see [`crate::Trap`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(8))]
pub struct Message {
    /// The other side: the destination going in, the true source coming out.
    pub peer: Endpoint,
    /// What it is.
    pub kind: Kind,
    /// Chosen by whoever sends a request, and echoed in its reply.
    pub tag: u16,
    /// The payload; what it means depends on the kind.
    pub body: [u64; BODY_WORDS],
}

const _: () = assert!(size_of::<Message>() == 64);

impl Message {
    /// A message without payload.
    pub const fn new(peer: Endpoint, kind: Kind) -> Self {
        Self { peer, kind, tag: 0, body: [0; BODY_WORDS] }
    }

    /// Kind and tag as they travel together in one register.
    pub const fn header(&self) -> u64 {
        self.kind.0 as u64 | (self.tag as u64) << 16
    }

    /// Takes kind and tag from a register; the upper half is ignored.
    pub const fn set_header(&mut self, header: u64) {
        self.kind = Kind(header as u16);
        self.tag = (header >> 16) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_told_from_a_request() {
        assert_eq!(Kind(0x601).status(), None);
        assert_eq!(Kind::NOTIFY.status(), None);
        assert_eq!(Kind::OK.status(), Some(Ok(())));
        for &e in Errno::ALL {
            assert_eq!(Kind::failed(e).status(), Some(Err(e)));
            assert_eq!(Kind::failed(e).result(), e.to_result());
        }
        assert_eq!(Kind(0xffff).status(), Some(Err(Errno::Proto)));
    }

    #[test]
    fn header_round_trips() {
        let mut m = Message::new(Endpoint::NONE, Kind(0));
        m.set_header(0xdead_beef_1234_5678);
        assert_eq!((m.kind, m.tag, m.header()), (Kind(0x5678), 0x1234, 0x1234_5678));
    }
}
