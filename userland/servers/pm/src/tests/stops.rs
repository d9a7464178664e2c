//! Processes that stop and go on.

use super::fake::boot;
use super::*;
use crate::signals::*;

const USR1: u32 = 10;

fn wait_for(bench: &mut Bench<'_>, options: WaitOptions) -> Result<(u32, u32), Errno> {
    bench.wait(boot("init"), -1, options | WaitOptions::NO_HANG).unwrap()
}

#[test]
fn a_stop_and_what_follows_are_told_once_to_who_asks() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        for signal in [STOP, TSTP, TTIN, TTOU] {
            bench.kill(init, pid as i32, signal).unwrap();
            assert!(!bench.runs(child));
            assert_eq!(wait_for(bench, WaitOptions::empty()), Ok((0, 0)));
            assert_eq!(wait_for(bench, WaitOptions::UNTRACED), Ok((pid, signal << 8 | 0x7f)));
            assert_eq!(wait_for(bench, WaitOptions::UNTRACED), Ok((0, 0)));
            bench.kill(init, pid as i32, CONT).unwrap();
            assert!(bench.runs(child));
            assert_eq!(wait_for(bench, WaitOptions::UNTRACED), Ok((0, 0)));
            assert_eq!(wait_for(bench, WaitOptions::CONTINUED), Ok((pid, 0xffff)));
            assert_eq!(wait_for(bench, WaitOptions::CONTINUED), Ok((0, 0)));
        }
        bench.kill(init, pid as i32, CONT).unwrap();
        assert_eq!(wait_for(bench, WaitOptions::CONTINUED), Ok((0, 0)), "it had not stopped");
    });
}

#[test]
fn a_waiting_parent_hears_of_a_stop() {
    test(|bench| {
        let (parent, _) = bench.child();
        let (_, pid) = bench.fork(parent);
        assert_eq!(bench.wait(parent, -1, WaitOptions::UNTRACED), None);
        bench.kill(boot("init"), pid as i32, STOP).unwrap();
        assert_eq!(bench.waited(parent), Some(Ok((pid, STOP << 8 | 0x7f))));
    });
}

#[test]
fn parents_get_a_signal_for_it_unless_they_do_not_want_it() {
    test(|bench| {
        let init = boot("init");
        let (_, pid) = bench.child();
        bench.catch(init, CHLD);
        bench.kill(init, pid as i32, STOP).unwrap();
        assert_eq!(bench.called(init, CHLD), 1);
        bench.returns(init);
        bench.acts(init, CHLD, HANDLER, 0, ActionFlags::NO_CHILD_STOP).unwrap();
        bench.kill(init, pid as i32, CONT).unwrap();
        bench.kill(init, pid as i32, STOP).unwrap();
        assert_eq!(bench.called(init, CHLD), 1);
        bench.kill(init, pid as i32, KILL).unwrap();
        assert_eq!(bench.called(init, CHLD), 2);
    });
}

#[test]
fn signals_of_one_that_stands_come_when_it_goes_on() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, USR1);
        bench.catch(child, CONT);
        bench.kill(init, pid as i32, STOP).unwrap();
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (0, false));
        bench.kill(init, pid as i32, CONT).unwrap();
        assert_eq!((bench.called(child, USR1), bench.called(child, CONT)), (1, 1));
        assert!(bench.runs(child));
    });
}

#[test]
fn one_that_stands_can_be_ended() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.kill(init, pid as i32, STOP).unwrap();
        bench.kill(init, pid as i32, TERM).unwrap();
        assert!(bench.lives(child), "that one waits");
        bench.kill(init, pid as i32, KILL).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, KILL)));
        let (_, pid) = bench.child();
        bench.kill(init, pid as i32, STOP).unwrap();
        bench.kill(init, pid as i32, TERM).unwrap();
        bench.kill(init, pid as i32, CONT).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, TERM)));
    });
}

#[test]
fn stops_and_going_on_cancel_each_other() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        let block = SigMask { how: How::Block, reserved: 0, set: 1 << TSTP | 1 << CONT };
        bench.asks(child, &block).unwrap();
        bench.catch(child, CONT);
        bench.kill(init, pid as i32, TSTP).unwrap();
        assert_eq!(bench.asks(child, &SigPending {}).unwrap().set, 1 << TSTP);
        bench.kill(init, pid as i32, CONT).unwrap();
        assert_eq!(bench.asks(child, &SigPending {}).unwrap().set, 1 << CONT);
        bench.kill(init, pid as i32, TSTP).unwrap();
        assert_eq!(bench.asks(child, &SigPending {}).unwrap().set, 1 << TSTP);
        // Going on is not a matter of the mask.
        bench.kill(init, pid as i32, STOP).unwrap();
        assert!(!bench.runs(child));
        bench.kill(init, pid as i32, CONT).unwrap();
        assert!(bench.runs(child));
    });
}

#[test]
fn a_stop_can_be_caught_or_ignored_but_one() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.catch(child, TSTP);
        bench.acts(child, TTIN, IGNORE, 0, ActionFlags::empty()).unwrap();
        bench.kill(init, pid as i32, TSTP).unwrap();
        bench.kill(init, pid as i32, TTIN).unwrap();
        assert_eq!((bench.called(child, TSTP), bench.runs(child)), (1, true));
    });
}

#[test]
fn what_one_that_stands_waits_for_comes_meanwhile() {
    test(|bench| {
        let init = boot("init");
        let (parent, pid) = bench.child();
        let (child, child_pid) = bench.fork(parent);
        assert_eq!(bench.wait(parent, -1, WaitOptions::empty()), None);
        bench.kill(init, pid as i32, STOP).unwrap();
        bench.exit(child, 3);
        assert_eq!(bench.waited(parent), Some(Ok((child_pid, 3 << 8))));
        assert!(!bench.runs(parent));
        bench.kill(init, pid as i32, CONT).unwrap();
        assert!(bench.runs(parent));
    });
}

#[test]
fn oneself_can_be_stopped() {
    test(|bench| {
        let init = boot("init");
        let (child, pid) = bench.child();
        bench.kill(child, pid as i32, STOP).unwrap();
        assert!(!bench.runs(child));
        bench.kill(init, pid as i32, CONT).unwrap();
        assert!(bench.runs(child));
    });
}
