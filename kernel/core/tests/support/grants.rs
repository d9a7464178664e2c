//! Grants of programs.

use super::{MEMORY_START, Regs, World, kernel_call};
use abi::grant::{GRANT_SIZE, GrantEntry, GrantFlags, GrantId};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::kernel::{SafeCopyFrom, SafeCopyTo, SetGrant};

/// Where programs keep their grants: the first page of their memory.
pub(crate) const TABLE: u64 = MEMORY_START;
/// How many these are.
pub(crate) const GRANTS: u64 = PAGE_SIZE / GRANT_SIZE;
/// Where their other memory starts.
pub(crate) const DATA: u64 = MEMORY_START + PAGE_SIZE;

pub(crate) const READ: GrantFlags = GrantFlags::READ;
pub(crate) const WRITE: GrantFlags = GrantFlags::WRITE;
const IN_USE: GrantFlags = GrantFlags::USED.union(GrantFlags::VALID);

/// The id of the first grant in a place.
pub(crate) fn id(index: u64) -> GrantId {
    GrantId::new(index, 0).expect("tests have small tables")
}

/// A grant of memory of whoever makes it.
pub(crate) fn direct(grantee: Endpoint, rights: GrantFlags, start: u64, len: u64) -> GrantEntry {
    let flags = (IN_USE | GrantFlags::DIRECT | rights).bits();
    GrantEntry { flags, grantee, start, len, ..GrantEntry::FREE }
}

/// A grant of memory of somebody else.
pub(crate) fn magic(grantee: Endpoint, rights: GrantFlags, owner: Endpoint, start: u64, len: u64) -> GrantEntry {
    let flags = (IN_USE | GrantFlags::MAGIC | rights).bits();
    GrantEntry { flags, grantee, start, len, other: owner, ..GrantEntry::FREE }
}

/// A grant of a part of what `granter` has granted.
pub(crate) fn indirect(
    grantee: Endpoint,
    rights: GrantFlags,
    (granter, parent): (Endpoint, GrantId),
    start: u64,
    len: u64,
) -> GrantEntry {
    let flags = (IN_USE | GrantFlags::INDIRECT | rights).bits();
    GrantEntry { flags, grantee, start, len, other: granter, parent, ..GrantEntry::FREE }
}

/// Copies from a grant to memory of the caller.
pub(crate) fn from_grant(granter: Endpoint, grant: GrantId, offset: u64, address: u64, len: u64) -> SafeCopyFrom {
    SafeCopyFrom { granter, reserved: 0, grant, offset, address, len }
}

/// The other way.
pub(crate) fn to_grant(granter: Endpoint, grant: GrantId, offset: u64, address: u64, len: u64) -> SafeCopyTo {
    SafeCopyTo { granter, reserved: 0, grant, offset, address, len }
}

/// Both, as traps.
pub(crate) fn both_ways(granter: Endpoint, grant: GrantId, offset: u64, len: u64) -> [Regs; 2] {
    let from = from_grant(granter, grant, offset, DATA, len);
    [kernel_call(&from), kernel_call(&to_grant(granter, grant, offset, DATA, len))]
}

impl World<'_> {
    /// Gives everybody of the boot table but the root a table of grants.
    pub(crate) fn register_grants(&mut self) {
        for who in self.programs().collect::<std::vec::Vec<_>>() {
            self.register_grants_of(who);
        }
    }

    /// Gives somebody one.
    pub(crate) fn register_grants_of(&mut self, who: Endpoint) {
        self.does(who, &SetGrant { address: TABLE, count: GRANTS });
    }

    /// Writes an entry into a program's table.
    pub(crate) fn grant_at(&mut self, granter: Endpoint, index: u64, entry: GrantEntry) -> GrantId {
        self.store(granter, TABLE + index * GRANT_SIZE, &entry);
        GrantId::new(index, entry.sequence).expect("tests have small tables")
    }

    /// Copies from a grant, to the same place in the grantee's data; returns what it got.
    pub(crate) fn fetch(&mut self, who: Endpoint, granter: Endpoint, grant: GrantId) -> Result<[u8; 8], Errno> {
        self.call(who, &from_grant(granter, grant, 0, DATA, 8))?;
        Ok(self.load(who, DATA))
    }
}
