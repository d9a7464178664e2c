//! Lending pages.

use super::records::{Lending, Links, Stage};
use super::{PLAIN, Side, Spaces};
use crate::Tables;
use crate::frames::Aside;
use crate::tables::{Access, Backing, ENTRIES, Page, Rights};
use abi::Errno;

/// Why pages are not lent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They cannot be.
    Failed(Errno),
    /// Something had to be done first, and the call is to be made once more.
    Again,
    /// The owner has to have this first.
    OwnerLacks(Access),
    /// The borrower needs a page that can be written.
    BorrowerLacks,
}

/// Pages that are to be lent.
pub(crate) struct Loan {
    pub(crate) owner: Side,
    pub(crate) borrower: Side,
    /// Pages, not more than [`protocol::kernel::MAX_LENT`].
    pub(crate) count: u32,
}

/// How they are to be lent.
pub(crate) enum Wish {
    /// Until somebody takes them back: what the borrower may do, and with which grants.
    See(Access, Links),
    /// As a copy.
    Keep,
}

impl Spaces<'_> {
    /// Lends pages: the borrower sees the owner's.
    ///
    /// # Errors
    /// [`Errno::Perm`] for pages that the owner has borrowed itself, [`Errno::Busy`] for a place where the borrower has lent or
    /// borrowed pages, or that others see or devices know, [`Errno::NoSpc`] if the owner has lent too much, [`Errno::Inval`] if
    /// both are the same.
    pub(crate) fn lend<T: Tables>(&mut self, tables: &mut T, loan: &Loan, wish: Wish) -> Result<(), Refusal> {
        let (owner, borrower) = (loan.owner.home.id(), loan.borrower.home.id());
        if owner == borrower {
            return Err(Refusal::Failed(Errno::Inval));
        }
        self.check_lendings(tables, loan)?;
        let (stage, seen) = match wish {
            Wish::See(access, _) => {
                self.check_owner(tables, loan, access)?;
                (Stage::Live, Rights { access, withheld: false, ..PLAIN })
            }
            // Who wants a copy has looked before.
            Wish::Keep => (Stage::Kept, Rights { withheld: true, ..PLAIN }),
        };
        self.check_borrower(tables, loan)?;
        // Others may remember how it was; nobody runs there until this is done.
        self.drive_others_out(tables, loan.borrower.home.root());
        if stage == Stage::Kept {
            self.drive_others_out(tables, loan.owner.home.root());
        }
        let aside = self.exchange(tables, loan, T::flags(seen));
        self.forget_run(tables, loan.borrower, loan.count);
        if stage == Stage::Kept {
            self.withhold_all(tables, loan.owner, loan.count);
            self.forget_run(tables, loan.owner, loan.count);
        }
        let links = if let Wish::See(_, links) = wish { links } else { Links::new() };
        let (from, to) = (loan.owner.address, loan.borrower.address);
        self.lendings.push(Lending { owner, borrower, from, to, count: loan.count, stage, aside, links });
        self.space_mut(owner).shares += 1;
        self.space_mut(borrower).shares += 1;
        Ok(())
    }

    /// Makes copies of pages that share their frames until somebody writes; whether that is possible and worth it.
    pub(crate) fn lend_as_copy(&mut self, tables: &mut impl Tables, loan: &Loan) -> bool {
        let look = |page: Option<Page>| match page {
            Some(page) if self.frames.is_just_mapped(page.frame, 1) => Ok(()),
            _ => Err(()),
        };
        let alone = self.look_at(tables, loan.owner, loan.count, look);
        alone.is_ok() && self.lend(tables, loan, Wish::Keep).is_ok()
    }

    /// What other lendings there are of these pages, and whether there is room for one more.
    fn check_lendings(&mut self, tables: &mut impl Tables, loan: &Loan) -> Result<(), Refusal> {
        let (owner, borrower, count) = (loan.owner.home.id(), loan.borrower.home.id(), loan.count);
        let (from, to) = (loan.owner.address, loan.borrower.address);
        let mut lent = 0;
        let mut in_the_way = false;
        for lending in self.lendings.all_mut() {
            let running = lending.is_running();
            lent += usize::from(running && lending.owner == owner);
            if running && lending.borrows(owner, from, count) {
                return Err(Refusal::Failed(Errno::Perm));
            }
            if running && lending.meets(borrower, to, count) {
                return Err(Refusal::Failed(Errno::Busy));
            }
            if lending.stage != Stage::Live && (lending.meets(owner, from, count) || lending.meets(borrower, to, count))
            {
                lending.stage = Stage::Leaving;
                in_the_way = true;
            }
        }
        if lent >= self.lendings.quota() {
            return Err(Refusal::Failed(Errno::NoSpc));
        }
        if self.lendings.is_full() && !in_the_way {
            // What was taken back can be copied, to have its place.
            let kept = self.lendings.all_mut().iter_mut().find(|lending| lending.stage != Stage::Live);
            kept.ok_or(Refusal::Failed(Errno::NoSpc))?.stage = Stage::Leaving;
            in_the_way = true;
        }
        if in_the_way {
            self.settle_lendings(tables);
            return Err(Refusal::Again);
        }
        Ok(())
    }

    /// Whether the owner has all pages, and as they must be.
    fn check_owner(&self, tables: &impl Tables, loan: &Loan, access: Access) -> Result<(), Refusal> {
        let lends = self.lendings.all().iter().any(|l| l.lends(loan.owner.home.id(), loan.owner.address, loan.count));
        let rest = |page: Option<Page>| {
            let page = page.ok_or(Refusal::OwnerLacks(access))?;
            if page.rights.backing != Backing::Memory {
                return Err(Refusal::Failed(Errno::Fault));
            }
            // A page that the memory server shares out until somebody writes it must be the owner's alone first.
            let shared = || !lends && self.frames.info(page.frame).is_ok_and(|info| info.mappings() > 1);
            if access == Access::Write || shared() { Err(Refusal::OwnerLacks(Access::Write)) } else { Ok(()) }
        };
        self.look_at(tables, loan.owner, loan.count, |page| match page {
            Some(page) if is_writable(page) => Ok(()),
            other => rest(other),
        })
    }

    /// Whether the borrower has a page of its own in each place.
    fn check_borrower(&self, tables: &impl Tables, loan: &Loan) -> Result<(), Refusal> {
        let good = self.look_at(tables, loan.borrower, loan.count, |page| match page {
            Some(page) if is_writable(page) && self.frames.is_just_mapped(page.frame, 1) => Ok(()),
            other => Err(other),
        });
        good.map_err(|page| match page {
            Some(page) if page.rights.backing == Backing::Device => Refusal::Failed(Errno::Fault),
            Some(page) if is_writable(page) => Refusal::Failed(Errno::Busy),
            _ => Refusal::BorrowerLacks,
        })
    }

    /// Puts the owner's frames in the place of the borrower's, all of which were checked.
    fn exchange<T: Tables>(&mut self, tables: &mut T, loan: &Loan, flags: T::Flags) -> Aside {
        let mut aside = Aside::EMPTY;
        // From the last page on, so that the list of those aside begins with the first.
        let mut left = loan.count;
        while let Some(last) = left.checked_sub(1) {
            let sides = (self.entry(tables, loan.owner, last), self.entry(tables, loan.borrower, last));
            let (Some((there, a)), Some((here, b))) = sides else {
                break;
            };
            // Those that one table maps on each side.
            let together = (a.min(b) + 1).min(left as usize);
            for back in 0..together {
                if let (Some(lent), Some(own)) = (tables.page(there, a - back), tables.page(here, b - back))
                    && self.frames.map(lent.frame).is_ok()
                {
                    self.frames.set_aside(own.frame, last - back as u32, &mut aside);
                    tables.set_page(here, b - back, lent.frame, flags);
                }
            }
            left -= together as u32;
        }
        aside
    }

    /// The owner may not write its pages any more, until somebody tries to.
    fn withhold_all(&mut self, tables: &mut impl Tables, owner: Side, count: u32) {
        let mut done = 0;
        while let Some((leaf, first)) = self.entry(tables, owner, done).filter(|_| done < count) {
            let end = ENTRIES.min(first + (count - done) as usize);
            for at in first..end {
                if let Some(page) = tables.page(leaf, at)
                    && page.rights.access == Access::Write
                {
                    Self::withhold(tables, (leaf, at), page);
                }
            }
            done += (end - first) as u32;
        }
    }
}

/// Whether it is memory that a program could write.
#[inline(always)]
fn is_writable(page: Page) -> bool {
    page.rights.access == Access::Write && page.rights.backing == Backing::Memory
}
