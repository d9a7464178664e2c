//! Verification of grants.

use crate::support::*;
use abi::boot::BootEntry;
use abi::grant::{GRANT_SIZE, GrantEntry, GrantFlags, GrantId, MAX_GRANTS};
use abi::layout::{PAGE_SIZE, USER_END};
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeSpec};
use core::cell::Cell;
use kernel_core::Rts;
use protocol::kernel::{Clear, SetGrant, Update, UpdateDirection};
use protocol::privctl::{Allow, Disallow, UpdateSys};
use zerocopy::IntoBytes;

const LEN: u64 = 100;
const BOTH: GrantFlags = READ.union(WRITE);

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.register_grants();
    run(&mut world);
}

/// Checks that B can use a grant of A, which `setup` makes, neither to read nor to write, and that nothing changes.
fn useless<R>(setup: impl Fn(&mut World<'_>) -> R, grant: GrantId, errno: Errno) {
    for call in both_ways(A, grant, 0, 8) {
        let setup = |world: &mut World<'_>| {
            world.register_grants();
            setup(world);
        };
        denied(&four(), setup, B, call, errno);
    }
}

/// What A has in its data at first.
fn of_a(offset: u64) -> [u8; 8] {
    bytes(A.slot(), DATA + offset, 8).unwrap().try_into().unwrap()
}

/// A grants to B, B to C, and so on; each of those that are named hands on what it has got.
fn chain(world: &mut World<'_>, hops: u64) -> (Endpoint, GrantId) {
    let mut last = (A, world.grant_at(A, 0, direct(B, BOTH, DATA, LEN)));
    for hop in 0..hops {
        let [from, to] = if hop % 2 == 0 { [B, A] } else { [A, B] };
        last = (from, world.grant_at(from, 10 + hop, indirect(to, BOTH, last, 1, LEN - 1 - hop)));
    }
    last
}

#[test]
fn a_direct_grant_gives_what_its_rights_say() {
    for (rights, results) in [(BOTH, [true, true]), (READ, [true, false]), (WRITE, [false, true])] {
        for (grantee, call, allowed) in both_ways(A, id(3), 0, 8).into_iter().zip(results).map(|(c, r)| (B, c, r)) {
            test(|world| {
                world.grant_at(A, 3, direct(grantee, rights, DATA, LEN));
                let expected = if allowed { Outcome::Done } else { Outcome::Failed(Errno::Perm) };
                assert_eq!(world.trap(B, call), expected);
            });
        }
    }
    useless(|world| world.grant_at(A, 0, direct(B, GrantFlags::MAP, DATA, LEN)), id(0), Errno::Perm);
    let only_to = |rights| {
        move |world: &mut World<'_>| {
            world.register_grants();
            world.grant_at(A, 0, direct(B, rights, DATA, LEN));
        }
    };
    let [from, to] = both_ways(A, id(0), 0, 8);
    denied(&four(), only_to(WRITE), B, from, Errno::Perm);
    denied(&four(), only_to(READ), B, to, Errno::Perm);
}

#[test]
fn five_hops_are_followed_and_six_are_not() {
    for hops in 0..=5 {
        test(|world| {
            let (granter, grant) = chain(world, hops);
            let user = if granter == A { B } else { A };
            assert_eq!(world.fetch(user, granter, grant), Ok(of_a(hops)), "each hop starts a byte further on");
        });
    }
    for hops in [6, 7] {
        test(|world| {
            let (granter, grant) = chain(world, hops);
            let user = if granter == A { B } else { A };
            assert_eq!(world.fetch(user, granter, grant), Err(Errno::Loop));
        });
    }
}

#[test]
fn chains_that_loop_are_refused() {
    let itself = |world: &mut World<'_>| world.grant_at(A, 0, indirect(Endpoint::ANY, BOTH, (A, id(0)), 0, LEN));
    useless(itself, id(0), Errno::Loop);
    let cycle = |world: &mut World<'_>| {
        world.grant_at(A, 0, indirect(B, BOTH, (B, id(1)), 0, LEN));
        world.grant_at(B, 1, indirect(A, BOTH, (A, id(0)), 0, LEN));
    };
    useless(cycle, id(0), Errno::Loop);
}

#[test]
fn only_a_chain_that_goes_on_is_too_long() {
    // Behind five hops: a grant to read is refused to who writes, and what is not in use, or for somebody else.
    for last in [direct(C, READ, DATA, LEN), direct(B, WRITE, DATA, LEN), GrantEntry::FREE] {
        test(|world| {
            let (granter, grant) = chain(world, 5);
            world.grant_at(A, 0, last);
            let user = if granter == A { B } else { A };
            assert_eq!(world.fetch(user, granter, grant), Err(Errno::Perm));
        });
    }
    // One more hop is too many whoever may use it for whatever; if it is one.
    let more = indirect(C, WRITE, (C, id(0)), 0, LEN);
    let unused = GrantEntry { flags: more.flags & !GrantFlags::VALID.bits(), ..more };
    for (entry, errno) in [(more, Errno::Loop), (unused, Errno::Perm)] {
        test(|world| {
            let (granter, grant) = chain(world, 5);
            world.grant_at(A, 0, entry);
            let user = if granter == A { B } else { A };
            assert_eq!(world.fetch(user, granter, grant), Err(errno));
        });
    }
}

#[test]
fn a_grant_is_for_whom_it_was_made() {
    useless(|world| world.grant_at(A, 0, direct(C, BOTH, DATA, LEN)), id(0), Errno::Perm);
    useless(|world| world.grant_at(A, 0, direct(Endpoint::SELF, BOTH, DATA, LEN)), id(0), Errno::Perm);
    useless(|world| world.grant_at(A, 0, direct(B.next_generation(), BOTH, DATA, LEN)), id(0), Errno::Perm);
    // A hands on to B what C has granted to D.
    let stolen = |world: &mut World<'_>| {
        world.grant_at(C, 0, direct(D, BOTH, DATA, LEN));
        world.grant_at(A, 0, indirect(B, BOTH, (C, id(0)), 0, LEN));
    };
    useless(stolen, id(0), Errno::Perm);
    // B may not use what was granted to A by going to C itself.
    test(|world| {
        world.grant_at(C, 0, direct(A, BOTH, DATA, LEN));
        world.grant_at(A, 0, indirect(B, BOTH, (C, id(0)), 0, LEN));
        assert_eq!(world.fetch(B, C, id(0)), Err(Errno::Perm));
        assert!(world.fetch(B, A, id(0)).is_ok());
        assert_eq!(world.fetch(D, A, id(0)), Err(Errno::Perm));
    });
}

#[test]
fn a_grant_to_anybody_is_for_everybody() {
    test(|world| {
        world.grant_at(A, 0, direct(Endpoint::ANY, READ, DATA, LEN));
        world.grant_at(C, 1, indirect(Endpoint::ANY, READ, (A, id(0)), 0, LEN));
        for who in [B, C, D] {
            assert_eq!(world.fetch(who, A, id(0)), Ok(of_a(0)));
        }
        assert_eq!(world.fetch(B, C, id(1)), Ok(of_a(0)));
    });
}

#[test]
fn the_range_is_checked_to_the_byte() {
    test(|world| {
        world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
        assert_eq!(world.call(B, &from_grant(A, id(0), LEN - 8, DATA, 8)).map(|copied| copied.done), Ok(8));
        assert_eq!(world.call(B, &from_grant(A, id(0), LEN, DATA, 0)), Err(Errno::Dom), "it is inside");
    });
    let too_far = [(LEN - 8, 9), (LEN, 1), (LEN + 1, 0), (u64::MAX, 1), (u64::MAX, 2), (1, u64::MAX), (0, u64::MAX)];
    for (offset, len) in too_far {
        for call in both_ways(A, id(0), offset, len) {
            let setup = |world: &mut World<'_>| {
                world.register_grants();
                world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
            };
            denied(&four(), setup, B, call, Errno::Perm);
        }
    }
    for (start, len) in [(u64::MAX, 1), (u64::MAX - 7, 8), (USER_END - 7, 8), (0, USER_END + 1), (8, u64::MAX)] {
        useless(|world| world.grant_at(A, 0, direct(B, BOTH, start, len)), id(0), Errno::Perm);
    }
    // Up to the end there could be memory.
    useless(|world| world.grant_at(A, 0, direct(B, BOTH, USER_END - 8, 8)), id(0), Errno::Fault);
    // All that there could be, too.
    test(|world| {
        world.grant_at(A, 0, direct(B, BOTH, 0, USER_END));
        let copied = world.call(B, &from_grant(A, id(0), DATA, DATA, 8));
        assert_eq!((copied.map(|copied| copied.done), world.load(B, DATA)), (Ok(8), of_a(0)));
    });
}

#[test]
fn each_link_narrows_the_range() {
    // B may use bytes 30 to 49 of what A granted to C.
    let narrowed = |world: &mut World<'_>| {
        world.register_grants();
        world.grant_at(A, 0, direct(C, BOTH, DATA, LEN));
        world.grant_at(C, 0, indirect(D, BOTH, (A, id(0)), 20, 40));
        world.grant_at(D, 0, indirect(B, BOTH, (C, id(0)), 10, 20));
    };
    let mut storage = table();
    let mut world = World::new(&mut storage, &four());
    narrowed(&mut world);
    world.does(B, &from_grant(D, id(0), 12, DATA, 8));
    assert_eq!(world.load::<[u8; 8]>(B, DATA), of_a(42));
    for (offset, len) in [(13, 8), (20, 1), (u64::MAX - 29, 30)] {
        for call in both_ways(D, id(0), offset, len) {
            denied(&four(), narrowed, B, call, Errno::Perm);
        }
    }
    // A link that names more than it has got gives no more than that.
    for (start, len) in [(90, 20), (101, 8), (u64::MAX, 8), (u64::MAX - 7, 8)] {
        let wide = |world: &mut World<'_>| {
            world.grant_at(C, 0, direct(A, BOTH, DATA, LEN));
            world.grant_at(A, 0, indirect(B, BOTH, (C, id(0)), start, len + 8));
        };
        for call in both_ways(A, id(0), 3, 8) {
            let setup = |world: &mut World<'_>| {
                world.register_grants();
                wide(world);
            };
            denied(&four(), setup, B, call, Errno::Perm);
        }
    }
}

#[test]
fn each_link_narrows_the_rights() {
    let through = |first: GrantFlags, middle: GrantFlags, last: GrantFlags| {
        [0, 1].map(|way| {
            let mut storage = table();
            let mut world = World::new(&mut storage, &four());
            world.register_grants();
            world.grant_at(A, 0, direct(C, first, DATA, LEN));
            world.grant_at(C, 0, indirect(D, middle, (A, id(0)), 0, LEN));
            world.grant_at(D, 0, indirect(B, last, (C, id(0)), 0, LEN));
            world.trap(B, both_ways(D, id(0), 0, 8)[way]) == Outcome::Done
        })
    };
    assert_eq!(through(BOTH, BOTH, BOTH), [true, true]);
    assert_eq!(through(BOTH, READ, BOTH), [true, false]);
    assert_eq!(through(READ, BOTH, BOTH), [true, false]);
    assert_eq!(through(BOTH, BOTH, WRITE), [false, true]);
    assert_eq!(through(BOTH, READ, WRITE), [false, false]);
    assert_eq!(through(BOTH, GrantFlags::empty(), BOTH), [false, false]);
}

#[test]
fn ids_that_are_none_are_invalid_and_unused_ones_not_permitted() {
    for raw in [u64::MAX, 1 << 63, i64::MIN as u64 + 3] {
        useless(|world| world.grant_at(A, 0, direct(B, BOTH, DATA, LEN)), GrantId::from_raw(raw), Errno::Inval);
    }
    for grant in [id(1), id(GRANTS - 1), id(GRANTS), id(MAX_GRANTS - 1), GrantId::new(0, 1).unwrap()] {
        let setup = |world: &mut World<'_>| {
            for index in 0..GRANTS {
                world.grant_at(A, index, GrantEntry::FREE);
            }
            world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
        };
        useless(setup, grant, Errno::Perm);
    }
}

#[test]
fn what_stands_behind_a_table_is_no_grant() {
    for count in [1, 7] {
        let behind = |world: &mut World<'_>| {
            (0..=count).for_each(|index| _ = world.grant_at(A, index, direct(B, BOTH, DATA, LEN)));
            world.does(A, &SetGrant { address: TABLE, count });
        };
        useless(behind, id(count), Errno::Perm);
        // Also where the page of the table is known already.
        let known = |world: &mut World<'_>| {
            behind(world);
            assert!(world.fetch(B, A, id(count - 1)).is_ok());
        };
        useless(known, id(count), Errno::Perm);
    }
}

#[test]
fn an_entry_must_be_complete_and_of_one_kind() {
    let good = direct(B, BOTH, DATA, LEN);
    let kinds = [GrantFlags::DIRECT, GrantFlags::INDIRECT, GrantFlags::MAGIC];
    let without = |flag: GrantFlags| GrantEntry { flags: good.flags & !flag.bits(), ..good };
    let with = |flag: GrantFlags| GrantEntry { flags: good.flags | flag.bits(), ..good };
    let bad =
        [without(GrantFlags::USED), without(GrantFlags::VALID), without(kinds[0]), with(kinds[1]), with(kinds[2])];
    for entry in bad {
        useless(|world| world.grant_at(A, 0, entry), id(0), Errno::Perm);
    }
}

#[test]
fn a_sequence_number_makes_old_ids_invalid_for_ever() {
    for sequence in [1, 2, 2047, GrantId::LAST_SEQUENCE] {
        let again = |world: &mut World<'_>| {
            world.grant_at(A, 7, GrantEntry { sequence, ..direct(B, BOTH, DATA, LEN) });
        };
        useless(again, GrantId::new(7, sequence - 1).unwrap(), Errno::Perm);
        test(|world| {
            again(world);
            assert_eq!(world.fetch(B, A, GrantId::new(7, sequence).unwrap()), Ok(of_a(0)));
        });
    }
}

#[test]
fn granters_that_are_nobody_are_invalid_and_those_without_a_table_not_permitted() {
    test(|world| {
        world.grant_at(C, 0, direct(A, BOTH, DATA, LEN));
        world.grant_at(A, 0, indirect(B, BOTH, (C, id(0)), 0, LEN));
        world.kill(C);
        assert_eq!(world.fetch(B, A, id(0)), Err(Errno::Inval), "at an inner link, too");
        assert_eq!(world.fetch(A, C, id(0)), Err(Errno::Inval));
        assert_eq!(world.fetch(A, B.next_generation(), id(0)), Err(Errno::Inval));
    });
    for call in both_ways(A, id(0), 0, 8) {
        let no_table = |world: &mut World<'_>| {
            world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
        };
        denied(&four(), no_table, B, call, Errno::Perm);
    }
    let given_up = |world: &mut World<'_>| {
        world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
        world.does(A, &SetGrant { address: 77, count: 0 });
    };
    useless(given_up, id(0), Errno::Perm);
    // Users have none.
    test(|world| {
        world.trap(D, receive(Endpoint::ANY));
        let user = world.user(D, FREE);
        world.grant_at(user, 0, direct(B, BOTH, DATA, LEN));
        assert_eq!(world.fetch(B, user, id(0)), Err(Errno::Perm));
        assert_eq!(world.call(user, &SetGrant { address: TABLE, count: GRANTS }), Err(Errno::CallDenied));
        world.update_users(PrivilegeSpec { calls: u64::MAX, manager: A, ..world.spec() });
        assert_eq!(world.call(user, &SetGrant { address: TABLE, count: GRANTS }), Err(Errno::Perm));
    });
}

#[test]
fn tables_lie_in_programs_memory() {
    let last = USER_END - PAGE_SIZE;
    let bad = [
        (TABLE + 8, 1),
        (TABLE + 63, 1),
        (0, 1),
        (TABLE - GRANT_SIZE, 1),
        (last, GRANTS + 1),
        (USER_END, 1),
        (u64::MAX - 63, 1),
        (1 << 63, 1),
        (TABLE, MAX_GRANTS + 1),
        (TABLE, u64::MAX),
    ];
    for (address, count) in bad {
        denied(&four(), |world| world.register_grants(), A, kernel_call(&SetGrant { address, count }), Errno::Inval);
    }
    test(|world| {
        world.does(A, &SetGrant { address: last, count: GRANTS });
        assert_eq!(world.fetch(B, A, id(0)), Err(Errno::Perm), "nothing is there");
        world.does(A, &SetGrant { address: TABLE, count: MAX_GRANTS });
        assert_eq!(world.fetch(B, A, id(MAX_GRANTS - 1)), Err(Errno::Perm), "nor there");
    });
}

#[test]
fn a_table_that_is_not_in_memory_is_not_waited_for() {
    let mut programs = four();
    programs[3].flags = abi::boot::BootFlags::PAGER.bits();
    let absent = |world: &mut World<'_>| {
        world.register_grants();
        world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
        world.remove_page(A, TABLE);
    };
    for call in both_ways(A, id(0), 0, 8) {
        denied(&programs, absent, B, call, Errno::Perm);
    }
}

/// Another processor writes an entry of A after so many words of the old one were read: what B gets then, and whether it was
/// written at all.
fn changed_while_read(old: GrantEntry, new: GrantEntry, after: usize) -> (Result<[u8; 8], Errno>, bool) {
    let mut storage = table();
    let mut world = World::new(&mut storage, &four());
    world.register_grants();
    world.grant_at(A, 0, old);
    let (root, address, bytes) = (world.memory_of(A), TABLE, new.as_bytes().to_vec());
    let after = Cell::new(after);
    world.machine.meanwhile = Some(Meanwhile { after, root, address, bytes });
    let got = world.fetch(B, A, id(0));
    (got, world.machine.meanwhile.is_some_and(|change| change.after.get() == 0))
}

#[test]
fn an_entry_that_changes_while_it_is_read_gives_nothing_else_than_before() {
    let old = direct(B, READ, DATA, 8);
    // The next grant in the same place, which B may use, too; and it is taken back.
    let next = GrantEntry { sequence: 1, ..direct(B, READ, DATA + 1000, 9) };
    let none = GrantEntry { flags: 0, ..old };
    for (new, reads_after) in [(next, 0), (none, 1)] {
        // The word that tells of the change is read once more at the end.
        let last = (0..).find(|&after| !changed_while_read(old, new, after).1).expect("reading ends") - 1 - reads_after;
        assert!(last > 1);
        for after in 0..last {
            assert_eq!(changed_while_read(old, new, after), (Err(Errno::Perm), true), "after {after} words");
        }
        assert_eq!(changed_while_read(old, new, last), (Ok(of_a(0)), true), "it was read before");
    }
}

#[test]
fn only_the_privileged_grant_memory_of_others() {
    useless(|world| world.grant_at(A, 0, magic(B, BOTH, C, DATA, LEN)), id(0), Errno::Perm);
    test(|world| {
        let flags = world.spec().flags | PrivilegeFlags::GRANTS_FOR_OTHERS.bits();
        let spec = PrivilegeSpec { flags, ..world.spec() };
        world.root_does(&UpdateSys { spec, process: A, reset_ranges: 0 });
        world.grant_at(A, 0, magic(B, BOTH, C, DATA, LEN));
        let of_c: [u8; 8] = world.load(C, DATA);
        assert_eq!(world.fetch(B, A, id(0)), Ok(of_c));
        assert_eq!(world.fetch(D, A, id(0)), Err(Errno::Perm), "not to this one");
        world.grant_at(A, 1, magic(Endpoint::ANY, READ, C, DATA + 8, LEN));
        assert_eq!(world.fetch(D, A, id(1)), Ok(world.load(C, DATA + 8)));
        assert_eq!(world.call(B, &from_grant(A, id(0), LEN - 7, DATA, 8)), Err(Errno::Perm));
        world.grant_at(A, 2, magic(B, BOTH, C, USER_END - 8, 9));
        assert_eq!(world.fetch(B, A, id(2)), Err(Errno::Perm));
        // What others make of it is theirs.
        world.grant_at(B, 0, indirect(D, READ, (A, id(0)), 0, LEN));
        assert_eq!(world.fetch(D, B, id(0)), Ok(of_c));
        world.kill(C);
        assert_eq!(world.fetch(B, A, id(0)), Err(Errno::Inval));
    });
}

#[test]
fn another_program_in_the_same_process_has_granted_nothing() {
    test(|world| {
        world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
        world.trap(A, receive(D));
        assert_eq!(world.fetch(B, A, id(0)), Ok(of_a(0)));
        world.exec(A).unwrap();
        assert_eq!(world.fetch(B, A, id(0)), Err(Errno::Perm));
    });
}

/// The new instance of B.
const NEW: Endpoint = Endpoint::from_raw(1 << 15 | 5);

/// B granted its memory to itself and to C, and was replaced by a new instance.
fn updated(run: impl FnOnce(&mut World<'_>)) {
    test(|world| {
        world.grant_at(B, 0, direct(B, READ, DATA, LEN));
        world.grant_at(B, 1, direct(C, BOTH, DATA, LEN));
        world.trap(D, receive(Endpoint::ANY));
        assert_eq!(world.new_instance(D, FREE), NEW);
        world.root_does(&Disallow { process: B });
        world.root_does(&Update { source: B, destination: NEW, direction: UpdateDirection::Forward });
        world.root_does(&Allow { process: B });
        run(world);
    });
}

#[test]
fn while_a_granter_is_updated_its_grants_are_not_ready() {
    updated(|world| {
        assert_eq!(world.fetch(C, B, id(1)), Err(Errno::NotReady), "the new one has said nothing yet");
        assert_eq!(world.fetch(C, NEW, id(1)), Err(Errno::NotReady), "the old one is replaced");
        world.store(B, TABLE + GRANT_SIZE, &direct(C, BOTH, DATA, LEN));
        world.does(B, &SetGrant { address: TABLE, count: GRANTS });
        assert_eq!(world.fetch(C, B, id(1)), Ok(world.load(B, DATA)));
        assert_eq!(world.fetch(C, NEW, id(1)), Err(Errno::NotReady));
    });
}

#[test]
fn only_the_new_instance_reads_the_state_of_the_old_one() {
    updated(|world| {
        assert_eq!(world.fetch(B, NEW, id(0)), Ok(world.load(NEW, DATA)));
        for other in [A, C] {
            assert_eq!(world.fetch(other, NEW, id(0)), Err(Errno::NotReady));
        }
        let to = to_grant(NEW, id(0), 0, DATA, 8);
        assert_eq!(world.call(B, &to), Err(Errno::Perm), "it is for reading");
        assert_eq!(world.fetch(B, NEW, id(1)), Err(Errno::Perm), "what is for others stays so");
    });
}

#[test]
fn after_a_rollback_the_old_grants_hold_again() {
    updated(|world| {
        world.root_does(&Disallow { process: B });
        world.root_does(&Update { source: B, destination: NEW, direction: UpdateDirection::Rollback });
        world.root_does(&Clear { process: NEW });
        assert_eq!(world.rts(B), Rts::NO_PRIV, "it is frozen as before");
        assert_eq!(world.fetch(C, B, id(1)), Ok(world.load(B, DATA)));
    });
}

#[test]
fn the_call_mask_holds_for_grants() {
    let mut programs = four();
    programs[1] = BootEntry { calls: !(0xf << 31 | 1 << 56), ..programs[1] };
    for call in both_ways(A, id(0), 0, 8) {
        denied(&programs, |world| world.register_some(), B, call, Errno::CallDenied);
    }
}

impl World<'_> {
    /// A has granted something to B.
    fn register_some(&mut self) {
        self.does(A, &SetGrant { address: TABLE, count: GRANTS });
        self.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
    }
}
