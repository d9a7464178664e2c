//! Signals of user processes.

use super::fake::boot;
use super::*;
use crate::signals::*;
use std::vec::Vec;

const USR1: u32 = 10;
const USR2: u32 = 12;

fn mask(how: How, set: u64) -> SigMask {
    SigMask { how, reserved: 0, set }
}

#[test]
fn every_signal_ends_stops_or_does_nothing() {
    test(|bench| {
        let init = boot("init");
        for signal in 1..SIGNALS as u32 {
            let (child, pid) = bench.child();
            bench.kill(init, pid as i32, signal).unwrap();
            let told = bench.poll(init).unwrap();
            match default_of(signal) {
                Default::End { .. } => assert_eq!(told, (pid, signal), "no file server saves its memory"),
                Default::Ignore => assert!(told == (0, 0) && bench.runs(child)),
                Default::Stop => assert!(told == (0, 0) && bench.lives(child) && !bench.runs(child), "{signal}"),
            }
            if bench.lives(child) {
                bench.kill(init, pid as i32, KILL).unwrap();
                assert_eq!(bench.poll(init), Ok((pid, KILL)));
            }
        }
    });
}

#[test]
fn a_handler_runs_once_and_its_signal_is_blocked_meanwhile() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.acts(child, USR1, HANDLER, 1 << USR2, ActionFlags::empty()).unwrap();
        bench.catch(child, USR2);
        bench.asks(child, &mask(How::Set, 1 << HUP)).unwrap();
        bench.kill(init, pid as i32, USR1).unwrap();
        assert!(bench.runs(child));
        assert_eq!(bench.world.borrow().find(child).unwrap().handlers, [(USR1, 1 << HUP)]);
        let blocked = bench.asks(child, &mask(How::Query, 0)).unwrap().set;
        assert_eq!(blocked, 1 << HUP | 1 << USR1 | 1 << USR2);
        for signal in [USR1, USR1, USR2] {
            bench.kill(init, pid as i32, signal).unwrap();
        }
        assert_eq!((bench.called(child, USR1), bench.called(child, USR2)), (1, 0));
        assert_eq!(bench.asks(child, &SigPending {}).unwrap().set, 1 << USR1 | 1 << USR2);
        bench.returns(child);
        // Each that came meanwhile comes once; the second while the first handler has not begun to run.
        assert_eq!(
            (bench.called(child, USR1), bench.called(child, USR2)),
            (2, 0),
            "the first handler blocks the second"
        );
        bench.returns(child);
        assert_eq!((bench.called(child, USR1), bench.called(child, USR2)), (2, 1));
        bench.returns(child);
        assert_eq!(bench.asks(child, &mask(How::Query, 0)).unwrap().set, 1 << HUP);
        assert!(bench.world.borrow().find(child).unwrap().handlers.is_empty());
    });
}

#[test]
fn flags_of_an_action_are_kept() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.acts(child, USR1, HANDLER, 0, ActionFlags::NO_DEFER).unwrap();
        bench.acts(child, USR2, HANDLER, 0, ActionFlags::RESET_HAND).unwrap();
        for _ in 0..3 {
            bench.kill(init, pid as i32, USR1).unwrap();
        }
        assert_eq!(bench.called(child, USR1), 3, "it may come in its handler");
        bench.kill(init, pid as i32, USR2).unwrap();
        assert_eq!(bench.called(child, USR2), 1);
        (0..4).for_each(|_| bench.returns(child));
        bench.kill(init, pid as i32, USR2).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, USR2)), "the default is back");
    });
}

#[test]
fn actions_are_told_and_checked() {
    test(|bench| {
        let (child, _) = bench.child();
        let query =
            |signal| SigAction { signal, change: 0, handler: 7, trampoline: 0, mask: 0, flags: u32::MAX, reserved: 0 };
        let none = OldAction { handler: DEFAULT, trampoline: 0, mask: 0, flags: 0, reserved: 0 };
        assert_eq!(bench.asks(child, &query(USR1)), Ok(none));
        let all = u64::MAX;
        bench.acts(child, USR1, HANDLER, all, ActionFlags::NO_DEFER).unwrap();
        let kept = bench.asks(child, &query(USR1)).unwrap();
        let firm = 1 | 1 << KILL | 1 << STOP;
        assert_eq!((kept.handler, kept.flags), (HANDLER, ActionFlags::NO_DEFER.bits()));
        assert_eq!(kept.mask, u64::from(u32::MAX) & !firm);
        for signal in [KILL, STOP] {
            for handler in [DEFAULT, IGNORE, HANDLER] {
                assert_eq!(bench.acts(child, signal, handler, 0, ActionFlags::empty()), Err(Errno::Inval));
            }
            assert_eq!(bench.asks(child, &query(signal)), Ok(none));
        }
        for signal in [0, 32, 64, u32::MAX] {
            assert_eq!(bench.acts(child, signal, HANDLER, 0, ActionFlags::empty()), Err(Errno::Inval));
            assert_eq!(bench.asks(child, &query(signal)), Err(Errno::Inval));
        }
        for handler in [2, abi::layout::USER_START - 1, abi::layout::USER_END, u64::MAX] {
            assert_eq!(bench.acts(child, USR2, handler, 0, ActionFlags::empty()), Err(Errno::Inval));
        }
        let flags = ActionFlags::from_bits_retain(1 << 20);
        assert_eq!(bench.acts(child, USR2, HANDLER, 0, flags), Err(Errno::Inval));
        assert_eq!(bench.asks(child, &query(USR2)), Ok(none));
    });
}

#[test]
fn blocked_signals_wait_and_ignoring_drops_them() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.asks(child, &mask(How::Block, u64::MAX)).unwrap();
        for signal in [USR1, USR2, TERM] {
            bench.kill(init, pid as i32, signal).unwrap();
        }
        assert_eq!(bench.asks(child, &SigPending {}).unwrap().set, 1 << USR1 | 1 << USR2 | 1 << TERM);
        bench.acts(child, TERM, IGNORE, 0, ActionFlags::empty()).unwrap();
        bench.catch(child, USR1);
        assert_eq!(bench.asks(child, &SigPending {}).unwrap().set, 1 << USR1 | 1 << USR2);
        // What it unblocks comes before its call is over for it.
        assert_eq!(bench.ask(child, &mask(How::Unblock, 1 << USR1)), None);
        assert!(bench.answer_of::<SigMask>(child).is_some());
        assert_eq!(bench.called(child, USR1), 1);
        assert_eq!(bench.ask(child, &mask(How::Set, 0)), None);
        assert_eq!(bench.poll(init), Ok((pid, USR2)));
    });
}

#[test]
fn kill_and_stop_are_never_blocked() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.asks(child, &mask(How::Set, u64::MAX)).unwrap();
        let set = bench.asks(child, &mask(How::Query, 0)).unwrap().set;
        assert_eq!(set & (1 | 1 << KILL | 1 << STOP), 0);
        bench.kill(init, pid as i32, STOP).unwrap();
        assert!(!bench.runs(child));
        bench.kill(init, pid as i32, KILL).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, KILL)));
    });
}

#[test]
fn who_waits_for_a_signal_is_interrupted_and_has_its_mask_again() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, USR1);
        bench.asks(child, &mask(How::Set, 1 << USR1 | 1 << USR2)).unwrap();
        assert_eq!(bench.ask(child, &SigSuspend { set: 1 << USR2 }), None);
        bench.kill(init, pid as i32, USR2).unwrap();
        bench.kill(init, pid as i32, CHLD).unwrap();
        assert!(!bench.runs(child), "one is blocked still, the other does nothing");
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!(bench.answer_of::<SigSuspend>(child), Some(Err(Errno::Intr)));
        assert_eq!(bench.world.borrow().find(child).unwrap().handlers, [(USR1, 1 << USR1 | 1 << USR2)]);
        assert!(bench.runs(child));
        bench.returns(child);
        assert_eq!(bench.asks(child, &mask(How::Query, 0)).unwrap().set, 1 << USR1 | 1 << USR2);
    });
}

#[test]
fn a_signal_that_is_there_already_ends_the_wait_at_once() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, USR1);
        bench.asks(child, &mask(How::Set, 1 << USR1)).unwrap();
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!(bench.ask(child, &SigSuspend { set: 0 }), None);
        assert_eq!(bench.answer_of::<SigSuspend>(child), Some(Err(Errno::Intr)));
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (1, true));
    });
}

#[test]
fn who_waits_for_a_child_is_interrupted_by_a_handler_only() {
    test(|bench| {
        let init = boot("init");
        let (parent, pid) = bench.child();
        let (child, child_pid) = bench.fork(parent);
        bench.catch(parent, USR1);
        bench.acts(parent, USR2, IGNORE, 0, ActionFlags::empty()).unwrap();
        assert_eq!(bench.wait(parent, -1, WaitOptions::empty()), None);
        bench.kill(init, pid as i32, USR2).unwrap();
        assert_eq!(bench.waited(parent), None);
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!(bench.waited(parent), Some(Err(Errno::Intr)));
        assert_eq!(bench.called(parent, USR1), 1);
        bench.exit(child, 5);
        assert_eq!(bench.poll(parent), Ok((child_pid, 5 << 8)), "it has not been lost");
    });
}

#[test]
fn a_process_that_sends_gets_its_signal_when_it_has_sent() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, USR1);
        bench.world.borrow_mut().get(child).unwrap().sends = true;
        bench.kill(init, pid as i32, USR1).unwrap();
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!(bench.called(child, USR1), 0);
        bench.world.borrow_mut().get(child).unwrap().has_sent();
        bench.system();
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (1, true));
    });
}

#[test]
fn a_process_that_waits_for_another_service_gets_it_when_that_has_answered() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, USR1);
        bench.world.borrow_mut().get(child).unwrap().elsewhere = true;
        bench.kill(init, pid as i32, USR1).unwrap();
        for _ in 0..3 {
            assert_eq!((bench.called(child, USR1), bench.runs(child)), (0, false));
            bench.tick();
        }
        bench.world.borrow_mut().get(child).unwrap().elsewhere = false;
        assert!(!bench.runs(child), "it stands until it has its signal");
        bench.tick();
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (1, true));
        assert_eq!(bench.world.borrow().alarm, None);
        // One that ends it does not wait.
        bench.world.borrow_mut().get(child).unwrap().elsewhere = true;
        bench.kill(init, pid as i32, TERM).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, TERM)));
    });
}

#[test]
fn faults_end_also_who_ignores_or_blocks_them() {
    test(|bench| {
        let init = boot("init");
        for signal in [ILL, TRAP, BUS, FPE, SEGV] {
            let (child, pid) = bench.child();
            bench.acts(child, signal, IGNORE, 0, ActionFlags::empty()).unwrap();
            bench.kill(init, pid as i32, signal).unwrap();
            assert!(bench.runs(child), "one that is sent is ignored");
            bench.fault(child, signal);
            assert_eq!(bench.poll(init), Ok((pid, signal)));
            let (child, pid) = bench.child();
            bench.catch(child, signal);
            bench.fault(child, signal);
            assert_eq!((bench.called(child, signal), bench.runs(child)), (1, true));
            bench.fault(child, signal);
            assert_eq!(bench.poll(init), Ok((pid, signal)), "its handler has the same fault");
        }
    });
}

#[test]
fn a_stack_without_room_ends_the_process() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, USR1);
        bench.world.borrow_mut().get(child).unwrap().has_no_stack = true;
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, SEGV)));
        let (child, pid) = bench.child();
        assert_eq!(bench.ask(child, &SigReturn { frame: 77 }), None);
        assert_eq!(bench.poll(init), Ok((pid, SEGV)), "a frame that is none");
    });
}

#[test]
fn signals_to_oneself_come_before_the_call_is_over() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, USR1);
        bench.kill(child, pid as i32, USR1).unwrap();
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (1, true));
        bench.kill(child, 0, 0).unwrap();
        assert_eq!(bench.ask(child, &Kill { pid: pid as i32, signal: KILL }), None);
        assert_eq!(bench.poll(init), Ok((pid, KILL)));
    });
}

#[test]
fn who_may_send_to_whom() {
    test(|bench| {
        let init = boot("init");
        // Real and effective ids of the sender and of the target, and whether it may.
        let table = [
            ((0, 0), (5, 5), true),
            ((5, 5), (5, 5), true),
            ((5, 5), (6, 6), false),
            ((5, 5), (0, 0), false),
            ((5, 6), (6, 6), true),
            ((5, 6), (7, 5), true),
            ((5, 6), (6, 7), true),
            ((5, 6), (7, 8), false),
            ((5, 0), (7, 8), true),
            ((0, 5), (7, 8), false),
        ];
        for (from, to, may) in table {
            let (a, _) = bench.child();
            let (b, pid) = bench.child();
            for (who, (real, effective)) in [(a, from), (b, to)] {
                let ids = &mut bench.pm.table[crate::Slot::of(who)].ids.user;
                (ids.real, ids.effective) = (real, effective);
            }
            let expected = if may { Ok(()) } else { Err(Errno::Perm) };
            for signal in [0, URG, KILL] {
                assert_eq!(bench.kill(a, pid as i32, signal), expected, "{from:?} {to:?}");
            }
            assert_eq!(bench.lives(b), !may);
            for (who, pid) in [(a, 0), (b, pid)] {
                if bench.lives(who) {
                    bench.exit(who, pid);
                }
            }
            while bench.poll(init).is_ok() {}
        }
    });
}

#[test]
fn targets_are_a_process_a_group_or_everybody() {
    test(|bench| {
        let init = boot("init");
        let (leader, group) = bench.child();
        bench.asks(leader, &SetSession {}).unwrap();
        let (member, member_pid) = bench.fork(leader);
        let (other, other_pid) = bench.child();
        for who in [init, leader, member, other] {
            bench.catch(who, USR1);
        }
        let called = |bench: &Bench<'_>| [init, leader, member, other].map(|who| bench.called(who, USR1));
        bench.kill(member, 0, USR1).unwrap();
        assert_eq!(called(bench), [0, 1, 1, 0]);
        [leader, member].into_iter().for_each(|who| bench.returns(who));
        bench.kill(init, -(group as i32), USR1).unwrap();
        assert_eq!(called(bench), [0, 2, 2, 0]);
        [leader, member].into_iter().for_each(|who| bench.returns(who));
        bench.kill(init, other_pid as i32, USR1).unwrap();
        assert_eq!(called(bench), [0, 2, 2, 1]);
        bench.returns(other);
        bench.kill(init, -1, USR1).unwrap();
        assert_eq!(called(bench), [0, 3, 3, 2], "all but the first");
        [leader, member, other].into_iter().for_each(|who| bench.returns(who));
        for (pid, signal, error) in [
            (1, KILL, Errno::Inval),
            (member_pid as i32, 32, Errno::Inval),
            (member_pid as i32, u32::MAX, Errno::Inval),
            (29_999, USR1, Errno::Srch),
            (-29_999, 0, Errno::Srch),
            (i32::MIN, USR1, Errno::Srch),
        ] {
            assert_eq!(bench.kill(leader, pid, signal), Err(error), "{pid} {signal}");
        }
    });
}

#[test]
fn killing_everybody_leaves_the_services_and_the_first() {
    test(|bench| {
        let init = boot("init");
        let children: Vec<_> = (0..5).map(|_| bench.child().0).collect();
        bench.kill(init, -1, KILL).unwrap();
        assert!(children.iter().all(|child| !bench.lives(*child)));
        assert!(bench.world.borrow().killed.is_empty() && bench.lives(init));
        bench.kill(init, -1, TERM).unwrap();
        let hello = boot("hello");
        assert!(bench.world.borrow().killed.contains(&(hello, TERM)), "services hear of their end");
        let killed = bench.world.borrow().killed.clone();
        assert!(killed.iter().all(|(who, _)| ![boot("vm"), boot("pm")].contains(who)));
    });
}

#[test]
fn services_get_signals_through_the_kernel_and_no_faults_of_users() {
    test(|bench| {
        let init = boot("init");
        let (hello, vm) = (boot("hello"), boot("vm"));
        let (pid, _) = bench.pid_of(hello).unwrap();
        for signal in [ILL, TRAP, ABRT, BUS, FPE, SEGV] {
            assert_eq!(bench.kill(init, pid as i32, signal), Err(Errno::Perm));
        }
        assert!(bench.world.borrow().killed.is_empty());
        for signal in [TERM, HUP, KILL] {
            bench.kill(init, pid as i32, signal).unwrap();
        }
        bench.kill(init, pid as i32, 0).unwrap();
        assert_eq!(bench.world.borrow_mut().killed.split_off(0), [(hello, TERM), (hello, HUP), (hello, KILL)]);
        assert!(bench.lives(hello), "that is its manager's business");
        let (pid, _) = bench.pid_of(vm).unwrap();
        bench.kill(init, pid as i32, KILL).unwrap();
        assert!(bench.world.borrow().killed.is_empty(), "the memory server gets none");
        let (user, _) = bench.child();
        bench.asks(user, &SetUid { uid: 9, reserved: 0 }).unwrap();
        let (pid, _) = bench.pid_of(hello).unwrap();
        assert_eq!(bench.kill(user, pid as i32, TERM), Err(Errno::Perm));
    });
}

#[test]
fn services_have_no_handlers() {
    test(|bench| {
        let hello = boot("hello");
        assert_eq!(bench.acts(hello, USR1, HANDLER, 0, ActionFlags::empty()), Err(Errno::Perm));
        assert_eq!(bench.asks(hello, &mask(How::Query, 0)).map(drop), Err(Errno::Perm));
        assert_eq!(bench.asks(hello, &SigPending {}).map(drop), Err(Errno::Perm));
        assert_eq!(bench.asks(hello, &SigSuspend { set: 0 }).map(drop), Err(Errno::Perm));
        assert_eq!(bench.asks(hello, &SigReturn { frame: 0 }).map(drop), Err(Errno::Perm));
    });
}

#[test]
fn the_root_system_process_signals_anybody() {
    test(|bench| {
        let (rs, init) = (boot("rs"), boot("init"));
        let (child, pid) = bench.child();
        assert_eq!(bench.asks(rs, &SrvKill { process: child, signal: 0 }), Err(Errno::Inval));
        assert_eq!(bench.asks(init, &SrvKill { process: child, signal: TERM }), Err(Errno::Perm));
        bench.asks(rs, &SrvKill { process: child, signal: TERM }).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, TERM)));
        assert_eq!(bench.asks(rs, &SrvKill { process: child, signal: TERM }), Err(Errno::Srch));
    });
}

#[test]
fn signals_of_a_terminal_go_to_the_group() {
    test(|bench| {
        let (leader, _) = bench.child();
        bench.asks(leader, &SetSession {}).unwrap();
        let (member, _) = bench.fork(leader);
        for who in [leader, member] {
            bench.catch(who, INT);
        }
        bench.fault(member, INT);
        assert_eq!((bench.called(leader, INT), bench.called(member, INT)), (1, 1));
        assert!(bench.runs(leader) && bench.runs(member));
    });
}

#[test]
fn the_end_of_a_session_s_leader_is_told_to_its_group() {
    test(|bench| {
        let init = boot("init");
        let (leader, leader_pid) = bench.child();
        bench.asks(leader, &SetSession {}).unwrap();
        let (member, pid) = bench.fork(leader);
        let (other, _) = bench.child();
        bench.exit(leader, 0);
        assert!(!bench.lives(member) && bench.runs(other));
        let mut told = std::vec![bench.poll(init).unwrap(), bench.poll(init).unwrap()];
        told.sort_unstable();
        let mut expected = std::vec![(leader_pid, 0), (pid, HUP)];
        expected.sort_unstable();
        assert_eq!(told, expected);
    });
}
