//! Tables of asynchronous messages that change after they were registered, and receivers that share one place where it is kept who
//! has something for them.

use crate::support::*;
use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::filter::FilterElement;
use abi::{Endpoint, Errno, Trap};
use protocol::kernel::Clear;
use protocol::statectl::AddBlacklist;

const ANY: Endpoint = Endpoint::ANY;
const TABLE: u64 = MEMORY_START + 0x100;
const LEN: u64 = size_of::<AsyncEntry>() as u64;

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

/// An entry with message `n`.
fn entry(destination: Endpoint, n: u16) -> AsyncEntry {
    AsyncEntry { flags: AsyncFlags::VALID.bits(), destination, result: 0, message: message(n) }
}

fn register(world: &mut World<'_>, who: Endpoint, entries: &[AsyncEntry]) {
    world.store(who, TABLE, entries);
    assert_eq!(world.trap(who, senda(TABLE, entries.len() as u64)), Outcome::Done);
}

/// A writes an entry of its table, and tells nobody.
fn write(world: &mut World<'_>, index: u64, entry: AsyncEntry) {
    world.store(A, TABLE + index * LEN, &entry);
}

/// Whether the kernel has finished an entry of A.
fn is_done(world: &World<'_>, index: u64) -> bool {
    world.load::<AsyncEntry>(A, TABLE + index * LEN).flags & AsyncFlags::DONE.bits() != 0
}

#[test]
fn an_entry_that_was_never_announced_is_not_looked_for() {
    test(|world| {
        register(world, A, &[entry(C, 1), AsyncEntry::EMPTY]);
        write(world, 1, entry(B, 2));
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
        assert_eq!(world.trap(A, senda(TABLE, 2)), Outcome::Done);
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 2), "now it was");
    });
}

#[test]
fn an_entry_that_was_never_announced_opens_no_circle() {
    test(|world| {
        register(world, A, &[entry(C, 1), AsyncEntry::EMPTY]);
        write(world, 1, entry(B, 2));
        assert_eq!(world.trap(A, receive(B)), Outcome::Blocked);
        assert_eq!(world.trap(B, receive(A)), Outcome::Failed(Errno::Locked));
    });
}

#[test]
fn an_entry_that_cannot_be_taken_any_more_opens_no_circle() {
    let done = AsyncEntry { flags: (AsyncFlags::VALID | AsyncFlags::DONE).bits(), ..entry(B, 1) };
    let no_entry = AsyncEntry { flags: AsyncFlags::NOTIFY.bits(), ..entry(B, 1) };
    for changed in [AsyncEntry::EMPTY, no_entry, done, entry(C, 1), entry(FREE, 1)] {
        test(|world| {
            register(world, A, &[entry(B, 1)]);
            write(world, 0, changed);
            assert_eq!(world.trap(A, receive(B)), Outcome::Blocked);
            assert_eq!(world.trap(B, receive(A)), Outcome::Failed(Errno::Locked), "{changed:?}");
        });
    }
}

#[test]
fn an_entry_that_a_filter_keeps_out_opens_no_circle() {
    test(|world| {
        register(world, A, &[entry(B, 1)]);
        world.store(B, MEMORY_START, &FilterElement::from_source(A));
        world.does(B, &AddBlacklist { address: MEMORY_START, count: 1 });
        assert_eq!(world.trap(A, receive(B)), Outcome::Blocked);
        assert_eq!(world.trap(B, receive(A)), Outcome::Failed(Errno::Locked));
    });
}

#[test]
fn a_receiver_that_has_taken_everything_is_told_anew_before_it_looks_again() {
    test(|world| {
        register(world, A, &[entry(B, 1), entry(C, 2)]);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Done);
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 1));
        write(world, 0, entry(B, 3));
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "the entry for C is none for B");
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Done);
    });
}

#[test]
fn tables_of_several_senders_are_looked_at_one_after_the_other() {
    test(|world| {
        register(world, A, &[entry(B, 1)]);
        register(world, D, &[entry(B, 2)]);
        for (from, n) in [(A, 1), (D, 2)] {
            assert_eq!(world.trap(B, receive(ANY)), Outcome::Done);
            assert_eq!(world.regs(B), delivered(from, Trap::SendA, n));
        }
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
    });
}

#[test]
fn users_share_their_privileges_and_each_gets_its_own_entries() {
    test(|world| {
        world.trap(D, receive(ANY));
        let users = [FREE, Endpoint::from_raw(FREE.raw() + 1)].map(|slot| world.user(D, slot));
        world.update_users(world.spec());
        world.allow_sends(A);
        register(world, A, &[entry(users[0], 1), entry(users[1], 2)]);
        for (user, n) in users.into_iter().zip([1, 2]) {
            assert_eq!(world.trap(user, receive(ANY)), Outcome::Done);
            assert_eq!(world.regs(user), delivered(A, Trap::SendA, n));
        }
    });
}

#[test]
fn the_death_of_a_process_finishes_what_was_announced_to_it_and_nothing_else() {
    test(|world| {
        register(world, A, &[entry(C, 1), AsyncEntry::EMPTY]);
        write(world, 1, entry(B, 2));
        world.root_does(&Clear { process: B });
        assert!(!is_done(world, 0) && !is_done(world, 1));
    });
    test(|world| {
        register(world, A, &[entry(B, 1), entry(C, 2)]);
        write(world, 1, AsyncEntry { flags: AsyncFlags::NOTIFY.bits(), ..entry(B, 2) });
        world.root_does(&Clear { process: B });
        assert!(is_done(world, 0) && !is_done(world, 1), "one that is not valid is left alone");
    });
}
