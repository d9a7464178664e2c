//! Verification of grants: whether somebody may access memory of somebody else, and where that memory is.
//!
//! The entries stand in their granters' own memory, where they can change at any moment, also while they are read. So each is
//! read once, word by word, into the kernel; after that it is looked whether its flags and its sequence number are still the
//! same. Whoever takes a grant back changes these first, so nobody sees half of one grant and half of the next.

use crate::privileges::UserTable;
use crate::{Kernel, Machine, MemoryAccess, Slot};
use abi::grant::{GRANT_SIZE, GrantEntry, GrantFlags, GrantId, MAX_GRANTS, MAX_HOPS};
use abi::layout::{USER_END, USER_START};
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
    /// What is to be done where memory is not there, if it is not waited for.
    pub(crate) mark: Option<Mark>,
}

/// Where a failed copy is noted: in the entry that names the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    granter: Slot,
    address: u64,
    grant: GrantId,
}

/// The kinds of an entry, one of which it has.
const KINDS: GrantFlags = GrantFlags::DIRECT.union(GrantFlags::INDIRECT).union(GrantFlags::MAGIC);
/// What an entry has if it is in use.
const IN_USE: GrantFlags = GrantFlags::USED.union(GrantFlags::VALID);

impl<M: Machine> Kernel<'_, M> {
    /// Verifies that `grantee` may use a grant, along the chain of indirect entries, each of which hands on no more than a part
    /// of what it has got. Takes bounded time.
    ///
    /// # Errors
    /// See [`protocol::kernel::SafeCopyFrom`]. The links of the chain are looked at one after the other, each of them for who
    /// made it, its table, its entry, to whom it was given, and what it allows.
    #[inline(always)]
    pub(crate) fn verify_grant(&self, machine: &M, grantee: Endpoint, wanted: &Use) -> Result<Granted, Errno> {
        self.verify_chain(machine, grantee, wanted, |_, _| {})
    }

    /// The same; `link` is told each grant of the chain, and who made it.
    ///
    /// # Errors
    /// The same.
    #[inline(always)]
    pub(crate) fn verify_chain(
        &self,
        machine: &M,
        grantee: Endpoint,
        wanted: &Use,
        mut link: impl FnMut(Endpoint, GrantId),
    ) -> Result<Granted, Errno> {
        let mut grantee = grantee;
        let Use { mut granter, grant: mut id, mut offset, len, access } = *wanted;
        let mut hops = 0;
        loop {
            let slot = self.lookup(granter).filter(|_| id.is_valid()).ok_or(Errno::Inval)?;
            let (entry, at) = self.grant_entry(machine, slot, grantee, id)?;
            let flags = GrantFlags::from_bits_retain(entry.flags);
            let indirect = flags & KINDS == GrantFlags::INDIRECT;
            if indirect && hops == MAX_HOPS {
                return Err(Errno::Loop);
            }
            let given = entry.grantee == grantee || entry.grantee == Endpoint::ANY;
            let inside = offset.checked_add(len).is_some_and(|end| end <= entry.len);
            if !given || !flags.contains(access) || !inside {
                return Err(Errno::Perm);
            }
            // No overflow: it would be beyond the end of the next entry, or of memory.
            offset = offset.checked_add(entry.start).ok_or(Errno::Perm)?;
            link(granter, id);
            if indirect {
                hops += 1;
                (grantee, granter, id) = (granter, entry.other, entry.parent);
                continue;
            }
            // All that was granted is memory, not only what is used of it.
            let end = entry.start.checked_add(entry.len);
            if end.is_none_or(|end| end > USER_END) {
                return Err(Errno::Perm);
            }
            let owner = self.owner_of_memory(slot, flags, entry.other)?;
            let mark = Mark { granter: slot, address: at + offset_of!(GrantEntry, faulted) as u64, grant: id };
            let mark = flags.contains(GrantFlags::TRY).then_some(mark);
            return Ok(Granted { owner, address: offset, mark });
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

    /// The entry with an id in the table of `granter`, if it is in use, and its address there.
    #[inline(always)]
    fn grant_entry(
        &self,
        machine: &M,
        granter: Slot,
        grantee: Endpoint,
        id: GrantId,
    ) -> Result<(GrantEntry, u64), Errno> {
        let owner = self.process(granter).endpoint;
        let p = self.privileges(granter);
        if !p.flags.contains(PrivilegeFlags::SERVICE) {
            return Err(Errno::Perm);
        }
        let table = p.grant_table;
        // A live update is under way. Only the new instance, which has the old one's endpoint now, uses the old one's grants.
        if table.owner != owner && (table.count == 0 || table.owner != grantee) {
            return Err(Errno::NotReady);
        }
        if id.index() >= table.count {
            return Err(Errno::Perm);
        }
        let at = table.address + id.index() * GRANT_SIZE;
        let entry = self.load_entry(machine, granter, at).ok_or(Errno::Perm)?;
        let flags = GrantFlags::from_bits_retain(entry.flags);
        if !flags.contains(IN_USE) || entry.sequence != id.sequence() {
            return Err(Errno::Perm);
        }
        Ok((entry, at))
    }

    /// Reads an entry that does not change meanwhile; `None` if it does, or is not in memory.
    #[inline(always)]
    fn load_entry(&self, machine: &M, granter: Slot, at: u64) -> Option<GrantEntry> {
        const WORDS: usize = GRANT_SIZE as usize / size_of::<u64>();
        // No entry lies across two pages.
        let first = machine.locate_byte(self.root_of(granter)?, at, MemoryAccess::Read)?;
        let word = |index: usize| machine.load(first + (index * size_of::<u64>()) as u64);
        let words: [u64; WORDS] = core::array::from_fn(word);
        // The flags and the grantee stand in the first word, the sequence number in the second.
        let unchanged = (word(0), word(1)) == (words[0], words[1]);
        unchanged.then(|| zerocopy::transmute!(words))
    }

    /// Tells the granter of a grant that a copy with it found memory missing. It does not matter if that cannot be told.
    pub(crate) fn mark_faulted(&mut self, machine: &mut M, mark: Mark) {
        let _ = self.write_memory(machine, mark.granter, mark.address, mark.grant.as_bytes());
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
