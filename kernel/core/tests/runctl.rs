//! Stopping processes, and what keeps one from running.

use crate::support::*;
use abi::{Endpoint, Errno, PrivilegeSpec, Signal, Trap};
use kernel_core::{CpuId, Rts, Slot};
use protocol::kernel::{
    Clear, EndKSig, Exec, GetKSig, KEEP, Kill, RunAction, RunCtl, SchedCtl, Schedule, Scheduler, SigSend,
};
use protocol::privctl::{Allow, Disallow, UpdateSys};
use protocol::trace;
use protocol::vmctl::Settle;

const ANY: Endpoint = Endpoint::ANY;
const FIRST: CpuId = CpuId::BOOT;
const SECOND: CpuId = CpuId::new(1).unwrap();

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

fn control(process: Endpoint, action: RunAction) -> RunCtl {
    RunCtl { process, action }
}

#[test]
fn one_that_is_stopped_does_not_run_until_it_is_resumed() {
    test(|world| {
        world.call(A, &control(B, RunAction::Stop)).unwrap();
        world.tick(100);
        assert_eq!(world.rts(B), Rts::STOPPED);
        world.call(A, &control(B, RunAction::Stop)).unwrap();
        world.call(A, &control(B, RunAction::Resume)).unwrap();
        world.run(B);
        assert_eq!(world.trap(B, kernel_call(&control(B, RunAction::Stop))), Outcome::Blocked, "one may stop oneself");
        world.call(A, &control(B, RunAction::Resume)).unwrap();
        assert_eq!(world.outcome(B), Outcome::Done);
    });
}

#[test]
fn one_that_is_not_stopped_is_not_resumed() {
    denied(&four(), |_| {}, A, kernel_call(&control(B, RunAction::Resume)), Errno::Inval);
    let mut unknown = kernel_call(&control(B, RunAction::Stop));
    unknown.body[0] |= 3 << 32;
    denied(&four(), |_| {}, A, unknown, Errno::Inval);
}

#[test]
fn a_delayed_stop_of_a_sender_is_refused_and_told_once_when_it_has_sent() {
    for call in [send(D, 1), sendrec(D, 1)] {
        test(|world| {
            let spec = PrivilegeSpec { manager: C, ..world.spec() };
            world.as_root(&UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
            world.trap(B, call);
            for _ in 0..2 {
                assert_eq!(world.call(A, &control(B, RunAction::StopAfterSend)), Err(Errno::Busy));
            }
            world.trap(D, receive(ANY));
            assert!(world.rts(B).contains(Rts::SIGNALED));
            let taken = world.call(C, &GetKSig {}).unwrap();
            assert_eq!((taken.process, taken.signals), (B, Signal::SEND_DONE.bit()));
            world.call(A, &control(B, RunAction::StopAfterSend)).unwrap();
            world.call(C, &EndKSig { process: B }).unwrap();
            assert!(world.rts(B).contains(Rts::STOPPED));
            assert_eq!(world.call(C, &GetKSig {}).unwrap().process, Endpoint::NONE);
        });
    }
}

#[test]
fn a_delayed_stop_is_told_too_when_exec_withdraws_the_message() {
    test(|world| {
        let spec = PrivilegeSpec { manager: C, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
        world.trap(B, sendrec(D, 1));
        let _ = world.call(A, &control(B, RunAction::StopAfterSend));
        world.exec(B).unwrap();
        assert_eq!(
            world.rts(B),
            Rts::SIGNALED | Rts::SIGNAL_PENDING,
            "the new program does not run before it is stopped"
        );
        let taken = world.call(C, &GetKSig {}).unwrap();
        assert_eq!((taken.process, taken.signals), (B, Signal::SEND_DONE.bit()));
        world.call(C, &EndKSig { process: B }).unwrap();
        assert_eq!(world.rts(B), Rts::empty());
    });
}

#[test]
fn a_delayed_stop_is_told_too_when_the_receiver_dies() {
    test(|world| {
        let spec = PrivilegeSpec { manager: C, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
        world.trap(B, send(D, 1));
        let _ = world.call(A, &control(B, RunAction::StopAfterSend));
        world.as_root(&Clear { process: D }).unwrap();
        assert_eq!(world.call(C, &GetKSig {}).unwrap().signals, Signal::SEND_DONE.bit());
    });
}

#[test]
fn a_stop_without_delay_stops_a_sender_at_once_and_its_message_is_taken_all_the_same() {
    test(|world| {
        world.trap(B, send(D, 1));
        world.call(A, &control(B, RunAction::Stop)).unwrap();
        assert_eq!(world.rts(B), Rts::SENDING | Rts::STOPPED);
        world.trap(D, receive(ANY));
        assert_eq!(world.regs(D), delivered(B, Trap::Send, 1));
        assert_eq!(world.rts(B), Rts::STOPPED);
    });
}

/// A reason why B does not run, and how it goes.
struct Reason {
    set: fn(&mut World<'_>),
    clear: fn(&mut World<'_>),
}

const REASONS: [Reason; 6] = [
    Reason {
        set: |world| world.root_does(&control(B, RunAction::Stop)),
        clear: |world| world.root_does(&control(B, RunAction::Resume)),
    },
    Reason {
        set: |world| world.root_does(&trace::Stop { process: B }),
        clear: |world| world.root_does(&trace::Resume { process: B }),
    },
    Reason {
        set: |world| world.root_does(&Disallow { process: B }),
        clear: |world| world.root_does(&Allow { process: B }),
    },
    Reason {
        set: |world| world.root_does(&Kill { process: B, signal: 10 }),
        clear: |world| {
            world.call(A, &GetKSig {}).unwrap();
            world.call(A, &EndKSig { process: B }).unwrap();
        },
    },
    Reason {
        set: |world| world.root_does(&Settle { process: B, reserved: 0, space: 0 }),
        clear: |world| {
            let space = world.kernel.spaces.name(world.kernel.spaces.live().nth(B.slot()).unwrap());
            world.as_root(&Settle { process: B, reserved: 0, space }).unwrap();
        },
    },
    Reason {
        set: |_| {}, // It receives from D already.
        clear: |world| {
            world.trap(D, send(B, 1));
        },
    },
];

#[test]
fn one_with_two_reasons_runs_only_when_both_are_gone_whatever_the_order() {
    for (i, first) in REASONS.iter().enumerate() {
        for (j, second) in REASONS.iter().enumerate().filter(|(j, _)| *j != i) {
            for first_goes_first in [true, false] {
                test(|world| {
                    let spec = PrivilegeSpec { manager: A, ..world.spec() };
                    world.as_root(&UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
                    assert_eq!(world.trap(B, receive(D)), Outcome::Blocked);
                    let blocked = [i, j].contains(&(REASONS.len() - 1));
                    (first.set)(world);
                    (second.set)(world);
                    if !blocked {
                        world.trap(D, send(B, 1));
                    }
                    let (one, other) = if first_goes_first { (first, second) } else { (second, first) };
                    (one.clear)(world);
                    world.tick(30);
                    assert_ne!(world.rts(B), Rts::empty(), "{i} {j}");
                    (other.clear)(world);
                    assert_eq!(world.rts(B), Rts::empty(), "{i} {j}");
                    world.run(B);
                });
            }
        }
    }
}

/// Two processors; A runs on the first, B on the second.
fn pair(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let programs = [program("a"), abi::boot::BootEntry { cpu: 1, ..program("b") }, program("c")];
    let mut world = World::on(&mut table, &programs, 2);
    assert_eq!(world.choose(SECOND), Some(Slot::of(B)));
    world.enter(SECOND);
    run(&mut world);
}

#[test]
fn one_that_runs_elsewhere_executes_nothing_after_the_stop_returns() {
    let stops: [Regs; 3] = [
        kernel_call(&control(B, RunAction::Stop)),
        kernel_call(&Disallow { process: B }),
        kernel_call(&trace::Stop { process: B }),
    ];
    for stop in stops {
        pair(|world| {
            world.run(A);
            world.machine.memory.driven_out = 0;
            world.step(stop);
            assert_eq!(world.machine.memory.driven_out, 1 << SECOND.index(), "it has left its program");
            // It was about to trap: that counts for nothing, and comes again.
            let call = Regs { rip: 100, ..send(A, 1) };
            world.trap_on(SECOND, call);
            assert_eq!(world.regs(B), Regs { rip: 100 - TRAP_LEN, ..call });
            assert_eq!(world.choose(SECOND), None);
        });
    }
}

#[test]
fn the_registers_of_one_that_another_processor_has_not_left_yet_are_left_alone() {
    pair(|world| {
        world.run(A);
        world.step(kernel_call(&control(B, RunAction::Stop)));
        let name = abi::boot::BootEntry::encode_name("new").unwrap();
        let exec = Exec { name, stack: STACK, entry: ENTRY, process: B, reserved: 0 };
        assert_eq!(world.call(A, &exec), Err(Errno::Busy));
        let sigsend = SigSend { handler: ENTRY, trampoline: ENTRY, mask: 0, process: B, signal: 10 };
        assert_eq!(world.call(A, &sigsend), Err(Errno::Busy));
        assert_eq!(world.call(A, &trace::SetRegister { process: B, index: 0, value: 0 }), Err(Errno::Busy));
        assert_eq!(world.call(A, &Settle { process: B, reserved: 0, space: 0 }), Err(Errno::Busy));
        assert_eq!(world.choose(SECOND), None);
        world.call(A, &exec).unwrap();
        assert_eq!(world.regs(B).rip, ENTRY);
    });
}

#[test]
fn one_that_is_cleared_while_it_runs_elsewhere_harms_no_newcomer() {
    pair(|world| {
        let root = world.root;
        world.as_root(&Clear { process: B }).unwrap();
        assert_eq!(world.rts(B), Rts::FREE);
        world.trap(C, receive(ANY));
        let next = world.fork(C, B).unwrap();
        assert_eq!(next, B.next_generation());
        let before = (world.rts(next), world.regs(next));
        // The second processor comes into the kernel only now.
        assert_eq!(world.kernel.cpu(SECOND).current(), None);
        let action = world.kernel.trap(&mut world.machine, SECOND);
        assert_eq!(action, kernel_core::Action::Resume);
        assert_eq!(world.choose(SECOND), None);
        assert_eq!((world.rts(next), world.regs(next)), before);
        assert!(world.kernel.lookup(root).is_some());
    });
}

#[test]
fn two_processors_that_stop_each_others_processes_both_succeed_in_their_order() {
    pair(|world| {
        for _ in 0..100 {
            world.run(A);
            world.step(kernel_call(&control(B, RunAction::Stop)));
            assert_eq!(world.choose(SECOND), None);
            world.run(A);
            world.step(kernel_call(&control(B, RunAction::Resume)));
            assert_eq!(world.choose(SECOND), Some(Slot::of(B)));
            world.run(A);
            world.trap_on(SECOND, kernel_call(&control(A, RunAction::Stop)));
            assert_eq!(world.rts(A), Rts::STOPPED);
            world.choose(FIRST);
            world.trap_on(SECOND, kernel_call(&control(A, RunAction::Resume)));
            world.choose(SECOND);
            world.choose(FIRST);
        }
    });
}

#[test]
fn one_that_is_moved_while_it_runs_goes_on_at_its_new_place() {
    pair(|world| {
        let take = SchedCtl { process: B, scheduler: Scheduler::Caller, priority: KEEP, quantum: KEEP, cpu: KEEP };
        world.call(A, &take).unwrap();
        world.call(A, &Schedule { process: B, priority: 3, quantum: KEEP, cpu: 0 }).unwrap();
        assert!(world.kernel.take_kicks(FIRST).any(|cpu| cpu == SECOND));
        assert_eq!(world.kernel.cpu(SECOND).current(), Some(Slot::of(B)), "until that one has left it");
        assert_eq!(world.choose(SECOND), None);
        assert_eq!(world.choose(FIRST), Some(Slot::of(B)));
        assert_eq!(world.call(B, &protocol::getinfo::GetProcess { slot: 1 }).unwrap().priority, 3);
    });
}
