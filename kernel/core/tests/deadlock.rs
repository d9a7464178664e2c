//! Circles of processes that wait for each other.

use crate::support::*;
use abi::{Endpoint, Errno, PrivilegeId, PrivilegeSpec, Trap};
use kernel_core::CpuId;

/// The traps that wait for somebody.
const WAITS: [fn(Endpoint) -> Regs; 3] = [|to| send(to, 1), |to| sendrec(to, 1), receive];

/// Whether two who wait for each other in these ways meet: one sends what the other receives.
fn meet(first: usize, second: usize) -> bool {
    let receives = |wait| wait == 2;
    receives(first) != receives(second)
}

#[test]
fn nobody_receives_from_itself() {
    denied(&four(), |_| {}, A, receive(A), Errno::Locked);
}

#[test]
fn nobody_waits_to_send_to_itself() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(D, receive(Endpoint::ANY));
    let user = world.user(D, FREE);
    world.update_users(PrivilegeSpec { sends: PrivilegeId::USER.bit(), ..world.spec() });
    for call in [send(user, 1), sendrec(user, 1)] {
        assert_eq!(world.trap(user, call), Outcome::Failed(Errno::Locked), "users may send to users");
    }
    world.automatic = false;
    world.kernel.interrupt(&mut world.machine, DOORBELL);
    world.choose(CpuId::BOOT);
    let root = world.root;
    assert_eq!(world.trap(root, send(root, 1)), Outcome::Failed(Errno::CallDenied), "nobody has his own bit");
}

#[test]
fn two_who_wait_for_each_other_are_locked_unless_they_meet() {
    for (i, first) in WAITS.into_iter().enumerate() {
        for (j, second) in WAITS.into_iter().enumerate() {
            let setup = |world: &mut World<'_>| assert_eq!(world.trap(B, first(A)), Outcome::Blocked);
            if !meet(i, j) {
                denied(&four(), setup, A, second(B), Errno::Locked);
                continue;
            }
            let mut table = table();
            let mut world = World::new(&mut table, &four());
            setup(&mut world);
            assert!(!matches!(world.trap(A, second(B)), Outcome::Failed(_)), "{i} meets {j}");
        }
    }
}

#[test]
fn rings_of_three_are_locked_whatever_they_wait_with() {
    for b in WAITS {
        for c in WAITS {
            let setup = |world: &mut World<'_>| {
                assert_eq!(world.trap(B, b(C)), Outcome::Blocked);
                assert_eq!(world.trap(C, c(A)), Outcome::Blocked);
            };
            for wait in WAITS {
                denied(&four(), setup, A, wait(B), Errno::Locked);
            }
        }
    }
}

#[test]
fn a_ring_of_many_is_locked() {
    const MANY: usize = 57;
    let programs: Vec<_> = (0..MANY).map(|i| program(&format!("p{i}"))).collect();
    let at = |i: usize| Endpoint::from_raw(i as u32);
    let setup = |world: &mut World<'_>| {
        for i in 1..MANY {
            assert_eq!(world.trap(at(i), send(at((i + 1) % MANY), 1)), Outcome::Blocked);
        }
    };
    denied(&programs, setup, A, send(B, 1), Errno::Locked);
}

#[test]
fn one_who_waits_for_an_answer_closes_a_ring_too() {
    let setup = |world: &mut World<'_>| {
        world.trap(B, sendrec(A, 1));
        world.trap(A, receive(B));
        assert_eq!(world.trap(C, send(B, 2)), Outcome::Blocked);
    };
    denied(&four(), setup, A, send(C, 3), Errno::Locked);
    denied(&four(), setup, A, sendrec(C, 3), Errno::Locked);
    denied(&four(), setup, A, receive(B), Errno::Locked);
}

#[test]
fn a_chain_that_ends_is_no_ring() {
    let ends: [fn(&mut World<'_>); 4] = [
        |world| assert_eq!(world.trap(C, receive(Endpoint::ANY)), Outcome::Blocked),
        |world| assert_eq!(world.trap(C, receive(Endpoint::HARDWARE)), Outcome::Blocked),
        |world| assert_eq!(world.trap(C, sendrec(D, 1)), Outcome::Blocked),
        |_| {},
    ];
    for end in ends {
        for wait in WAITS {
            let mut table = table();
            let mut world = World::new(&mut table, &four());
            assert_eq!(world.trap(B, receive(C)), Outcome::Blocked);
            end(&mut world);
            assert_eq!(world.trap(A, wait(B)), Outcome::Blocked);
        }
    }
}

#[test]
fn whoever_never_blocks_never_locks() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(B, send(A, 1));
    assert_eq!(world.trap(A, notify(B)), Outcome::Done);
    assert_eq!(world.trap(A, sendnb(B, 2)), Outcome::Failed(Errno::NotReady));
}

#[test]
fn an_answer_opens_the_ring_that_it_would_close() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(B, sendrec(A, 1));
    world.trap(A, receive(B));
    world.trap(C, receive(B));
    // A would wait for C, C waits for B, and B waits for A, but only until it has its answer.
    assert_eq!(world.trap(A, reply_receive(B, 2, C)), Outcome::Blocked);
    assert_eq!(world.regs(B), delivered(A, Trap::ReplyReceive, 2));
    let mut other = crate::support::table();
    let mut world = World::new(&mut other, &four());
    world.trap(B, sendrec(A, 1));
    world.trap(A, receive(B));
    assert_eq!(world.trap(A, reply_receive(B, 2, B)), Outcome::Blocked, "the same with nobody between");
}
