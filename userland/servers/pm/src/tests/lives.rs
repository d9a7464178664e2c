//! Processes begin, end, and are waited for.

use super::fake::boot;
use super::*;
use crate::signals::{CHLD, KILL, SEGV, TERM};
use std::vec::Vec;

const NOT: WaitOptions = WaitOptions::NO_HANG;
const HANG: WaitOptions = WaitOptions::empty();

#[test]
fn every_exit_code_is_told() {
    test(|bench| {
        let init = boot("init");
        for code in 0..=255 {
            let (child, pid) = bench.child();
            bench.exit(child, code);
            assert!(!bench.lives(child));
            assert_eq!(bench.poll(init), Ok((pid, code << 8)));
        }
        let (child, pid) = bench.child();
        bench.exit(child, 0x1234);
        assert_eq!(bench.poll(init), Ok((pid, 0x3400)), "a code has eight bits");
        assert_eq!(bench.poll(init), Err(Errno::Child));
    });
}

#[test]
fn whoever_waits_first_is_told_too_and_gets_no_signal() {
    test(|bench| {
        let init = boot("init");
        bench.catch(init, CHLD);
        let (child, pid) = bench.child();
        assert_eq!(bench.wait(init, -1, HANG), None);
        bench.exit(child, 7);
        assert_eq!(bench.waited(init), Some(Ok((pid, 7 << 8))));
        assert_eq!(bench.called(init, CHLD), 0);
        let (child, _) = bench.child();
        bench.exit(child, 7);
        assert_eq!(bench.called(init, CHLD), 1);
        bench.returns(init);
        bench.poll(init).unwrap();
    });
}

#[test]
fn a_wait_is_about_a_pid_a_group_or_anybody() {
    test(|bench| {
        let init = boot("init");
        let children: Vec<_> = (0..4).map(|_| bench.child()).collect();
        let [a, b, c, d] = [0, 1, 2, 3].map(|i: usize| children[i]);
        bench.asks(c.0, &SetSession {}).unwrap();
        for (child, _) in children {
            bench.exit(child, 1);
        }
        let wait = |bench: &mut Bench<'_>, pid: i32| bench.wait(init, pid, NOT).unwrap().map(|(pid, _)| pid);
        assert_eq!(wait(bench, b.1 as i32), Ok(b.1));
        assert_eq!(wait(bench, b.1 as i32), Err(Errno::Child));
        assert_eq!(wait(bench, -(c.1 as i32)), Ok(c.1), "its group");
        assert_eq!(wait(bench, -(c.1 as i32)), Err(Errno::Child));
        assert_eq!(wait(bench, 0), Ok(a.1), "the caller's own group");
        assert_eq!(wait(bench, -1), Ok(d.1));
        for pid in [-1, 0, 1, 30_000, i32::MIN, i32::MAX] {
            assert_eq!(wait(bench, pid), Err(Errno::Child), "{pid}");
        }
    });
}

#[test]
fn without_hanging_nothing_is_pid_0_and_options_are_checked() {
    test(|bench| {
        let init = boot("init");
        let (child, _) = bench.child();
        assert_eq!(bench.poll(init), Ok((0, 0)));
        assert_eq!(bench.asks(init, &Wait4 { pid: -1, options: 4 }).map(drop), Err(Errno::Inval));
        bench.exit(child, 0);
        bench.poll(init).unwrap();
    });
}

#[test]
fn orphans_come_to_init_also_dead_ones() {
    test(|bench| {
        let init = boot("init");
        let (parent, _) = bench.child();
        let (alive, alive_pid) = bench.fork(parent);
        let (dead, dead_pid) = bench.fork(parent);
        bench.exit(dead, 3);
        bench.exit(parent, 0);
        assert_eq!(bench.pid_of(alive), Ok((alive_pid, 1)));
        let mut told = Vec::new();
        while let Ok((pid, status)) = bench.poll(init)
            && pid != 0
        {
            told.push((pid, status));
        }
        assert!(told.len() == 2 && told.contains(&(dead_pid, 3 << 8)), "{told:?}");
        bench.exit(alive, 4);
        assert_eq!(bench.poll(init), Ok((alive_pid, 4 << 8)));
    });
}

#[test]
fn init_that_waits_gets_an_orphan_that_was_dead() {
    test(|bench| {
        let init = boot("init");
        let (parent, parent_pid) = bench.child();
        let (child, pid) = bench.fork(parent);
        bench.exit(child, 9);
        assert_eq!(bench.wait(init, -1, HANG), None);
        bench.exit(parent, 0);
        assert_eq!(bench.waited(init), Some(Ok((parent_pid, 0))));
        assert_eq!(bench.poll(init), Ok((pid, 9 << 8)));
    });
}

#[test]
fn who_ignores_its_children_has_no_zombies() {
    test(|bench| {
        let (parent, _) = bench.child();
        bench.acts(parent, CHLD, IGNORE, 0, ActionFlags::empty()).unwrap();
        let (a, _) = bench.fork(parent);
        let (b, _) = bench.fork(parent);
        let before = bench.len();
        bench.exit(a, 1);
        assert_eq!(bench.len(), before - 1);
        assert_eq!(bench.wait(parent, -1, HANG), None);
        bench.exit(b, 1);
        assert_eq!(bench.waited(parent), Some(Err(Errno::Child)), "there is nobody left to wait for");
        bench.acts(parent, CHLD, DEFAULT, 0, ActionFlags::NO_CHILD_WAIT).unwrap();
        let (c, _) = bench.fork(parent);
        bench.exit(c, 1);
        assert_eq!(bench.poll(parent), Err(Errno::Child));
    });
}

#[test]
fn times_of_children_are_added_up() {
    test(|bench| {
        let init = boot("init");
        let (parent, pid) = bench.child();
        let (child, _) = bench.fork(parent);
        bench.world.borrow_mut().get(child).unwrap().user = 5;
        bench.world.borrow_mut().get(child).unwrap().system = 7;
        bench.exit(child, 0);
        let told = bench.asks(parent, &Wait4 { pid: -1, options: 0 }).unwrap();
        assert_eq!((told.user, told.system), (5, 7));
        bench.world.borrow_mut().get(parent).unwrap().user = 100;
        let times = bench.asks(parent, &GetTimes {}).unwrap();
        assert_eq!(times, ProcessTimes { user: 100, system: 0, child_user: 5, child_system: 7 });
        bench.exit(parent, 0);
        let told = bench.asks(init, &Wait4 { pid: pid as i32, options: 0 }).unwrap();
        assert_eq!((told.user, told.system), (105, 7));
    });
}

#[test]
fn the_last_slots_are_for_root() {
    test(|bench| {
        let init = boot("init");
        let (user, _) = bench.child();
        bench.asks(user, &SetUid { uid: 7, reserved: 0 }).unwrap();
        let mut all = Vec::new();
        while bench.len() < Endpoint::SLOTS - 2 {
            all.push(bench.fork(user).0);
        }
        assert_eq!(bench.asks(user, &Fork {}).map(drop), Err(Errno::Again));
        for _ in 0..2 {
            all.push(bench.child().0);
        }
        assert_eq!(bench.asks(init, &Fork {}).map(drop), Err(Errno::Again));
        for child in all {
            bench.exit(child, 0);
        }
        bench.exit(user, 0);
        while bench.poll(init).is_ok() {}
        assert_eq!(bench.len(), 5);
    });
}

#[test]
fn a_fork_that_fails_changes_nothing() {
    test(|bench| {
        let init = boot("init");
        for error in [Errno::NoMem, Errno::Inval] {
            bench.world.borrow_mut().denies = Some((protocol::vm::Fork::KIND, error));
            assert_eq!(bench.asks(init, &Fork {}).map(drop), Err(error));
        }
        bench.world.borrow_mut().denies = None;
        assert_eq!((bench.len(), bench.poll(init)), (5, Err(Errno::Child)));
    });
}

#[test]
fn services_do_not_fork_and_are_killed_when_they_exit() {
    test(|bench| {
        let hello = boot("hello");
        assert_eq!(bench.asks(hello, &Fork {}).map(drop), Err(Errno::Perm));
        assert_eq!(bench.asks(hello, &Exit { code: 0, reserved: 0 }).map(drop), Err(Errno::Perm));
        assert_eq!(bench.world.borrow().killed, [(hello, KILL)], "its manager hears of it");
        assert!(bench.lives(hello));
    });
}

#[test]
fn the_end_of_init_is_that_of_the_system() {
    test(|bench| {
        bench.exit(boot("init"), 0);
        assert!(bench.world.borrow().failed.is_some());
    });
}

#[test]
fn a_child_has_what_its_parent_has_but_for_what_is_pending_and_timers() {
    test(|bench| {
        let (parent, _) = bench.child();
        bench.catch(parent, TERM);
        bench.asks(parent, &SigMask { how: How::Set, reserved: 0, set: 1 << 10 | 1 << 12 }).unwrap();
        let me = bench.asks(parent, &GetIds {}).unwrap();
        bench.kill(parent, me.pid as i32, 10).unwrap();
        let timer = SetTimer {
            timer: Timer::Real,
            reserved: 0,
            interval_seconds: 0,
            interval_micros: 0,
            seconds: 5,
            micros: 0,
        };
        bench.asks(parent, &timer).unwrap();
        let (child, pid) = bench.fork(parent);
        let query = SigMask { how: How::Query, reserved: 0, set: 0 };
        assert_eq!(bench.asks(child, &query).unwrap().set, 1 << 10 | 1 << 12);
        assert_eq!(bench.asks(child, &SigPending {}).unwrap().set, 0);
        assert_eq!(bench.asks(child, &GetTimer { timer: Timer::Real, reserved: 0 }).unwrap().seconds, 0);
        let ids = bench.asks(child, &GetIds {}).unwrap();
        assert_eq!(ids, Ids { pid, parent: me.pid, ..me });
        bench.kill(parent, pid as i32, TERM).unwrap();
        assert_eq!(bench.called(child, TERM), 1, "it has the handler, too");
    });
}

#[test]
fn what_was_sent_before_the_end_is_dropped() {
    test(|bench| {
        let (child, pid) = bench.child();
        let (other, _) = bench.child();
        // Its request is under way when it is killed; kernel and table know it until its files are closed.
        let message = bench.world.borrow_mut().asks(child, &protocol::encode(GetIds::KIND, &GetIds {}));
        bench.pm.table[crate::Slot::of(child)].flags |= crate::process::Flags::EXITS;
        let mut answered = message;
        assert!(!bench.pm.answer(&mut answered));
        bench.pm.table[crate::Slot::of(child)].flags.remove(crate::process::Flags::EXITS);
        bench.kill(other, pid as i32, KILL).unwrap();
        assert_eq!(bench.poll(boot("init")), Ok((pid, KILL)));
        let mut unknown = message;
        assert!(bench.pm.answer(&mut unknown));
        assert_eq!(unknown.kind.status(), Some(Err(Errno::Srch)));
    });
}

#[test]
fn calls_that_are_none_do_not_exist() {
    test(|bench| {
        for kind in [0xa00 + 49, 0xa00 + 39, 0xaff, 0, 0x7001, 0x7fff] {
            let mut message = Message::new(boot("init"), abi::Kind(kind));
            assert!(bench.pm.answer(&mut message));
            assert_eq!(message.kind.status(), Some(Err(Errno::NoSys)), "{kind:#x}");
        }
    });
}

#[test]
fn ten_thousand_lives_leave_nothing() {
    test(|bench| {
        let init = boot("init");
        for round in 0..10_000_u32 {
            let (child, pid) = bench.child();
            if round % 2 == 0 {
                bench.exit(child, round);
            } else {
                bench.fault(child, SEGV);
            }
            assert_eq!(bench.poll(init).unwrap().0, pid);
            assert_eq!(bench.len(), 5);
        }
    });
}
