//! What must hold of lendings between any two operations, as far as it can be told without page tables.

use super::Lending;
use super::records::Stage;
use crate::frames::FrameKind;
use crate::spaces::{SPACES, SpaceId, Spaces};
use protocol::kernel::MAX_LENT;

impl Spaces<'_> {
    /// Checks all lendings: both sides live and know of them, and for each page that has not been copied a frame is aside.
    ///
    /// # Errors
    /// A space of which something does not hold.
    pub(crate) fn audit_lendings(&self) -> Result<(), SpaceId> {
        let mut shares = [0_u16; SPACES];
        for lending in self.lendings.all() {
            if !self.is_sound(lending) {
                return Err(lending.borrower);
            }
            for side in [lending.owner, lending.borrower] {
                shares[side.index()] += 1;
            }
        }
        let wrong = |id: &SpaceId| self.space(*id).shares != shares[id.index()];
        (0..SPACES).map(SpaceId::new).find(wrong).map_or(Ok(()), Err)
    }

    fn is_sound(&self, lending: &Lending) -> bool {
        let live = [lending.owner, lending.borrower].iter().all(|id| self.root(*id).is_some());
        let mut next = 0;
        let mut left = 0;
        for (frame, page) in self.frames.all_aside(&lending.aside) {
            if self.frames.kind(frame) != Ok(FrameKind::Aside) || !(next..lending.count).contains(&page) {
                return false;
            }
            (next, left) = (page + 1, left + 1);
        }
        let whole = left == lending.count && !lending.links.is_empty();
        live && lending.owner != lending.borrower
            && (1..=MAX_LENT).contains(&lending.count)
            && left > 0
            && lending.aside.has(left)
            && (whole || lending.stage != Stage::Live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces::lending::{Link, Links, Loan, Side};
    use crate::support::*;
    use crate::{Slot, Violation};
    use abi::grant::GrantId;
    use abi::layout::PAGE_SIZE;
    use protocol::vmctl::Access;

    /// What is found after `damage` in a world in which B has borrowed two pages of A.
    fn found(damage: impl FnOnce(&mut Spaces<'_>, [SpaceId; 2])) -> Result<(), Violation> {
        const ADDRESS: u64 = 1 << 35;
        let mut table = table();
        let mut world = World::new(&mut table, &four());
        let World { kernel, machine, .. } = &mut world;
        let homes = [A, B].map(|who| kernel.process(Slot::of(who)).space.expect("it lives"));
        for (home, page) in homes.into_iter().zip([0, 1]).chain(homes.into_iter().zip([1, 0])) {
            kernel
                .spaces
                .map_new(machine, home.id(), ADDRESS + page * PAGE_SIZE, Access::Write)
                .expect("there is room");
        }
        let [owner, borrower] = homes.map(|home| Side { home, address: ADDRESS });
        let links = Links::from_iter([Link { granter: A, grant: GrantId::from_raw(0) }]);
        let lent = kernel.spaces.lend(machine, &Loan { owner, borrower, count: 2 }, Access::Write, links);
        assert_eq!(lent, Ok(()));
        damage(&mut kernel.spaces, homes.map(|home| home.id()));
        kernel.check_invariants()
    }

    #[test]
    fn damaged_lendings_are_found() {
        let ids = std::cell::Cell::new(None);
        assert_eq!(found(|_, both| ids.set(Some(both))), Ok(()));
        let [owner, borrower] = ids.get().expect("they are known");
        let wrong = Err(Violation::BadLending(borrower));
        assert_eq!(found(|spaces, _| spaces.space_mut(owner).shares += 1), Err(Violation::BadLending(owner)));
        assert_eq!(found(|spaces, _| spaces.space_mut(borrower).shares = 0), wrong);
        assert_eq!(found(|spaces, _| spaces.lendings.all_mut()[0].owner = borrower), wrong);
        assert_eq!(found(|spaces, _| spaces.lendings.all_mut()[0].count = 1), wrong, "two are aside");
        assert_eq!(found(|spaces, _| spaces.lendings.all_mut()[0].count = 3), wrong);
        assert_eq!(found(|spaces, _| spaces.lendings.all_mut()[0].links.clear()), wrong);
        let give_back = |spaces: &mut Spaces<'_>, _| {
            let mut aside = spaces.lendings.all()[0].aside;
            let (frame, _) = spaces.frames.first_aside(&aside).expect("there are two");
            spaces.frames.end_aside(frame, &mut aside);
        };
        assert_eq!(found(give_back), wrong, "a frame is aside no more, and still in the list");
    }
}
