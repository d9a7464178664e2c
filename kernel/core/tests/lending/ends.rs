//! Ends of those who take part.

use super::*;

/// Lets the clock finish what deaths have left.
fn settle(world: &mut World<'_>) {
    world.tick(100);
}

#[test]
fn the_borrower_may_die() {
    for kept in [false, true] {
        test(|world| {
            map_all(world, B, A, id(0));
            if kept {
                revoke(world, A, id(0));
            }
            let space = name_of(world, B);
            world.root_does(&Clear { process: B });
            until_done(|| world.call(D, &protocol::vmctl::DestroySpace { space }).unwrap().more);
            assert_eq!(mappings(world, A), [1; PAGES as usize]);
            assert!(write(world, A, 0, 1));
            is_apart(world);
            revoke(world, A, id(0));
        });
    }
}

#[test]
fn the_owner_may_die() {
    for kept in [false, true] {
        test(|world| {
            map_all(world, B, A, id(0));
            if kept {
                revoke(world, A, id(0));
            }
            let space = name_of(world, A);
            world.root_does(&Clear { process: A });
            until_done(|| world.call(D, &protocol::vmctl::DestroySpace { space }).unwrap().more);
            assert_eq!(all_seen(world, B), own(A), "it keeps what it saw");
            assert!((0..PAGES).all(|number| write(world, B, number, 1)));
            is_apart(world);
        });
    }
}

#[test]
fn with_an_intermediary_ends_what_hangs_below_it() {
    for exec in [false, true] {
        test(|world| {
            world.grant_at(B, 3, indirect(C, ALL, (A, id(0)), 0, PAGES * P));
            map_all(world, C, B, id(3));
            if exec {
                world.trap(B, receive(D));
                world.exec(B).unwrap();
            } else {
                world.root_does(&Clear { process: B });
            }
            settle(world);
            write(world, A, 0, 5);
            assert_eq!(seen(world, C, 0), content(A, 0));
        });
    }
}

#[test]
fn a_new_program_of_the_granter_takes_everything_back() {
    test(|world| {
        map_all(world, B, A, id(0));
        world.trap(A, receive(D));
        world.exec(A).unwrap();
        settle(world);
        write(world, A, 0, 5);
        assert_eq!(seen(world, B, 0), content(A, 0));
    });
}

#[test]
fn the_new_instance_takes_back_under_its_new_name() {
    test(|world| {
        map_all(world, B, A, id(0));
        world.trap(C, receive(Endpoint::ANY));
        let new = world.new_instance(C, FREE);
        world.root_does(&protocol::privctl::Disallow { process: A });
        world.root_does(&Update { source: A, destination: new, direction: UpdateDirection::Forward });
        world.root_does(&protocol::privctl::Allow { process: A });
        assert_eq!(world.call(A, &SafeRevMap { grant: id(0) }).map(|r| r.more), Ok(0));
        write(world, new, 0, 5);
        assert_eq!(seen(world, B, 0), 5, "the grant was the old program's, who has another name now");
        world.root_does(&protocol::privctl::Allow { process: new });
        revoke(world, new, id(0));
        write(world, new, 0, 6);
        assert_eq!(seen(world, B, 0), 5);
    });
}
