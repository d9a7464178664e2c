//! Lending pages.

use super::lists::ALONE;
use super::records::{Lending, Links, Stage};
use super::{Loan, PLAIN, Side, Spaces, Window};
use crate::Tables;
use crate::frames::{FrameNumber, Frames};
use crate::tables::{Access, Backing, ENTRIES, Page, Rights};
use abi::Errno;
use protocol::kernel::MAX_LENT;

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

/// The frames of a page that is to be lent: the owner's and the borrower's.
type Pair = (FrameNumber, FrameNumber);

/// Room for those of a loan.
const NO_PAIRS: [Pair; MAX_LENT as usize] = [(FrameNumber::LAST, FrameNumber::LAST); _];

impl Spaces<'_> {
    /// Lends pages, until somebody takes them back: the borrower sees the owner's, and has an access to them, with a chain of
    /// grants.
    ///
    /// # Errors
    /// [`Errno::Perm`] for pages that the owner has borrowed itself, [`Errno::Busy`] for a place where the borrower has lent or
    /// borrowed pages, or that others see or devices know, [`Errno::NoSpc`] if the owner has lent too much, [`Errno::Inval`] if
    /// both are the same.
    pub(crate) fn lend<T: Tables>(
        &mut self,
        tables: &mut T,
        loan: &Loan,
        access: Access,
        links: Links,
    ) -> Result<(), Refusal> {
        if loan.owner.home.id() == loan.borrower.home.id() {
            return Err(Refusal::Failed(Errno::Inval));
        }
        let mut room = NO_PAIRS;
        let pairs = room.get_mut(..loan.count as usize).ok_or(Refusal::Failed(Errno::Inval))?;
        // Most often the owner can write all, and nobody sees any of it but the two.
        let alone = |frames: &Frames<'_>, leaf, at| {
            tables.frame_with(leaf, at, PLAIN).filter(|&frame| frames.is_mapped_once(frame))
        };
        let all_alone = self.pairs(tables, loan, alone, pairs);
        if !all_alone {
            self.check_lendings(tables, loan)?;
        }
        self.check_room(tables, loan)?;
        if !all_alone {
            self.find_pairs(tables, loan, access, pairs)?;
        }
        let flags = T::flags(Rights { access, withheld: false, ..PLAIN });
        self.exchange(tables, loan, pairs, flags, Stage::Live, links);
        Ok(())
    }

    /// Makes copies of pages that share their frames until somebody writes; whether that is possible and worth it.
    pub(crate) fn lend_as_copy<T: Tables>(&mut self, tables: &mut T, loan: &Loan) -> bool {
        let mut room = NO_PAIRS;
        let Some(pairs) = room.get_mut(..loan.count as usize) else {
            return false;
        };
        let lent = |frames: &Frames<'_>, leaf, at| {
            tables.page(leaf, at).map(|page| page.frame).filter(|&frame| frames.is_just_mapped(frame, 1))
        };
        if loan.owner.home.id() == loan.borrower.home.id() || !self.pairs(tables, loan, lent, pairs) {
            return false;
        }
        if self.lendings.is_full() {
            self.make_room(tables);
            return false;
        }
        let loaded = self.drive_others_out(tables, loan.owner.home.root());
        self.withhold_all(tables, loan.owner, loan.count);
        if loaded {
            Self::flush(tables, loan.owner.pages(loan.count));
        }
        let flags = T::flags(Rights { withheld: true, ..PLAIN });
        self.exchange(tables, loan, pairs, flags, Stage::Kept, Links::new());
        true
    }

    /// What other lendings there are of these pages. Pages that are mapped in one place and can be written have to do with none.
    #[cold]
    fn check_lendings(&mut self, tables: &mut impl Tables, loan: &Loan) -> Result<(), Refusal> {
        let (owner, borrower, count) = (loan.owner.home.id(), loan.borrower.home.id(), loan.count);
        let runs = |lending: &Lending| lending.stage.is_running();
        let borrows = |lending: &Lending| runs(lending) && lending.borrows(owner, loan.owner.address, count);
        if self.lendings_of(owner).any(|(_, lending)| borrows(lending)) {
            return Err(Refusal::Failed(Errno::Perm));
        }
        let meets = |lending: &Lending| runs(lending) && lending.meets(borrower, loan.borrower.address, count);
        if self.lendings_of(borrower).any(|(_, lending)| meets(lending)) {
            return Err(Refusal::Failed(Errno::Busy));
        }
        if self.clear_the_way(tables, loan) { Err(Refusal::Again) } else { Ok(()) }
    }

    /// Whether there is room for one more.
    fn check_room(&mut self, tables: &mut impl Tables, loan: &Loan) -> Result<(), Refusal> {
        let lent = self.space(loan.owner.home.id()).shares.running;
        if usize::from(lent) >= self.lendings.quota() {
            return Err(Refusal::Failed(Errno::NoSpc));
        }
        match self.lendings.is_full() {
            false => Ok(()),
            // What was taken back can be copied, to have its place.
            true if self.make_room(tables) => Err(Refusal::Again),
            true => Err(Refusal::Failed(Errno::NoSpc)),
        }
    }

    /// Finds the frames of pages that the borrower is to see, some of which are shared, or cannot be written.
    #[cold]
    fn find_pairs(&self, tables: &impl Tables, loan: &Loan, access: Access, pairs: &mut [Pair]) -> Result<(), Refusal> {
        self.check_owner(tables, loan, access)?;
        self.check_borrower(tables, loan)?;
        let found =
            self.pairs(tables, loan, |_: &Frames<'_>, leaf, at| tables.page(leaf, at).map(|page| page.frame), pairs);
        if found { Ok(()) } else { Err(Refusal::BorrowerLacks) }
    }

    /// Finds the frames of all pages: of the owner's those that `lent` says of an entry, of the borrower's those that are its
    /// alone. Whether all pages are like that.
    fn pairs(
        &self,
        tables: &impl Tables,
        loan: &Loan,
        lent: impl Fn(&Frames<'_>, FrameNumber, usize) -> Option<FrameNumber>,
        pairs: &mut [Pair],
    ) -> bool {
        let mut left = pairs;
        while !left.is_empty() {
            let Some(window) = self.window(tables, loan, loan.count - left.len() as u32) else {
                return false;
            };
            let (now, later) = left.split_at_mut(window.count.min(left.len()));
            if !self.pairs_of(tables, window, &lent, now) {
                return false;
            }
            left = later;
        }
        true
    }

    /// The same for pages that one table maps on each side.
    #[inline(never)] // A function of its own has enough registers for its loop.
    fn pairs_of(
        &self,
        tables: &impl Tables,
        Window { there, here, .. }: Window,
        lent: &impl Fn(&Frames<'_>, FrameNumber, usize) -> Option<FrameNumber>,
        pairs: &mut [Pair],
    ) -> bool {
        for (on, pair) in pairs.iter_mut().enumerate() {
            let Some(lent) = lent(&self.frames, there.0, there.1 + on) else {
                return false;
            };
            let Some(own) = tables.frame_with(here.0, here.1 + on, PLAIN) else {
                return false;
            };
            if !self.frames.is_just_mapped(own, 1) {
                return false;
            }
            *pair = (lent, own);
        }
        true
    }

    /// Whether the owner has all pages, and as they must be.
    #[cold]
    fn check_owner(&self, tables: &impl Tables, loan: &Loan, access: Access) -> Result<(), Refusal> {
        let (owner, from) = (loan.owner.home.id(), loan.owner.address);
        let lends = self.lendings_of(owner).any(|(_, lending)| lending.lends(owner, from, loan.count));
        self.look_at(tables, loan.owner, loan.count, |page| {
            let page = page.ok_or(Refusal::OwnerLacks(access))?;
            if page.rights.backing != Backing::Memory {
                return Err(Refusal::Failed(Errno::Fault));
            }
            // A page that the memory server shares out until somebody writes it must be the owner's alone first.
            let shared = || !lends && self.frames.info(page.frame).is_ok_and(|info| info.mappings() > 1);
            let lacks = !is_writable(page) && (access == Access::Write || shared());
            if lacks { Err(Refusal::OwnerLacks(Access::Write)) } else { Ok(()) }
        })
    }

    /// Whether the borrower has a page of its own in each place.
    #[cold]
    fn check_borrower(&self, tables: &impl Tables, loan: &Loan) -> Result<(), Refusal> {
        self.look_at(tables, loan.borrower, loan.count, |page| match page {
            Some(page) if page.rights.backing == Backing::Device => Err(Refusal::Failed(Errno::Fault)),
            Some(page) if is_writable(page) && self.frames.is_just_mapped(page.frame, 1) => Ok(()),
            Some(page) if is_writable(page) => Err(Refusal::Failed(Errno::Busy)),
            _ => Err(Refusal::BorrowerLacks),
        })
    }

    /// Puts the owner's frames in the place of the borrower's.
    fn exchange<T: Tables>(
        &mut self,
        tables: &mut T,
        loan: &Loan,
        pairs: &[Pair],
        flags: T::Flags,
        stage: Stage,
        links: Links,
    ) {
        // Others may remember how it was; nobody runs there until this is done.
        let loaded = self.drive_others_out(tables, loan.borrower.home.root());
        let aside = self.frames.set_aside(pairs.iter().map(|&(_, own)| own));
        let mut done = 0;
        while let Some(left) = pairs.get(done..).filter(|left| !left.is_empty())
            && let Some((leaf, first)) = self.entry(tables, loan.borrower, done as u32)
        {
            for (at, &(lent, _)) in (first..ENTRIES).zip(left) {
                let counted = self.frames.map(lent);
                debug_assert_eq!(counted, Ok(()));
                tables.set_page(leaf, at, lent, flags);
            }
            done += ENTRIES - first;
        }
        if loaded {
            Self::flush(tables, loan.borrower.pages(loan.count));
        }
        let (owner, borrower) = (loan.owner.home.id(), loan.borrower.home.id());
        let (from, to) = (loan.owner.address, loan.borrower.address);
        let neighbours = ALONE;
        let lending = Lending { owner, borrower, from, to, count: loan.count, stage, aside, links, neighbours };
        if let Some(shares) = Self::shares(self.table, [owner, borrower]) {
            self.lendings.add(lending, shares);
        }
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
