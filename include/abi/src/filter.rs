//! Receive filters as programs hand them to the kernel: an array of [`FilterElement`].

use crate::{Endpoint, Kind};
use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most elements in all filters of one process together.
pub const MAX_FILTER_ELEMENTS: usize = 128;

bitflags! {
    /// What an element looks at; at least one of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FilterFlags: u32 {
        /// [`FilterElement::source`].
        const SOURCE = 1;
        /// [`FilterElement::kind`].
        const KIND = 1 << 1;
    }
}

/// Messages that a filter lets through or keeps back: those that have everything that the flags name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FilterElement {
    /// [`FilterFlags`].
    pub flags: u32,
    /// Whom they come from: a live process, one of the kernel's own names such as [`Endpoint::CLOCK`], or all of a sort:
    /// [`Endpoint::ANY_USR`], [`Endpoint::ANY_TSK`], [`Endpoint::ANY_SYS`]. Zero if the source does not count.
    pub source: u32,
    /// What they are. Zero if the kind does not count.
    pub kind: u16,
    /// Zero.
    pub reserved: [u8; 6],
}

const _: () = assert!(size_of::<FilterElement>() == 16);

impl FilterElement {
    const EMPTY: Self = Self { flags: 0, source: 0, kind: 0, reserved: [0; 6] };

    /// All messages from `source`.
    pub const fn from_source(source: Endpoint) -> Self {
        Self { flags: FilterFlags::SOURCE.bits(), source: source.raw(), ..Self::EMPTY }
    }

    /// All messages of a kind.
    pub const fn of_kind(kind: Kind) -> Self {
        Self { flags: FilterFlags::KIND.bits(), kind: kind.0, ..Self::EMPTY }
    }

    /// The messages of a kind from `source`.
    pub const fn of_kind_from(kind: Kind, source: Endpoint) -> Self {
        Self { flags: FilterFlags::all().bits(), source: source.raw(), kind: kind.0, ..Self::EMPTY }
    }
}
