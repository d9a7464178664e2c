//! What can happen to the store: each call that changes something comes to one of these. They are also how it is written down.

use core::fmt;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Words of a set of places.
pub(crate) const MARKS: usize = crate::store::PLACES.div_ceil(u64::BITS as usize);

/// A change. New kinds are added behind the others; what a kind has never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change<'a> {
    /// A label is there, with this endpoint.
    Label {
        place: u16,
        #[serde(borrow)]
        label: Bytes<'a>,
        endpoint: u32,
        flags: u32,
    },
    /// An entry is there.
    Entry {
        place: u16,
        /// The place of the label that owns it.
        owner: u16,
        #[serde(borrow)]
        key: Bytes<'a>,
        flags: u32,
        #[serde(borrow)]
        content: Content<'a>,
    },
    /// A label with all that is its own, or an entry, is there no more.
    Gone { place: u16 },
    /// A service has subscribed, and has not been told of what is marked.
    Subscription {
        owner: u16,
        kinds: u32,
        #[serde(borrow)]
        pattern: Bytes<'a>,
        marks: [u64; MARKS],
    },
    /// It has been told of one.
    Told { owner: u16, place: u16 },
    /// A snapshot has been taken.
    Snapshot {
        place: u16,
        #[serde(borrow)]
        bytes: Bytes<'a>,
    },
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Content<'a> {
    /// A number.
    Number(u32),
    /// Bytes.
    Bytes(#[serde(borrow)] Bytes<'a>),
    /// A range that somebody has granted.
    Mapped {
        granter: u32,
        grant: u64,
        len: u32,
        /// So many snapshots have been taken and are not kept any more.
        taken: u32,
    },
}

/// Bytes, written in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = &'de [u8];
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Borrow).map(Self)
    }
}
