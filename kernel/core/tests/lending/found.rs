//! The kernel remembers where pages of grant tables are. It forgets them whenever pages are taken away.

use super::*;

type Step = fn(&mut World<'_>);

/// B sees the pages of C: the table of A is not needed for that.
fn lend_of_c(world: &mut World<'_>) {
    world.grant_at(C, 0, direct(B, ALL, PLACE, PAGES * P));
    map_all(world, B, C, id(0));
}

/// What takes pages away, or lets them be used for less.
const STEPS: [(&str, Step, Step); 4] = [
    (
        "unmapping",
        |_| {},
        |world| {
            let space = name_of(world, A);
            world.does(D, &UnmapRun { space, address: PLACE, count: 1, reserved: 0 });
        },
    ),
    (
        "protecting",
        |_| {},
        |world| {
            let space = name_of(world, A);
            world.does(D, &ProtectRun { space, address: PLACE, count: 1, access: Access::Read });
        },
    ),
    ("lending", |_| {}, |world| lend_of_c(world)),
    ("taking back", |world| lend_of_c(world), |world| revoke(world, C, id(0))),
];

#[test]
fn a_page_of_a_table_is_looked_for_again_after_pages_were_taken_away() {
    for (name, before, step) in STEPS {
        test(|world| {
            before(world);
            world.grant_at(A, 2, direct(B, READ, DATA, 8));
            assert!(world.fetch(B, A, id(2)).is_ok());
            world.remove_page(A, TABLE);
            step(world);
            assert_eq!(world.fetch(B, A, id(2)), Err(Errno::Perm), "after {name}");
            world.bring_page(A, TABLE);
            assert!(world.fetch(B, A, id(2)).is_ok(), "what was not found is not remembered");
        });
    }
}

#[test]
fn an_entry_is_read_at_each_use() {
    test(|world| {
        for _ in 0..2 {
            world.grant_at(A, 2, direct(B, READ, DATA, 8));
            assert!(world.fetch(B, A, id(2)).is_ok());
            world.grant_at(A, 2, direct(C, READ, DATA, 8));
            assert_eq!(world.fetch(B, A, id(2)), Err(Errno::Perm));
        }
    });
}
