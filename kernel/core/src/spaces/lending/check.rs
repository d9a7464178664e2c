//! What must hold of lendings between any two operations, as far as it can be told without page tables.

use super::lists::{Place, Role};
use super::records::{Lending, Shares, Stage};
use crate::frames::FrameKind;
use crate::spaces::{SPACES, SpaceId, Spaces};
use protocol::kernel::MAX_LENT;

/// How long the lists of a space should be.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Lengths {
    lent: u16,
    borrowed: u16,
    running: u16,
}

impl Spaces<'_> {
    /// Checks all lendings: both sides live, for each page that has not been copied a frame is aside, and each stands in the lists
    /// where it is looked for, and in no other.
    ///
    /// # Errors
    /// A space of which something does not hold; the first one for a list that is not a space's.
    pub(crate) fn audit_lendings(&self) -> Result<(), SpaceId> {
        let mut lengths = [Lengths::default(); SPACES];
        for (place, lending) in self.lendings.all() {
            if !self.is_sound(lending) || !self.is_listed(place, lending) {
                return Err(lending.borrower);
            }
            lengths[lending.owner.index()].lent += 1;
            lengths[lending.owner.index()].running += u16::from(lending.stage.is_running());
            lengths[lending.borrower.index()].borrowed += 1;
        }
        let wrong = |id: &SpaceId| {
            let Shares { lent, borrowed, running } = self.space(*id).shares;
            let len = |list| self.lendings.of(list).take(usize::from(u16::MAX)).count() as u16;
            Lengths { lent: len(lent), borrowed: len(borrowed), running } != lengths[id.index()]
        };
        (0..SPACES).map(SpaceId::new).find(wrong).map_or(Ok(()), Err)?;
        if self.lendings.are_all_listed() { Ok(()) } else { Err(SpaceId::new(0)) }
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
            && (whole || lending.stage != Stage::Live)
            && (lending.stage.is_running() || lending.links.is_empty())
    }

    /// Whether a lending is in the lists of its two spaces.
    fn is_listed(&self, place: Place, lending: &Lending) -> bool {
        let (lent, borrowed) = (self.space(lending.owner).shares.lent, self.space(lending.borrower).shares.borrowed);
        self.lendings.is_linked(lent, place.node(Role::Lent))
            && self.lendings.is_linked(borrowed, place.node(Role::Borrowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces::lending::lists::ALONE;
    use crate::spaces::lending::{Link, Links, Loan, Side};
    use crate::support::*;
    use crate::{Slot, Violation};
    use abi::grant::GrantId;
    use abi::layout::PAGE_SIZE;
    use protocol::vmctl::Access;

    /// The only lending.
    const ONLY: Place = Place::FIRST;

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
        let change = |change: fn(&mut Lending)| found(|spaces, _| change(spaces.lendings.get_mut(ONLY)));
        assert_eq!(change(|_| {}), Ok(()));
        assert_eq!(found(|spaces, _| spaces.space_mut(owner).shares.running += 1), Err(Violation::BadLending(owner)));
        assert_eq!(found(|spaces, _| spaces.space_mut(owner).shares = Shares::NONE), wrong);
        assert_eq!(found(|spaces, _| spaces.space_mut(borrower).shares = Shares::NONE), wrong);
        assert_eq!(found(|spaces, _| spaces.lendings.get_mut(ONLY).owner = borrower), wrong);
        assert_eq!(change(|lending| lending.count = 1), wrong, "two are aside");
        assert_eq!(change(|lending| lending.count = 3), wrong);
        assert_eq!(change(|lending| lending.links.clear()), wrong);
        assert_eq!(change(|lending| lending.stage = Stage::Kept), wrong, "nobody takes it back any more");
        assert_eq!(change(|lending| lending.neighbours = ALONE), Ok(()), "it is alone in its lists");
        let nowhere = Err(Violation::BadLending(SpaceId::new(0)));
        assert_eq!(change(|lending| lending.stage = Stage::Ending(1)), nowhere, "it does not wait");
        assert_eq!(change(|lending| lending.links[0].granter = B), nowhere, "B has granted nothing");
        let both = |spaces: &mut Spaces<'_>, both: [SpaceId; 2]| {
            let lent = spaces.space(both[0]).shares.lent;
            spaces.space_mut(both[1]).shares.lent = lent;
        };
        assert_eq!(found(both), wrong, "the borrower has lent nothing");
        let give_back = |spaces: &mut Spaces<'_>, _| {
            let mut aside = spaces.lendings.get(ONLY).aside;
            spaces.frames.take_aside(&mut aside, 1).expect("there are two");
        };
        assert_eq!(found(give_back), wrong, "a frame is aside no more, and still in the list");
    }
}
