//! Who ends lendings: those who granted, lent or borrowed, the memory server, and time.

use super::lists::{List, Place};
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
        self.lendings.forget_granter(granter);
        self.settle_lendings(tables);
    }

    /// The one that is to go on ending, or to begin with it, first.
    fn first_to_end(&mut self) -> Option<Place> {
        if let Some(place) = self.lendings.first_waiting() {
            return Some(place);
        }
        // If it had been taken back already, it would wait, or have no granters.
        let place = self.lendings.first_orphaned()?;
        self.turn(place, Stage::Ending(0));
        Some(place)
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
        let Some(place) = self.first_to_end().or_else(|| self.lendings.first_kept()) else {
            return false;
        };
        self.turn(place, Stage::Leaving);
        self.settle(tables, place, &mut Step::new());
        true
    }

    /// A step towards the end of all lendings that are to end.
    pub(crate) fn settle_lendings(&mut self, tables: &mut impl Tables) {
        let mut step = Step::new();
        while let Some(place) = self.first_to_end()
            && self.settle(tables, place, &mut step)
        {}
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::Slot;
    use crate::spaces::Home;
    use crate::spaces::lending::{Links, Side};
    use crate::support::*;
    use abi::grant::GrantId;
    use protocol::kernel::MAX_LENT;
    use protocol::vmctl::Access;
    use std::vec::Vec;

    const ADDRESS: u64 = 1 << 35;
    /// Lendings of one page each, more than one step ends.
    const MANY: u64 = 40;
    /// As many as one step ends, for each costs its page besides.
    const IN_A_STEP: u64 = MAX_LENT.div_ceil(1 + Step::LENDING) as u64;

    fn home(world: &World<'_>, who: Endpoint) -> Home {
        world.kernel.process(Slot::of(who)).space.expect("it lives")
    }

    fn lend(world: &mut World<'_>, number: u64, granters: &[Endpoint]) {
        let address = ADDRESS + number * PAGE_SIZE;
        let [owner, borrower] = [A, B].map(|who| Side { home: home(world, who), address });
        let grant = GrantId::from_raw(number);
        let links = granters.iter().map(|&granter| Link { granter, grant }).collect::<Links>();
        let World { kernel, machine, .. } = world;
        let lent = kernel.spaces.lend(machine, &Loan { owner, borrower, count: 1 }, Access::Write, links);
        assert_eq!(lent, Ok(()));
    }

    /// A world in which A and B have pages, and room for twice as many lendings.
    fn test(run: impl FnOnce(&mut World<'_>)) {
        let mut table = Storage::with_lendings(512, 4 * MANY as usize);
        let mut world = World::new(&mut table, &four());
        for who in [A, B] {
            let id = home(&world, who).id();
            for number in 0..2 * MANY {
                let World { kernel, machine, .. } = &mut world;
                let address = ADDRESS + number * PAGE_SIZE;
                kernel.spaces.map_new(machine, id, address, Access::Write).expect("there is room");
            }
        }
        run(&mut world);
    }

    /// The pages that both sides still see.
    fn live(world: &World<'_>) -> Vec<u64> {
        assert_eq!(world.kernel.check_invariants(), Ok(()));
        let running = world.kernel.spaces.lendings.all().filter(|(_, lending)| lending.stage.is_running());
        let mut pages: Vec<_> = running.map(|(_, lending)| (lending.from - ADDRESS) / PAGE_SIZE).collect();
        pages.sort_unstable();
        pages
    }

    fn forget(world: &mut World<'_>, granter: Endpoint) {
        let World { kernel, machine, .. } = world;
        kernel.spaces.take_back_all(machine, granter);
    }

    fn settle(world: &mut World<'_>) {
        let World { kernel, machine, .. } = world;
        kernel.spaces.settle_lendings(machine);
    }

    fn take_back(world: &mut World<'_>, granter: Endpoint, number: u64) {
        let World { kernel, machine, .. } = world;
        assert!(!kernel.spaces.take_back(machine, Link { granter, grant: GrantId::from_raw(number) }));
    }

    #[test]
    fn what_a_granter_leaves_behind_is_ended_in_steps() {
        test(|world| {
            (0..MANY).for_each(|number| lend(world, number, &[A]));
            forget(world, A);
            let mut ended = IN_A_STEP;
            while ended < MANY {
                assert_eq!(live(world), (ended..MANY).collect::<Vec<_>>());
                let untouched = world.kernel.spaces.lendings.all().filter(|(_, lending)| lending.stage == Stage::Live);
                assert_eq!(untouched.count() as u64, MANY - ended - 1, "one is begun");
                settle(world);
                ended += IN_A_STEP;
            }
            assert_eq!(live(world), []);
        });
    }

    #[test]
    fn who_comes_after_a_granter_takes_back_only_its_own() {
        let after = A.next_generation();
        test(|world| {
            (0..MANY).for_each(|number| lend(world, number, &[A]));
            forget(world, A);
            lend(world, MANY, &[after]);
            let before = live(world);
            for number in [IN_A_STEP, IN_A_STEP + 1, MANY - 1] {
                take_back(world, after, number);
            }
            assert_eq!(live(world), before);
            take_back(world, after, MANY);
            assert_eq!(live(world), (IN_A_STEP..MANY).collect::<Vec<_>>());
            // A second one that ends meanwhile.
            lend(world, MANY + 1, &[after]);
            lend(world, MANY + 2, &[C]);
            forget(world, after);
            (0..3).for_each(|_| settle(world));
            assert_eq!(live(world), [MANY + 2]);
        });
    }

    #[test]
    fn another_granter_of_a_chain_takes_back_what_waits_for_its_end() {
        // The first, one in the middle, and the last of those that wait.
        for taken in [[IN_A_STEP, IN_A_STEP + 3, MANY - 1], [MANY - 1, IN_A_STEP, MANY - 2]] {
            test(|world| {
                (0..MANY).for_each(|number| lend(world, number, &[C, A]));
                forget(world, A);
                let mut left: Vec<_> = (IN_A_STEP..MANY).collect();
                for number in taken {
                    take_back(world, C, number);
                    left.retain(|&other| other != number);
                    assert_eq!(live(world), left);
                }
                forget(world, C);
                (0..3).for_each(|_| settle(world));
                assert_eq!(live(world), []);
            });
        }
    }
}
