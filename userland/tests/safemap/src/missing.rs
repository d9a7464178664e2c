//! Mappings where memory is missing. The suite is the memory server, or the image has one, which is held until the test has seen what
//! it wants to see.

use crate::field::FIELD;
use crate::kit::*;
use crate::party::{LEN, PAGES, Party};
use abi::event::MemoryWait;
use abi::{Endpoint, Errno};
use family::kit::settle;
use family::{fault, go_on, hold, is_served};
use protocol::vmctl::{Access, AnswerRequest};
use suite::{Failure, Outcome, check, check_eq};
use sys::grants::Received;
use sys::vmctl;

const READS: u8 = 0;
const WRITES: u8 = 1;

/// A process waits for memory that a kernel call of it needs: the kernel's `Rts::MEMORY_REQUEST`.
const MEMORY_REQUEST: u32 = 1 << 12;

/// Answers whoever waits. A memory server goes on and gives the answer that is right.
pub(crate) fn answer(process: Endpoint, available: bool) -> Outcome {
    if is_served() {
        return go_on();
    }
    vmctl().answer_request(AnswerRequest { process, available: available.into() })?;
    settle()
}

impl Pair {
    /// The user waits for memory, which must be all that is mapped of a side: what, only the memory server hears.
    #[track_caller]
    fn wants(&self, of: &Party, access: u8) -> Outcome {
        let line = core::panic::Location::caller().line();
        let (requestor, process) = (self.user.endpoint(), of.endpoint());
        let expected = MemoryWait { requestor, process, address: FIELD, len: LEN, access };
        if is_served() {
            check_eq!((line, self.user.child.info()?.flags), (line, MEMORY_REQUEST));
            return Ok(());
        }
        let wait = fault(&self.user.child)?;
        check!(wait == expected, "line {line}: wants {wait:x?}, should want {expected:x?}");
        nobody_waits()
    }

    /// The user begins to map, and does not come to an end.
    #[track_caller]
    fn waits(&self, grant: Received, writable: bool) -> Outcome {
        let before = self.user.deeds();
        hold()?;
        self.user.begins_to_map(grant, 0, writable)?;
        check_eq!(self.user.deeds(), before);
        Ok(())
    }

    /// The pages that a side lacks are there again, and the user goes on. What a server brings has forgotten what stood there.
    /// Returns what its call has come to, if it has ended.
    fn brings(&self, to: &Party, missing: &[usize]) -> Result<Result<u64, Errno>, Failure> {
        if !is_served() {
            missing.iter().try_for_each(|&page| to.field.map(&to.child, page, Access::Write))?;
        }
        answer(self.user.endpoint(), true)?;
        let told = self.user.told();
        if is_served() {
            self.repaints(to, missing)?;
        }
        Ok(told)
    }

    /// Paints pages of a side as they were. Those of the user may show the owner's now, and are not painted then.
    fn repaints(&self, side: &Party, pages: &[usize]) -> Outcome {
        let is_owner = side.endpoint() == self.owner.endpoint();
        if !is_owner && self.user.told().is_ok() {
            return Ok(());
        }
        let seed = if is_owner { Self::OWNER } else { Self::USER };
        pages.iter().try_for_each(|&page| side.paint(seed, page, 1))
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
            pair.brings(&pair.owner, missing)??;
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
            pair.brings(&pair.user, missing)??;
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
    let told = pair.brings(&pair.owner, &[1])?;
    // Once it goes on, a server hears of the second, too.
    if is_served() {
        told?;
    } else {
        pair.wants(&pair.user, WRITES)?;
        pair.brings(&pair.user, &[6])??;
    }
    pair.together()?;
    pair.end()
}

pub(crate) fn what_cannot_be_brought_is_a_fault() -> Outcome {
    for of_owner in [false, true] {
        let pair = Pair::start()?;
        let grant = pair.owner.shares(true, pair.user.endpoint())?;
        let side = if of_owner { &pair.owner } else { &pair.user };
        side.field.remove(&side.child, 4)?;
        pair.waits(grant, true)?;
        pair.wants(side, WRITES)?;
        answer(pair.user.endpoint(), false)?;
        check_eq!(pair.user.told(), Err(Errno::Fault));
        side.field.map(&side.child, 4, Access::Write)?;
        pair.repaints(side, &[4])?;
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
        check_eq!(pair.brings(side, &[3])?, Err(Errno::Perm));
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
        user.dies()?;
        nobody_waits()?;
        check!(vmctl().answer_request(AnswerRequest { process: dead, available: 1 }).is_err(), "the dead are answered");
        owner.field.map(&owner.child, 0, Access::Write)?;
        if is_served() {
            owner.paint(Pair::OWNER, 0, 1)?;
        }
        owner.check(Pair::OWNER, 0, PAGES)?;
        owner.end()?;
    }
    Ok(())
}
