//! Tables of asynchronous messages.

use crate::support::*;
use abi::asynchronous::{AsyncEntry, AsyncFlags, MAX_ENTRIES};
use abi::boot::BootEntry;
use abi::{Endpoint, Errno, Status, Trap};
use protocol::kernel::{Clear, Exit};
use protocol::privctl::UpdateSys;

const ANY: Endpoint = Endpoint::ANY;
const TABLE: u64 = MEMORY_START + 0x100;
const VALID: AsyncFlags = AsyncFlags::VALID;
const LEN: u64 = size_of::<AsyncEntry>() as u64;

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

/// An entry with message `n`.
fn entry(flags: AsyncFlags, destination: Endpoint, n: u16) -> AsyncEntry {
    AsyncEntry { flags: flags.bits(), destination, result: 0x5555, message: message(n) }
}

/// A registers these entries.
fn register(world: &mut World<'_>, entries: &[AsyncEntry]) -> Outcome {
    world.store(A, TABLE, entries);
    world.trap(A, senda(TABLE, entries.len() as u64))
}

fn entry_at(world: &World<'_>, index: u64) -> AsyncEntry {
    world.load(A, TABLE + index * LEN)
}

/// Whether the kernel has finished an entry of A, and with which result.
fn done(world: &World<'_>, index: u64) -> Option<Result<(), Errno>> {
    let entry = entry_at(world, index);
    let done = entry.flags & AsyncFlags::DONE.bits() != 0;
    assert!(done || entry.result == 0x5555, "nothing is written before it is done");
    done.then(|| Errno::from_result(entry.result).map(|result| assert_eq!(result, 0)))
}

const DEAD: Endpoint = FREE;

#[test]
fn a_message_goes_at_once_to_one_who_waits_and_later_to_one_who_does_not() {
    test(|world| {
        world.trap(B, receive(ANY));
        assert_eq!(register(world, &[entry(VALID, B, 1), entry(VALID, C, 2)]), Outcome::Done);
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 1));
        assert_eq!((done(world, 0), done(world, 1)), (Some(Ok(())), None));
        assert_eq!(entry_at(world, 0).message, message(1), "the message stays as it was");
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Done);
        assert_eq!(world.regs(C), delivered(A, Trap::SendA, 2));
        assert_eq!(done(world, 1), Some(Ok(())));
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Blocked, "each is delivered once");
    });
}

#[test]
fn a_message_of_one_who_waits_for_the_receiver_closes_no_circle() {
    test(|world| {
        register(world, &[entry(VALID, B, 1)]);
        world.trap(A, receive(B));
        assert_eq!(world.trap(B, receive(A)), Outcome::Done);
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 1));
        assert_eq!(world.trap(B, receive(A)), Outcome::Failed(Errno::Locked), "there is no more");
    });
}

#[test]
fn a_mixed_table_finishes_the_right_entries_and_notifies_once() {
    let mut programs = four();
    programs[0] = BootEntry { sends: !(1 << D.slot()), ..programs[0] };
    let mut table = table();
    let mut world = World::new(&mut table, &programs);
    world.trap(B, receive(ANY));
    let tell = VALID | AsyncFlags::NOTIFY;
    let bad = AsyncEntry { flags: 1 << 9 | 1, ..entry(VALID, B, 9) };
    let not_valid = AsyncEntry { flags: AsyncFlags::NOTIFY.bits(), ..entry(VALID, B, 9) };
    let entries = [
        entry(tell, B, 1),
        entry(tell, DEAD, 2),
        entry(tell, D, 3),
        entry(tell, Endpoint::CLOCK, 4),
        AsyncEntry::EMPTY,
        bad,
        not_valid,
        entry(tell, ANY, 5),
        entry(tell, Endpoint::NONE, 6),
        entry(tell | AsyncFlags::DONE, C, 7),
        entry(tell, B, 8),
    ];
    assert_eq!(register(&mut world, &entries), Outcome::Done);
    let results: Vec<_> =
        (0..11).map(|i| world.load::<AsyncEntry>(A, TABLE + i * LEN)).map(|e| (e.flags, e.result)).collect();
    let is_done = |i: usize| results[i].0 & AsyncFlags::DONE.bits() != 0;
    let result = |i: usize| Errno::from_result(results[i].1);
    assert_eq!(result(0), Ok(0));
    assert_eq!(
        (result(1), result(7), result(8)),
        (Err(Errno::DeadSrcDst), Err(Errno::DeadSrcDst), Err(Errno::DeadSrcDst))
    );
    assert_eq!((result(2), result(3)), (Err(Errno::CallDenied), Err(Errno::CallDenied)));
    assert_eq!((results[4], results[5], results[6]), ((0, 0), (bad.flags, 0x5555), (not_valid.flags, 0x5555)));
    assert_eq!(results[9].1, 0x5555, "it was done before");
    assert!([0, 1, 2, 3, 7, 8].into_iter().all(is_done) && !is_done(10), "B takes one at a time");
    world.run(A);
    let now = world.machine.ticks;
    assert_eq!(world.trap(A, receive(ANY)), Outcome::Done);
    assert_eq!(world.regs(A), notified(Endpoint::ASYNCM, now));
    assert_eq!(world.trap(A, receive(ANY)), Outcome::Blocked, "one notification for all of them");
}

#[test]
fn an_entry_notifies_only_when_it_asks_for_it() {
    for (flags, to, told) in [
        (VALID, B, false),
        (VALID | AsyncFlags::NOTIFY_ERROR, B, false),
        (VALID | AsyncFlags::NOTIFY, B, true),
        (VALID, DEAD, false),
        (VALID | AsyncFlags::NOTIFY_ERROR, DEAD, true),
        (VALID | AsyncFlags::NOTIFY, DEAD, true),
    ] {
        test(|world| {
            world.trap(B, receive(ANY));
            register(world, &[entry(flags, to, 1)]);
            let end = if told { Outcome::Done } else { Outcome::Blocked };
            assert_eq!(world.trap(A, receive(ANY)), end, "{flags:?} {to}");
        });
    }
}

#[test]
fn a_later_delivery_notifies_too() {
    test(|world| {
        register(world, &[entry(VALID | AsyncFlags::NOTIFY, B, 1)]);
        assert_eq!(world.trap(A, receive(ANY)), Outcome::Blocked);
        world.run(B);
        let now = world.machine.ticks;
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(A), notified(Endpoint::ASYNCM, now));
    });
}

#[test]
fn notifications_come_first_then_asynchronous_messages_then_senders() {
    test(|world| {
        world.trap(C, send(B, 3));
        register(world, &[entry(VALID, B, 2)]);
        world.trap(D, notify(B));
        world.run(B);
        let now = world.machine.ticks;
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), notified(D, now));
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 2));
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(C, Trap::Send, 3));
    });
}

#[test]
fn entries_for_one_receiver_come_in_the_order_of_the_table() {
    test(|world| {
        register(world, &[entry(VALID, B, 1), entry(VALID, C, 2), entry(VALID, B, 3), entry(VALID, B, 4)]);
        for n in [1, 3, 4] {
            assert_eq!(world.trap(B, receive(A)), Outcome::Done);
            assert_eq!(world.regs(B), delivered(A, Trap::SendA, n));
        }
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
        assert_eq!(world.trap(C, receive(A)), Outcome::Done);
    });
}

#[test]
fn no_reply_does_not_complete_a_sendrec_and_without_it_it_does() {
    for (flags, answers) in [(VALID, true), (VALID | AsyncFlags::NO_REPLY, false)] {
        test(|world| {
            world.trap(B, sendrec(A, 1));
            world.trap(A, receive(B));
            register(world, &[entry(flags, B, 2)]);
            assert_eq!(world.outcome(B), if answers { Outcome::Done } else { Outcome::Blocked });
            assert_eq!(done(world, 0).is_some(), answers);
            if !answers {
                assert_eq!(world.trap(A, sendnb(B, 3)), Outcome::Done);
                assert_eq!(world.regs(B), delivered(A, Trap::SendNb, 3));
                world.trap(B, receive(ANY));
            }
            assert_eq!(world.regs(B), delivered(A, Trap::SendA, 2));
        });
    }
}

#[test]
fn a_table_that_changes_between_delivers_to_nobody_else() {
    let changes: [fn(&mut World<'_>); 6] = [
        |world| world.store(A, TABLE, &AsyncEntry::EMPTY),
        |world| world.store(A, TABLE, &entry(VALID | AsyncFlags::DONE, B, 1)),
        |world| world.store(A, TABLE, &entry(VALID, C, 1)),
        |world| world.store(A, TABLE, &entry(VALID, DEAD, 1)),
        |world| world.remove_page(A, TABLE),
        |world| world.store(A, TABLE, &entry(AsyncFlags::from_bits_retain(1 << 20 | 1), B, 1)),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        test(|world| {
            register(world, &[entry(VALID, B, 1)]);
            change(world);
            let before = world.regs(C);
            assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "change {i}");
            assert_eq!(world.regs(C), before, "change {i}");
            world.trap(D, send(B, 7));
            assert_eq!(world.regs(B), delivered(D, Trap::Send, 7), "the receiver is none the worse for it");
        });
    }
}

#[test]
fn an_entry_with_bad_flags_is_finished_as_such_when_somebody_looks_at_the_table() {
    test(|world| {
        register(world, &[entry(VALID, B, 1), entry(VALID, B, 2)]);
        world.store(A, TABLE, &AsyncEntry { flags: 1 << 20 | 1, ..entry(VALID, B, 1) });
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 2));
        assert_eq!(done(world, 0), Some(Err(Errno::Inval)));
    });
}

#[test]
fn an_entry_with_bad_flags_is_finished_once() {
    test(|world| {
        let bad = AsyncEntry { flags: AsyncFlags::NOTIFY_ERROR.bits() | 1 << 9, ..entry(VALID, B, 1) };
        register(world, &[entry(VALID, B, 1), entry(VALID, B, 2), entry(VALID, B, 3)]);
        world.store(A, TABLE + 2 * LEN, &bad);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Done);
        assert_eq!(done(world, 2), Some(Err(Errno::Inval)));
        assert_eq!(world.trap(A, receive(ANY)), Outcome::Done, "A is told of it");
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Done, "and B looks at the table again");
        assert_eq!(world.trap(A, receive(ANY)), Outcome::Blocked, "A is told once");
    });
}

#[test]
fn one_who_finds_its_own_bad_entry_is_told_at_once() {
    test(|world| {
        register(world, &[entry(VALID, Endpoint::SELF, 1)]);
        world.store(A, TABLE, &entry(AsyncFlags::NOTIFY_ERROR, Endpoint::SELF, 1));
        assert_eq!(world.trap(A, receive(ANY)), Outcome::Done);
        assert_eq!(world.regs(A), notified(Endpoint::ASYNCM, 0));
        assert_eq!(done(world, 0), Some(Err(Errno::Inval)));
    });
}

#[test]
fn a_right_that_was_lost_since_counts() {
    test(|world| {
        register(world, &[entry(VALID, B, 1)]);
        let spec = abi::PrivilegeSpec { sends: 0, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: A, reset_ranges: 0 }).unwrap();
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
    });
}

#[test]
fn a_table_can_be_withdrawn_and_replaced() {
    test(|world| {
        register(world, &[entry(VALID, B, 1)]);
        assert_eq!(world.trap(A, senda(0, 0)), Outcome::Done);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
        assert_eq!(done(world, 0), None);
        register(world, &[entry(VALID, C, 1)]);
        world.store(A, TABLE + 5 * LEN, &entry(VALID, C, 2));
        assert_eq!(world.trap(A, senda(TABLE + 5 * LEN, 1)), Outcome::Done);
        world.trap(C, receive(ANY));
        assert_eq!(world.regs(C), delivered(A, Trap::SendA, 2), "that of the first table is withdrawn");
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Blocked);
    });
}

#[test]
fn a_table_may_have_so_many_entries_and_no_more() {
    test(|world| {
        let many = [entry(VALID, B, 1); MAX_ENTRIES];
        assert_eq!(register(world, &many), Outcome::Done);
        for _ in 0..MAX_ENTRIES {
            assert_eq!(world.trap(B, receive(ANY)), Outcome::Done);
        }
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
    });
    let pending = |world: &mut World<'_>| {
        register(world, &[entry(VALID, B, 1)]);
    };
    for count in [MAX_ENTRIES as u64 + 1, 1 << 32, u64::MAX] {
        denied(&four(), pending, A, senda(TABLE, count), Errno::Dom);
    }
}

#[test]
fn a_table_that_is_not_there_or_wraps_is_skipped() {
    for (address, count) in [(0, 3), (u64::MAX - LEN, 4), (u64::MAX, 64), (MEMORY_START + MEMORY as u64 - 1, 2)] {
        test(|world| {
            world.trap(B, receive(ANY));
            assert_eq!(world.trap(A, senda(address, count)), Outcome::Done, "{address:#x}");
            assert_eq!(world.outcome(B), Outcome::Blocked);
        });
    }
}

#[test]
fn an_entry_that_cannot_be_written_is_delivered_all_the_same() {
    test(|world| {
        world.trap(B, receive(ANY));
        world.store(A, TABLE, &entry(VALID, B, 1));
        let page = (world.memory_of(A), page_of(TABLE));
        world.machine.read_only.insert(page);
        assert_eq!(world.trap(A, senda(TABLE, 1)), Outcome::Done);
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 1));
    });
}

#[test]
fn a_table_that_takes_no_results_is_not_delivered_again_and_again() {
    test(|world| {
        register(world, &[entry(VALID, B, 1), entry(VALID, B, 2)]);
        let page = (world.memory_of(A), page_of(TABLE));
        world.machine.read_only.insert(page);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
        assert_eq!(world.trap(C, send(B, 3)), Outcome::Done, "others are not kept out");
    });
}

#[test]
fn senda_needs_its_trap_and_a_service() {
    let mut programs = four();
    programs[0].traps &= !abi::TrapMask::SENDA.bits();
    denied(&programs, |_| {}, A, senda(TABLE, 1), Errno::TrapDenied);
    test(|world| {
        world.trap(D, receive(ANY));
        let user = world.user(D, FREE);
        world.update_users(world.spec());
        assert_eq!(world.trap(user, senda(TABLE, 0)), Outcome::Failed(Errno::Perm));
    });
}

#[test]
fn one_can_send_to_oneself() {
    test(|world| {
        assert_eq!(register(world, &[entry(VALID, Endpoint::SELF, 1)]), Outcome::Done);
        assert_eq!(world.trap(A, receive(ANY)), Outcome::Done);
        assert_eq!(world.regs(A), delivered(A, Trap::SendA, 1));
    });
}

#[test]
fn entries_for_the_dead_are_finished_and_tables_of_the_dead_forgotten() {
    test(|world| {
        register(world, &[entry(VALID | AsyncFlags::NOTIFY_ERROR, B, 1), entry(VALID, C, 2)]);
        world.as_root(&Clear { process: B }).unwrap();
        assert_eq!((done(world, 0), done(world, 1)), (Some(Err(Errno::DeadSrcDst)), None));
        assert_eq!(world.trap(A, receive(Endpoint::ASYNCM)), Outcome::Done);
        assert!(Status(world.regs(A).rdx).is_notification());
        assert_eq!(world.trap(A, kernel_call(&Exit { status: 0 })), Outcome::Ended);
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Blocked, "its other message died with it");
    });
}
