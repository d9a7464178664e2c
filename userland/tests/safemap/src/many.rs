//! As many mappings as there can be.

use crate::party::{MANY, Party};
use suite::{Outcome, check, check_eq};

/// Mappings of one page each.
const THOUSAND: usize = 1000;

/// The third round would find no room if those before had left anything.
pub(crate) fn a_thousand_mappings_are_taken_back_at_once_and_again() -> Outcome {
    const ROUNDS: u64 = 3;
    let (owner, user) = (Party::start_large(MANY)?, Party::start_large(THOUSAND)?);
    for round in 0..ROUNDS {
        let [before, after] = [2 * round + 1, 2 * round + 2];
        let grant = owner.shares_many(user.endpoint())?;
        owner.paint(before, 0, THOUSAND)?;
        check_eq!(user.maps_each(grant, THOUSAND)?, THOUSAND as u64);
        user.check(before, 0, THOUSAND)?;
        owner.revokes(grant)?;
        // Half of the pages are written first by the owner, the others by the grantee.
        let half = THOUSAND / 2;
        owner.paint(after, 0, half)?;
        user.check(before, 0, THOUSAND)?;
        user.paint(after, half, half)?;
        owner.check(after, 0, half)?;
        owner.check(before, half, half)?;
        user.check(before, 0, half)?;
    }
    owner.end()?;
    user.end()
}

/// Its end is one kernel call, which does not end them all: time goes on with that.
pub(crate) fn whoever_has_lent_a_thousand_times_may_die() -> Outcome {
    let (owner, user) = (Party::start_large(MANY)?, Party::start_large(THOUSAND)?);
    let grant = owner.shares_many(user.endpoint())?;
    owner.paint(1, 0, THOUSAND)?;
    check_eq!(user.maps_each(grant, THOUSAND)?, THOUSAND as u64);
    owner.end()?;
    user.check(1, 0, THOUSAND)?;
    user.paint(2, 0, THOUSAND)?;
    user.check(2, 0, THOUSAND)?;
    user.end()
}

pub(crate) fn no_owner_has_more_mappings_than_its_share() -> Outcome {
    let (owner, user) = (Party::start_large(MANY)?, Party::start_large(MANY)?);
    let (other, last) = (Party::start_large(MANY)?, Party::start()?);
    let mut first = None;
    for seed in 1..=3 {
        let grant = owner.shares_many(user.endpoint())?;
        owner.paint(seed, 0, MANY)?;
        user.paint(40, 0, MANY)?;
        let mapped = user.maps_each(grant, MANY)?;
        check!(mapped < MANY as u64, "one owner has {mapped} mappings");
        // As many as before.
        check_eq!(mapped, *first.get_or_insert(mapped));
        let rest = mapped as usize;
        user.check(seed, 0, rest)?;
        user.check(40, rest, MANY - rest)?;
        // There is room for others.
        let theirs = other.shares_many(last.endpoint())?;
        other.paint(seed + 50, 0, 8)?;
        last.maps(theirs, 0, true)??;
        last.check(seed + 50, 0, 8)?;
        last.unmaps()?;
        other.revokes(theirs)?;
        owner.revokes(grant)?;
        owner.paint(60, 0, MANY)?;
        user.check(seed, 0, rest)?;
    }
    [owner, user, other, last].into_iter().try_for_each(Party::end)
}
