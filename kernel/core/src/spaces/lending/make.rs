//! Lending pages.

use super::records::{Lending, Links, Stage};
use super::{Leaves, Side, Spaces};
use crate::Tables;
use crate::frames::{Aside, FrameNumber};
use crate::tables::{Access, Backing, Cache, Page, Rights};
use abi::Errno;
use abi::layout::PAGE_SIZE;

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

impl Loan {
    /// The addresses of its pages, with the owner and with the borrower.
    fn pages(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let (from, to) = (self.owner.address, self.borrower.address);
        (0..u64::from(self.count)).map(move |page| (from + page * PAGE_SIZE, to + page * PAGE_SIZE))
    }
}

impl Spaces<'_> {
    /// Lends pages: the borrower sees the owner's.
    ///
    /// # Errors
    /// [`Errno::Perm`] for pages that the owner has borrowed itself, [`Errno::Busy`] for a place where the borrower has lent or
    /// borrowed pages, or that others see or devices know, [`Errno::NoSpc`] if the owner has lent too much, [`Errno::Inval`] if
    /// both are the same.
    pub(crate) fn lend(&mut self, tables: &mut impl Tables, loan: &Loan, wish: Wish) -> Result<(), Refusal> {
        let (owner, borrower) = (loan.owner.home.id(), loan.borrower.home.id());
        if owner == borrower {
            return Err(Refusal::Failed(Errno::Inval));
        }
        self.check_lendings(tables, loan)?;
        let access = match wish {
            Wish::See(access, _) => access,
            Wish::Keep => Access::Read,
        };
        self.check_owner(tables, loan, access)?;
        self.check_borrower(tables, loan)?;
        let stage = if matches!(wish, Wish::Keep) { Stage::Kept } else { Stage::Live };
        // Others may remember how it was; nobody runs there until this is done.
        self.drive_others_out(tables, loan.borrower.home.root());
        if stage == Stage::Kept {
            self.drive_others_out(tables, loan.owner.home.root());
        }
        let aside = self.exchange(tables, loan, access, stage);
        self.forget_run(tables, loan.borrower, loan.count);
        if stage == Stage::Kept {
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
        let only_theirs = |page: Option<Page>, spaces: &Self| {
            page.is_some_and(|page| spaces.frames.info(page.frame).is_ok_and(|i| i.mappings() == 1 && i.pins() == 0))
        };
        let mut owned = Leaves::new(loan.owner.home.root());
        let alone = loan.pages().all(|(from, _)| {
            let entry = owned.entry(self, tables, from);
            only_theirs(entry.and_then(|(leaf, at)| tables.page(leaf, at)), self)
        });
        alone && self.lend(tables, loan, Wish::Keep).is_ok()
    }

    /// What other lendings there are of these pages, and whether there is room for one more.
    fn check_lendings(&mut self, tables: &mut impl Tables, loan: &Loan) -> Result<(), Refusal> {
        let (owner, borrower, count) = (loan.owner.home.id(), loan.borrower.home.id(), loan.count);
        let (from, to) = (loan.owner.address, loan.borrower.address);
        let mut lent = 0;
        let mut in_the_way = false;
        for lending in self.lendings.all_mut() {
            let running = matches!(lending.stage, Stage::Live | Stage::Ending(_));
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
        let mut leaves = Leaves::new(loan.owner.home.root());
        for (from, _) in loan.pages() {
            let entry = leaves.entry(self, tables, from);
            let page = entry.and_then(|(leaf, at)| tables.page(leaf, at)).ok_or(Refusal::OwnerLacks(access))?;
            let Rights { access: has, backing, .. } = page.rights;
            if backing != Backing::Memory {
                return Err(Refusal::Failed(Errno::Fault));
            }
            // A page that the memory server shares out until somebody writes it must be the owner's alone first.
            let shared = || !lends && self.frames.info(page.frame).is_ok_and(|info| info.mappings() > 1);
            if has != Access::Write && (access == Access::Write || shared()) {
                return Err(Refusal::OwnerLacks(Access::Write));
            }
        }
        Ok(())
    }

    /// Whether the borrower has a page of its own in each place.
    fn check_borrower(&self, tables: &impl Tables, loan: &Loan) -> Result<(), Refusal> {
        let mut leaves = Leaves::new(loan.borrower.home.root());
        for (_, to) in loan.pages() {
            let entry = leaves.entry(self, tables, to);
            let page = entry.and_then(|(leaf, at)| tables.page(leaf, at)).ok_or(Refusal::BorrowerLacks)?;
            match page.rights {
                Rights { access: Access::Write, backing: Backing::Memory, .. } => {}
                Rights { backing: Backing::Device, .. } => return Err(Refusal::Failed(Errno::Fault)),
                _ => return Err(Refusal::BorrowerLacks),
            }
            let info = self.frames.info(page.frame).map_err(|error| Refusal::Failed(error.into()))?;
            if info.mappings() != 1 || info.pins() > 0 {
                return Err(Refusal::Failed(Errno::Busy));
            }
        }
        Ok(())
    }

    /// Puts the owner's frames in the place of the borrower's, all of which were checked.
    fn exchange<T: Tables>(&mut self, tables: &mut T, loan: &Loan, access: Access, stage: Stage) -> Aside {
        let mut owned = Leaves::new(loan.owner.home.root());
        let mut borrowed = Leaves::new(loan.borrower.home.root());
        let mut aside = Aside::EMPTY;
        let mut last: Option<FrameNumber> = None;
        let keeps = stage == Stage::Kept;
        let seen = if keeps { Access::Write } else { access };
        let flags = T::flags(Rights { access: seen, cache: Cache::Normal, backing: Backing::Memory, withheld: keeps });
        for (from, to) in loan.pages() {
            let (Some(there), Some((leaf, at))) = (owned.entry(self, tables, from), borrowed.entry(self, tables, to))
            else {
                break;
            };
            let (Some(lent), Some(own)) = (tables.page(there.0, there.1), tables.page(leaf, at)) else {
                break;
            };
            if self.frames.map(lent.frame).is_err() {
                break;
            }
            self.frames.set_aside(own.frame, &mut aside, last);
            last = Some(own.frame);
            tables.set_page(leaf, at, lent.frame, flags);
            if keeps && lent.rights.access == Access::Write {
                Self::set_rights(tables, there, lent, Access::Write, true);
            }
        }
        aside
    }
}
