//! Pages that one space sees of another, with a grant.
//!
//! The borrower sees the owner's frames in the place of its own, which are set aside meanwhile. The memory server need not
//! know: when the lending ends, each frame is again where the server put it. A lending ends in one of two ways, and in both the
//! borrower goes on with what it saw last. Either each page is copied into the borrower's own frame at once. Or neither side
//! may write any more, until one of them tries to: then the page is copied. The second way is for frames that nobody else
//! sees and no device knows; a copy of many whole pages is such a lending from its beginning.
//!
//! All of this is done in steps. What cannot be finished now is gone on with by the next call, or by the clock.

mod check;
mod ends;
mod lists;
mod make;
mod records;
mod steps;

use lists::Place;
pub use make::Refusal;
pub(super) use records::Shares;
pub use records::{Lending, Lendings, Link, Links};
pub(crate) use steps::Written;

use super::walk::{Pages, index};
use super::{Home, SpaceId, SpaceTable, Spaces};
use crate::Tables;
use crate::frames::FrameNumber;
use crate::tables::{Access, Backing, Cache, ENTRIES, Page, Rights};
use abi::layout::PAGE_SIZE;
use records::Stage;

/// Memory that its program can write.
const PLAIN: Rights = Rights { access: Access::Write, cache: Cache::Normal, backing: Backing::Memory, withheld: false };

/// A page's entry: the table of the last level, and the index there.
type Entry = (FrameNumber, usize);

/// Memory of one side, from an address on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) home: Home,
    pub(crate) address: u64,
}

impl Side {
    /// The address of a page.
    fn page(&self, page: u32) -> u64 {
        self.address + u64::from(page) * PAGE_SIZE
    }

    /// Its first pages.
    fn pages(&self, count: u32) -> Pages {
        Pages { start: self.address, count }
    }
}

/// Pages of one space that another one sees in the place of its own.
pub(crate) struct Loan {
    pub(crate) owner: Side,
    pub(crate) borrower: Side,
    /// Pages, not more than [`protocol::kernel::MAX_LENT`].
    pub(crate) count: u32,
}

/// Pages of a loan that one table maps on each side.
#[derive(Clone, Copy)]
struct Window {
    /// The first one.
    page: u32,
    /// Its entries with the owner and with the borrower.
    there: Entry,
    here: Entry,
    count: usize,
}

impl Window {
    /// The entries of a page, if it is one of these.
    #[inline(always)]
    fn entries(&self, page: u32) -> Option<[Entry; 2]> {
        let on = page.wrapping_sub(self.page) as usize;
        let behind = |(leaf, first): Entry| (leaf, first + on);
        if on < self.count { Some([behind(self.there), behind(self.here)]) } else { None }
    }
}

impl Spaces<'_> {
    /// The pages of a loan from one of them on, as far as the tables go that map it; `None` if there is none for it.
    #[inline(always)]
    fn window(&self, tables: &impl Tables, loan: &Loan, page: u32) -> Option<Window> {
        let (there, here) = (self.entry(tables, loan.owner, page)?, self.entry(tables, loan.borrower, page)?);
        let count = (ENTRIES - there.1.max(here.1)).min((loan.count - page) as usize);
        Some(Window { page, there, here, count })
    }

    /// The entry of a page of one side, if there is a table for it.
    #[inline(always)]
    fn entry(&self, tables: &impl Tables, side: Side, page: u32) -> Option<Entry> {
        let address = side.page(page);
        self.way(tables, side.home.root(), address).map(|[leaf, ..]| (leaf, index(address, 0)))
    }

    /// Looks at so many pages of one side, one after the other.
    #[inline(always)]
    fn look_at<T: Tables, E>(
        &self,
        tables: &T,
        side: Side,
        count: u32,
        mut look: impl FnMut(Option<Page>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut done = 0;
        while done < count {
            let leaf = self.entry(tables, side, done).map(|(leaf, _)| leaf);
            let first = index(side.page(done), 0);
            // Those that one table maps.
            let end = ENTRIES.min(first + (count - done) as usize);
            for at in first..end {
                look(leaf.and_then(|leaf| tables.page(leaf, at)))?;
            }
            done += (end - first) as u32;
        }
        Ok(())
    }

    /// A page that could be written cannot be any more, until somebody tries to.
    #[inline(always)]
    fn withhold<T: Tables>(tables: &mut T, (leaf, at): Entry, page: Page) {
        let plain = page.rights.cache == Cache::Normal && page.rights.backing == Backing::Memory;
        let flags = if plain {
            // Most often it is this, which the compiler knows.
            T::flags(Rights { withheld: true, ..PLAIN })
        } else {
            T::flags(Rights { access: Access::Write, withheld: true, ..page.rights })
        };
        tables.set_page(leaf, at, page.frame, flags);
    }

    /// The sides of a lending.
    fn loan(&self, place: Place) -> Option<Loan> {
        let &Lending { owner, borrower, from, to, count, .. } = self.lendings.get(place);
        let side = |id, address| Some(Side { home: Home { id, root: self.root(id)? }, address });
        Some(Loan { owner: side(owner, from)?, borrower: side(borrower, to)?, count })
    }

    /// The lendings of the two sides of one.
    fn shares(table: &mut SpaceTable, both: [SpaceId; 2]) -> Option<[&mut Shares; 2]> {
        let both = table.get_disjoint_mut(both.map(SpaceId::index)).ok()?;
        Some(both.map(|space| &mut space.shares))
    }

    /// A lending comes to another stage.
    fn turn(&mut self, place: Place, stage: Stage) {
        let owner = self.lendings.get(place).owner;
        self.lendings.turn(place, stage, &mut self.table[owner.index()].shares);
    }

    /// All lendings of a space.
    fn lendings_of(&self, id: SpaceId) -> impl Iterator<Item = (Place, &Lending)> {
        let Shares { lent, borrowed, .. } = self.space(id).shares;
        self.lendings.of(lent).chain(self.lendings.of(borrowed))
    }

    /// Whether a run of pages belongs to a lending, on one side or the other.
    #[inline(always)]
    pub(super) fn is_shared(&self, id: SpaceId, address: u64, count: u32) -> bool {
        // Most often there are none at all.
        self.space(id).shares.any() && self.meets_a_lending(id, address, count)
    }

    #[cold]
    fn meets_a_lending(&self, id: SpaceId, address: u64, count: u32) -> bool {
        self.lendings_of(id).any(|(_, lending)| lending.meets(id, address, count))
    }
}
