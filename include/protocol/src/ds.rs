//! The data store: names of services, and what services tell each other. See `docs/ds.md`.
//!
//! An entry has a key and a kind; the same key can be there once for each kind. Keys, labels and patterns have 1 to [`MAX_KEY`] bytes, none
//! of them zero, and stand in a [`Key`]: `EINVAL` for any other; the error of the copy if a grant that is named is bad. Who calls is known by its label:
//! `EPERM` for who has none, where a call needs one. A call that fails has changed nothing.

use abi::Endpoint;
use abi::grant::GrantId;

/// The most bytes of a key, a label or a pattern.
pub const MAX_KEY: u32 = 79;

/// The most bytes of a key that travel in the message itself.
pub const INLINE_KEY: u32 = 32;

/// The most bytes of a value, and of a range that can be mapped.
pub const MAX_VALUE: u32 = 65536;

/// So many snapshots of a range are kept: the last ones.
pub const SNAPSHOTS: u32 = 5;

/// A key, a label or a pattern. Up to [`INLINE_KEY`] bytes stand here, with zeros behind them. Of a longer one in a request, the first eight are the id of
/// a grant to read it by, and the others zero; of a longer one in an answer these are its first bytes, and all of it has been copied to the grant that the
/// request names.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
)]
#[repr(C)]
pub struct Key {
    /// The bytes.
    pub bytes: [u8; INLINE_KEY as usize],
    /// How many there are altogether.
    pub len: u32,
}

impl Key {
    /// Of bytes that have room in a message; `None` if they have not.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE_KEY as usize];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() as u32 })
    }

    /// Of so many bytes, to be read by a grant.
    #[must_use]
    pub fn granted(grant: GrantId, len: u32) -> Self {
        let mut bytes = [0; INLINE_KEY as usize];
        bytes[..8].copy_from_slice(&grant.raw().to_le_bytes());
        Self { bytes, len }
    }

    /// All of the bytes, if they are here.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        self.bytes.get(..usize::try_from(self.len).ok()?)
    }
}

bitflags::bitflags! {
    /// Who may do what with an entry, and how it is published: the flags of [`Publish`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// Only the owner may retrieve it.
        const PRIVATE_RETRIEVE = 0x2;
        /// Only the owner may overwrite it, or take snapshots of it.
        const PRIVATE_OVERWRITE = 0x4;
        /// Nobody else is told of it.
        const PRIVATE_SUBSCRIBE = 0x8;
        /// Replaces what is there.
        const OVERWRITE = 0x1000;
    }
}

bitflags::bitflags! {
    /// Sets of kinds, for [`Subscribe`]: a bit for each number of [`EntryKind`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Kinds: u32 {
        /// [`EntryKind::Number`].
        const NUMBER = 1;
        /// [`EntryKind::Bytes`].
        const BYTES = 1 << 1;
        /// [`EntryKind::Mapped`].
        const MAPPED = 1 << 2;
        /// [`EntryKind::Label`].
        const LABEL = 1 << 3;
    }
}

bitflags::bitflags! {
    /// How to subscribe: the flags of [`Subscribe`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SubscribeFlags: u32 {
        /// Replaces the subscription that is there.
        const OVERWRITE = 0x1000;
        /// Tells of the entries that are there now.
        const INITIAL = 0x2000;
    }
}

crate::vmctl::field_enum! {
    /// What an entry is.
    EntryKind {
        /// A number of 32 bits.
        Number = 0,
        /// Bytes.
        Bytes = 1,
        /// A range of the owner's memory, of whole pages.
        Mapped = 2,
        /// The endpoint of a service.
        Label = 3,
    }
}

crate::protocol! {
    ds = 0x800;

    /// Makes an entry, or replaces one. `EPERM` for a label by who does not set labels, and for an entry that another owns and nobody else may
    /// overwrite; `EEXIST` if it is there and is not to be replaced, and for a label of an endpoint that has another one; `ENOMEM` if the store is full, or
    /// the caller has its share; `E2BIG` for more than [`MAX_VALUE`]; `EINVAL` for unknown flags, no bytes, a range that is not of whole pages or is to
    /// replace one, a number of more than 32 bits, and an endpoint that can name nobody. The error of the copy if the value cannot be read.
    0 fn publish(Publish {
        key: Key,
        kind: EntryKind,
        /// Bits of [`Flags`].
        flags: u32,
        /// Bytes of the value; 0 for a number and a label.
        len: u32,
        /// The number; the endpoint; a grant to read the bytes by; a grant to read and map the range, which stays.
        value: u64
    }) -> Published {};
    /// What an entry says. Of bytes, and of what a mapped range shows now, as many as there is room for are copied to the grant. `ESRCH` if there is none, `EPERM` if only its
    /// owner may know; the error of the copy.
    1 fn retrieve(Retrieve {
        key: Key,
        kind: EntryKind,
        /// The room.
        capacity: u32,
        reserved: u32,
        /// Where to, for bytes and mapped ranges.
        grant: GrantId
    }) -> Retrieved {
        /// The number or the endpoint; of bytes, how many were copied.
        value: u64,
        /// Bytes of the value.
        len: u32,
        /// Who owns it now.
        owner: Endpoint
    };
    /// Has the caller notified when entries of these keys change or disappear. There is one subscription for each label. `ESRCH` for who has no label, `EEXIST` if it has
    /// one, `EINVAL` for a bad pattern, and for unknown flags or kinds.
    2 fn subscribe(Subscribe {
        /// For all of a key: see `docs/ds.md`.
        pattern: Key,
        /// Bits of [`Kinds`]; 0 for all.
        kinds: u32,
        /// Bits of [`SubscribeFlags`].
        flags: u32
    }) -> Subscribed {};
    /// Tells of one entry that has changed since it was told of. `ESRCH` for who has no subscription, `ENOENT` if there is none: if that comes first after a
    /// notification, something has disappeared. `E2BIG` if its key has no room in the answer and no grant is named; it is told of the next time again, as after an
    /// error of the copy.
    3 fn check(Check {
        /// Where to copy a long key to: [`MAX_KEY`] bytes; or none.
        grant: GrantId
    }) -> Changed {
        /// The number or the endpoint; the length of others.
        value: u64,
        key: Key,
        kind: EntryKind,
        /// Who owns it now.
        owner: Endpoint,
        reserved: u32
    };
    /// Removes an entry. `EPERM` for what another owns, and for the label of who sets labels; `ESRCH` if there is none. With a label go the entries that are owned by it and its
    /// subscription.
    4 fn delete(Delete { key: Key, kind: EntryKind }) -> Deleted {};
    /// Copies what a mapped range shows now. `ESRCH` if there is none, `EPERM` for who may not, `ENOMEM` if its owner has its share; the error of the copy.
    5 fn snapshot(Snapshot { key: Key }) -> SnapshotTaken {
        /// Which snapshot of this range it is: they are counted from 0.
        index: u32
    };
    /// The label of an endpoint: `ESRCH` if it has none, `E2BIG` if it has no room in the answer and no grant is named.
    6 fn retrieve_label(RetrieveLabel {
        endpoint: Endpoint,
        reserved: u32,
        /// Where to copy a long one to: [`MAX_KEY`] bytes; or none.
        grant: GrantId
    }) -> LabelRetrieved { label: Key };
    /// The first entry that is not before a place, and that the caller may retrieve; all for who sets labels. `ENOENT` if there is none; `E2BIG` as of [`Check`].
    7 fn info(GetInfo {
        place: u32,
        reserved: u32,
        /// Where to copy a long key to: [`MAX_KEY`] bytes; or none.
        grant: GrantId
    }) -> EntryInfo {
        /// Its place; the next one may be behind it.
        place: u32,
        kind: EntryKind,
        key: Key,
        /// Who owns it now.
        owner: Endpoint,
        flags: u32,
        /// Bytes of the value.
        len: u32
    };
    /// Copies a snapshot of a mapped range, as [`Retrieve`] copies the range. `EINVAL` for one that is not among the last [`SNAPSHOTS`]; other errors as of [`Retrieve`].
    8 fn retrieve_snapshot(RetrieveSnapshot {
        key: Key,
        index: u32,
        /// The room.
        capacity: u32,
        reserved: u32,
        /// Where to.
        grant: GrantId
    }) -> SnapshotRetrieved {
        /// Bytes of the snapshot.
        len: u32,
        /// How many were copied.
        copied: u32
    };
    /// Hands on the grant of a mapped range, to read and map it, until the entry is deleted. `ESRCH` and `EPERM` as of [`Retrieve`]; `ENOSPC` if the store can make no more
    /// grants.
    9 fn map(MapRange { key: Key }) -> RangeGranted {
        /// Made by the data store.
        grant: GrantId,
        /// Bytes of the range.
        len: u32,
        /// Who owns it now.
        owner: Endpoint
    };
}
