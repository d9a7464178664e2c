//! Verification of grants: whether somebody may access memory of somebody else, and where that memory is.
//!
//! The entries stand in their granters' own memory, where they can change at any moment, also while they are read. So each word
//! is read once, into the kernel; after that it is looked whether flags and sequence number are still the same. Whoever takes a
//! grant back changes these first, so nobody sees half of one grant and half of the next.
//!
//! An entry is read at each use. Only where the page is that it stands in is remembered: see [`FoundPage`].

use crate::frames::FrameNumber;
use crate::privileges::{Privileges, UserTable};
use crate::{Kernel, Machine, MemoryAccess, Rts, Slot};
use abi::grant::{GRANT_SIZE, GrantEntry, GrantFlags, GrantId, MAX_GRANTS, MAX_HOPS};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
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

/// Where a page of a table of grants was found, so that not each use walks through page tables.
#[derive(Clone, Copy, Debug, Eq)]
pub(crate) struct FoundPage {
    /// The root table of the space.
    root: FrameNumber,
    /// The first byte of the page there.
    address: u64,
    /// The machine's name for it.
    name: u64,
    /// [`Spaces::changes`](crate::Spaces::changes) at that time.
    changes: u64,
}

/// Whoever compares privileges does not ask what is remembered: that changes no answer.
impl PartialEq for FoundPage {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl FoundPage {
    /// Nothing is remembered.
    pub(crate) const NONE: Self = Self { root: FrameNumber::LAST, address: 0, name: 0, changes: u64::MAX };

    /// The name of a byte, if it is in this page, and the page is still there: nothing was taken from any space since.
    #[inline(always)]
    fn name_of(&self, root: FrameNumber, address: u64, changes: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.address);
        let holds = self.changes == changes && self.root == root && offset < PAGE_SIZE;
        if holds { Some(self.name + offset) } else { None }
    }
}

impl UserTable {
    /// The address of the entry with an id in a table of grants, which has so many.
    #[inline(always)]
    fn entry(self, id: GrantId) -> u64 {
        self.address + id.index() * GRANT_SIZE
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
            let privileges = &self.privileges[p.privilege_id.index()];
            let root = match p.space {
                Some(home) => home.root(),
                None if p.rts.contains(Rts::FREE) => return Err(Errno::Inval),
                None => return entry_address(privileges, granter, grantee, id).and(Err(Errno::Perm)),
            };
            let at = entry_address(privileges, granter, grantee, id)?;
            // No entry lies across two pages.
            let name = match privileges.grant_page.name_of(root, at, self.spaces.changes()) {
                Some(name) => name,
                None => self.find_page(machine, granter, root, at)?,
            };
            let word = |field: usize| machine.load(name + field as u64);
            // The sequence number first: flags that are valid after it came are those of this grant, not of the last one.
            let sequence = word(SEQUENCE);
            let head = word(HEAD);
            let part = Part { start: word(START), len: word(LEN) };
            let (parent, other) = (GrantId::from_raw(word(PARENT)), Endpoint::from_raw(word(OTHER) as u32));
            let unchanged = word(HEAD) == head && word(SEQUENCE) == sequence;
            if !unchanged || sequence != id.sequence() {
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

    /// The machine's name for the first byte of an entry, in a page that is not remembered yet.
    #[cold]
    fn find_page(&mut self, machine: &M, granter: Endpoint, root: FrameNumber, at: u64) -> Result<u64, Errno> {
        let offset = at % PAGE_SIZE;
        let name = machine.locate_byte(root, at, MemoryAccess::Read).ok_or(Errno::Perm)?;
        let changes = self.spaces.changes();
        let page = FoundPage { root, address: at - offset, name: name - offset, changes };
        self.privileges_mut(Slot::of(granter)).grant_page = page;
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
        let placed = address.is_multiple_of(GRANT_SIZE) && count <= MAX_GRANTS && address >= USER_START;
        let fits = placed && address.checked_add(count * GRANT_SIZE).is_some_and(|end| end <= USER_END);
        if count > 0 && !fits {
            return Err(Errno::Inval);
        }
        self.privileges_mut(me).grant_table = if count > 0 { table } else { UserTable::empty(owner) };
        Ok(())
    }

    /// Ends all grants of a process that gets another program, and what was mapped with them.
    pub(crate) fn forget_grants(&mut self, machine: &mut M, slot: Slot) {
        self.spaces.take_back_all(machine, self.process(slot).endpoint);
        if self.is_service(slot) {
            let owner = self.process(slot).endpoint;
            self.privileges_mut(slot).grant_table = UserTable::empty(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_as_long_as_nothing_changes() {
        let frame = |number: u64| FrameNumber::containing(number * PAGE_SIZE).unwrap();
        let page = FoundPage { root: frame(3), address: 8 * PAGE_SIZE, name: 0x5000, changes: 7 };
        for (offset, name) in [(0, Some(0x5000)), (PAGE_SIZE - 1, Some(0x5fff)), (PAGE_SIZE, None)] {
            assert_eq!(page.name_of(frame(3), 8 * PAGE_SIZE + offset, 7), name);
        }
        assert_eq!(page.name_of(frame(3), 8 * PAGE_SIZE - 1, 7), None);
        assert_eq!(page.name_of(frame(4), 8 * PAGE_SIZE, 7), None, "another space");
        assert_eq!(page.name_of(frame(3), 8 * PAGE_SIZE, 8), None, "something was taken away");
        assert_eq!(FoundPage::NONE.name_of(frame(3), 0, 0), None);
    }
}
