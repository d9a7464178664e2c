//! What the players do: drawn so that most calls get past the first checks, and some get past none.

use crate::model::{Call, Model, Process, Wanted};
use crate::server::ARENA;
use crate::system::PLAYERS;
use abi::Endpoint;
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use protocol::kernel::{
    SafeCopy, SafeCopyFrom, SafeCopyTo, SafeMap, SafeMemSet, SafeRevMap, SafeRevMapAt, SafeUnmap, SetGrant, VSafeCopy,
    VirCopy,
};
use storm::Random;
use zerocopy::IntoBytes;

/// Entries of a table.
pub(crate) const ENTRIES: u64 = 12;
/// Most copies of a list.
pub(crate) const LISTED: u64 = 5;
/// Bytes of an entry of a table.
const ENTRY: u64 = 64;
/// Most memory is behind the tables and the lists.
const DATA: u64 = ARENA.start + 2 * PAGE_SIZE;
const ALL: GrantFlags = GrantFlags::READ.union(GrantFlags::WRITE).union(GrantFlags::MAP);

/// Draws for a player.
pub(crate) struct Draw<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) model: &'a Model,
    pub(crate) me: &'a Process,
}

impl Draw<'_> {
    /// Whether something comes up that does so once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.random.below(times) == 0
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.below(all.len() as u64) as usize]
    }

    fn player(&mut self) -> Endpoint {
        let number = self.random.below(PLAYERS.len() as u64) as usize;
        self.model.processes[number].endpoint
    }

    /// Somebody; or nobody.
    fn anybody(&mut self) -> Endpoint {
        if !self.once_in(16) {
            return self.player();
        }
        let slot = PLAYERS.start as u64 + self.random.below(PLAYERS.len() as u64);
        let stale = Endpoint::new(slot as usize, 0).expect("it has a slot");
        let last = self.model.processes.last().expect("there is a memory server").endpoint;
        self.one_of(&[Endpoint::NONE, Endpoint::SELF, Endpoint::ANY, stale, last])
    }

    /// An address that has nothing to do with anybody.
    fn strange(&mut self) -> u64 {
        let near = self.random.below(3 * PAGE_SIZE);
        let base =
            self.one_of(&[0, USER_START, USER_END - PAGE_SIZE, USER_END, u64::MAX - 2 * PAGE_SIZE, 1 << 63, 1 << 46]);
        base.saturating_add(near)
    }

    /// A page of everybody's memory, or behind it.
    fn page(&mut self) -> u64 {
        let pages = (ARENA.end - ARENA.start) / PAGE_SIZE;
        if self.once_in(8) {
            return ARENA.start + self.random.below(pages + 1) * PAGE_SIZE;
        }
        DATA + self.random.below(pages - (DATA - ARENA.start) / PAGE_SIZE) * PAGE_SIZE
    }

    /// An address in memory, with this offset in its page.
    fn address(&mut self, offset: u64) -> u64 {
        match self.random.below(64) {
            0 => self.strange(),
            1..16 => self.page() + self.random.below(PAGE_SIZE),
            _ => self.page() + offset % PAGE_SIZE,
        }
    }

    /// The same with room for so many bytes, if there is that much.
    fn roomy(&mut self, offset: u64, len: u64) -> u64 {
        let last = (ARENA.end - DATA).saturating_sub(len) / PAGE_SIZE;
        if last == 0 || self.once_in(16) {
            return self.address(offset);
        }
        DATA + self.random.below(last) * PAGE_SIZE + offset % PAGE_SIZE
    }

    /// A length: small, odd, some pages, many pages.
    fn len(&mut self) -> u64 {
        match self.random.below(16) {
            0..5 => 1 + self.random.below(64),
            5..8 => 1 + self.random.below(3 * PAGE_SIZE),
            8..11 => (1 + self.random.below(4)) * PAGE_SIZE,
            11..15 => (16 + self.random.below(14)) * PAGE_SIZE + self.one_of(&[0, 0, 1, 1000]),
            _ => self.one_of(&[0, 1 << 40, u64::MAX, USER_END]),
        }
    }

    /// A place among the entries of a table.
    pub(crate) fn index(&mut self) -> u64 {
        self.random.below(ENTRIES)
    }

    /// An entry that somebody has, who made it, and its id.
    fn known(&mut self, to_me: bool) -> (Endpoint, GrantId, GrantEntry) {
        const TRIES: usize = 12;
        let mut last = (Endpoint::NONE, GrantId::INVALID, GrantEntry::FREE);
        for _ in 0..TRIES {
            let number = self.random.below(self.model.processes.len() as u64) as usize;
            let granter = &self.model.processes[number];
            let index = self.index();
            let Some(entry) = self.model.entry_at(granter, index) else { continue };
            let Some(id) = GrantId::new(index, entry.sequence) else { continue };
            last = (granter.endpoint, id, entry);
            let fits = entry.grantee == Endpoint::ANY || entry.grantee == self.me.endpoint;
            if fits == to_me && entry.flags & GrantFlags::VALID.bits() != 0 {
                break;
            }
        }
        last
    }

    /// A part of `len` bytes: where it starts, and how many it has. Mostly of whole pages.
    fn part(&mut self, len: u64) -> (u64, u64) {
        let pages = len / PAGE_SIZE;
        match self.random.below(24) {
            0..8 => (0, len),
            8..17 if pages > 0 => {
                let first = self.random.below(pages);
                (first * PAGE_SIZE, (1 + self.random.below(pages - first)) * PAGE_SIZE)
            }
            17 => (self.random.word(), self.random.word()),
            18 => (0, len.saturating_add(1)),
            19 => (len, 0),
            _ if len > 0 => {
                let first = self.random.below(len);
                (first, (1 + self.random.below(len - first)).min(1 + self.random.below(4 * PAGE_SIZE)))
            }
            _ => (0, 0),
        }
    }

    /// The same; most are such that can be used, and some of these at the end of a long chain.
    fn useful(&mut self, rights: GrantFlags) -> (Endpoint, GrantId, GrantEntry) {
        const TRIES: usize = 8;
        let long = self.once_in(2);
        let mut best = (self.known(true), 0);
        for _ in 0..TRIES {
            let known = self.known(true);
            let (granter, id, _) = known;
            let wanted = Wanted { granter, id, offset: 0, len: 1, rights };
            let links = self.model.verify(self.me.endpoint, &wanted).map_or(0, |granted| granted.links.len());
            if links > best.1 {
                best = (known, links);
            }
            if best.1 > 0 && !long {
                break;
            }
        }
        best.0
    }

    /// An entry for a place of a table, in which stood one with this sequence number.
    pub(crate) fn entry(&mut self, index: u64, before: u64) -> GrantEntry {
        let sequence = if self.once_in(4) { before } else { before.wrapping_add(1) };
        let rights = if !self.once_in(4) { ALL } else { GrantFlags::from_bits_retain(self.random.below(8) as u32) };
        let mut flags = rights | GrantFlags::USED | GrantFlags::VALID;
        flags.set(GrantFlags::TRY, self.once_in(6));
        let grantee = if self.once_in(6) { Endpoint::ANY } else { self.anybody() };
        let entry = GrantEntry { grantee, sequence, ..GrantEntry::FREE };
        let entry = match self.random.below(20) {
            0..9 => {
                let (start, len) = self.range();
                GrantEntry { flags: (flags | GrantFlags::DIRECT).bits(), start, len, ..entry }
            }
            9 => {
                // It hands on itself, or another one of the same table.
                let place = if self.once_in(2) { index } else { self.index() };
                let known = self.model.entry_at(self.me, place).map_or(0, |entry| entry.sequence);
                let parent =
                    GrantId::new(place, if place == index { sequence } else { known }).unwrap_or(GrantId::INVALID);
                let (grantee, other) = (Endpoint::ANY, self.me.endpoint);
                let flags = (flags | GrantFlags::INDIRECT).bits();
                GrantEntry { flags, grantee, start: 0, len: PAGE_SIZE, other, parent, ..entry }
            }
            10..18 => {
                let (other, parent, given) = if self.once_in(8) { self.known(true) } else { self.useful(rights) };
                let (start, len) = self.part(given.len);
                let flags = (flags | GrantFlags::INDIRECT).bits();
                GrantEntry { flags, start, len, other, parent, ..entry }
            }
            _ => {
                let (start, len) = self.range();
                let other = self.anybody();
                GrantEntry { flags: (flags | GrantFlags::MAGIC).bits(), start, len, other, ..entry }
            }
        };
        if self.once_in(32) {
            return GrantEntry { flags: entry.flags ^ 1 << self.random.below(16), ..entry };
        }
        entry
    }

    /// A link of a chain: it grants much memory, or hands on most of a grant.
    pub(crate) fn link(&mut self, given: Option<(Endpoint, GrantId)>, grantee: Endpoint, before: u64) -> GrantEntry {
        let flags = ALL | GrantFlags::USED | GrantFlags::VALID;
        let entry = GrantEntry { grantee, sequence: before.wrapping_add(1) % (1 << 40), ..GrantEntry::FREE };
        let cut = self.random.below(3) * PAGE_SIZE;
        match given {
            None => {
                GrantEntry { flags: (flags | GrantFlags::DIRECT).bits(), start: DATA, len: ARENA.end - DATA, ..entry }
            }
            Some((other, parent)) => {
                let given = self.model.process_named(other).and_then(|p| self.model.entry_at(p, parent.index()));
                let len = given.map_or(0, |given| given.len).saturating_sub(cut);
                GrantEntry { flags: (flags | GrantFlags::INDIRECT).bits(), start: cut, len, other, parent, ..entry }
            }
        }
    }

    /// Memory to grant: mostly whole pages.
    fn range(&mut self) -> (u64, u64) {
        if self.once_in(32) {
            return (self.strange(), self.random.word() >> self.random.below(64));
        }
        let start = if self.once_in(5) { self.address(0) } else { self.page() };
        let len = if self.once_in(3) { ARENA.end.saturating_sub(start) } else { self.len() };
        (start, len)
    }

    /// A use of a grant: who made it, its id, offset and length; and the address in memory that it comes to.
    fn usage(&mut self, rights: GrantFlags) -> (Wanted, u64) {
        let (granter, id, entry) = match self.random.below(16) {
            0 => self.known(false),
            1..4 => self.known(true),
            _ => self.useful(rights),
        };
        let (offset, len) = self.part(entry.len);
        let (granter, id) = match self.random.below(64) {
            0 => (self.anybody(), id),
            1 => (granter, GrantId::from_raw(self.random.word())),
            2 => (granter, GrantId::from_raw(id.raw() ^ 1 << self.random.below(64))),
            _ => (granter, id),
        };
        let wanted = Wanted { granter, id, offset, len, rights };
        let address = self.model.verify(self.me.endpoint, &wanted).map_or(0, |granted| granted.address);
        (wanted, address)
    }

    pub(crate) fn call(&mut self) -> Call {
        match self.random.below(40) {
            0..8 => {
                let (Wanted { granter, id: grant, offset, len, .. }, there) = self.usage(GrantFlags::READ);
                let address = self.roomy(there, len);
                Call::From(SafeCopyFrom { granter, reserved: 0, grant, offset, address, len })
            }
            8..16 => {
                let (Wanted { granter, id: grant, offset, len, .. }, there) = self.usage(GrantFlags::WRITE);
                let address = self.roomy(there, len);
                Call::To(SafeCopyTo { granter, reserved: 0, grant, offset, address, len })
            }
            16..19 => {
                let (Wanted { granter, id: grant, offset, len, .. }, _) = self.usage(GrantFlags::WRITE);
                let most = if self.once_in(8) { 512 } else { 256 };
                let byte = self.random.below(most) as u32;
                Call::Fill(SafeMemSet { granter, byte, grant, offset, len })
            }
            19..22 => {
                let count =
                    if self.once_in(12) { self.one_of(&[0, 65, u64::MAX]) } else { 1 + self.random.below(LISTED) };
                let first = if self.once_in(4) { self.random.below(LISTED + 1) } else { 0 };
                let skip = if self.once_in(6) { self.random.below(100) } else { 0 };
                let address = if self.once_in(16) { self.strange() } else { self.list_address() };
                Call::List(VSafeCopy { address, count, first, skip })
            }
            22..26 => self.vircopy(),
            26..35 => self.map(),
            35 | 36 => {
                let mine = |m: &&crate::model::Mapping| m.borrower == self.me.space;
                let known: Vec<u64> = self.model.mappings.iter().filter(mine).map(|m| m.to).collect();
                let address = if known.is_empty() || self.once_in(8) { self.page() } else { self.one_of(&known) };
                Call::Unmap(SafeUnmap { address })
            }
            37 | 38 => {
                let links = self.model.mappings.iter().flat_map(|m| &m.links);
                let mine: Vec<GrantId> = links.filter(|l| l.0 == self.me.endpoint).map(|l| l.1).collect();
                let grant = if mine.is_empty() || self.once_in(8) { self.known(true).1 } else { self.one_of(&mine) };
                Call::Revoke(SafeRevMap { grant })
            }
            39 if self.once_in(2) => Call::RevokeAt(SafeRevMapAt { address: self.address(0) }),
            _ => self.table(),
        }
    }

    /// Where the caller keeps its lists.
    pub(crate) fn list_address(&mut self) -> u64 {
        ARENA.start + PAGE_SIZE - LISTED * size_of::<SafeCopy>() as u64 / 2
    }

    fn vircopy(&mut self) -> Call {
        let [source, destination] = [(); 2].map(|()| if self.once_in(2) { Endpoint::SELF } else { self.anybody() });
        let len = self.len();
        let from = self.roomy(0, len);
        let to = self.roomy(from, len);
        let flags = if self.once_in(4) { self.one_of(&[1, 2, u64::MAX]) } else { 0 };
        let named = |who| self.model.process_named(who).is_some_and(|p| p.space == 0);
        // What the memory server has is no part of the game.
        let source = if named(source) { Endpoint::SELF } else { source };
        let destination = if named(destination) { Endpoint::SELF } else { destination };
        Call::Virtual(VirCopy { source, destination, from, to, len, flags })
    }

    fn map(&mut self) -> Call {
        let write = u32::from(!self.once_in(3));
        let mut rights = GrantFlags::MAP | GrantFlags::READ;
        rights.set(GrantFlags::WRITE, write != 0);
        let (Wanted { granter, id: grant, mut offset, mut len, .. }, mut there) = self.usage(rights);
        if !self.once_in(8) {
            // As it is with most: whole pages, and not all of them.
            let up = there.next_multiple_of(PAGE_SIZE) - there;
            (offset, len, there) = (offset.saturating_add(up), len.saturating_sub(up), there + up);
            let most = if self.once_in(6) { len } else { 6 };
            len = (len / PAGE_SIZE).min(1 + self.random.below(most.max(1))) * PAGE_SIZE;
        }
        let address = self.roomy(there, len);
        Call::Map(SafeMap { granter, write, grant, offset, address, len })
    }

    pub(crate) fn table(&mut self) -> Call {
        let (address, count) = match self.random.below(16) {
            0..10 => (ARENA.start, ENTRIES),
            10..13 => (self.page() + self.random.below(PAGE_SIZE / ENTRY) * ENTRY, ENTRIES),
            13 => (self.page() + self.random.below(PAGE_SIZE), ENTRIES),
            14 => (ARENA.start, self.one_of(&[0, 0, 1, 1 << 20, 1 << 21, u64::MAX])),
            _ => (self.strange() / ENTRY * ENTRY, ENTRIES),
        };
        Call::Table(SetGrant { address, count })
    }

    /// A list of copies.
    pub(crate) fn list(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..LISTED {
            let reads = self.once_in(2);
            let rights = if reads { GrantFlags::READ } else { GrantFlags::WRITE };
            let (Wanted { granter, id: grant, offset, len, .. }, there) = self.usage(rights);
            let address = self.roomy(there, len);
            let (mut source, mut destination) = (granter, Endpoint::SELF);
            if !reads {
                (source, destination) = (destination, source);
            }
            if self.once_in(32) {
                (source, destination) = (self.anybody(), self.anybody());
            }
            bytes.extend_from_slice(SafeCopy { source, destination, grant, offset, address, len }.as_bytes());
        }
        bytes
    }
}
