//! Verification of grants: whether somebody may access memory of somebody else, and where that memory is.
//!
//! The entries stand in their granters' own memory, where they can change at any moment, also while they are read. So each word
//! is read once, into the kernel; after that it is looked whether flags and sequence number are still the same. Whoever takes a
//! grant back changes these first, so nobody sees half of one grant and half of the next.
//!
//! An entry is read at each use. Only where the page is that it stands in is remembered: see [`FoundPage`].

use crate::privileges::{Privileges, UserTable};
use crate::{Kernel, Machine, MemoryAccess, Rts, Slot};
use abi::grant::{GRANT_SIZE, GrantEntry, GrantFlags, GrantId, MAX_GRANTS, MAX_HOPS};
use abi::layout::{PAGE_SIZE, USER_END, user_range};
use abi::{Endpoint, Errno, PrivilegeFlags};
use core::mem::offset_of;
use zerocopy::IntoBytes;

/// A use of a grant that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) granter: Endpoint,
    pub(crate) grant: GrantId,
    /// Bytes from the start of what is granted.
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// All that is needed of READ, WRITE and MAP.
    pub(crate) access: GrantFlags,
}

/// What a valid grant comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Whose memory it is.
    pub(crate) owner: Slot,
    /// The first byte that is used.
    pub(crate) address: u64,
    /// Whether memory is not waited for where it is not there.
    tries: bool,
    /// What is done there then.
    mark: Mark,
}

impl Granted {
    /// What is to be done where memory is not there, if it is not waited for.
    #[inline(always)]
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.tries.then_some(self.mark)
    }

    /// The same from a byte on that is inside of what is used.
    pub(crate) fn behind(self, bytes: u64) -> Self {
        Self { address: self.address + bytes, ..self }
    }
}

/// Where a failed copy is noted: in the entry that names the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    granter: Slot,
    grant: GrantId,
}

/// The kinds of an entry, one of which it has.
const KINDS: GrantFlags = GrantFlags::DIRECT.union(GrantFlags::INDIRECT).union(GrantFlags::MAGIC);
/// What an entry has if it is in use.
const IN_USE: GrantFlags = GrantFlags::USED.union(GrantFlags::VALID);

/// Where entries of a table were found that stand in one page, so that not each use walks through page tables.
#[derive(Clone, Copy, Debug, Eq)]
pub(crate) struct FoundPage {
    /// Whose table it is.
    owner: Endpoint,
    /// [`Spaces::changes`](crate::Spaces::changes) at that time.
    changes: u64,
    /// The index of the first entry, and how many there are.
    first: u64,
    count: u64,
    /// The machine's name for the first byte of the first.
    name: u64,
}

/// Whoever compares privileges does not ask what is remembered: that changes no answer.
impl PartialEq for FoundPage {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl FoundPage {
    /// Nothing is remembered.
    pub(crate) const NONE: Self = Self { owner: Endpoint::NONE, changes: 0, first: 0, count: 0, name: 0 };

    /// The name of the first byte of an entry of `granter`, if it is one of these, and they are still there: nothing was taken
    /// from any space since.
    #[inline(always)]
    fn name_of(&self, granter: Endpoint, id: GrantId, changes: u64) -> Option<u64> {
        let place = id.index().wrapping_sub(self.first);
        let holds = self.owner == granter && self.changes == changes && place < self.count;
        if holds { Some(self.name + place * GRANT_SIZE) } else { None }
    }
}

impl UserTable {
    /// The address of the entry with an id in a table of grants, which has so many.
    #[inline(always)]
    fn entry(self, id: GrantId) -> u64 {
        self.address + id.index() * GRANT_SIZE
    }

    /// The page in which the entry with an id was found under a name; none lies across two pages.
    fn page_of(self, id: GrantId, name: u64, changes: u64) -> FoundPage {
        let in_page = |address: u64| address % PAGE_SIZE / GRANT_SIZE;
        let before = in_page(self.entry(id)).min(id.index());
        let first = id.index() - before;
        let left = PAGE_SIZE / GRANT_SIZE - in_page(self.address + first * GRANT_SIZE);
        let count = left.min(self.count - first);
        FoundPage { owner: self.owner, changes, first, count, name: name - before * GRANT_SIZE }
    }
}

/// What an entry hands on.
#[derive(Clone, Copy)]
struct Part {
    start: u64,
    len: u64,
}

impl Part {
    /// The place of `len` bytes from an offset on; `None` if not all of them are in this part.
    #[inline(always)]
    fn place_of(self, offset: u64, len: u64) -> Option<u64> {
        let inside = offset <= self.len && len <= self.len - offset;
        // No overflow: it would be beyond the end of the next entry, or of memory.
        if inside { self.start.checked_add(offset) } else { None }
    }
}

/// Where the entry with an id is in the table of `granter`, whose privileges these are.
#[inline(always)]
fn entry_address(p: &Privileges, granter: Endpoint, grantee: Endpoint, id: GrantId) -> Result<u64, Errno> {
    let table = p.grant_table;
    // Nobody owns the table of those who are no services.
    if table.owner != granter {
        if !p.flags.contains(PrivilegeFlags::SERVICE) {
            return Err(Errno::Perm);
        }
        // A live update is under way. Only the new instance, which has the old one's endpoint now, uses the old one's grants.
        if table.count == 0 || table.owner != grantee {
            return Err(Errno::NotReady);
        }
    }
    if id.index() < table.count { Ok(table.entry(id)) } else { Err(Errno::Perm) }
}

/// Words of an entry: flags in the lower half, and the grantee.
const HEAD: usize = offset_of!(GrantEntry, flags);
const SEQUENCE: usize = offset_of!(GrantEntry, sequence);
const START: usize = offset_of!(GrantEntry, start);
const LEN: usize = offset_of!(GrantEntry, len);
const PARENT: usize = offset_of!(GrantEntry, parent);
/// The other process, in the lower half.
const OTHER: usize = offset_of!(GrantEntry, other);

impl<M: Machine> Kernel<'_, M> {
    /// Verifies that `grantee` may use a grant, along the chain of indirect entries, each of which hands on no more than a part
    /// of what it has got. Takes bounded time.
    ///
    /// # Errors
    /// See [`protocol::kernel::SafeCopyFrom`]. The links of the chain are looked at one after the other, each of them for who
    /// made it, its table, its entry, to whom it was given, and what it allows.
    #[inline(always)]
    pub(crate) fn verify_grant(&mut self, machine: &M, grantee: Endpoint, wanted: &Use) -> Result<Granted, Errno> {
        self.verify_chain(machine, grantee, wanted, |_, _| {})
    }

    /// The same; `link` is told each grant of the chain, and who made it.
    ///
    /// # Errors
    /// The same.
    #[inline(always)]
    pub(crate) fn verify_chain(
        &mut self,
        machine: &M,
        grantee: Endpoint,
        wanted: &Use,
        mut link: impl FnMut(Endpoint, GrantId),
    ) -> Result<Granted, Errno> {
        let mut grantee = grantee;
        let Use { mut granter, grant: mut id, mut offset, len, access } = *wanted;
        let needed = IN_USE | access;
        let mut hops = 0;
        loop {
            let p = &self.procs[granter.slot()];
            if p.endpoint != granter || !id.is_valid() {
                return Err(Errno::Inval);
            }
            let found = self.privileges[p.privilege_id.index()].grant_page.name_of(granter, id, self.spaces.changes());
            let name = match found {
                Some(name) => name,
                None => self.find_entry(machine, granter, grantee, id)?,
            };
            let word = |field: usize| machine.load(name + field as u64);
            // The sequence number first: flags that are valid after it came are those of this grant, not of the last one.
            if word(SEQUENCE) != id.sequence() {
                return Err(Errno::Perm);
            }
            let head = word(HEAD);
            let part = Part { start: word(START), len: word(LEN) };
            let (parent, other) = (GrantId::from_raw(word(PARENT)), Endpoint::from_raw(word(OTHER) as u32));
            if word(HEAD) != head || word(SEQUENCE) != id.sequence() {
                return Err(Errno::Perm);
            }
            let flags = GrantFlags::from_bits_retain(head as u32);
            let indirect = flags & KINDS == GrantFlags::INDIRECT;
            let to = Endpoint::from_raw((head >> u32::BITS) as u32);
            if !flags.contains(needed) || (to != grantee && to != Endpoint::ANY) {
                // A chain that is too long is so for everybody.
                let too_long = flags.contains(IN_USE) && indirect && hops == MAX_HOPS;
                return Err(if too_long { Errno::Loop } else { Errno::Perm });
            }
            if indirect {
                if hops == MAX_HOPS {
                    return Err(Errno::Loop);
                }
                offset = part.place_of(offset, len).ok_or(Errno::Perm)?;
                link(granter, id);
                hops += 1;
                (grantee, granter, id) = (granter, other, parent);
                continue;
            }
            let address = part.place_of(offset, len).ok_or(Errno::Perm)?;
            link(granter, id);
            // All that was granted is memory, not only what is used of it.
            if part.len > USER_END || part.start > USER_END - part.len {
                return Err(Errno::Perm);
            }
            let slot = Slot::of(granter);
            let owner = self.owner_of_memory(slot, flags, other)?;
            let mark = Mark { granter: slot, grant: id };
            return Ok(Granted { owner, address, tries: flags.contains(GrantFlags::TRY), mark });
        }
    }

    /// Whose memory an entry of `granter` names that is not indirect.
    #[inline(always)]
    fn owner_of_memory(&self, granter: Slot, flags: GrantFlags, other: Endpoint) -> Result<Slot, Errno> {
        let kind = flags & KINDS;
        if kind == GrantFlags::DIRECT {
            return Ok(granter);
        }
        let may = self.privileges(granter).flags.contains(PrivilegeFlags::GRANTS_FOR_OTHERS);
        if kind == GrantFlags::MAGIC && may { self.named(other) } else { Err(Errno::Perm) }
    }

    /// The machine's name for the first byte of an entry, in a page that is not remembered.
    #[cold]
    fn find_entry(&mut self, machine: &M, granter: Endpoint, grantee: Endpoint, id: GrantId) -> Result<u64, Errno> {
        let slot = Slot::of(granter);
        if self.process(slot).rts.contains(Rts::FREE) {
            return Err(Errno::Inval);
        }
        let address = entry_address(self.privileges(slot), granter, grantee, id)?;
        let root = self.root_of(slot).ok_or(Errno::Perm)?;
        let name = machine.locate_byte(root, address, MemoryAccess::Read).ok_or(Errno::Perm)?;
        let changes = self.spaces.changes();
        let privileges = self.privileges_mut(slot);
        privileges.grant_page = privileges.grant_table.page_of(id, name, changes);
        Ok(name)
    }

    /// Tells the granter of a grant that a copy with it found memory missing. It does not matter if that cannot be told.
    pub(crate) fn mark_faulted(&mut self, machine: &mut M, mark: Mark) {
        let entry = self.privileges(mark.granter).grant_table.entry(mark.grant);
        let address = entry + offset_of!(GrantEntry, faulted) as u64;
        let _ = self.write_memory(machine, mark.granter, address, mark.grant.as_bytes());
    }

    /// Sets where `me` keeps its grants.
    pub(crate) fn set_grant_table(&mut self, me: Slot, address: u64, count: u64) -> Result<(), Errno> {
        if !self.is_service(me) {
            return Err(Errno::Perm);
        }
        let owner = self.process(me).endpoint;
        let table = UserTable { address, count, owner };
        let fits = address.is_multiple_of(GRANT_SIZE)
            && count <= MAX_GRANTS
            && user_range(address, count * GRANT_SIZE).is_some();
        if count > 0 && !fits {
            return Err(Errno::Inval);
        }
        self.replace_grant_table(me, if count > 0 { table } else { UserTable::empty(owner) });
        Ok(())
    }

    /// Ends all grants of a process that gets another program, and what was mapped with them.
    pub(crate) fn forget_grants(&mut self, machine: &mut M, slot: Slot) {
        self.spaces.take_back_all(machine, self.process(slot).endpoint);
        if self.is_service(slot) {
            let owner = self.process(slot).endpoint;
            self.replace_grant_table(slot, UserTable::empty(owner));
        }
    }

    /// A service has another table from now on, of which no page is known.
    fn replace_grant_table(&mut self, slot: Slot, table: UserTable) {
        let privileges = self.privileges_mut(slot);
        (privileges.grant_table, privileges.grant_page) = (table, FoundPage::NONE);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn id(index: u64) -> GrantId {
        GrantId::new(index, 0).unwrap()
    }

    const OWNER: Endpoint = Endpoint::from_raw(5);

    #[test]
    fn entries_of_one_page_are_found_until_something_changes() {
        // Two entries are in the page before, and so many in the last one.
        let table = UserTable { address: 8 * PAGE_SIZE - 2 * GRANT_SIZE, count: 69, owner: OWNER };
        let found = |index, name| {
            let page = table.page_of(id(index), name, 7);
            (0..70).filter(|&i| page.name_of(OWNER, id(i), 7) == Some(name + i * 64 - index * 64)).collect::<Vec<_>>()
        };
        for index in [0, 1] {
            assert_eq!(found(index, 0x5f80 + index * 64), [0, 1]);
        }
        for index in [2, 3, 65] {
            assert_eq!(found(index, 0x9000 + (index - 2) * 64), (2..66).collect::<Vec<_>>());
        }
        assert_eq!(found(68, 0x9080), [66, 67, 68]);
        let page = table.page_of(id(3), 0x9040, 7);
        assert_eq!(page.name_of(Endpoint::from_raw(6), id(3), 7), None, "somebody else's");
        assert_eq!(page.name_of(OWNER, id(3), 8), None, "something was taken away");
        assert_eq!(page.name_of(OWNER, id(1), 7), None, "in the page before");
        assert_eq!(FoundPage::NONE.name_of(Endpoint::NONE, id(0), 0), None);
    }
}
