//! Who ends lendings: those who granted, lent or borrowed, the memory server, and time.

use super::lists::List;
use super::records::{Lending, Link, Shares, Stage};
use super::steps::Step;
use super::{Loan, Spaces};
use crate::Tables;
use crate::spaces::SpaceId;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};

impl Spaces<'_> {
    /// Takes back what was lent with a grant, one step; whether more are needed.
    pub(crate) fn take_back(&mut self, tables: &mut impl Tables, link: Link) -> bool {
        let granted = self.lendings.granted_by(link.granter);
        self.end_all(tables, granted, |lending| lending.links.contains(&link))
    }

    /// The same for what a space has lent of its page at an address.
    pub(crate) fn take_back_at(&mut self, tables: &mut impl Tables, owner: SpaceId, address: u64) -> bool {
        let start = address - address % PAGE_SIZE;
        self.end_all(tables, self.space(owner).shares.lent, |lending| lending.lends(owner, start, 1))
    }

    /// Gives back what a space has borrowed, at the address where it begins; whether more steps are needed.
    ///
    /// # Errors
    /// [`Errno::Inval`] if it has borrowed nothing there.
    pub(crate) fn give_up(&mut self, tables: &mut impl Tables, borrower: SpaceId, address: u64) -> Result<bool, Errno> {
        let borrowed = self.space(borrower).shares.borrowed;
        let is_it = |lending: &Lending| lending.to == address && lending.stage.is_running();
        self.lendings.of(borrowed).find(|(_, lending)| is_it(lending)).ok_or(Errno::Inval)?;
        Ok(self.end_all(tables, borrowed, is_it))
    }

    /// Goes on with the ends of those of a list that run, one step; whether more are needed.
    fn end_all(&mut self, tables: &mut impl Tables, list: List, which: impl Fn(&Lending) -> bool) -> bool {
        let mut step = Step::new();
        let mut next = list.first();
        while let Some(node) = next {
            // One that has ended is in the list no more.
            next = self.lendings.behind(node);
            let lending = self.lendings.get(node.place());
            if !lending.stage.is_running() || !which(lending) {
                continue;
            }
            if lending.stage == Stage::Live {
                self.turn(node.place(), Stage::Ending(0));
            }
            if !self.settle(tables, node.place(), &mut step) {
                return true;
            }
        }
        false
    }

    /// Takes back all that somebody has granted, who granted it no more; time goes on with it.
    pub(crate) fn take_back_all(&mut self, tables: &mut impl Tables, granter: Endpoint) {
        while let Some(place) = self.lendings.forget_granter(granter) {
            if self.lendings.get(place).stage == Stage::Live {
                self.turn(place, Stage::Ending(0));
            }
        }
        self.settle_lendings(tables);
    }

    /// Two processes go on under each other's endpoints.
    pub(crate) fn rename_granters(&mut self, a: Endpoint, b: Endpoint) {
        self.lendings.rename(a, b);
    }

    /// Makes all pages of a run, and of the lendings that it belongs to, private to their spaces, one step; whether more are
    /// needed.
    pub(crate) fn part(&mut self, tables: &mut impl Tables, id: SpaceId, address: u64, count: u32) -> bool {
        self.leave_all(tables, id, |lending| lending.meets(id, address, count), &mut Step::new())
    }

    /// The same for all pages of a space.
    pub(in crate::spaces) fn part_all(&mut self, tables: &mut impl Tables, id: SpaceId) -> bool {
        self.leave_all(tables, id, |_| true, &mut Step::new())
    }

    /// Makes all pages of lendings of a space private, as far as a step goes; whether there are more.
    fn leave_all(
        &mut self,
        tables: &mut impl Tables,
        id: SpaceId,
        which: impl Fn(&Lending) -> bool,
        step: &mut Step,
    ) -> bool {
        // No lending is in both.
        let Shares { lent, borrowed, .. } = self.space(id).shares;
        self.leave(tables, lent, &which, step) || self.leave(tables, borrowed, &which, step)
    }

    /// The same for those of a list.
    fn leave(
        &mut self,
        tables: &mut impl Tables,
        list: List,
        which: impl Fn(&Lending) -> bool,
        step: &mut Step,
    ) -> bool {
        let mut next = list.first();
        while let Some(node) = next {
            next = self.lendings.behind(node);
            if which(self.lendings.get(node.place())) {
                self.turn(node.place(), Stage::Leaving);
                if !self.settle(tables, node.place(), step) {
                    return true;
                }
            }
        }
        false
    }

    /// Makes those that were taken back and have pages of a loan private, which begins or goes on now; whether there were any.
    pub(super) fn clear_the_way(&mut self, tables: &mut impl Tables, loan: &Loan) -> bool {
        let mut step = Step::new();
        let [owner, borrower] = [loan.owner, loan.borrower].map(|side| (side.home.id(), side.address));
        let in_the_way = |lending: &Lending| {
            let meets = |(id, address)| lending.meets(id, address, loan.count);
            !lending.stage.is_running() && (meets(owner) || meets(borrower))
        };
        let mut found = false;
        for (id, _) in [owner, borrower] {
            found |= self.lendings_of(id).any(|(_, lending)| in_the_way(lending));
            if self.leave_all(tables, id, in_the_way, &mut step) {
                break;
            }
        }
        found
    }

    /// Makes pages private that wait for that, or were taken back longest ago, so that there is room for a lending; whether there
    /// are any.
    pub(super) fn make_room(&mut self, tables: &mut impl Tables) -> bool {
        let Some(place) = self.lendings.first_waiting().or_else(|| self.lendings.first_kept()) else {
            return false;
        };
        self.turn(place, Stage::Leaving);
        self.settle(tables, place, &mut Step::new());
        true
    }

    /// A step towards the end of all lendings that are to end.
    pub(crate) fn settle_lendings(&mut self, tables: &mut impl Tables) {
        let mut step = Step::new();
        while let Some(place) = self.lendings.first_waiting()
            && self.settle(tables, place, &mut step)
        {}
    }
}
