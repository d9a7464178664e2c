//! Who runs.

use crate::support::*;
use abi::boot::BootEntry;
use abi::{Endpoint, Errno};
use kernel_core::{CpuId, QUANTUM_TICKS};

const ANY: Endpoint = Endpoint::ANY;

/// Programs with these priorities.
fn with_priorities(priorities: &[u8]) -> Vec<BootEntry> {
    let entry = |(i, &priority): (usize, &u8)| BootEntry { priority, ..program(&format!("p{i}")) };
    priorities.iter().enumerate().map(entry).collect()
}

fn test(priorities: &[u8], run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &with_priorities(priorities)));
}

/// Who gets to run, one after the other, if each uses up its time.
fn turns(world: &mut World<'_>, count: usize) -> Vec<Option<Endpoint>> {
    let turn = |_| {
        let who = world.running();
        world.tick(QUANTUM_TICKS);
        who
    };
    (0..count).map(turn).collect()
}

#[test]
fn peers_take_turns_in_their_order() {
    test(&[7; 3], |world| {
        assert_eq!(turns(world, 7), [A, B, C, A, B, C, A].map(Some));
    });
}

#[test]
fn a_turn_lasts_a_quantum() {
    test(&[7; 2], |world| {
        for who in [A, B, A] {
            assert_eq!(world.running(), Some(who));
            world.tick(QUANTUM_TICKS - 1);
            assert_eq!(world.running(), Some(who), "until the last tick");
            world.tick(1);
        }
    });
}

#[test]
fn one_alone_goes_on_with_fresh_time() {
    test(&[7], |world| {
        assert_eq!(turns(world, 3), [Some(A); 3]);
        let (mut one_more, early) = (program("b"), QUANTUM_TICKS - 1);
        one_more.priority = 7;
        let late = world.add(&one_more);
        world.tick(early);
        assert_eq!(world.running(), Some(A));
        world.tick(1);
        assert_eq!(world.kernel.cpu(CpuId::BOOT).current(), late);
    });
}

#[test]
fn every_priority_comes_before_the_next() {
    let all: Vec<u8> = (0..16).rev().collect();
    test(&all, |world| {
        for slot in (0..16).rev() {
            assert_eq!(world.running(), Endpoint::new(slot, 0));
            world.tick(2 * QUANTUM_TICKS);
            assert_eq!(world.running(), Endpoint::new(slot, 0), "time is no reason to run somebody less urgent");
            world.step(receive(ANY));
        }
        assert_eq!(world.running(), None);
    });
}

#[test]
fn one_more_urgent_runs_at_once_and_the_other_resumes_before_its_peers() {
    test(&[7, 7, 3], |world| {
        world.step(receive(ANY));
        assert_eq!(world.running(), Some(A));
        world.tick(2);
        world.step(send(C, 1));
        assert_eq!(world.running(), Some(C), "the receiver is more urgent");
        world.step(receive(ANY));
        assert_eq!(world.running(), Some(A), "not B, which came before it");
        world.tick(QUANTUM_TICKS - 3);
        assert_eq!(world.running(), Some(A));
        world.tick(1);
        assert_eq!(world.running(), Some(B), "it had only the rest of its time");
    });
}

#[test]
fn one_without_peers_resumes_too() {
    for priority in [0, 6, 14] {
        test(&[priority + 1, priority], |world| {
            world.step(receive(ANY));
            assert_eq!(world.running(), Some(A));
            world.step(send(B, 1));
            assert_eq!(world.running(), Some(B));
            world.step(receive(ANY));
            assert_eq!(world.running(), Some(A));
        });
    }
}

#[test]
fn one_preempted_at_the_end_of_its_time_goes_behind_its_peers() {
    test(&[7, 7, 3], |world| {
        world.step(receive(A));
        world.tick(QUANTUM_TICKS - 1);
        // The last tick and the message come before the next choice.
        world.kernel.tick(&mut world.machine, CpuId::BOOT);
        world.step(send(C, 1));
        assert_eq!(world.running(), Some(C));
        world.step(receive(ANY));
        assert_eq!(world.running(), Some(B));
        world.tick(QUANTUM_TICKS);
        assert_eq!(world.running(), Some(A));
        world.tick(QUANTUM_TICKS - 1);
        assert_eq!(world.running(), Some(A), "with fresh time");
    });
}

#[test]
fn one_who_is_woken_by_a_peer_waits_for_its_turn() {
    test(&[7; 3], |world| {
        world.step(receive(ANY));
        assert_eq!(world.running(), Some(B));
        world.step(send(A, 1));
        assert_eq!(turns(world, 3), [B, C, A].map(Some));
    });
}

#[test]
fn one_who_blocks_keeps_the_rest_of_its_time() {
    test(&[7; 2], |world| {
        world.tick(3);
        world.step(receive(ANY));
        world.step(send(A, 1));
        world.tick(QUANTUM_TICKS);
        assert_eq!(world.running(), Some(A));
        world.tick(QUANTUM_TICKS - 4);
        assert_eq!(world.running(), Some(A));
        world.tick(1);
        assert_eq!(world.running(), Some(B));
    });
}

#[test]
fn when_nobody_is_ready_nobody_runs_and_ticks_hurt_nobody() {
    test(&[7, 3], |world| {
        world.step(receive(ANY));
        world.step(receive(ANY));
        assert_eq!(world.running(), None);
        world.tick(10);
        assert_eq!(world.running(), None);
        let late = world.add(&program("late"));
        world.schedule();
        assert_eq!(world.kernel.cpu(CpuId::BOOT).current(), late);
        world.step(send(A, 1));
        assert_eq!(world.outcome(A), Outcome::Done);
    });
}

#[test]
fn the_released_are_ready_in_the_order_of_their_slots() {
    test(&[7; 4], |world| {
        for who in [D, A, C] {
            world.trap(who, send(B, 1));
        }
        world.stop();
        assert_eq!(turns(world, 4), [A, C, D, A].map(Some));
        assert_eq!(world.outcome(D), Outcome::Failed(Errno::DeadSrcDst));
    });
}

#[test]
fn a_new_program_waits_behind_its_peers() {
    test(&[7; 2], |world| {
        world.tick(QUANTUM_TICKS);
        world.add(&program("late"));
        let late = Endpoint::new(world.root.slot() + 1, 0).unwrap();
        assert_eq!(turns(world, 4), [B, A, late, B].map(Some));
    });
}
