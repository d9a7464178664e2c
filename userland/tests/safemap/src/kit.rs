//! What the tests have in common.

use crate::field::WORDS;
use crate::party::{PAGES, Party};
use abi::Errno;
use abi::grant::GrantId;
use core::sync::atomic::{Ordering, fence};
use family::kit::nap;
use family::me;
use protocol::vmctl::NextEvent;
use suite::{Failure, Outcome, check_eq};
use sys::grants::{Pages, Received};

/// The suite's own pages.
pub(crate) static MINE: Pages<PAGES> = Pages::new();

/// A grant of the suite, as others name it.
pub(crate) fn received(id: GrantId) -> Result<Received, Errno> {
    Ok(Received { granter: me()?, id })
}

/// The first word of a page.
pub(crate) const fn first_of(page: usize) -> usize {
    page * WORDS
}

/// The suite writes its pages.
pub(crate) fn paint_mine(seed: u64) {
    (0..PAGES * WORDS).for_each(|word| MINE.store(word, crate::party::paint(seed, word)));
}

/// Something like a sum of the suite's pages, as they are in memory now.
pub(crate) fn mine_now() -> u64 {
    fence(Ordering::SeqCst);
    (0..PAGES * WORDS).fold(0, |sum, word| (sum ^ MINE.load(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31))
}

/// Lets the others go on until something has happened.
#[track_caller]
pub(crate) fn eventually(mut happened: impl FnMut() -> bool) -> Outcome {
    const PATIENCE: u64 = 3000;
    let line = core::panic::Location::caller().line();
    for _ in 0..PATIENCE {
        if happened() {
            return Ok(());
        }
        nap(1)?;
    }
    suite::fail!("line {line}: waited in vain")
}

/// Two parties whose pages are painted with [`Pair::OWNER`] and [`Pair::USER`].
pub(crate) struct Pair {
    pub(crate) owner: Party,
    pub(crate) user: Party,
}

impl Pair {
    pub(crate) const OWNER: u64 = 20;
    pub(crate) const USER: u64 = 10;

    pub(crate) fn start() -> Result<Self, Failure> {
        let pair = Self { owner: Party::start()?, user: Party::start()? };
        pair.owner.paint(Self::OWNER, 0, PAGES)?;
        pair.user.paint(Self::USER, 0, PAGES)?;
        Ok(pair)
    }

    /// With a mapping of all pages.
    pub(crate) fn mapped(writable: bool) -> Result<(Self, Received), Failure> {
        let pair = Self::start()?;
        let grant = pair.owner.shares(writable, pair.user.endpoint())?;
        pair.user.maps(grant, 0, writable)??;
        Ok((pair, grant))
    }

    /// Both see the same: what one writes, the other reads, in every page.
    #[track_caller]
    pub(crate) fn together(&self) -> Outcome {
        let line = core::panic::Location::caller().line();
        for page in 0..PAGES {
            let (first, last) = (first_of(page), first_of(page + 1) - 1);
            self.owner.store(first, page as u64 + 500)?;
            self.user.store(last, page as u64 + 700)?;
            let seen = (self.user.load(first)?, self.owner.load(last)?);
            check_eq!((line, page, seen), (line, page, (page as u64 + 500, page as u64 + 700)));
        }
        Ok(())
    }

    /// Neither sees what the other writes, in any page.
    #[track_caller]
    pub(crate) fn apart(&self) -> Outcome {
        let line = core::panic::Location::caller().line();
        for page in 0..PAGES {
            let word = first_of(page) + 7;
            // Each is the first to write in some page.
            let (one, other) = if page % 2 == 0 { (&self.owner, &self.user) } else { (&self.user, &self.owner) };
            let before = other.load(word)?;
            one.store(word, !before)?;
            check_eq!((line, page, other.load(word)?), (line, page, before));
            other.store(word, 3)?;
            check_eq!((line, page, one.load(word)?), (line, page, !before));
        }
        Ok(())
    }

    pub(crate) fn end(self) -> Outcome {
        self.owner.end()?;
        self.user.end()
    }
}

/// No request for memory is left.
pub(crate) fn nobody_waits() -> Outcome {
    check_eq!(sys::vmctl().next_event(NextEvent {}).err(), Some(Errno::NoEnt));
    Ok(())
}
