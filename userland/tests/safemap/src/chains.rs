//! Mappings of what was handed on.

use crate::kit::*;
use crate::party::{LEN, PAGES, Party};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use suite::{Failure, Outcome, check_eq};
use sys::grants::Received;

/// Who lends, two who hand on, who borrows, and the grants of the first three.
pub(crate) struct Chain {
    pub(crate) parties: [Party; 4],
    pub(crate) grants: [Received; 3],
}

impl Chain {
    /// The borrower sees all pages.
    pub(crate) fn mapped() -> Result<Self, Failure> {
        let parties = [Party::start()?, Party::start()?, Party::start()?, Party::start()?];
        let [owner, one, two, user] = &parties;
        owner.paint(20, 0, PAGES)?;
        user.paint(10, 0, PAGES)?;
        let first = owner.shares(true, one.endpoint())?;
        let second = one.hands_on(first, 0, LEN, true, two.endpoint())?;
        let third = two.hands_on(second, 0, LEN, true, user.endpoint())?;
        user.maps(third, 0, true)??;
        user.check(20, 0, PAGES)?;
        Ok(Self { parties, grants: [first, second, third] })
    }

    /// The borrower writes, and the owner sees it or not; the same the other way round.
    #[track_caller]
    pub(crate) fn is_mapped(&self, mapped: bool) -> Outcome {
        let line = core::panic::Location::caller().line();
        let [owner, .., user] = &self.parties;
        for page in 0..PAGES {
            let word = first_of(page);
            let value = user.load(word)?.wrapping_add(1);
            user.store(word, value)?;
            check_eq!((line, owner.load(word)? == value), (line, mapped));
            owner.store(word + 1, value)?;
            check_eq!((line, user.load(word + 1)? == value), (line, mapped));
        }
        Ok(())
    }

    pub(crate) fn end(self) -> Outcome {
        self.parties.into_iter().try_for_each(Party::end)
    }
}

pub(crate) fn through_two_hops_a_part_is_mapped() -> Outcome {
    let parties = [Party::start()?, Party::start()?, Party::start()?, Party::start()?];
    let [owner, one, two, user] = &parties;
    owner.paint(20, 0, PAGES)?;
    user.paint(10, 0, PAGES)?;
    let first = owner.shares(true, one.endpoint())?;
    let second = one.hands_on(first, PAGE_SIZE, 5 * PAGE_SIZE, true, two.endpoint())?;
    let third = two.hands_on(second, 2 * PAGE_SIZE, 2 * PAGE_SIZE, true, user.endpoint())?;
    // The library wants all its pages to be seen, of which there are not so many.
    check_eq!(user.maps(third, 0, true)?, Err(Errno::Perm));
    user.check(10, 0, PAGES)?;
    let call = |offset, len| protocol::kernel::SafeMap {
        granter: third.granter,
        write: 1,
        grant: third.id,
        offset,
        address: crate::field::page_at(3),
        len,
    };
    for (offset, len) in [(0, 3 * PAGE_SIZE), (PAGE_SIZE, 2 * PAGE_SIZE), (2 * PAGE_SIZE, PAGE_SIZE)] {
        check_eq!(user.calls(&call(offset, len))?.err(), Some(Errno::Perm));
    }
    check_eq!(user.calls(&call(0, 2 * PAGE_SIZE))??.done, 2 * PAGE_SIZE);
    // The first page of it is the fourth one of the owner, which happens to be in the same place here.
    user.check(20, 3, 2)?;
    user.check(10, 0, 3)?;
    user.check(10, 5, PAGES - 5)?;
    user.store(first_of(4), 44)?;
    check_eq!(owner.load(first_of(4))?, 44);
    parties.into_iter().try_for_each(Party::end)
}

pub(crate) fn each_link_of_a_chain_can_be_taken_back() -> Outcome {
    for link in 0..3 {
        let chain = Chain::mapped()?;
        chain.is_mapped(true)?;
        chain.parties[link].revokes(chain.grants[link])?;
        chain.is_mapped(false)?;
        check_eq!(chain.parties[3].maps(chain.grants[2], 0, true)?, Err(Errno::Perm));
        chain.end()?;
    }
    Ok(())
}
