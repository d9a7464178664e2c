//! Tables that are not what they should be.

use crate::kit::*;
use abi::grant::{GRANT_SIZE, MAX_GRANTS};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use abi::{Endpoint, Errno};
use family::me;
use protocol::vmctl::{Access, NextEvent};
use suite::{Outcome, check_eq};
use sys::grants::Received;
use sys::vmctl;

/// Nobody was asked for memory.
fn nobody_asked() -> Outcome {
    check_eq!(vmctl().next_event(NextEvent {}).err(), Some(Errno::NoEnt));
    Ok(())
}

pub(crate) fn a_place_that_is_no_tables_is_refused_and_the_old_one_stays() -> Outcome {
    let granter = Granter::start()?;
    let good = granter.grant_data(me()?, BOTH);
    for (address, count) in [
        (TABLE.address() + 8, 1),
        (TABLE.address() + 63, 1),
        (0, 1),
        (USER_START - GRANT_SIZE, 1),
        (USER_END, 1),
        (USER_END - PAGE_SIZE, ENTRIES + 1),
        (1 << 47, 1),
        (0xffff_8000_0000_0000, 1),
        (u64::MAX - 63, 1),
        (TABLE.address(), MAX_GRANTS + 1),
        (TABLE.address(), u64::MAX),
    ] {
        check_eq!((address, granter.register(address, count)?), (address, Err(Errno::Inval)));
    }
    usable(good, 0)?;
    granter.end()
}

pub(crate) fn a_table_that_is_not_there_is_not_waited_for() -> Outcome {
    let granter = Granter::start()?;
    let good = granter.grant_data(me()?, BOTH);
    for address in [1 << 40, USER_END - PAGE_SIZE, USER_START] {
        granter.register(address, ENTRIES)??;
        useless(&granter, good, Errno::Perm)?;
    }
    // One that goes on behind memory that is there.
    granter.register(TABLE.address(), MAX_GRANTS)??;
    usable(good, 0)?;
    for index in [1 << 10, MAX_GRANTS - 1] {
        useless(&granter, Received { id: id(index), ..good }, Errno::Perm)?;
    }
    nobody_asked()?;
    granter.end()
}

pub(crate) fn a_table_whose_page_was_taken_away_is_none() -> Outcome {
    let granter = Granter::start()?;
    let good = granter.grant_data(me()?, BOTH);
    take(&granter.0, TABLE)?;
    useless(&granter, good, Errno::Perm)?;
    nobody_asked()?;
    granter.0.home.map_page(TABLE, Access::Read)?;
    usable(good, 0)?;
    granter.end()
}

pub(crate) fn chains_that_loop_end() -> Outcome {
    let (a, b) = (Granter::start()?, Granter::start()?);
    let itself = Received { granter: a.endpoint(), id: id(0) };
    a.grant(0, indirect(Endpoint::ANY, BOTH, itself, 0, LEN));
    useless(&a, itself, Errno::Loop)?;
    let other = b.grant(7, indirect(Endpoint::ANY, BOTH, itself, 0, LEN));
    a.grant(0, indirect(b.endpoint(), BOTH, other, 0, LEN));
    useless(&a, other, Errno::Loop)?;
    // As long as it goes on to where nothing is, that is what counts.
    a.grant(0, indirect(b.endpoint(), BOTH, Received { id: id(ENTRIES), ..other }, 0, LEN));
    useless(&a, other, Errno::Perm)?;
    a.end()?;
    b.end()
}

/// Entries of random bytes: the kernel survives them, and nothing is copied where flags or sequence number forbid it.
pub(crate) fn random_entries_give_nothing() -> Outcome {
    const ROUNDS: u64 = 20_000;
    let granter = Granter::start()?;
    let before = granter.sum();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..ROUNDS {
        let words: [u64; 8] = core::array::from_fn(|_| random());
        // Half of them look as if they were complete, and were granted to the suite.
        let mut entry: abi::grant::GrantEntry = zerocopy::transmute!(words);
        if random() % 2 == 0 {
            entry.flags |= 0x1100;
            entry.grantee = me()?;
        }
        let mut grant = granter.grant(random() % ENTRIES, entry);
        // An id has fewer bits than the number in the entry.
        grant.id = abi::grant::GrantId::from_raw(grant.id.raw() & !(1 << 63) ^ (random() % 2) << 30);
        let result = grant.value::<u64>(random() & 0xff);
        check_eq!(result.is_err(), true);
    }
    check_eq!(granter.sum(), before);
    nobody_asked()?;
    granter.end()
}
