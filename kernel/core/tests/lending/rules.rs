//! What is allowed, and what each side sees.

use super::*;

#[test]
fn what_one_writes_the_other_sees() {
    test(|world| {
        let before = frames(world);
        map_all(world, B, A, id(0));
        assert_eq!(all_seen(world, B), own(A));
        assert!(write(world, A, 2, 7) && write(world, B, 5, 8));
        assert_eq!((seen(world, B, 2), seen(world, A, 5)), (7, 8));
        assert_eq!(frames(world), [before[0] - PAGES as usize, PAGES as usize], "B's own are aside");
        assert_eq!(all_seen(world, C), own(C));
    });
}

#[test]
fn who_maps_to_read_cannot_write() {
    test(|world| {
        world.does(B, &map(A, id(0), 0, PAGES, 0));
        assert!(write(world, A, 3, 9));
        assert_eq!(seen(world, B, 3), 9);
        assert!(!write(world, B, 3, 10));
        assert_eq!(seen(world, A, 3), 9);
        assert_eq!(world.rts(B), Rts::FREE, "it is a lethal signal, and no question to the memory server");
    });
}

#[test]
fn the_kernel_does_not_write_for_him_either() {
    test(|world| {
        world.does(B, &map(A, id(0), 0, PAGES, 0));
        for page in 0..PAGES {
            world.remove_page(B, PLACE + page * P);
        }
        let call = VirCopy { source: A, destination: B, from: DATA, to: PLACE + 8, len: 8, flags: 0 };
        assert_eq!(world.call(C, &call), Err(Errno::Fault));
        assert_eq!(world.call(D, &protocol::vmctl::NextEvent {}), Err(Errno::NoEnt));
    });
}

#[test]
fn after_the_borrower_unmaps_neither_sees_the_others_writes() {
    for first_writer in [A, B] {
        test(|world| {
            map_all(world, B, A, id(0));
            write(world, A, 1, 77);
            unmap(world, B, PLACE);
            let at_the_end = all_seen(world, A);
            assert_eq!(all_seen(world, B), at_the_end, "it keeps what it saw");
            assert_eq!(at_the_end[1], 77);
            let other = if first_writer == A { B } else { A };
            for number in 0..PAGES {
                assert!(write(world, first_writer, number, number));
                assert_eq!(all_seen(world, other), at_the_end);
            }
            for number in 0..PAGES {
                assert!(write(world, other, number, 50 + number));
                assert_eq!(seen(world, first_writer, number), number);
            }
            is_apart(world);
            assert_eq!(world.call(B, &SafeUnmap { address: PLACE }), Err(Errno::Inval));
        });
    }
}

#[test]
fn after_a_revoke_the_borrower_keeps_what_it_saw() {
    for by_address in [false, true] {
        test(|world| {
            world.does(B, &map(A, id(0), 0, PAGES, u32::from(by_address)));
            write(world, A, 0, 5);
            let at_the_end = all_seen(world, A);
            if by_address {
                until_done(|| world.call(A, &SafeRevMapAt { address: PLACE + P }).unwrap().more);
            } else {
                revoke(world, A, id(0));
            }
            assert_eq!(all_seen(world, B), at_the_end);
            assert!(write(world, B, 0, 6) && write(world, A, 1, 7));
            assert_eq!((seen(world, A, 0), seen(world, B, 1)), (5, at_the_end[1]));
            for number in 0..PAGES {
                assert!(write(world, B, number, 60 + number), "also where it could only read before");
            }
            is_apart(world);
        });
    }
}

#[test]
fn only_who_made_a_link_takes_it_back() {
    test(|world| {
        world.grant_at(B, 3, indirect(C, ALL, (A, id(0)), 0, PAGES * P));
        map_all(world, C, B, id(3));
        for (who, grant) in [(C, id(0)), (C, id(3)), (B, id(0)), (D, id(3)), (A, id(3)), (A, id(1))] {
            assert_eq!(world.call(who, &SafeRevMap { grant }).map(|r| r.more), Ok(0));
            write(world, A, 0, 100 + who.slot() as u64);
            assert_eq!(seen(world, C, 0), 100 + who.slot() as u64, "{who} {grant:?}");
        }
        assert_eq!(world.call(C, &SafeRevMapAt { address: PLACE }).map(|r| r.more), Ok(0));
        assert_eq!(mappings(world, A), [2; PAGES as usize], "it is C's page only as long as A lends it");
    });
}

#[test]
fn each_link_of_a_chain_can_be_taken_back() {
    for (who, grant) in [(A, id(0)), (B, id(3))] {
        test(|world| {
            world.grant_at(B, 3, indirect(C, ALL, (A, id(0)), P, (PAGES - 1) * P));
            let call = SafeMap { granter: B, write: 1, grant: id(3), offset: P, address: PLACE + 2 * P, len: 4 * P };
            world.does(C, &call);
            assert_eq!(seen(world, C, 2), content(A, 2));
            // The entries are cleared first: that it can be taken back does not depend on them.
            world.grant_at(who, grant.index(), GrantEntry::FREE);
            revoke(world, who, grant);
            write(world, A, 2, 1);
            assert_eq!(seen(world, C, 2), content(A, 2));
        });
    }
}

#[test]
fn pages_beside_those_that_are_taken_back_stay_lent() {
    test(|world| {
        world.grant_at(A, 2, direct(B, ALL, PLACE, PAGES * P));
        for (grant, first, count) in [(2, 0, 2), (0, 2, 3), (2, 5, 3)] {
            world.does(B, &map(A, id(grant), first, count, 1));
        }
        revoke(world, A, id(0));
        let rights = |world: &World<'_>, who, number| page(world, who, PLACE + number * P).unwrap().rights;
        for number in 0..PAGES {
            let is_kept = (2..5).contains(&number);
            assert_eq!([A, B].map(|who| rights(world, who, number).withheld), [is_kept; 2], "{number}");
            assert!(write(world, A, number, 90 + number));
            assert_eq!(seen(world, B, number), if is_kept { content(A, number) } else { 90 + number });
        }
    });
}

#[test]
fn several_see_the_same_and_each_is_taken_back_alone() {
    test(|world| {
        map_all(world, B, A, id(0));
        map_all(world, C, A, id(1));
        write(world, B, 4, 44);
        assert_eq!((seen(world, A, 4), seen(world, C, 4)), (44, 44));
        revoke(world, A, id(0));
        write(world, C, 4, 45);
        assert_eq!([A, B, C].map(|who| seen(world, who, 4)), [45, 44, 45]);
        write(world, B, 4, 46);
        assert_eq!([A, B, C].map(|who| seen(world, who, 4)), [45, 46, 45]);
        revoke(world, A, id(1));
        write(world, A, 4, 47);
        assert_eq!([A, B, C].map(|who| seen(world, who, 4)), [47, 46, 45]);
    });
}

#[test]
fn rights_alignment_and_places_are_checked() {
    let good = map(A, id(0), 0, PAGES, 1);
    let denials = [
        (SafeMap { address: PLACE + 8, ..good }, Errno::Inval),
        (SafeMap { offset: 8, len: P, ..good }, Errno::Inval),
        (SafeMap { len: 8, ..good }, Errno::Inval),
        (SafeMap { len: P + 1, ..good }, Errno::Inval),
        (SafeMap { len: 0, ..good }, Errno::Inval),
        (SafeMap { len: (PAGES + 1) * P, ..good }, Errno::Perm),
        (SafeMap { offset: P, ..good }, Errno::Perm),
        (SafeMap { offset: u64::MAX - P + 1, ..good }, Errno::Perm),
        (SafeMap { grant: GrantId::INVALID, ..good }, Errno::Inval),
        (SafeMap { grant: id(1), ..good }, Errno::Perm),
        (SafeMap { granter: C, ..good }, Errno::Perm),
        (SafeMap { address: 0, ..good }, Errno::Fault),
        (SafeMap { address: USER_END - P, ..good }, Errno::Fault),
        (SafeMap { address: 1 << 63, ..good }, Errno::Fault),
        (SafeMap { address: u64::MAX - P + 1, ..good }, Errno::Fault),
        (SafeMap { address: PLACE + P, ..good }, Errno::Fault),
        (SafeMap { address: 1 << 40, ..good }, Errno::Fault),
    ];
    let in_scene = |more: &dyn Fn(&mut World<'_>), call: SafeMap, errno| {
        let setup = |world: &mut World<'_>| {
            scene_in_small(world);
            more(world);
        };
        denied(&four(), setup, B, kernel_call(&call), errno);
    };
    for (call, errno) in denials {
        in_scene(&|_| {}, call, errno);
    }
    for (rights, write) in [(READ, 0), (READ | WRITE, 1), (MAP, 0), (WRITE | MAP, 1), (READ | MAP, 1)] {
        let entry = direct(B, rights, PLACE, PAGES * P);
        in_scene(&|world| grant_again(world, A, entry), SafeMap { write, ..good }, Errno::Perm);
    }
    let odd = direct(B, ALL, PLACE + 16, (PAGES - 1) * P);
    in_scene(&|world| grant_again(world, A, odd), SafeMap { len: P, ..good }, Errno::Inval);
    let itself = |world: &mut World<'_>| grant_again(world, B, direct(B, ALL, PLACE, PAGES * P));
    in_scene(&itself, SafeMap { granter: B, ..good }, Errno::Inval);
    denied(&four(), scene_in_small, B, kernel_call(&SafeUnmap { address: PLACE }), Errno::Inval);
}

/// Changes the first grant of somebody.
fn grant_again(world: &mut World<'_>, who: Endpoint, entry: GrantEntry) {
    world.grant_at(who, 0, entry);
}

/// With as few frames as `denied` has.
fn scene_in_small(world: &mut World<'_>) {
    world.register_grants();
    for who in [A, B] {
        map_pages(world, who, PLACE, PAGES);
    }
    world.grant_at(A, 0, direct(B, ALL, PLACE, PAGES * P));
    world.grant_at(A, 1, direct(C, ALL, PLACE, PAGES * P));
}

#[test]
fn what_was_borrowed_is_not_lent_on_but_with_an_indirect_grant() {
    for write in [0, 1] {
        test(|world| {
            world.does(B, &map(A, id(0), 0, PAGES, write));
            world.grant_at(B, 0, direct(C, ALL, PLACE, PAGES * P));
            for write in [0, 1] {
                assert_eq!(world.call(C, &map(B, id(0), 0, 1, write)), Err(Errno::Perm));
            }
            world.grant_at(B, 1, indirect(C, READ | MAP, (A, id(0)), 0, PAGES * P));
            assert_eq!(world.call(C, &map(B, id(1), 0, 1, 1)), Err(Errno::Perm), "it was handed on for reading");
            world.does(C, &map(B, id(1), 0, 1, 0));
            assert_eq!(seen(world, C, 0), content(A, 0));
        });
    }
}

#[test]
fn what_is_lent_or_borrowed_is_no_place_to_borrow_into() {
    test(|world| {
        world.grant_at(C, 0, direct(Endpoint::ANY, ALL, PLACE, PAGES * P));
        world.does(B, &map(A, id(0), 0, 2, 1));
        assert_eq!(world.call(B, &map(C, id(0), 1, 2, 1)), Err(Errno::Busy), "B has borrowed a part of it");
        assert_eq!(world.call(A, &map(C, id(0), 0, 1, 1)), Err(Errno::Busy), "A has lent it");
        world.does(B, &map(C, id(0), 2, 2, 1));
        world.does(A, &map(C, id(0), 2, 2, 1));
        unmap(world, B, PLACE);
        assert_eq!(lend(world, B, SafeMap { offset: 4 * P, ..map(C, id(0), 0, 2, 1) }), Ok(2 * P));
        assert_eq!((seen(world, B, 0), seen(world, B, 2)), (content(C, 4), content(C, 2)));
    });
}
