//! The table of lendings.

use crate::frames::Aside;
use crate::spaces::SpaceId;
use abi::Endpoint;
use abi::grant::{GrantId, MAX_HOPS};
use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;

/// A grant that a lending was made with, and who made that grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who can take it back.
    pub granter: Endpoint,
    /// Its name there.
    pub grant: GrantId,
}

/// All links of a chain, from the borrower to the owner.
pub type Links = ArrayVec<Link, { MAX_HOPS + 1 }>;

/// How far a lending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Both sides see the same.
    Live,
    /// It is being taken back: that is done for so many pages.
    Ending(u32),
    /// It was taken back. What is left of it neither side may write, as long as no page has been copied.
    Kept,
    /// Its pages are copied one after the other.
    Leaving,
}

/// A run of pages that one space has borrowed from another.
#[derive(Clone, Debug)]
pub struct Lending {
    pub(super) owner: SpaceId,
    pub(super) borrower: SpaceId,
    /// Where it is with the owner.
    pub(super) from: u64,
    /// And with the borrower.
    pub(super) to: u64,
    /// Pages.
    pub(super) count: u32,
    pub(super) stage: Stage,
    pub(super) aside: Aside,
    pub(super) links: Links,
}

/// Whether two runs of pages meet.
fn meet((a, len_a): (u64, u32), (b, len_b): (u64, u32)) -> bool {
    a < b + u64::from(len_b) * PAGE_SIZE && b < a + u64::from(len_a) * PAGE_SIZE
}

impl Lending {
    /// An entry of the table that is not in use.
    pub const UNUSED: Self = Self {
        owner: SpaceId::new(0),
        borrower: SpaceId::new(0),
        from: 0,
        to: 0,
        count: 0,
        stage: Stage::Kept,
        aside: Aside::EMPTY,
        links: Links::new_const(),
    };

    /// Whether it has pages of a run as the owner's.
    pub(super) fn lends(&self, owner: SpaceId, address: u64, count: u32) -> bool {
        self.owner == owner && meet((self.from, self.count), (address, count))
    }

    /// Whether it has pages of a run as the borrower's.
    pub(super) fn borrows(&self, borrower: SpaceId, address: u64, count: u32) -> bool {
        self.borrower == borrower && meet((self.to, self.count), (address, count))
    }

    /// Whether it has pages of a run at all.
    pub(super) fn meets(&self, id: SpaceId, address: u64, count: u32) -> bool {
        self.lends(id, address, count) || self.borrows(id, address, count)
    }

    /// Whether it has not been taken back from all pages yet.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Live | Stage::Ending(_))
    }

    /// Whether something is still to be done, by itself.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Ending(_) | Stage::Leaving)
    }

    /// Takes it back, unless that has begun.
    pub(super) fn end(&mut self) {
        if self.stage == Stage::Live {
            self.stage = Stage::Ending(0);
        }
    }

    /// Which page of it an address is in, with the owner or the borrower.
    pub(super) fn page_of(&self, start: u64, address: u64) -> u32 {
        ((address - start) / PAGE_SIZE) as u32
    }
}

/// All lendings, those in use first.
pub struct Lendings<'t> {
    table: &'t mut [Lending],
    used: usize,
}

impl<'t> Lendings<'t> {
    /// None; `table` is as large as there may be at once.
    pub fn new(table: &'t mut [Lending]) -> Self {
        Self { table, used: 0 }
    }

    /// Those in use.
    pub(crate) fn all(&self) -> &[Lending] {
        &self.table[..self.used]
    }

    pub(super) fn all_mut(&mut self) -> &mut [Lending] {
        &mut self.table[..self.used]
    }

    /// How many pages' owners may have lent at once: half of the table, so that nobody leaves the others without.
    pub(super) fn quota(&self) -> usize {
        self.table.len() / 2
    }

    pub(super) fn is_full(&self) -> bool {
        self.used == self.table.len()
    }

    /// Adds one; there is room.
    pub(super) fn push(&mut self, lending: Lending) {
        if let Some(unused) = self.table.get_mut(self.used) {
            *unused = lending;
            self.used += 1;
        }
    }

    /// Removes one; the last one takes its place.
    pub(super) fn remove(&mut self, place: usize) {
        self.used -= 1;
        self.table.swap(place, self.used);
        self.table[self.used].links.clear();
    }
}
