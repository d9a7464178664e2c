//! Signals and their managers.

use crate::support::*;
use abi::event::SystemEvent;
use abi::{Endpoint, Errno, PrivilegeSpec, Signal};
use kernel_core::{Action, CpuId, Rts, Slot};
use protocol::kernel::{Clear, EndKSig, Exit, GetKSig, Kill};
use protocol::privctl::{ClearRefs, Disallow, SetUser, UpdateSys};
use protocol::statectl;

const ANY: Endpoint = Endpoint::ANY;
const USR1: u32 = 10;
const USR2: u32 = 12;

/// A world in which B manages C and D, and A manages nobody.
fn managed(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    for process in [C, D] {
        manage(&mut world, process, B, Endpoint::NONE);
    }
    run(&mut world);
}

fn manage(world: &mut World<'_>, process: Endpoint, manager: Endpoint, backup: Endpoint) {
    let spec = PrivilegeSpec { manager, backup, ..world.spec() };
    world.as_root(&UpdateSys { spec, process, reset_ranges: 0 }).unwrap();
}

fn kill(world: &mut World<'_>, process: Endpoint, signal: u32) -> Result<(), Errno> {
    world.call(A, &Kill { process, signal }).map(drop)
}

/// Takes signals as `who`.
fn take(world: &mut World<'_>, who: Endpoint) -> (Endpoint, u64) {
    let taken = world.call(who, &GetKSig {}).unwrap();
    (taken.process, taken.signals)
}

fn end(world: &mut World<'_>, who: Endpoint, process: Endpoint) -> Result<(), Errno> {
    world.call(who, &EndKSig { process }).map(drop)
}

/// What the notification told that `who` has received.
fn event(world: &World<'_>, who: Endpoint) -> SystemEvent {
    let regs = world.regs(who);
    assert_eq!(regs, Regs { body: regs.body, ..notified(Endpoint::SYSTEM, regs.body[0]) });
    SystemEvent::read(&regs.body)
}

const STOPPED: Rts = Rts::SIGNALED.union(Rts::SIGNAL_PENDING);

#[test]
fn a_signal_stops_the_process_and_its_manager_is_told_with_the_details() {
    managed(|world| {
        world.trap(B, receive(ANY));
        kill(world, C, USR1).unwrap();
        assert_eq!(world.rts(C), Rts::SIGNAL_PENDING, "the notification took the signal");
        assert_eq!(event(world, B).signaled, Some((C, 1 << USR1)));
        assert_eq!(event(world, B).signals, Signal::MANAGER.bit());
        assert_eq!(end(world, B, C), Ok(()));
        assert_eq!(world.rts(C), Rts::empty());
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "it is told once");
    });
}

#[test]
fn two_signals_before_they_are_taken_stop_it_once_and_both_are_told() {
    managed(|world| {
        kill(world, C, USR1).unwrap();
        kill(world, C, USR2).unwrap();
        kill(world, C, USR2).unwrap();
        assert_eq!(world.rts(C), STOPPED);
        assert_eq!(take(world, B), (C, 1 << USR1 | 1 << USR2));
        assert_eq!(take(world, B), (Endpoint::NONE, 0));
        assert_eq!(end(world, B, C), Ok(()));
        assert_eq!(world.outcome(C), Outcome::Done);
    });
}

#[test]
fn a_signal_between_taking_and_ending_keeps_it_stopped() {
    managed(|world| {
        kill(world, C, USR1).unwrap();
        assert_eq!(take(world, B), (C, 1 << USR1));
        kill(world, C, USR1).unwrap();
        assert_eq!(world.rts(C), STOPPED, "the same again is a new one");
        assert_eq!(end(world, B, C), Ok(()));
        assert_eq!(world.rts(C), STOPPED);
        assert_eq!(take(world, B), (C, 1 << USR1));
        assert_eq!(end(world, B, C), Ok(()));
        assert_eq!(world.rts(C), Rts::empty());
    });
}

#[test]
fn many_signaled_processes_come_one_by_one_in_the_order_of_slots() {
    managed(|world| {
        kill(world, D, USR1).unwrap();
        kill(world, C, USR2).unwrap();
        for (process, signal) in [(C, USR2), (D, USR1)] {
            assert_eq!(world.trap(B, receive(Endpoint::SYSTEM)), Outcome::Done);
            assert_eq!(event(world, B).signaled, Some((process, 1 << signal)));
        }
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "nothing more is pending");
    });
}

#[test]
fn each_manager_sees_only_its_own() {
    managed(|world| {
        manage(world, D, A, Endpoint::NONE);
        kill(world, D, USR1).unwrap();
        kill(world, C, USR2).unwrap();
        assert_eq!(take(world, B), (C, 1 << USR2));
        assert_eq!(take(world, B), (Endpoint::NONE, 0));
        assert_eq!((end(world, B, D), end(world, A, C)), (Err(Errno::Perm), Err(Errno::Perm)));
        assert_eq!(take(world, A), (D, 1 << USR1));
        assert_eq!((end(world, A, D), end(world, B, C)), (Ok(()), Ok(())));
    });
}

#[test]
fn signals_are_ended_by_their_manager_once_and_only_if_there_are_some() {
    let managed_by_b = |world: &mut World<'_>| manage(world, C, B, Endpoint::NONE);
    denied(&four(), managed_by_b, B, kernel_call(&EndKSig { process: C }), Errno::Inval);
    denied(&four(), managed_by_b, A, kernel_call(&EndKSig { process: C }), Errno::Perm);
    denied(&four(), managed_by_b, C, kernel_call(&EndKSig { process: C }), Errno::Perm);
    managed(|world| {
        kill(world, C, USR1).unwrap();
        take(world, B);
        assert_eq!((end(world, B, C), end(world, B, C)), (Ok(()), Err(Errno::Inval)));
    });
}

#[test]
fn only_signals_of_processes_can_be_raised() {
    for signal in [0, 32, Signal::MEMORY.number(), Signal::SEND_DONE.number(), 63, 64, 1 << 8 | 9, u32::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&Kill { process: B, signal }), Errno::Inval);
    }
}

#[test]
fn nobody_but_the_root_raises_signals_for_the_root() {
    let root = Endpoint::from_raw(four().len() as u32);
    for signal in [USR1, Signal::KILL.number()] {
        denied(&four(), |_| {}, A, kernel_call(&Kill { process: root, signal }), Errno::Perm);
    }
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.root_does(&Kill { process: root, signal: USR1 });
}

#[test]
fn the_registers_of_one_that_waits_survive_a_signal() {
    managed(|world| {
        world.trap(C, sendrec(A, 5));
        let before = world.regs(C);
        kill(world, C, USR1).unwrap();
        assert_eq!(world.rts(C), STOPPED | Rts::SENDING | Rts::RECEIVING | Rts::REPLY);
        take(world, B);
        end(world, B, C).unwrap();
        assert_eq!(world.regs(C), before);
        world.trap(A, receive(C));
        assert_eq!(world.regs(A), delivered(C, abi::Trap::SendRec, 5), "its message is still there");
    });
}

#[test]
fn a_message_reaches_one_that_is_stopped_and_it_goes_on_later() {
    managed(|world| {
        world.trap(C, receive(ANY));
        kill(world, C, USR1).unwrap();
        assert_eq!(world.trap(A, send(C, 1)), Outcome::Done);
        assert_eq!(world.rts(C), STOPPED);
        assert_eq!(world.regs(C), delivered(A, abi::Trap::Send, 1));
        take(world, B);
        end(world, B, C).unwrap();
        assert_eq!(world.outcome(C), Outcome::Done);
    });
}

#[test]
fn one_that_manages_itself_is_told_of_what_is_not_lethal() {
    managed(|world| {
        manage(world, C, Endpoint::SELF, Endpoint::NONE);
        world.trap(C, receive(ANY));
        kill(world, C, USR1).unwrap();
        assert_eq!(world.outcome(C), Outcome::Done, "it is not stopped");
        let told = event(world, C);
        assert_eq!(told.signals, Signal::MANAGER_SELF.bit() | 1 << USR1);
        assert_eq!(told.signaled, None);
    });
}

#[test]
fn a_lethal_signal_of_one_that_manages_itself_goes_to_its_backup_which_takes_over() {
    managed(|world| {
        manage(world, C, Endpoint::SELF, B);
        world.as_root(&Disallow { process: B }).unwrap();
        world.run(C);
        world.except(Signal::SEGV);
        assert_eq!(world.rts(C), STOPPED);
        assert_eq!(world.rts(B), Rts::empty(), "the backup runs now");
        assert_eq!(take(world, B), (C, Signal::SEGV.bit()));
        assert_eq!(
            world.kernel.privileges_of(world.process(C).privilege_id()).flags,
            world.kernel.privileges_of(world.process(D).privilege_id()).flags
        );
        end(world, B, C).unwrap();
        kill(world, C, USR1).unwrap();
        assert_eq!(take(world, B), (C, 1 << USR1), "it is the manager from now on");
    });
}

#[test]
fn a_lethal_signal_of_one_that_manages_itself_alone_goes_to_the_root() {
    managed(|world| {
        manage(world, C, Endpoint::SELF, Endpoint::NONE);
        world.run(C);
        world.except(Signal::SEGV);
        assert_eq!(world.rts(C), Rts::FREE, "the root ended it, and the system goes on");
        assert_eq!(world.machine.lines.last().unwrap(), "c stopped: test");
    });
    managed(|world| {
        manage(world, C, Endpoint::SELF, Endpoint::NONE);
        assert_eq!(world.trap(C, kernel_call(&Exit { status: 0 })), Outcome::Ended);
    });
}

#[test]
fn one_that_is_made_its_own_manager_while_it_is_stopped_is_left_to_the_root() {
    managed(|world| {
        kill(world, C, Signal::KILL.number()).unwrap();
        assert_eq!(take(world, B), (C, Signal::KILL.bit()));
        manage(world, C, Endpoint::SELF, Endpoint::NONE);
        assert_eq!(world.rts(C), Rts::FREE);
    });
}

#[test]
fn a_lethal_signal_of_the_root_without_a_backup_is_the_end() {
    managed(|world| {
        let root = world.root;
        world.automatic = false;
        world.kernel.interrupt(&mut world.machine, DOORBELL);
        world.choose(CpuId::BOOT);
        assert_eq!(world.running(), Some(root));
        let action = world.kernel.exception(&mut world.machine, CpuId::BOOT, Signal::SEGV, format_args!("test"));
        assert_eq!(action, Action::Panic(Slot::of(root)), "the root has no backup");
    });
}

#[test]
fn the_root_with_a_backup_is_followed_by_it() {
    managed(|world| {
        let root = world.root;
        let spec = PrivilegeSpec { manager: Endpoint::SELF, backup: A, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: root, reset_ranges: 0 }).unwrap();
        world.automatic = false;
        world.kernel.interrupt(&mut world.machine, DOORBELL);
        world.choose(CpuId::BOOT);
        world.except(Signal::SEGV);
        assert_eq!(world.rts(root), STOPPED);
        assert_eq!(take(world, A), (root, Signal::SEGV.bit()));
    });
}

#[test]
fn signals_of_one_whose_manager_died_go_to_the_backup_or_to_the_root() {
    for backup in [A, Endpoint::NONE] {
        managed(|world| {
            manage(world, C, B, backup);
            kill(world, B, Signal::KILL.number()).unwrap();
            assert_eq!(world.rts(B), Rts::FREE);
            kill(world, C, Signal::KILL.number()).unwrap();
            if backup == A {
                assert_eq!(take(world, A), (C, Signal::KILL.bit()));
            } else {
                assert_eq!(world.rts(C), Rts::FREE, "the root ended it");
            }
        });
    }
}

#[test]
fn a_manager_that_dies_between_leaves_its_processes_to_the_root() {
    managed(|world| {
        kill(world, C, Signal::KILL.number()).unwrap();
        assert_eq!(world.rts(C), STOPPED);
        kill(world, B, Signal::KILL.number()).unwrap();
        assert_eq!(world.rts(B), Rts::FREE);
        assert_eq!(world.rts(C), Rts::FREE, "the root was told of it");
    });
}

#[test]
fn signals_that_a_manager_took_and_did_not_end_are_offered_to_its_successor() {
    managed(|world| {
        manage(world, C, B, D);
        kill(world, C, USR1).unwrap();
        assert_eq!(take(world, B), (C, 1 << USR1));
        kill(world, C, USR2).unwrap();
        world.as_root(&Clear { process: B }).unwrap();
        assert_eq!(world.rts(C), STOPPED);
        assert_eq!(take(world, D), (C, 1 << USR1 | 1 << USR2), "what B took is not lost");
        assert_eq!(take(world, D), (Endpoint::NONE, 0));
        assert_eq!(end(world, D, C), Ok(()));
        assert_eq!(world.rts(C), Rts::empty());
        world.as_root(&Clear { process: D }).unwrap();
        assert_eq!(world.rts(C), Rts::empty(), "what was ended is not offered again");
    });
}

#[test]
fn what_a_notification_told_a_manager_that_died_is_told_to_the_root() {
    managed(|world| {
        world.trap(B, receive(ANY));
        kill(world, C, Signal::KILL.number()).unwrap();
        assert_eq!(world.rts(C), Rts::SIGNAL_PENDING, "the notification took the signal");
        world.as_root(&Clear { process: B }).unwrap();
        assert_eq!(world.rts(C), Rts::FREE, "the root ended it");
    });
}

#[test]
fn one_that_takes_the_place_of_a_manager_is_offered_what_that_one_took() {
    let by_itself = |world: &mut World<'_>| world.call(B, &statectl::ClearRefs {}).map(drop);
    let by_root = |world: &mut World<'_>| world.as_root(&ClearRefs { process: B }).map(drop);
    for clear in [by_itself, by_root] {
        managed(|world| {
            kill(world, C, USR1).unwrap();
            assert_eq!(take(world, B), (C, 1 << USR1));
            clear(world).unwrap();
            assert_eq!(take(world, B), (C, 1 << USR1), "the one before may have forgotten it");
            assert_eq!(end(world, B, C), Ok(()));
        });
    }
}

#[test]
fn another_manager_is_offered_what_the_one_before_took() {
    managed(|world| {
        kill(world, C, USR1).unwrap();
        assert_eq!(take(world, B), (C, 1 << USR1));
        manage(world, C, B, D);
        assert_eq!(take(world, B), (Endpoint::NONE, 0), "it is still the manager");
        manage(world, C, D, Endpoint::NONE);
        assert_eq!(end(world, B, C), Err(Errno::Perm));
        assert_eq!(world.trap(D, receive(ANY)), Outcome::Done);
        assert_eq!(event(world, D).signaled, Some((C, 1 << USR1)));
        assert_eq!(end(world, D, C), Ok(()));
    });
}

#[test]
fn another_manager_of_users_is_offered_what_the_one_before_took() {
    managed(|world| {
        world.as_root(&Disallow { process: C }).unwrap();
        kill(world, C, USR1).unwrap();
        assert_eq!(take(world, B), (C, 1 << USR1));
        let spec = world.spec();
        let users = |manager| {
            let spec = PrivilegeSpec { manager, ..spec };
            UpdateSys { spec, process: Endpoint::NONE, reset_ranges: 0 }
        };
        world.as_root(&users(A)).unwrap();
        world.as_root(&SetUser { process: C }).unwrap();
        assert_eq!(take(world, A), (C, 1 << USR1), "as a user it has the manager of users");
        world.as_root(&users(D)).unwrap();
        assert_eq!(take(world, D), (C, 1 << USR1));
        assert_eq!(end(world, D, C), Ok(()));
    });
}

#[test]
fn when_the_backup_dies_too_the_root_is_told() {
    managed(|world| {
        manage(world, C, B, D);
        kill(world, B, Signal::KILL.number()).unwrap();
        kill(world, C, Signal::KILL.number()).unwrap();
        assert_eq!(world.rts(C), STOPPED, "D has to deal with it");
        world.as_root(&Clear { process: D }).unwrap();
        assert_eq!(world.rts(C), Rts::FREE, "the root was told of it");
    });
}

#[test]
fn a_manager_that_has_become_a_user_is_none() {
    managed(|world| {
        world.as_root(&Disallow { process: B }).unwrap();
        world.as_root(&SetUser { process: B }).unwrap();
        kill(world, C, Signal::KILL.number()).unwrap();
        assert_eq!(world.rts(C), Rts::FREE, "the root was told, and not all users");
    });
}

#[test]
fn exit_never_returns_and_the_manager_gets_abrt() {
    managed(|world| {
        assert_eq!(world.trap(C, kernel_call(&Exit { status: 3 })), Outcome::Blocked);
        assert_eq!(world.rts(C), STOPPED | Rts::EXITED);
        assert_eq!(take(world, B), (C, Signal::ABRT.bit()));
        assert_eq!(end(world, B, C), Ok(()));
        assert_eq!(world.rts(C), Rts::EXITED, "nothing lets it go on");
        assert_eq!(world.kernel.lookup(C), Some(Slot::of(C)), "its endpoint lives until it is cleared");
    });
}

#[test]
fn an_exception_does_not_repeat_for_ever() {
    managed(|world| {
        world.run(C);
        world.except(Signal::FPE);
        assert_eq!(world.rts(C), STOPPED);
        assert_eq!(take(world, B), (C, Signal::FPE.bit()));
        end(world, B, C).unwrap();
        world.run(C);
        world.except(Signal::FPE);
        assert_eq!(take(world, B), (C, Signal::FPE.bit()));
    });
}

#[test]
fn a_manager_waits_for_nobody_that_stands_for_it() {
    for (call, is_taken) in [(sendrec(C, 1), true), (sendrec(C, 1), false), (send(C, 1), false)] {
        managed(|world| {
            if is_taken {
                world.trap(C, receive(Endpoint::ANY));
            }
            assert_eq!(world.trap(B, call), Outcome::Blocked);
            kill(world, C, USR1).unwrap();
            assert_eq!(Errno::from_result(world.regs(B).rax as i64), Err(Errno::Locked), "taken: {is_taken}");
            assert_eq!(take(world, B), (C, 1 << USR1));
            end(world, B, C).unwrap();
            if is_taken {
                let answered = world.trap(C, sendnb(B, 2));
                assert_eq!(answered, Outcome::Failed(Errno::NotReady), "nobody waits for the answer any more");
            } else {
                assert_eq!(world.trap(C, receive(Endpoint::ANY)), Outcome::Blocked, "nothing was left of it");
            }
        });
    }
}

#[test]
fn whoever_stands_is_not_asked_by_its_manager_but_by_others() {
    managed(|world| {
        world.trap(C, receive(Endpoint::ANY));
        kill(world, C, USR1).unwrap();
        assert_eq!(world.trap(B, sendrec(C, 1)), Outcome::Failed(Errno::Locked));
        assert_eq!(world.trap(D, sendrec(C, 3)), Outcome::Blocked);
        assert_eq!(world.trap(B, send(C, 1)), Outcome::Failed(Errno::Locked), "it receives no more");
        assert_eq!(take(world, B), (C, 1 << USR1));
        assert_eq!(world.trap(B, sendrec(C, 1)), Outcome::Failed(Errno::Locked), "it still stands");
        end(world, B, C).unwrap();
        assert_eq!(world.trap(B, sendrec(C, 1)), Outcome::Blocked);
    });
}
