//! The ends of lendings, step by step.

use super::records::{Lending, Link, Stage};
use super::{Entry, PLAIN, Side, Spaces};
use crate::Tables;
use crate::frames::FrameNumber;
use crate::spaces::walk::{Pages, index};
use crate::spaces::{Home, SpaceId};
use crate::tables::{Access, ENTRIES, Page, Rights};
use abi::layout::{PAGE_SIZE, user_range};
use abi::{Endpoint, Errno};
use protocol::kernel::MAX_LENT;

/// What is found where somebody wants to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The page can be written now.
    Allowed,
    /// It was lent to be read only.
    Denied,
    /// No lending has to do with it.
    Unknown,
}

/// What one step may do: pages that it looks at. The copy of one counts as so many, and a lending besides its pages.
const STEP: u32 = MAX_LENT;
const COPY: u32 = 10;
const LENDING: u32 = 4;

impl Spaces<'_> {
    /// Takes back what was lent with a grant, one step; whether more are needed.
    pub(crate) fn take_back(&mut self, tables: &mut impl Tables, link: Link) -> bool {
        self.end_lendings(tables, |lending| lending.links.contains(&link))
    }

    /// The same for all that somebody has granted, who granted it no more.
    pub(crate) fn take_back_all(&mut self, tables: &mut impl Tables, granter: Endpoint) -> bool {
        self.end_lendings(tables, |lending| lending.links.iter().any(|link| link.granter == granter))
    }

    /// The same for what a space has lent of its page at an address.
    pub(crate) fn take_back_at(&mut self, tables: &mut impl Tables, owner: SpaceId, address: u64) -> bool {
        let start = address - address % PAGE_SIZE;
        self.end_lendings(tables, |lending| lending.lends(owner, start, 1))
    }

    /// Gives back what a space has borrowed, at the address where it begins; whether more steps are needed.
    ///
    /// # Errors
    /// [`Errno::Inval`] if it has borrowed nothing there.
    pub(crate) fn give_up(&mut self, tables: &mut impl Tables, borrower: SpaceId, address: u64) -> Result<bool, Errno> {
        let is_it = |lending: &Lending| lending.borrower == borrower && lending.to == address;
        let running = |l: &Lending| is_it(l) && l.is_running();
        self.lendings.all().iter().find(|lending| running(lending)).ok_or(Errno::Inval)?;
        Ok(self.end_lendings(tables, is_it))
    }

    fn end_lendings(&mut self, tables: &mut impl Tables, which: impl Fn(&Lending) -> bool) -> bool {
        self.lendings.all_mut().iter_mut().filter(|lending| which(lending)).for_each(Lending::end);
        self.settle_lendings(tables);
        self.lendings.all().iter().any(|lending| matches!(lending.stage, Stage::Ending(_)) && which(lending))
    }

    /// Makes all pages of a run, and of the lendings that it belongs to, private to their spaces, one step; whether more are
    /// needed.
    pub(crate) fn part(&mut self, tables: &mut impl Tables, id: SpaceId, address: u64, count: u32) -> bool {
        self.leave_lendings(tables, id, |lending| lending.meets(id, address, count))
    }

    /// The same for all pages of a space.
    pub(in crate::spaces) fn part_all(&mut self, tables: &mut impl Tables, id: SpaceId) -> bool {
        self.leave_lendings(tables, id, |lending| lending.owner == id || lending.borrower == id)
    }

    fn leave_lendings(&mut self, tables: &mut impl Tables, id: SpaceId, which: impl Fn(&Lending) -> bool) -> bool {
        if self.space(id).shares == 0 {
            return false;
        }
        self.lendings.all_mut().iter_mut().filter(|l| which(l)).for_each(|lending| lending.stage = Stage::Leaving);
        self.settle_lendings(tables);
        self.lendings.all().iter().any(which)
    }

    /// Two processes go on under each other's endpoints.
    pub(crate) fn rename_granters(&mut self, a: Endpoint, b: Endpoint) {
        for link in self.lendings.all_mut().iter_mut().flat_map(|lending| &mut lending.links) {
            link.granter = match link.granter {
                granter if granter == a => b,
                granter if granter == b => a,
                other => other,
            };
        }
    }

    /// A step towards the end of all lendings that are to end.
    pub(crate) fn settle_lendings(&mut self, tables: &mut impl Tables) {
        let mut budget = STEP;
        let mut place = 0;
        while let Some(lending) = self.lendings.all().get(place) {
            let open = lending.is_open();
            if open && budget == 0 {
                break;
            }
            // One that is done may be gone, and another one in its place.
            if !open || !self.settle_one(tables, place, &mut budget) {
                place += 1;
            }
        }
    }

    /// Goes on with one; whether it is gone.
    fn settle_one(&mut self, tables: &mut impl Tables, place: usize, budget: &mut u32) -> bool {
        let Some((owner, borrower)) = self.sides(place) else {
            return false;
        };
        let count = self.lendings.all()[place].count;
        self.drive_others_out(tables, owner.home.root());
        self.drive_others_out(tables, borrower.home.root());
        if let Stage::Ending(done) = self.lendings.all()[place].stage {
            self.keep_pages(tables, place, (owner, borrower), done, budget);
        }
        if self.lendings.all()[place].stage == Stage::Leaving {
            while let Some((own, page)) = self.frames.first_aside(&self.lendings.all()[place].aside) {
                if *budget == 0 {
                    break;
                }
                *budget = budget.saturating_sub(COPY);
                let (there, here) = (self.entry(tables, owner, page), self.entry(tables, borrower, page));
                self.settle_page(tables, place, there, here, own);
            }
        }
        *budget = budget.saturating_sub(LENDING);
        self.forget_run(tables, owner, count);
        self.forget_run(tables, borrower, count);
        self.remove_if_done(place)
    }

    /// Removes a lending of which nothing is left; whether it was so.
    fn remove_if_done(&mut self, place: usize) -> bool {
        let lending = &self.lendings.all()[place];
        let done = lending.aside.is_empty();
        if done {
            let both = [lending.owner, lending.borrower];
            both.into_iter().for_each(|id| self.space_mut(id).shares -= 1);
            self.lendings.remove(place);
        }
        done
    }

    /// From a page on, neither side of a lending may write any more; what others see too is copied.
    fn keep_pages<T: Tables>(
        &mut self,
        tables: &mut T,
        place: usize,
        (owner, borrower): (Side, Side),
        done: u32,
        budget: &mut u32,
    ) {
        let count = self.lendings.all()[place].count;
        let mut page = done;
        while page < count && *budget > 0 {
            let sides = (self.entry(tables, owner, page), self.entry(tables, borrower, page));
            let (Some((there, a)), Some((here, b))) = sides else {
                // Nothing of it is left.
                page = count;
                break;
            };
            // Those that one table maps on each side.
            let together = (ENTRIES - a.max(b)).min((count - page) as usize);
            for on in 0..together {
                if *budget == 0 {
                    break;
                }
                *budget -= 1;
                self.keep_page(tables, place, (there, a + on), (here, b + on), page, budget);
                page += 1;
            }
        }
        let lending = &mut self.lendings.all_mut()[place];
        lending.stage = if page == count { Stage::Kept } else { Stage::Ending(page) };
    }

    /// The same for one page.
    #[inline(always)]
    fn keep_page<T: Tables>(
        &mut self,
        tables: &mut T,
        place: usize,
        there: Entry,
        here: Entry,
        page: u32,
        budget: &mut u32,
    ) {
        const BOTH: u32 = 2;
        let Some(lent) = tables.page(there.0, there.1) else {
            return;
        };
        if self.frames.is_just_mapped(lent.frame, BOTH) {
            if lent.rights.access == Access::Write {
                Self::withhold(tables, there, lent);
            }
            // As long as the lending lives, the borrower sees the same frame.
            debug_assert_eq!(tables.page(here.0, here.1).map(|seen| seen.frame), Some(lent.frame));
            tables.set_page(here.0, here.1, lent.frame, T::flags(Rights { withheld: true, ..PLAIN }));
        } else if let Some(own) = self.frames.aside_of(&self.lendings.all()[place].aside, page) {
            *budget = budget.saturating_sub(COPY);
            self.settle_page(tables, place, Some(there), Some(here), own);
        }
    }

    /// Gives the borrower its own frame back, with what it saw last; the owner can write again.
    fn settle_page<T: Tables>(
        &mut self,
        tables: &mut T,
        place: usize,
        there: Option<Entry>,
        here: Option<Entry>,
        own: FrameNumber,
    ) {
        if let Some((leaf, at)) = here
            && let Some(seen) = tables.page(leaf, at)
        {
            tables.copy_frame(seen.frame, own);
            self.frames.end_aside(own, &mut self.lendings.all_mut()[place].aside);
            tables.set_page(leaf, at, own, T::flags(PLAIN));
            let counted = self.frames.unmap(seen.frame);
            debug_assert_eq!(counted, Ok(()));
        }
        if let Some(there) = there
            && let Some(lent) = tables.page(there.0, there.1)
            && lent.rights.withheld
        {
            tables.set_page(there.0, there.1, lent.frame, T::flags(Rights { withheld: false, ..lent.rights }));
        }
    }

    /// Somebody wants to write to a page. If that is only withheld from him because of a lending, it no longer is.
    pub(crate) fn want_write(&mut self, tables: &mut impl Tables, home: Home, address: u64) -> Written {
        let page = self.page_at(tables, home, address);
        // Another processor may have been here before.
        let can_write = |page: Page| page.rights.access == Access::Write && !page.rights.withheld;
        if page.is_some_and(can_write) { Written::Allowed } else { self.end_withholding(tables, home, address) }
    }

    /// The same, but what can be written already is unknown: so it tells whether anything has changed.
    pub(crate) fn end_withholding(&mut self, tables: &mut impl Tables, home: Home, address: u64) -> Written {
        let start = address - address % PAGE_SIZE;
        match self.page_at(tables, home, address).map(|page| page.rights) {
            Some(Rights { withheld: true, .. }) => {}
            Some(Rights { access: Access::Read | Access::Execute, .. }) if self.space(home.id()).shares > 0 => {
                let borrowed = self.lendings.all().iter().any(|lending| lending.borrows(home.id(), start, 1));
                return if borrowed { Written::Denied } else { Written::Unknown };
            }
            _ => return Written::Unknown,
        }
        // Others may have had the page too, of which it has been copied before.
        let keeps = |(place, lending): (usize, &Lending)| {
            if lending.stage == Stage::Live || !lending.meets(home.id(), start, 1) {
                return None;
            }
            let first = if lending.borrows(home.id(), start, 1) { lending.to } else { lending.from };
            let number = lending.page_of(first, start);
            Some((place, number, self.frames.aside_of(&lending.aside, number)?))
        };
        let Some((place, number, own)) = self.lendings.all().iter().enumerate().find_map(keeps) else {
            return Written::Unknown;
        };
        let Some(sides) = self.sides(place) else {
            return Written::Unknown;
        };
        let borrower = sides.1;
        self.drive_others_out(tables, borrower.home.root());
        let (there, here) = (self.entry(tables, sides.0, number), self.entry(tables, borrower, number));
        self.settle_page(tables, place, there, here, own);
        self.forget_run(tables, Side { address: borrower.page(number), ..borrower }, 1);
        self.remove_if_done(place);
        Written::Allowed
    }

    /// The page at an address of a program.
    fn page_at(&self, tables: &impl Tables, home: Home, address: u64) -> Option<Page> {
        user_range(address, 1)?;
        let [leaf, ..] = self.way(tables, home.root(), address)?;
        tables.page(leaf, index(address, 0))
    }

    /// Both sides of a lending.
    fn sides(&self, place: usize) -> Option<(Side, Side)> {
        let lending = self.lendings.all().get(place)?;
        let side = |id, address| Some(Side { home: Home { id, root: self.root(id)? }, address });
        Some((side(lending.owner, lending.from)?, side(lending.borrower, lending.to)?))
    }

    /// Makes every CPU forget a run of pages of one side.
    pub(super) fn forget_run(&mut self, tables: &mut impl Tables, side: Side, count: u32) {
        self.forget(tables, side.home.root(), Pages { start: side.address, count });
    }
}
