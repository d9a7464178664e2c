//! Mappings where memory is missing: the suite is the memory server.

use crate::field::FIELD;
use crate::kit::*;
use crate::party::{LEN, PAGES, Party};
use abi::event::MemoryWait;
use abi::{Endpoint, Errno};
use family::fault;
use family::kit::settle;
use protocol::vmctl::{Access, AnswerRequest};
use suite::{Outcome, check, check_eq};
use sys::grants::Received;
use sys::vmctl;

const READS: u8 = 0;
const WRITES: u8 = 1;

/// Answers whoever waits.
pub(crate) fn answer(process: Endpoint, available: bool) -> Outcome {
    vmctl().answer_request(AnswerRequest { process, available: available.into() })?;
    settle()
}

impl Pair {
    /// The user waits for memory, which must be all that is mapped of a side.
    #[track_caller]
    fn wants(&self, of: &Party, access: u8) -> Outcome {
        let line = core::panic::Location::caller().line();
        let (requestor, process) = (self.user.endpoint(), of.endpoint());
        let expected = MemoryWait { requestor, process, address: FIELD, len: LEN, access };
        let wait = fault(&self.user.child)?;
        check!(wait == expected, "line {line}: wants {wait:x?}, should want {expected:x?}");
        nobody_waits()
    }

    /// The user begins to map, and does not come to an end.
    #[track_caller]
    fn waits(&self, grant: Received, writable: bool) -> Outcome {
        let before = self.user.deeds();
        self.user.begins_to_map(grant, 0, writable)?;
        check_eq!(self.user.deeds(), before);
        Ok(())
    }

    /// The pages that a side lacks are there again, and the user goes on.
    fn brings(&self, to: &Party, missing: &[usize], access: Access) -> Outcome {
        missing.iter().try_for_each(|&page| to.field.map(&to.child, page, access))?;
        answer(self.user.endpoint(), true)
    }
}

/// Places of pages that are missing: the first, the last, some in the middle, all.
const MISSING: [&[usize]; 4] = [&[0], &[PAGES - 1], &[2, 3, 5], &[0, 1, 2, 3, 4, 5, 6, 7]];

pub(crate) fn what_the_owner_lacks_is_asked_for_first() -> Outcome {
    for (writable, access) in [(false, READS), (true, WRITES)] {
        let pair = Pair::start()?;
        let grant = pair.owner.shares(writable, pair.user.endpoint())?;
        for missing in MISSING {
            missing.iter().try_for_each(|&page| pair.owner.loses(page))?;
            pair.waits(grant, writable)?;
            pair.wants(&pair.owner, access)?;
            pair.brings(&pair.owner, missing, Access::Write)?;
            pair.user.told()?;
            pair.user.check(Pair::OWNER, 0, PAGES)?;
            pair.user.unmaps()?;
            // The memory server takes only what is a space's own.
            pair.owner.paint(Pair::OWNER, 0, PAGES)?;
        }
        pair.end()?;
    }
    Ok(())
}

pub(crate) fn what_the_grantee_lacks_is_asked_for_to_be_written() -> Outcome {
    let pair = Pair::start()?;
    let grant = pair.owner.shares(true, pair.user.endpoint())?;
    for missing in MISSING {
        for writable in [false, true] {
            missing.iter().try_for_each(|&page| pair.user.loses(page))?;
            pair.waits(grant, writable)?;
            pair.wants(&pair.user, WRITES)?;
            pair.brings(&pair.user, missing, Access::Write)?;
            pair.user.told()?;
            pair.user.check(Pair::OWNER, 0, PAGES)?;
            pair.user.unmaps()?;
            pair.user.paint(Pair::USER, 0, PAGES)?;
            pair.owner.check(Pair::OWNER, 0, PAGES)?;
        }
    }
    pair.end()
}

pub(crate) fn both_sides_lack_pages() -> Outcome {
    let pair = Pair::start()?;
    let grant = pair.owner.shares(true, pair.user.endpoint())?;
    pair.owner.loses(1)?;
    pair.user.loses(6)?;
    pair.waits(grant, true)?;
    pair.wants(&pair.owner, WRITES)?;
    pair.brings(&pair.owner, &[1], Access::Write)?;
    pair.wants(&pair.user, WRITES)?;
    pair.brings(&pair.user, &[6], Access::Write)?;
    pair.user.told()?;
    pair.together()?;
    pair.end()
}

pub(crate) fn what_cannot_be_brought_is_a_fault() -> Outcome {
    for of_owner in [false, true] {
        let pair = Pair::start()?;
        let grant = pair.owner.shares(true, pair.user.endpoint())?;
        let side = if of_owner { &pair.owner } else { &pair.user };
        side.loses(4)?;
        pair.waits(grant, true)?;
        pair.wants(side, WRITES)?;
        answer(pair.user.endpoint(), false)?;
        check_eq!(pair.user.told(), Err(Errno::Fault));
        side.field.map(&side.child, 4, Access::Write)?;
        pair.owner.check(Pair::OWNER, 0, PAGES)?;
        pair.user.check(Pair::USER, 0, PAGES)?;
        pair.apart()?;
        pair.end()?;
    }
    Ok(())
}

pub(crate) fn what_is_taken_back_meanwhile_is_not_mapped() -> Outcome {
    for of_owner in [false, true] {
        let pair = Pair::start()?;
        let grant = pair.owner.shares(true, pair.user.endpoint())?;
        let side = if of_owner { &pair.owner } else { &pair.user };
        side.loses(3)?;
        pair.waits(grant, true)?;
        pair.wants(side, WRITES)?;
        pair.owner.revokes(grant)?;
        pair.brings(side, &[3], Access::Write)?;
        check_eq!(pair.user.told(), Err(Errno::Perm));
        pair.owner.check(Pair::OWNER, 0, PAGES)?;
        pair.user.check(Pair::USER, 0, PAGES)?;
        pair.apart()?;
        pair.end()?;
    }
    Ok(())
}

pub(crate) fn whoever_dies_while_it_waits_leaves_nothing() -> Outcome {
    for told in [false, true] {
        let pair = Pair::start()?;
        let grant = pair.owner.shares(true, pair.user.endpoint())?;
        pair.owner.loses(0)?;
        pair.waits(grant, true)?;
        if told {
            pair.wants(&pair.owner, WRITES)?;
        }
        let Pair { owner, user } = pair;
        let dead = user.endpoint();
        user.end()?;
        nobody_waits()?;
        check!(vmctl().answer_request(AnswerRequest { process: dead, available: 1 }).is_err(), "the dead are answered");
        owner.field.map(&owner.child, 0, Access::Write)?;
        owner.check(Pair::OWNER, 0, PAGES)?;
        owner.end()?;
    }
    Ok(())
}
