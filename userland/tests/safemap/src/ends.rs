//! Mappings of those who die.

use crate::chains::Chain;
use crate::kit::*;
use crate::party::PAGES;
use family::free_frames;
use suite::{Outcome, check_eq};

pub(crate) fn when_the_grantee_dies_the_owner_goes_on() -> Outcome {
    for revoked_before in [false, true] {
        let (Pair { owner, user }, grant) = Pair::mapped(true)?;
        user.store(4, 40)?;
        if revoked_before {
            owner.revokes(grant)?;
        }
        user.end()?;
        check_eq!(owner.load(4)?, 40);
        owner.paint(21, 0, PAGES)?;
        owner.check(21, 0, PAGES)?;
        if !revoked_before {
            owner.revokes(grant)?;
        }
        owner.end()?;
    }
    Ok(())
}

pub(crate) fn when_the_owner_dies_the_grantee_keeps_a_copy() -> Outcome {
    for revoked_before in [false, true] {
        let (Pair { owner, user }, grant) = Pair::mapped(true)?;
        owner.paint(21, 0, PAGES)?;
        if revoked_before {
            owner.revokes(grant)?;
        }
        owner.end()?;
        user.check(21, 0, PAGES)?;
        user.paint(22, 0, PAGES)?;
        user.check(22, 0, PAGES)?;
        user.end()?;
    }
    Ok(())
}

pub(crate) fn when_an_intermediary_dies_the_mapping_ends() -> Outcome {
    for dead in [1, 2] {
        let chain = Chain::mapped()?;
        let endpoint = chain.parties[dead].endpoint();
        sys::kernel().clear(protocol::kernel::Clear { process: endpoint })?;
        chain.is_mapped(false)?;
        let Chain { parties: [owner, one, two, user], .. } = chain;
        let [gone, other] = if dead == 1 { [one, two] } else { [two, one] };
        gone.child.home.end()?;
        gone.field.end()?;
        [owner, other, user].into_iter().try_for_each(crate::party::Party::end)?;
    }
    Ok(())
}

/// However a mapping ended, nothing of it stays behind.
pub(crate) fn all_frames_come_back() -> Outcome {
    let before = free_frames()?;
    when_the_grantee_dies_the_owner_goes_on()?;
    when_the_owner_dies_the_grantee_keeps_a_copy()?;
    when_an_intermediary_dies_the_mapping_ends()?;
    let (pair, grant) = Pair::mapped(true)?;
    pair.user.unmaps()?;
    pair.user.maps(grant, 0, true)??;
    pair.owner.revokes(grant)?;
    pair.apart()?;
    pair.end()?;
    check_eq!(free_frames()?, before);
    Ok(())
}
