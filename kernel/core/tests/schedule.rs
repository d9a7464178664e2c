//! User-level schedulers.

use crate::support::*;
use abi::{Endpoint, Errno, PrivilegeSpec, Status};
use kernel_core::{QUANTUM_TICKS, Rts};
use protocol::getinfo::GetProcess;
use protocol::kernel::{Clear, KEEP, RunAction, RunCtl, SchedCtl, Schedule, Scheduler};
use protocol::privctl::UpdateSys;
use protocol::sched::{OUT_OF_QUANTUM, OutOfQuantum};

const ANY: Endpoint = Endpoint::ANY;

/// A world in which B, more urgent than the others, is the scheduler of C, and waits for messages.
fn scheduled(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut programs = four();
    programs[1].priority = 3;
    let mut world = World::new(&mut table, &programs);
    schedule_by_b(&mut world);
    world.trap(B, receive(ANY));
    run(&mut world);
}

fn schedule_by_b(world: &mut World<'_>) {
    let call = SchedCtl { process: C, scheduler: Scheduler::Caller, priority: KEEP, quantum: KEEP, cpu: KEEP };
    world.call(B, &call).unwrap();
}

const KEPT: Schedule = Schedule { process: C, priority: KEEP, quantum: KEEP, cpu: KEEP };

/// Lets C use up its time.
fn use_up(world: &mut World<'_>) {
    world.run(C);
    world.tick(QUANTUM_TICKS);
    assert!(world.rts(C).contains(Rts::NO_QUANTUM), "its time is used up");
}

/// What `who` was told, which must be that the time of C is used up.
fn told(world: &World<'_>, who: Endpoint) -> OutOfQuantum {
    let regs = world.regs(who);
    assert_eq!((regs.rdi, regs.rsi), (C.raw().into(), OUT_OF_QUANTUM.0.into()));
    assert!(Status(regs.rdx).is_from_kernel() && !Status(regs.rdx).wants_reply());
    let message = abi::Message { body: regs.body, ..abi::Message::new(C, OUT_OF_QUANTUM) };
    protocol::decode(&message).unwrap()
}

#[test]
fn one_message_for_each_quantum_and_it_does_not_run_until_it_is_scheduled() {
    scheduled(|world| {
        for turn in 1..4_u64 {
            let frame = world.regs(C);
            use_up(world);
            assert_eq!(world.rts(C), Rts::NO_QUANTUM);
            let message = told(world, B);
            assert_eq!((message.user_ticks, message.quantum), (turn * u64::from(QUANTUM_TICKS), QUANTUM_TICKS.into()));
            assert_eq!((message.priority, message.cpu), (PRIORITY.into(), 0));
            assert_eq!(world.regs(C), frame, "its own registers are as they were");
            world.trap(B, receive(ANY));
            world.tick(50);
            assert_eq!(world.rts(B), Rts::RECEIVING, "no second message");
            world.machine.ticks += 1;
            world.trap(A, notify(B));
            world.call(B, &KEPT).unwrap();
            world.trap(B, receive(ANY));
        }
    });
}

#[test]
fn a_busy_scheduler_gets_the_message_later_with_name_and_status() {
    scheduled(|world| {
        world.trap(A, notify(B));
        world.trap(B, receive(D));
        use_up(world);
        assert_eq!(world.rts(C), Rts::NO_QUANTUM | Rts::SENDING);
        world.trap(D, notify(B));
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Done);
        assert_eq!(told(world, B).priority, PRIORITY.into());
        assert_eq!(world.rts(C), Rts::NO_QUANTUM);
    });
}

#[test]
fn a_forged_message_can_be_told_from_the_kernels() {
    scheduled(|world| {
        let forged = Regs { rsi: OUT_OF_QUANTUM.0.into(), ..send(B, 1) };
        world.trap(A, forged);
        assert_eq!(world.regs(B).rsi, OUT_OF_QUANTUM.0.into());
        assert!(!Status(world.regs(B).rdx).is_from_kernel());
    });
}

#[test]
fn one_that_the_kernel_schedules_never_stops() {
    scheduled(|world| {
        world.tick(20 * QUANTUM_TICKS);
        for who in [A, D] {
            assert_eq!(world.rts(who), Rts::empty());
        }
        let call = SchedCtl { process: C, scheduler: Scheduler::Kernel, priority: KEEP, quantum: KEEP, cpu: KEEP };
        world.call(B, &call).unwrap();
        world.trap(B, receive(D));
        world.tick(20 * QUANTUM_TICKS);
        assert_eq!(world.rts(C), Rts::empty());
    });
}

#[test]
fn one_that_is_not_preemptible_is_never_out_of_time() {
    scheduled(|world| {
        let spec = PrivilegeSpec { flags: 0, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: C, reset_ranges: 0 }).unwrap();
        world.run(C);
        world.tick(3 * QUANTUM_TICKS);
        assert_eq!(world.rts(C), Rts::empty());
        assert_eq!(world.rts(B), Rts::RECEIVING);
    });
}

#[test]
fn when_the_scheduler_dies_its_processes_go_on() {
    let ways: [fn(&mut World<'_>); 3] = [
        |_| {},
        use_up,
        |world| {
            world.trap(A, notify(B));
            world.trap(B, receive(D));
            use_up(world);
            assert_eq!(world.rts(C), Rts::NO_QUANTUM | Rts::SENDING);
        },
    ];
    for way in ways {
        scheduled(|world| {
            way(world);
            let before = world.regs(C);
            world.as_root(&Clear { process: B }).unwrap();
            assert_eq!((world.rts(C), world.regs(C)), (Rts::empty(), before));
            world.run(C);
            world.tick(5 * QUANTUM_TICKS);
            assert_eq!(world.rts(C), Rts::empty(), "the kernel schedules it");
        });
    }
}

#[test]
fn a_scheduler_that_hands_over_is_not_told_any_more() {
    scheduled(|world| {
        world.trap(A, notify(B));
        world.trap(B, receive(D));
        use_up(world);
        let call = SchedCtl { process: C, scheduler: Scheduler::Caller, priority: KEEP, quantum: KEEP, cpu: KEEP };
        world.call(A, &call).unwrap();
        assert_eq!(world.rts(C), Rts::empty(), "it got a new turn");
        world.as_root(&Clear { process: A }).unwrap();
        world.trap(D, notify(B));
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "nothing of C waits there");
    });
}

#[test]
fn a_new_program_gets_a_new_turn() {
    scheduled(|world| {
        world.trap(A, notify(B));
        world.trap(B, receive(D));
        use_up(world);
        world.exec(C).unwrap();
        assert_eq!(world.rts(C), Rts::empty());
        world.run(C);
    });
}

#[test]
fn a_stop_works_while_the_kernel_sends_for_it() {
    scheduled(|world| {
        world.trap(A, notify(B));
        world.trap(B, receive(D));
        use_up(world);
        world.call(A, &RunCtl { process: C, action: RunAction::StopAfterSend }).unwrap();
        assert_eq!(world.rts(C), Rts::NO_QUANTUM | Rts::SENDING | Rts::STOPPED);
        world.call(A, &RunCtl { process: C, action: RunAction::Resume }).unwrap();
    });
}

#[test]
fn only_the_scheduler_schedules() {
    let setup = |world: &mut World<'_>| schedule_by_b(world);
    denied(&four(), setup, A, kernel_call(&KEPT), Errno::Perm);
    denied(&four(), setup, C, kernel_call(&KEPT), Errno::Perm);
    denied(&four(), setup, B, kernel_call(&Schedule { process: D, ..KEPT }), Errno::Perm);
    denied(&four(), setup, B, kernel_call(&Schedule { process: FREE, ..KEPT }), Errno::Inval);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let refuse = |priority, quantum, cpu, errno| {
        let call = Schedule { process: C, priority, quantum, cpu };
        denied(&four(), schedule_by_b, B, kernel_call(&call), errno);
        let call = SchedCtl { process: D, scheduler: Scheduler::Caller, priority, quantum, cpu };
        denied(&four(), schedule_by_b, A, kernel_call(&call), errno);
    };
    for priority in [16, -2, i32::MIN, i32::MAX, 256] {
        refuse(priority, KEEP, KEEP, Errno::Inval);
    }
    for quantum in [0, -2, i32::MIN, i32::MAX] {
        refuse(KEEP, quantum, KEEP, Errno::Inval);
    }
    for cpu in [-2, 8, 256, i32::MIN, i32::MAX] {
        refuse(KEEP, KEEP, cpu, Errno::Inval);
    }
    for cpu in [1, 7] {
        refuse(KEEP, KEEP, cpu, Errno::BadCpu);
    }
    let unknown =
        kernel_call(&SchedCtl { process: C, scheduler: Scheduler::Caller, priority: KEEP, quantum: KEEP, cpu: KEEP });
    let mut bad = unknown;
    bad.body[0] |= 2 << 32;
    denied(&four(), |_| {}, A, bad, Errno::Inval);
}

#[test]
fn what_is_set_counts_and_what_is_kept_stays() {
    scheduled(|world| {
        world.trap(A, notify(B));
        // 250 ticks in a second: 40 ms are 10 ticks.
        world.call(B, &Schedule { process: C, priority: 9, quantum: 40, cpu: KEEP }).unwrap();
        let told_of_c = |world: &mut World<'_>| world.call(B, &GetProcess { slot: C.slot() as u64 }).unwrap();
        assert_eq!((told_of_c(world).priority, told_of_c(world).scheduler), (9, B));
        world.call(B, &Schedule { process: C, priority: 4, quantum: KEEP, cpu: KEEP }).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.running(), Some(C), "it is the most urgent now");
        world.tick(9);
        assert_eq!(world.rts(C), Rts::empty());
        world.tick(1);
        assert_eq!(told(world, B).quantum, 10);
    });
}

#[test]
fn one_that_is_scheduled_goes_behind_its_peers() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    schedule_by_b(&mut world);
    world.run(B);
    world.step(kernel_call(&KEPT));
    let order: Vec<_> = (0..3)
        .map(|_| {
            world.tick(QUANTUM_TICKS);
            world.running().unwrap()
        })
        .collect();
    assert_eq!(order, [D, A, C]);
}
