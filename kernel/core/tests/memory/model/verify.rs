//! Who may use which grant for what.

use super::{Model, Process, SpaceName, Table};
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::layout::USER_END;
use abi::{Endpoint, Errno};
use std::mem::offset_of;
use zerocopy::FromBytes;

/// Indirect entries that a chain may have.
const MOST_HOPS: usize = 5;
/// Bytes of an entry.
const ENTRY: u64 = 64;

/// Where a failed copy is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) space: SpaceName,
    pub(crate) address: u64,
    pub(crate) id: GrantId,
}

/// Memory that somebody may use.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) owner: Endpoint,
    pub(crate) address: u64,
    pub(crate) mark: Option<Mark>,
    /// Each grant of the chain, and who made it.
    pub(crate) links: Vec<(Endpoint, GrantId)>,
}

/// What is wanted of a grant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) granter: Endpoint,
    pub(crate) id: GrantId,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) rights: GrantFlags,
}

impl Model {
    /// What stands at a place in somebody's table.
    pub(crate) fn entry_at(&self, granter: &Process, index: u64) -> Option<GrantEntry> {
        let Table { address, count, .. } = granter.table;
        let bytes = self.read(granter.space, address + index * ENTRY, ENTRY).filter(|_| index < count)?;
        Some(GrantEntry::read_from_bytes(&bytes).expect("it is as long as an entry"))
    }

    /// The entry with an id, as it stands in the granter's memory now, and where.
    pub(crate) fn entry(&self, granter: &Process, grantee: Endpoint, id: GrantId) -> Result<(GrantEntry, u64), Errno> {
        if !granter.service {
            return Err(Errno::Perm);
        }
        let table = granter.table;
        if table.owner != granter.endpoint && (table.count == 0 || table.owner != grantee) {
            return Err(Errno::NotReady);
        }
        if id.index() >= table.count {
            return Err(Errno::Perm);
        }
        let at = table.address + id.index() * ENTRY;
        let bytes = self.read(granter.space, at, ENTRY).ok_or(Errno::Perm)?;
        let entry = GrantEntry::read_from_bytes(&bytes).expect("it is as long as an entry");
        let in_use = GrantFlags::from_bits_retain(entry.flags).contains(GrantFlags::USED | GrantFlags::VALID);
        if in_use && entry.sequence == id.sequence() { Ok((entry, at)) } else { Err(Errno::Perm) }
    }

    pub(crate) fn verify(&self, grantee: Endpoint, wanted: &Wanted) -> Result<Granted, Errno> {
        let Wanted { granter, id, offset, len, rights } = *wanted;
        self.follow(grantee, (granter, id), u128::from(offset), len, rights, Vec::new())
    }

    /// The same from one link on; `offset` is so many bytes behind the start of what that grants.
    fn follow(
        &self,
        grantee: Endpoint,
        (granter, id): (Endpoint, GrantId),
        offset: u128,
        len: u64,
        rights: GrantFlags,
        mut links: Vec<(Endpoint, GrantId)>,
    ) -> Result<Granted, Errno> {
        if !id.is_valid() {
            return Err(Errno::Inval);
        }
        let process = self.process_named(granter).ok_or(Errno::Inval)?;
        let (entry, at) = self.entry(process, grantee, id)?;
        let flags = GrantFlags::from_bits_retain(entry.flags);
        let kinds = flags & (GrantFlags::DIRECT | GrantFlags::INDIRECT | GrantFlags::MAGIC);
        if kinds == GrantFlags::INDIRECT && links.len() == MOST_HOPS {
            return Err(Errno::Loop);
        }
        let to_him = entry.grantee == Endpoint::ANY || entry.grantee == grantee;
        let inside = offset + u128::from(len) <= u128::from(entry.len);
        if !to_him || !inside || !flags.contains(rights) {
            return Err(Errno::Perm);
        }
        links.push((granter, id));
        let start = offset + u128::from(entry.start);
        if start > u128::from(u64::MAX) {
            return Err(Errno::Perm);
        }
        if kinds == GrantFlags::INDIRECT {
            return self.follow(granter, (entry.other, entry.parent), start, len, rights, links);
        }
        if u128::from(entry.start) + u128::from(entry.len) > u128::from(USER_END) {
            return Err(Errno::Perm);
        }
        let owner = match kinds {
            GrantFlags::DIRECT => granter,
            GrantFlags::MAGIC if process.for_others => {
                self.process_named(entry.other).map(|owner| owner.endpoint).ok_or(Errno::Inval)?
            }
            _ => return Err(Errno::Perm),
        };
        let mark = Mark { space: process.space, address: at + offset_of!(GrantEntry, faulted) as u64, id };
        let mark = flags.contains(GrantFlags::TRY).then_some(mark);
        Ok(Granted { owner, address: start as u64, mark, links })
    }
}
