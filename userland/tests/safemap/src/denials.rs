//! Mappings that are refused: with the right error, and nothing is mapped.

use crate::field::{FIELD, page_at};
use crate::kit::*;
use crate::party::{LEN, PAGES, Party};
use abi::Errno;
use abi::grant::GrantId;
use abi::layout::{PAGE_SIZE, USER_END};
use family::Page;
use family::kit::settle;
use protocol::kernel::{SafeMap, SafeRevMap, SafeRevMapAt};
use suite::{Outcome, check_eq};
use sys::grants::{Received, Rights, scope};

/// A mapping of all of a grant.
const fn map(grant: Received, writable: bool) -> SafeMap {
    SafeMap { granter: grant.granter, write: writable as u32, grant: grant.id, offset: 0, address: FIELD, len: LEN }
}

impl Pair {
    /// The user makes a call, which fails, and nobody is asked for memory; afterwards both sides are what they were.
    #[track_caller]
    fn denied(&self, call: &SafeMap, errno: Errno) -> Outcome {
        let line = core::panic::Location::caller().line();
        check_eq!((line, self.user.calls(call)?.err()), (line, Some(errno)));
        nobody_waits()?;
        self.unchanged()
    }

    /// Each side has its own pages, as they were painted.
    #[track_caller]
    fn unchanged(&self) -> Outcome {
        self.owner.check(Self::OWNER, 0, PAGES)?;
        self.user.check(Self::USER, 0, PAGES)?;
        self.owner.store(1, 0)?;
        self.user.check(Self::USER, 0, PAGES)?;
        self.owner.paint(Self::OWNER, 0, 1)
    }
}

pub(crate) fn without_the_right_nothing_is_mapped() -> Outcome {
    let pair = Pair::start()?;
    let other = Party::start()?;
    let to_read = pair.owner.shares(false, pair.user.endpoint())?;
    let for_other = pair.owner.shares(true, other.endpoint())?;
    let ended = pair.owner.shares(true, pair.user.endpoint())?;
    pair.owner.revokes(ended)?;
    let good = map(to_read, false);
    pair.denied(&SafeMap { write: 1, ..good }, Errno::Perm)?;
    pair.denied(&map(for_other, false), Errno::Perm)?;
    pair.denied(&map(ended, false), Errno::Perm)?;
    pair.denied(&SafeMap { grant: GrantId::INVALID, ..good }, Errno::Inval)?;
    pair.denied(&SafeMap { granter: other.endpoint(), ..good }, Errno::Perm)?;
    let mut plain = [[0_u64; 512]; 2];
    scope(|scope| {
        let readable = scope.read(&plain[0], pair.user.endpoint())?;
        pair.denied(&SafeMap { len: PAGE_SIZE, ..map(received(readable.id())?, false) }, Errno::Perm)?;
        let mapping = scope.share(&MINE, Rights::WRITE, pair.user.endpoint())?;
        // A page that can be written is one that can be read.
        pair.denied(&map(received(mapping.id())?, true), Errno::Perm)
    })?;
    scope(|scope| {
        let both = scope.read_write(&mut plain[1], pair.user.endpoint())?;
        pair.denied(&SafeMap { len: PAGE_SIZE, ..map(received(both.id())?, true) }, Errno::Perm)
    })?;
    pair.user.maps(to_read, 0, false)??;
    pair.user.check(Pair::OWNER, 0, PAGES)?;
    other.end()?;
    pair.end()
}

pub(crate) fn what_is_misaligned_is_not_mapped() -> Outcome {
    let pair = Pair::start()?;
    let grant = pair.owner.shares(true, pair.user.endpoint())?;
    let good = map(grant, true);
    pair.denied(&SafeMap { address: FIELD + 8, len: PAGE_SIZE, ..good }, Errno::Inval)?;
    pair.denied(&SafeMap { offset: 8, len: PAGE_SIZE, ..good }, Errno::Inval)?;
    for len in [0, 1, PAGE_SIZE - 1, PAGE_SIZE + 1] {
        pair.denied(&SafeMap { len, ..good }, Errno::Inval)?;
    }
    pair.denied(&SafeMap { len: LEN + PAGE_SIZE, ..good }, Errno::Perm)?;
    pair.denied(&SafeMap { offset: PAGE_SIZE, ..good }, Errno::Perm)?;
    pair.denied(&SafeMap { offset: PAGE_SIZE.wrapping_neg(), ..good }, Errno::Perm)?;
    // Neither is it granted like that.
    for part in [8..PAGE_SIZE, 0..PAGE_SIZE + 8, 8..PAGE_SIZE + 8] {
        let made =
            scope(|scope| scope.hand_on(grant, part.clone(), Rights::READ.mapping(), pair.user.endpoint()).map(|_| ()));
        check_eq!(made, Err(Errno::Inval));
    }
    pair.end()
}

pub(crate) fn a_place_must_be_there_and_large_enough() -> Outcome {
    let pair = Pair::start()?;
    let good = map(pair.owner.shares(true, pair.user.endpoint())?, true);
    // Where no program has memory nobody is asked.
    for address in [0, USER_END - PAGE_SIZE, USER_END, 1 << 63, PAGE_SIZE.wrapping_neg()] {
        pair.denied(&SafeMap { address, ..good }, Errno::Fault)?;
    }
    // The last pages are missing, or all of them; the memory server has none.
    for address in [page_at(1), page_at(PAGES), 1 << 40] {
        family::kit::order_call(&pair.user.child, &SafeMap { address, ..good })?;
        if !family::is_served() {
            let wait = family::fault(&pair.user.child)?;
            check_eq!((wait.process, wait.address, wait.len), (pair.user.endpoint(), address, LEN));
            crate::missing::answer(pair.user.endpoint(), false)?;
        }
        settle()?;
        check_eq!(family::kit::result(&pair.user.child).err(), Some(Errno::Fault));
        nobody_waits()?;
        pair.unchanged()?;
    }
    pair.end()
}

pub(crate) fn a_place_that_is_used_otherwise_is_refused() -> Outcome {
    let pair = Pair::start()?;
    let (owner, user) = (&pair.owner, &pair.user);
    let good = map(owner.shares(true, user.endpoint())?, true);
    let page = SafeMap { len: PAGE_SIZE, ..good };
    // The suite sees that page, too.
    pair.denied(&SafeMap { address: Page::TARGET.address(), ..page }, Errno::Busy)?;
    // The pages are the owner's own.
    check_eq!(owner.calls(&SafeMap { offset: PAGE_SIZE, ..page })?.err(), Some(Errno::Perm));
    let own = user.shares(true, user.endpoint())?;
    pair.denied(&map(own, true), Errno::Inval)?;
    check_eq!(user.calls(&SafeMap { address: page_at(2), ..page })??.done, PAGE_SIZE);
    user.check(Pair::USER, 0, 2)?;
    user.check(Pair::USER, 3, PAGES - 3)?;
    // There is a mapping already, in one of the pages.
    check_eq!(user.calls(&good)?.err(), Some(Errno::Busy));
    check_eq!(user.calls(&SafeMap { address: page_at(2), ..page })?.err(), Some(Errno::Busy));
    // The owner has lent that one itself.
    let back = user.shares(true, owner.endpoint())?;
    check_eq!(
        owner.calls(&SafeMap { offset: 4 * PAGE_SIZE, len: PAGE_SIZE, ..map(back, true) })?.err(),
        Some(Errno::Busy)
    );
    pair.end()
}

pub(crate) fn what_was_received_to_read_is_not_granted_on_to_write() -> Outcome {
    let (pair, grant) = Pair::mapped(false)?;
    let last = Party::start()?;
    last.paint(40, 0, PAGES)?;
    // However the grantee grants it: by the entry that it has got, or as if the pages were its own.
    let indirect = pair.user.hands_on(grant, 0, LEN, true, last.endpoint())?;
    let direct = pair.user.shares(true, last.endpoint())?;
    for theirs in [indirect, direct] {
        check_eq!(last.maps(theirs, 0, true)?, Err(Errno::Perm));
        last.check(40, 0, PAGES)?;
    }
    last.maps(indirect, 0, false)??;
    last.check(Pair::OWNER, 0, PAGES)?;
    last.tries_to_store(0, 1)?;
    family::signal(&last.child, abi::Signal::SEGV)?;
    pair.owner.check(Pair::OWNER, 0, PAGES)?;
    last.end()?;
    pair.end()
}

pub(crate) fn borrowed_pages_are_not_lent_but_handed_on() -> Outcome {
    let (pair, grant) = Pair::mapped(true)?;
    let last = Party::start()?;
    last.paint(40, 0, PAGES)?;
    let direct = pair.user.shares(true, last.endpoint())?;
    for writable in [false, true] {
        check_eq!(last.maps(direct, 0, writable)?, Err(Errno::Perm));
    }
    last.check(40, 0, PAGES)?;
    let indirect = pair.user.hands_on(grant, 0, LEN, true, last.endpoint())?;
    last.maps(indirect, 0, true)??;
    last.store(5, 50)?;
    check_eq!((pair.owner.load(5)?, pair.user.load(5)?), (50, 50));
    // When they are its own again, they can be lent.
    last.unmaps()?;
    pair.user.unmaps()?;
    last.maps(direct, 0, true)??;
    last.store(6, 60)?;
    check_eq!((pair.owner.load(5)?, pair.user.load(5)?, pair.user.load(6)?), (50, 50, 60));
    pair.owner.revokes(grant)?;
    last.store(6, 61)?;
    check_eq!(pair.user.load(6)?, 61);
    last.end()?;
    pair.end()
}

pub(crate) fn only_the_granter_takes_back() -> Outcome {
    let (pair, grant) = Pair::mapped(true)?;
    let other = Party::start()?;
    let stale = GrantId::new(grant.id.index(), grant.id.sequence() + 1).unwrap_or(GrantId::INVALID);
    for (who, grant) in [(&pair.user, grant.id), (&other, grant.id), (&pair.owner, stale)] {
        check_eq!(who.calls(&SafeRevMap { grant })??.more, 0);
    }
    for who in [&pair.user, &other] {
        check_eq!(who.calls(&SafeRevMapAt { address: FIELD })??.more, 0);
    }
    pair.together()?;
    other.end()?;
    pair.end()
}
