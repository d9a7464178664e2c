//! Names of processes.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names one incarnation of one process slot, or is one of the special names below.
///
/// `generation << 15 | slot`. Process slots are `0..1024`; the rest of the 15-bit slot field is for special names, which
/// have generation 0 only, so no real endpoint ever equals one. Boot processes have generation 0: their endpoint is
/// their slot number. A slot that is used again gets the next generation, never 0, so a stale endpoint is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Endpoint(u32);

impl Endpoint {
    /// Bits of the slot field.
    const SLOT_BITS: u32 = 15;
    /// Number of process slots; a power of two, so that a slot index can be masked out of an endpoint.
    pub const SLOTS: usize = 1024;
    /// The highest generation; the one after it is 1.
    pub const LAST_GENERATION: u32 = 65533;

    /// Any sender, where a sender to receive from is named.
    pub const ANY: Self = Self(31744);
    /// Nobody.
    pub const NONE: Self = Self(31743);
    /// The caller, in the few kernel calls that accept it.
    pub const SELF: Self = Self(31742);
    /// Every ordinary user process, where a receive filter names sources.
    pub const ANY_USR: Self = Self(31741);
    /// Every one of the kernel's own names below, there.
    pub const ANY_TSK: Self = Self(31740);
    /// Every system process, there.
    pub const ANY_SYS: Self = Self(31739);
    /// Source of interrupt notifications.
    pub const HARDWARE: Self = Self(0x7fff);
    /// Source of signal notifications and of kernel call answers.
    pub const SYSTEM: Self = Self(0x7ffe);
    /// Source of alarm notifications.
    pub const CLOCK: Self = Self(0x7ffd);
    /// Source of the notifications about asynchronous tables.
    pub const ASYNCM: Self = Self(0x7ffb);

    /// The endpoint of `slot` in `generation`; `None` if either is out of range.
    pub const fn new(slot: usize, generation: u32) -> Option<Self> {
        if slot < Self::SLOTS && generation <= Self::LAST_GENERATION {
            Some(Self(generation << Self::SLOT_BITS | slot as u32))
        } else {
            None
        }
    }

    /// An endpoint as it came in a register or message. Says nothing about whether it names anybody.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The number that travels in registers and messages.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The index into a table of [`Endpoint::SLOTS`] entries. Always in range, also for special names and garbage:
    /// whoever uses it compares the endpoint that is stored there with this one.
    pub const fn slot(self) -> usize {
        self.0 as usize & (Self::SLOTS - 1)
    }

    /// How often the slot had been used before, up to wrapping.
    pub const fn generation(self) -> u32 {
        self.0 >> Self::SLOT_BITS
    }

    /// The endpoint of the next process in the same slot.
    pub const fn next_generation(self) -> Self {
        let generation = if self.generation() >= Self::LAST_GENERATION { 1 } else { self.generation() + 1 };
        Self(generation << Self::SLOT_BITS | self.slot() as u32)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ANY => f.write_str("ANY"),
            Self::NONE => f.write_str("NONE"),
            Self::SELF => f.write_str("SELF"),
            Self::ANY_USR => f.write_str("ANY_USR"),
            Self::ANY_TSK => f.write_str("ANY_TSK"),
            Self::ANY_SYS => f.write_str("ANY_SYS"),
            Self::HARDWARE => f.write_str("HARDWARE"),
            Self::SYSTEM => f.write_str("SYSTEM"),
            Self::CLOCK => f.write_str("CLOCK"),
            Self::ASYNCM => f.write_str("ASYNCM"),
            Self(raw) if raw >> Self::SLOT_BITS == 0 => write!(f, "{raw}"),
            Self(raw) => write!(f, "{}.{}", raw & ((1 << Self::SLOT_BITS) - 1), self.generation()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: [Endpoint; 10] = [
        Endpoint::ANY,
        Endpoint::NONE,
        Endpoint::SELF,
        Endpoint::ANY_USR,
        Endpoint::ANY_TSK,
        Endpoint::ANY_SYS,
        Endpoint::HARDWARE,
        Endpoint::SYSTEM,
        Endpoint::CLOCK,
        Endpoint::ASYNCM,
    ];

    #[test]
    fn every_slot_and_generation_round_trips() {
        for generation in 0..=Endpoint::LAST_GENERATION {
            for slot in 0..Endpoint::SLOTS {
                let e = Endpoint::new(slot, generation).unwrap();
                assert_eq!((e.slot(), e.generation()), (slot, generation));
                assert!((e.raw() as i32) >= 0);
                assert!(e.raw() & 0x7fff < Endpoint::SLOTS as u32, "{e:?} looks like a special name");
            }
        }
    }

    #[test]
    fn generation_zero_is_the_slot_number() {
        assert_eq!(Endpoint::new(11, 0).unwrap().raw(), 11);
    }

    #[test]
    fn out_of_range_has_no_endpoint() {
        assert_eq!(Endpoint::new(Endpoint::SLOTS, 0), None);
        assert_eq!(Endpoint::new(0, Endpoint::LAST_GENERATION + 1), None);
    }

    #[test]
    fn special_names_are_distinct_and_out_of_slot_range() {
        for (i, a) in SPECIAL.iter().enumerate() {
            assert!(a.raw() >= Endpoint::SLOTS as u32 && a.generation() == 0);
            assert!(SPECIAL[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn generations_wrap_to_one() {
        let last = Endpoint::new(5, Endpoint::LAST_GENERATION).unwrap();
        assert_eq!(last.next_generation(), Endpoint::new(5, 1).unwrap());
        assert_eq!(Endpoint::new(5, 0).unwrap().next_generation(), Endpoint::new(5, 1).unwrap());
    }
}
