//! The ends of lendings, step by step.

use super::lists::Place;
use super::records::{Lending, Stage};
use super::{Entry, Loan, PLAIN, Spaces, Window};
use crate::Tables;
use crate::frames::{Aside, FrameNumber};
use crate::spaces::Home;
use crate::spaces::walk::{Pages, index};
use crate::tables::{Access, Page, Rights};
use abi::layout::{PAGE_SIZE, user_range};
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

/// What one step may still do: pages that it looks at.
#[derive(Clone, Copy)]
pub(super) struct Step(u32);

impl Step {
    /// The copy of a page counts as so many, and a lending besides its pages.
    const COPY: u32 = 5;
    pub(super) const LENDING: u32 = 6;

    pub(super) const fn new() -> Self {
        Self(MAX_LENT)
    }

    const fn is_over(&self) -> bool {
        self.0 == 0
    }

    const fn spend(&mut self, pages: u32) {
        self.0 = self.0.saturating_sub(pages);
    }
}

/// How far the end of a lending has come.
#[derive(Clone, Copy)]
struct Progress {
    /// The next page.
    page: u32,
    aside: Aside,
    step: Step,
}

impl Spaces<'_> {
    /// Goes on with the end of a lending; whether that is reached.
    pub(super) fn settle(&mut self, tables: &mut impl Tables, place: Place, step: &mut Step) -> bool {
        let Some(loan) = self.loan(place).filter(|_| !step.is_over()) else {
            return false;
        };
        let loaded = [loan.owner, loan.borrower].map(|side| self.drive_others_out(tables, side.home.root()));
        let &Lending { stage, mut aside, .. } = self.lendings.get(place);
        match stage {
            Stage::Ending(page) => {
                let Progress { page, aside: left, step: now } =
                    self.keep_pages(tables, &loan, Progress { page, aside, step: *step });
                (aside, *step) = (left, now);
                self.turn(place, if page < loan.count { Stage::Ending(page) } else { Stage::Kept });
            }
            Stage::Leaving => self.part_pages(tables, &loan, &mut aside, step),
            Stage::Live | Stage::Kept => {}
        }
        step.spend(Step::LENDING);
        for (side, _) in [loan.owner, loan.borrower].iter().zip(loaded).filter(|(_, loaded)| *loaded) {
            Self::flush(tables, side.pages(loan.count));
        }
        self.keep_aside(place, aside);
        aside.is_empty() || self.lendings.get(place).stage == Stage::Kept
    }

    /// What is left aside of a lending. It is removed if that is nothing.
    fn keep_aside(&mut self, place: Place, aside: Aside) {
        let lending = self.lendings.get_mut(place);
        lending.aside = aside;
        let both = [lending.owner, lending.borrower];
        if aside.is_empty()
            && let Some(shares) = Self::shares(self.table, both)
        {
            self.lendings.remove(place, shares);
        }
    }

    /// From a page on, neither side may write any more; what others see, too, is copied. Returns how far that came.
    fn keep_pages(&mut self, tables: &mut impl Tables, loan: &Loan, mut progress: Progress) -> Progress {
        while progress.page < loan.count && !progress.step.is_over() {
            progress = match self.window(tables, loan, progress.page) {
                Some(window) => self.keep_window(tables, &window, progress),
                // Nothing of it is left.
                None => Progress { page: loan.count, ..progress },
            };
        }
        progress
    }

    /// The same for pages that one table maps on each side.
    #[inline(never)] // A function of its own has enough registers for its loop.
    fn keep_window<T: Tables>(&mut self, tables: &mut T, window: &Window, progress: Progress) -> Progress {
        /// What the owner has and the borrower sees.
        const BOTH: u32 = 2;
        let Progress { mut page, mut aside, mut step } = progress;
        while let Some([there, here]) = window.entries(page).filter(|_| !step.is_over()) {
            step.spend(1);
            if let Some(lent) = tables.page(there.0, there.1) {
                if self.frames.is_just_mapped(lent.frame, BOTH) {
                    if lent.rights.access == Access::Write {
                        Self::withhold(tables, there, lent);
                    }
                    tables.set_page(here.0, here.1, lent.frame, T::flags(Rights { withheld: true, ..PLAIN }));
                } else if let Some(own) = self.frames.take_aside(&mut aside, page) {
                    step.spend(Step::COPY);
                    self.part_page(tables, (there, lent), here, own);
                }
            }
            page += 1;
        }
        Progress { page, aside, step }
    }

    /// Copies all pages that are left.
    fn part_pages(&mut self, tables: &mut impl Tables, loan: &Loan, aside: &mut Aside, step: &mut Step) {
        let mut window = None;
        while let Some(page) = self.frames.first_aside(aside).filter(|_| !step.is_over()) {
            step.spend(1 + Step::COPY);
            let known = window.filter(|window: &Window| window.entries(page).is_some());
            window = known.or_else(|| self.window(tables, loan, page));
            let Some([there, here]) = window.and_then(|window| window.entries(page)) else {
                return;
            };
            self.part_page_aside(tables, [there, here], page, aside);
        }
    }

    /// Copies a page that is left.
    fn part_page_aside(&mut self, tables: &mut impl Tables, [there, here]: [Entry; 2], page: u32, aside: &mut Aside) {
        if let Some(lent) = tables.page(there.0, there.1)
            && let Some(own) = self.frames.take_aside(aside, page)
        {
            self.part_page(tables, (there, lent), here, own);
        }
    }

    /// Gives the borrower its own frame back, with what it saw last; the owner can write again.
    #[inline(always)]
    fn part_page<T: Tables>(&mut self, tables: &mut T, (there, lent): (Entry, Page), here: Entry, own: FrameNumber) {
        // As long as the page is not parted, both see the same frame.
        debug_assert_eq!(tables.page(here.0, here.1).map(|seen| seen.frame), Some(lent.frame));
        tables.copy_frame(lent.frame, own);
        tables.set_page(here.0, here.1, own, T::flags(PLAIN));
        let counted = self.frames.unmap(lent.frame);
        debug_assert_eq!(counted, Ok(()));
        if lent.rights.withheld {
            Self::allow(tables, there);
        }
    }

    /// A page is withheld no more.
    #[cold]
    fn allow<T: Tables>(tables: &mut T, (leaf, at): Entry) {
        if let Some(page) = tables.page(leaf, at) {
            tables.set_page(leaf, at, page.frame, T::flags(Rights { withheld: false, ..page.rights }));
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
            Some(Rights { access: Access::Read | Access::Execute, .. }) => {
                let mut borrowed = self.lendings.of(self.space(home.id()).shares.borrowed);
                let denied = borrowed.any(|(_, lending)| lending.borrows(home.id(), start, 1));
                return if denied { Written::Denied } else { Written::Unknown };
            }
            _ => return Written::Unknown,
        }
        // Others may have had the page too, of which it has been copied before.
        let keeps = |(place, lending): (Place, &Lending)| {
            if lending.stage == Stage::Live || !lending.meets(home.id(), start, 1) {
                return None;
            }
            let first = if lending.borrows(home.id(), start, 1) { lending.to } else { lending.from };
            let page = ((start - first) / PAGE_SIZE) as u32;
            self.frames.is_aside(&lending.aside, page).then_some((place, page))
        };
        let Some((place, page)) = self.lendings_of(home.id()).find_map(keeps) else {
            return Written::Unknown;
        };
        let mut aside = self.lendings.get(place).aside;
        let Some(loan) = self.loan(place) else {
            return Written::Unknown;
        };
        let window = self.window(tables, &loan, page);
        let Some(entries) = window.and_then(|window| window.entries(page)) else {
            return Written::Unknown;
        };
        let loaded = self.drive_others_out(tables, loan.borrower.home.root());
        self.part_page_aside(tables, entries, page, &mut aside);
        if loaded {
            Self::flush(tables, Pages { start: loan.borrower.page(page), count: 1 });
        }
        self.keep_aside(place, aside);
        Written::Allowed
    }

    /// The page at an address of a program.
    fn page_at(&self, tables: &impl Tables, home: Home, address: u64) -> Option<Page> {
        user_range(address, 1)?;
        let [leaf, ..] = self.way(tables, home.root(), address)?;
        tables.page(leaf, index(address, 0))
    }
}
