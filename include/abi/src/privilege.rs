//! Privileges: what a process may do.
//!
//! The kernel has a table of [`PRIVILEGES`] structures, named by their ids. Masks of senders and receivers have a bit for
//! each id. The names in the kernel's own range have the first ids, all ordinary user processes share
//! [`PrivilegeId::USER`], a boot program can have the id that goes with its place in the boot table (a *static* one), and
//! the rest is given to services as they come (*dynamic* ids).

use crate::boot::MAX_PROGRAMS;
use crate::{Endpoint, TrapMask};
use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Number of privilege structures.
pub const PRIVILEGES: usize = 64;

/// The id of a privilege structure; always in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrivilegeId(u8);

impl PrivilegeId {
    /// That of [`Endpoint::ASYNCM`]: kernel names have the lowest ids, so that their notifications come first.
    pub const ASYNCM: Self = Self(0);
    /// That of [`Endpoint::CLOCK`].
    pub const CLOCK: Self = Self(2);
    /// That of [`Endpoint::SYSTEM`].
    pub const SYSTEM: Self = Self(3);
    /// That of [`Endpoint::HARDWARE`].
    pub const HARDWARE: Self = Self(4);
    /// Shared by all processes that are no services.
    pub const USER: Self = Self(5);
    /// The first of the boot programs'.
    const FIRST_STATIC: u8 = 6;

    /// The id with this number; `None` if there is none.
    pub const fn new(number: u32) -> Option<Self> {
        if number < PRIVILEGES as u32 { Some(Self(number as u8)) } else { None }
    }

    /// The id that goes with a place in the boot table; `None` beyond [`MAX_PROGRAMS`].
    pub const fn of_boot_program(place: usize) -> Option<Self> {
        if place < MAX_PROGRAMS { Some(Self(Self::FIRST_STATIC + place as u8)) } else { None }
    }

    /// The mask of ids that stands for a mask of places in the boot table.
    pub const fn mask_of_boot_programs(places: u64) -> u64 {
        places << Self::FIRST_STATIC
    }

    /// The ids that a service can have.
    pub fn of_services() -> impl Iterator<Item = Self> {
        (Self::FIRST_STATIC..PRIVILEGES as u8).map(Self)
    }

    /// Its number, an index into tables of [`PRIVILEGES`] entries.
    pub const fn index(self) -> usize {
        self.0 as usize % PRIVILEGES
    }

    /// Its bit in masks of ids.
    pub const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// The name in the kernel's own range that has this id.
    pub const fn kernel_name(self) -> Option<Endpoint> {
        match self {
            Self::ASYNCM => Some(Endpoint::ASYNCM),
            Self::CLOCK => Some(Endpoint::CLOCK),
            Self::SYSTEM => Some(Endpoint::SYSTEM),
            Self::HARDWARE => Some(Endpoint::HARDWARE),
            _ => None,
        }
    }
}

const _: () = assert!(MAX_PROGRAMS <= PRIVILEGES - PrivilegeId::FIRST_STATIC as usize);

bitflags! {
    /// What kind of process has these privileges.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PrivilegeFlags: u32 {
        /// May be preempted by a more urgent process, and loses its turn when its time is used up.
        const PREEMPTIBLE = 1 << 1;
        /// Time that others spend on its behalf is charged to it.
        const BILLABLE = 1 << 2;
        /// The id was not the caller's to choose.
        const DYNAMIC = 1 << 3;
        /// A service: has a structure of its own, and may do what only services may.
        const SERVICE = 1 << 4;
        /// The root system process: gives all others their privileges.
        const ROOT = 1 << 8;
        /// The memory server: page faults and memory requests of all others go to it.
        const PAGER = 1 << 9;
        /// May grant memory of others, and have copies fail instead of waiting for the memory server: what serves others with
        /// memory that is not its own has to.
        const GRANTS_FOR_OTHERS = 1 << 12;
        /// An instance that was made for a live update.
        const LIVE_UPDATE = 1 << 10;
        /// An instance that replaces a crashed one.
        const RESTART = 1 << 11;
    }
}

impl PrivilegeFlags {
    /// Those that a caller may give: the others follow from how the structure came to be.
    pub const SETTABLE: Self = Self::PREEMPTIBLE
        .union(Self::BILLABLE)
        .union(Self::PAGER)
        .union(Self::GRANTS_FOR_OTHERS)
        .union(Self::LIVE_UPDATE)
        .union(Self::RESTART);
}

/// What can be set of a privilege structure. Ranges are added one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PrivilegeSpec {
    /// Privilege ids that it may send to, a bit each. Bits of unused ids, of the kernel's names and of its own id are left out.
    pub sends: u64,
    /// Kernel calls that it may make, a bit for each number.
    pub calls: u64,
    /// Bits of [`PrivilegeFlags::SETTABLE`].
    pub flags: u32,
    /// Handed on to the service; the kernel does not look at them.
    pub init_flags: u32,
    /// Traps that it may use: bits of [`TrapMask`].
    pub traps: u32,
    /// Who gets its signals; [`Endpoint::SELF`] for the process itself.
    pub manager: Endpoint,
    /// Who gets them when that one is dead, or when it is the process itself and the signal is lethal;
    /// [`Endpoint::NONE`] for nobody.
    pub backup: Endpoint,
    /// Zero.
    pub reserved: u32,
}

impl PrivilegeSpec {
    /// The traps; `None` if a bit means nothing.
    pub fn traps(&self) -> Option<TrapMask> {
        TrapMask::from_bits(self.traps)
    }

    /// The flags; `None` if a bit means nothing or is not the caller's to set.
    pub fn flags(&self) -> Option<PrivilegeFlags> {
        PrivilegeFlags::from_bits(self.flags).filter(|flags| PrivilegeFlags::SETTABLE.contains(*flags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_boot_programs_follow_those_of_the_kernel_and_of_users() {
        assert_eq!(PrivilegeId::of_boot_program(0).unwrap().index(), PrivilegeId::USER.index() + 1);
        assert_eq!(PrivilegeId::of_boot_program(MAX_PROGRAMS), None);
        for place in 0..MAX_PROGRAMS {
            let id = PrivilegeId::of_boot_program(place).unwrap();
            assert_eq!(PrivilegeId::mask_of_boot_programs(1 << place), id.bit());
            assert_eq!(id.kernel_name(), None);
        }
        assert_eq!(PrivilegeId::of_services().count(), PRIVILEGES - 6);
    }

    #[test]
    fn numbers_out_of_range_are_no_ids() {
        assert_eq!(PrivilegeId::new(63).map(PrivilegeId::index), Some(63));
        assert_eq!((PrivilegeId::new(64), PrivilegeId::new(u32::MAX)), (None, None));
    }
}
