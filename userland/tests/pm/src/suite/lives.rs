//! Processes begin and end.

use crate::user::{User, ends, nobody_is_left, unused_pages};
use abi::Errno;
use pm_suite::Do;
use protocol::pm::{Kill, SetSession, Wait4, WaitOptions, status};
use suite::{Outcome, check, check_eq};

/// Whether all is done as often as it should be.
const LONG: bool = option_env!("SELIX_SOAK").is_some();

const ILL: u32 = 4;
const FPE: u32 = 8;
const KILL: u32 = 9;
const SEGV: u32 = 11;
const TERM: u32 = 15;

pub(crate) fn every_exit_code_is_told() -> Outcome {
    let mut parent = User::new()?;
    let told = parent.order(Do::Cycle, &[256, 0])??;
    check_eq!(told[..4], [256, 0, 0, 0]);
    let pid = parent.pid;
    parent.exit(77)?;
    ends(pid, status::exited(77))?;
    nobody_is_left()
}

pub(crate) fn who_dies_of_a_signal_is_told_so() -> Outcome {
    for (what, signal) in [(Do::Touch, SEGV), (Do::Divide, FPE), (Do::Illegal, ILL)] {
        let mut user = User::new()?;
        user.tell(what, &[8])?;
        ends(user.pid, signal)?;
    }
    for signal in [KILL, TERM] {
        // One that waits for the suite, and one that runs.
        let (waits, mut runs) = (User::new()?, User::new()?);
        runs.tell(Do::Spin, &[1, 1])?;
        for user in [waits, runs] {
            User::first()?.kill(user.pid as i32, signal)??;
            ends(user.pid, signal)?;
        }
    }
    nobody_is_left()
}

pub(crate) fn many_faults_leave_everything_as_it_was() -> Outcome {
    let mut before = 0;
    for round in 0..40 {
        for (what, signal) in [(Do::Touch, SEGV), (Do::Divide, FPE), (Do::Illegal, ILL)] {
            let mut user = User::new()?;
            user.tell(what, &[8])?;
            ends(user.pid, signal)?;
        }
        let pages = unused_pages()?;
        // What others need for the first time is not lost.
        check!(round == 0 || pages == before, "round {round}: {pages} pages, {before} before");
        before = pages;
    }
    nobody_is_left()
}

pub(crate) fn orphans_come_to_the_first_user_process() -> Outcome {
    let mut parent = User::new()?;
    let mut alive = parent.fork()?;
    let dead = parent.fork()?;
    let (parent_pid, dead_pid) = (parent.pid, dead.pid);
    dead.exit(1)?;
    parent.exit(2)?;
    ends(parent_pid, status::exited(2))?;
    ends(dead_pid, status::exited(1))?;
    check_eq!(alive.ids()?.parent, 1);
    let pid = alive.pid;
    alive.exit(3)?;
    ends(pid, status::exited(3))?;
    nobody_is_left()
}

pub(crate) fn a_wait_ends_when_a_child_does() -> Outcome {
    let mut parent = User::new()?;
    let child = parent.fork()?;
    let (pid, child_pid) = (parent.pid, child.pid);
    check_eq!(parent.wait(-1, WaitOptions::NO_HANG)?, Ok((0, 0)));
    parent.begin(&Wait4 { pid: -1, options: 0 })?;
    child.exit(9)?;
    let waited = parent.answer::<Wait4>()??;
    check_eq!((waited.pid, waited.status), (child_pid, status::exited(9)));
    check_eq!(parent.wait(-1, WaitOptions::empty())?, Err(Errno::Child));
    parent.exit(0)?;
    ends(pid, 0)
}

pub(crate) fn many_at_once_are_ended_as_a_group() -> Outcome {
    const MANY: usize = 60;
    let before = unused_pages()?;
    let mut leader = User::new()?;
    leader.ask(&SetSession {})??;
    for _ in 0..MANY {
        leader.fork()?;
    }
    User::first()?.ask(&Kill { pid: -(leader.pid as i32), signal: KILL })??;
    ends(leader.pid, KILL)?;
    for _ in 0..MANY {
        let told = User::first()?.wait(-1, WaitOptions::empty())??;
        check_eq!(told.1, KILL);
    }
    nobody_is_left()?;
    let after = unused_pages()?;
    check!(after + 64 >= before, "{after} pages of {before}");
    Ok(())
}

pub(crate) fn many_lives_leave_everything_as_it_was() -> Outcome {
    let rounds = if LONG { 10_000 } else { 300 };
    let mut parent = User::new()?;
    parent.order(Do::Cycle, &[20, 0])??;
    let before = unused_pages()?;
    for part in 0..rounds / 100 {
        let told = parent.order(Do::Cycle, &[100, part])??;
        check_eq!((part, told[0], told[1]), (part, 100, 0));
    }
    check_eq!(unused_pages()?, before);
    let pid = parent.pid;
    parent.exit(0)?;
    ends(pid, 0)?;
    nobody_is_left()
}
