//! Memory grants: rights to a process's memory that it gives to others, and takes back.
//!
//! A service keeps its grants in a table in its own memory, and tells the kernel where that is. The kernel reads the entry at
//! each use and remembers nothing of it, so what is cleared there ends at once. An entry is filled first and then made valid by one
//! store of its flags; whoever takes it back clears the flags first, and raises the sequence number before the next use.

use crate::Endpoint;
use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most entries of a table.
pub const MAX_GRANTS: u64 = 1 << GrantId::INDEX_BITS;

/// Most indirect entries of a chain, before the entry that names the memory.
pub const MAX_HOPS: usize = 5;

/// The name of a grant among those of its granter: the place of its entry in the table, and the entry's sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct GrantId(u64);

impl GrantId {
    const INDEX_BITS: u32 = 20;
    /// The bit that no id has.
    const SIGN: u64 = 1 << 63;
    /// The largest sequence number. An entry that has used it up is never used again.
    pub const LAST_SEQUENCE: u64 = (Self::SIGN >> Self::INDEX_BITS) - 1;
    /// No grant.
    pub const INVALID: Self = Self(u64::MAX);

    /// The id of the entry at a place below [`MAX_GRANTS`], with this sequence number.
    pub const fn new(index: u64, sequence: u64) -> Option<Self> {
        if index < MAX_GRANTS && sequence <= Self::LAST_SEQUENCE {
            Some(Self(sequence << Self::INDEX_BITS | index))
        } else {
            None
        }
    }

    /// As it travels in messages: any number.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Whether it can be that of a grant.
    pub const fn is_valid(self) -> bool {
        self.0 & Self::SIGN == 0
    }

    /// The place of the entry.
    pub const fn index(self) -> u64 {
        self.0 % MAX_GRANTS
    }

    /// The sequence number.
    pub const fn sequence(self) -> u64 {
        self.0 >> Self::INDEX_BITS
    }
}

bitflags! {
    /// The state and the rights of an entry.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct GrantFlags: u32 {
        /// The grantee may read.
        const READ = 1;
        /// The grantee may write.
        const WRITE = 1 << 1;
        /// The grantee may map the memory into its own space, for what else it may do.
        const MAP = 1 << 2;
        /// A copy fails where memory is not there, instead of waiting for the memory server.
        const TRY = 1 << 4;
        /// The entry is taken.
        const USED = 1 << 8;
        /// It names memory of the granter.
        const DIRECT = 1 << 9;
        /// It hands on a grant that the granter has got.
        const INDIRECT = 1 << 10;
        /// It names memory of somebody else. For those who are privileged to do so.
        const MAGIC = 1 << 11;
        /// Its contents are complete.
        const VALID = 1 << 12;
    }
}

/// An entry of a table, which starts at a multiple of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(64))]
pub struct GrantEntry {
    /// Bits of [`GrantFlags`].
    pub flags: u32,
    /// To whom; or [`Endpoint::ANY`].
    pub grantee: Endpoint,
    /// See [`GrantId::sequence`].
    pub sequence: u64,
    /// The first byte; of an indirect entry, counted from the first byte of the grant that it hands on.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Of an indirect entry: the grant that it hands on.
    pub parent: GrantId,
    /// Of an indirect entry: who made that grant. Of a magic one: whose memory it is.
    pub other: Endpoint,
    /// Zero.
    pub reserved: u32,
    /// Written by the kernel: the id of this grant, if a copy failed for [`GrantFlags::TRY`].
    pub faulted: GrantId,
    /// Zero.
    pub reserved_too: u64,
}

impl GrantEntry {
    /// An entry that is not taken.
    pub const FREE: Self = Self {
        flags: 0,
        grantee: Endpoint::NONE,
        sequence: 0,
        start: 0,
        len: 0,
        parent: GrantId::INVALID,
        other: Endpoint::NONE,
        reserved: 0,
        faulted: GrantId::INVALID,
        reserved_too: 0,
    };
}

/// Bytes of an entry, and what the address of a table is a multiple of: so no entry lies across two pages.
pub const GRANT_SIZE: u64 = size_of::<GrantEntry>() as u64;

const _: () = assert!(GRANT_SIZE == 64 && crate::layout::PAGE_SIZE.is_multiple_of(GRANT_SIZE));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_place_and_sequence_number() {
        for (index, sequence) in [(0, 0), (1, 0), (MAX_GRANTS - 1, 7), (5, GrantId::LAST_SEQUENCE)] {
            let id = GrantId::new(index, sequence).unwrap();
            assert_eq!((id.is_valid(), id.index(), id.sequence()), (true, index, sequence));
        }
        assert_eq!(GrantId::new(0, 0).map(GrantId::raw), Some(0));
        assert_eq!(GrantId::new(MAX_GRANTS, 0), None);
        assert_eq!(GrantId::new(0, GrantId::LAST_SEQUENCE + 1), None);
        assert!(!GrantId::INVALID.is_valid() && !GrantId::from_raw(1 << 63).is_valid());
    }
}
