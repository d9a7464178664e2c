//! Grants that others use, and change, all the time: on other processors, where there are some.

use crate::copies::received;
use crate::kit::*;
use crate::party::{Memory, Party, SAFE_CALLS, SIZE};
use abi::grant::{GrantEntry, GrantId};
use abi::{Endpoint, Errno};
use core::sync::atomic::{Ordering, fence};
use family::kit::nap;
use family::{Board, Child, Code, Page, Plan, free_slot, own_board, spin};
use protocol::getinfo::GetMachine;
use protocol::kernel::SetGrant;
use static_cell::ConstStaticCell;
use suite::{Failure, Outcome, check, check_eq};
use sys::grants::{Received, scope};

/// Words of a writer's board: the grant that it uses.
const GRANTER: usize = Board::FREE;
const GRANT: usize = Board::FREE + 1;
/// How much a writer writes with each copy.
const WRITTEN: usize = 16 * 1024;

static INK: ConstStaticCell<Memory> = ConstStaticCell::new(Memory([0; SIZE]));

/// Writes to the grant on its board, as often as it can, other bytes each time. Counts the copies, and those that failed.
extern "C" fn write_always() -> ! {
    let board = own_board();
    let ink = &mut INK.take().0[..WRITTEN];
    loop {
        let granter = Endpoint::from_raw(board.get(GRANTER) as u32);
        let grant = Received { granter, id: GrantId::from_raw(board.get(GRANT)) };
        ink.fill(board.get(Board::COUNT) as u8);
        board.count(if grant.copy_to(0, ink).is_ok() { Board::COUNT } else { Board::TROUBLE });
    }
}

/// How many processors run.
fn cpus() -> Result<u64, Errno> {
    sys::getinfo().machine(GetMachine {}).map(|machine| machine.cpus)
}

/// A child that never waits: on a processor besides the suite's, if there is one. Where there is not, it is as urgent as
/// `echo`, so that [`settle`](family::kit::settle) ends.
fn restless(code: Code, number: u64) -> Result<Plan, Errno> {
    const LEAST_URGENT: i32 = 15;
    let others = cpus()? - 1;
    let plan = Plan { priority: LEAST_URGENT, ..Plan::new(code)?.calls(SAFE_CALLS) };
    Ok(plan.on(if others == 0 { 0 } else { 1 + number % others }))
}

/// Waits until a word of a board has grown by so much.
fn grows(board: &Board, word: usize, by: u64) -> Outcome {
    const PATIENCE: u64 = 3000;
    let start = board.get(word);
    for _ in 0..PATIENCE {
        if board.get(word) >= start + by {
            return Ok(());
        }
        nap(1)?;
    }
    suite::fail!("a child does not go on")
}

/// What a place of the suite's memory holds now, read from memory.
fn bytes_now(memory: &[u8]) -> u64 {
    fence(Ordering::SeqCst);
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |hash, &byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    core::hint::black_box(word(core::hint::black_box(memory)))
}

pub(crate) fn what_is_taken_back_is_written_no_more() -> Outcome {
    const ROUNDS: u64 = 30;
    /// On one processor the writers have to wait for their turns.
    const ROUNDS_ALONE: u64 = 4;
    let relays = [Party::start()?, Party::start()?];
    let mut writers = [const { None }; 3];
    for (writer, number) in writers.iter_mut().zip(0..) {
        *writer = Some(Child::start(&restless(write_always, number)?)?);
    }
    let [Some(a), Some(b), Some(c)] = &writers else { suite::fail!("no writers") };
    let mine = &mut MINE.borrow_mut().0;
    for round in 0..if cpus()? == 1 { ROUNDS_ALONE } else { ROUNDS } {
        scope(|scope| {
            let [first, rest @ ..] = mine.as_chunks_mut::<WRITTEN>().0 else { suite::fail!("too short") };
            let [second, ..] = rest else { suite::fail!("too short") };
            // One for a writer itself, one for two of them through two links.
            let own = scope.write(first, a.endpoint)?;
            let shared = scope.write(second, relays[0].endpoint())?;
            let once = relays[0].hands_on(received(shared.id())?, 0, WRITTEN, relays[1].endpoint())?;
            let [to_b, to_c] = [b, c].map(|child| relays[1].hands_on(once, 0, WRITTEN, child.endpoint));
            let (to_b, to_c) = (to_b?, to_c?);
            for (writer, grant) in [(a, received(own.id())?), (b, to_b), (c, to_c)] {
                writer.board().set(GRANT, grant.id.raw());
                writer.board().set(GRANTER, grant.granter.raw().into());
            }
            for writer in [a, b, c] {
                grows(writer.board(), Board::COUNT, 2)?;
            }
            // Not always at the same moment of a copy.
            spin(round * 37);
            let first = own.revoke().memory;
            let before = bytes_now(first);
            let second = shared.revoke().memory;
            let both = (before, bytes_now(second));
            for writer in [a, b, c] {
                grows(writer.board(), Board::TROUBLE, 2)?;
            }
            check_eq!((bytes_now(first), bytes_now(second)), both);
            for grant in [to_b, to_c] {
                relays[1].takes_back(grant)?;
            }
            relays[0].takes_back(once)
        })?;
    }
    writers.into_iter().flatten().try_for_each(Child::end)?;
    relays.into_iter().try_for_each(Party::end)
}

/// Words of a forger's board: to whom it grants, and where its table and what it grants are.
const GRANTEE: usize = Board::FREE;
const NUMBER: usize = Board::FREE + 1;
const ENTRY: usize = 128;
const PUBLIC: usize = 200;
const SECRET: usize = 300;

/// Where a child sees a word of its board.
const fn address_of(word: usize) -> u64 {
    Page::BOARD.address() + word as u64 * size_of::<u64>() as u64
}

/// Tells the kernel of the table on the board.
fn register() {
    let call = SetGrant { address: address_of(ENTRY), count: 1 };
    // SAFETY: what it grants, and the table, are words of the board, which may change at any time.
    if unsafe { rt::call_unchecked(&call) }.is_err() {
        sys::exit(1);
    }
}

/// Writes an entry as the library does: the flags are cleared first and set last. Where the memory starts comes right behind
/// the first and the sequence number right before the last, which is the hardest for a reader.
fn publish(board: &Board, entry: GrantEntry) {
    let words: [u64; 8] = zerocopy::transmute!(entry);
    board.set(ENTRY, 0);
    for i in [2, 3, 4, 5, 6, 7, 1, 0] {
        board.set(ENTRY + i, words[i]);
    }
}

/// Grants in turns what is public to the suite, and what is secret to itself with the next sequence number, none of them twice: a reader
/// that was held up for a whole turn must see that another one has come.
extern "C" fn grant_in_turns() -> ! {
    /// For so long what is public stays granted.
    const SHOWN: u64 = 20;
    let board = own_board();
    register();
    let suite = Endpoint::from_raw(board.get(Board::PARTNER) as u32);
    let other = Endpoint::from_raw(board.get(GRANTEE) as u32);
    let mut sequence = 0;
    loop {
        board.set(NUMBER, sequence);
        publish(board, GrantEntry { sequence, ..direct(suite, READ, address_of(PUBLIC), 8) });
        board.count(Board::COUNT);
        spin(SHOWN);
        publish(board, GrantEntry { sequence: sequence + 1, ..direct(other, READ, address_of(SECRET), 8) });
        sequence += 2;
    }
}

/// Writes anything into its table all the time, of which some might be entries; never one for what is secret.
extern "C" fn grant_anything() -> ! {
    let board = own_board();
    register();
    let suite = Endpoint::from_raw(board.get(Board::PARTNER) as u32);
    let good: [u64; 8] = zerocopy::transmute!(direct(suite, READ, address_of(PUBLIC), 8));
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let word = random as usize % good.len();
        let value = if random >> 32 & 1 == 0 { good[word] } else { random.rotate_left(17) };
        board.set(ENTRY + word, value);
        board.count(Board::COUNT);
    }
}

/// Has a forger at work, and copies with its grant all the time. Returns how often that worked.
fn copy_from_forger(code: Code) -> Result<u64, Failure> {
    const ROUNDS: u64 = 250;
    /// On one processor nothing changes between the tries of a round.
    const TRIES_ALONE: u64 = 4;
    const TRIES: u64 = 3000;
    const OPEN: u64 = 0x7075_626c_6963_2121;
    let forger = Child::prepare(&restless(code, 0)?, free_slot()?)?;
    for (word, value) in [(PUBLIC, OPEN), (SECRET, !OPEN), (GRANTEE, forger.endpoint.raw().into())] {
        forger.board().set(word, value);
    }
    forger.allow()?;
    grows(forger.board(), Board::COUNT, 1)?;
    let granter = forger.endpoint;
    let (alone, mut worked) = (cpus()? == 1, 0);
    for _ in 0..ROUNDS {
        for _ in 0..if alone { TRIES_ALONE } else { TRIES } {
            let id = GrantId::new(0, forger.board().get(NUMBER)).ok_or(Errno::Proto)?;
            match (Received { granter, id }).value::<u64>(0).map_err(Errno::from) {
                Ok(word) => {
                    check_eq!(word, OPEN);
                    worked += 1;
                }
                Err(Errno::Perm | Errno::Loop | Errno::Inval) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if alone {
            // The forger comes to another point.
            nap(1)?;
        }
    }
    grows(forger.board(), Board::COUNT, 1)?;
    forger.end()?;
    Ok(worked)
}

pub(crate) fn nobody_gets_half_of_one_grant_and_half_of_the_next() -> Outcome {
    let worked = copy_from_forger(grant_in_turns)?;
    check!(worked > 0, "it was never granted anything");
    Ok(())
}

pub(crate) fn tables_that_change_at_random_give_nothing_else() -> Outcome {
    copy_from_forger(grant_anything).map(drop)
}
