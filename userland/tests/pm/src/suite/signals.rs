//! Signals.

use crate::user::{User, ends, nobody_is_left};
use abi::Errno;
use pm_suite::Do;
use protocol::pm::*;
use suite::{Outcome, check, check_eq};

const USR1: u32 = 10;
const USR2: u32 = 12;
const KILL: u32 = 9;
const SEGV: u32 = 11;
const ALRM: u32 = 14;
const CONT: u32 = 18;
const STOP: u32 = 19;
const TRAP: u32 = 5;
const VTALRM: u32 = 26;

/// The pid and status of a child of the first user that has changed.
fn changed(pid: u32, options: WaitOptions) -> Result<(u32, u32), suite::Failure> {
    Ok(User::first()?.wait(pid as i32, options)??)
}

fn end(user: User) -> Outcome {
    User::first()?.kill(user.pid as i32, KILL)??;
    ends(user.pid, KILL)
}

pub(crate) fn a_handler_runs_once() -> Outcome {
    let mut user = User::new()?;
    user.catch(USR1)?;
    for round in 1..=20 {
        let pid = user.pid as i32;
        // Sent by itself, and by another one while it waits for the suite.
        if round % 2 == 0 {
            user.kill(pid, USR1)??
        } else {
            User::first()?.kill(pid, USR1)??
        }
        check_eq!((round, user.count(USR1)?), (round, round));
    }
    let set = user.ask(&SigMask { how: How::Block, reserved: 0, set: 1 << USR1 })??;
    check_eq!(set.set, 0);
    for _ in 0..3 {
        User::first()?.kill(user.pid as i32, USR1)??;
    }
    check_eq!((user.count(USR1)?, user.ask(&SigPending {})??.set), (20, 1 << USR1));
    let set = user.ask(&SigMask { how: How::Set, reserved: 0, set: 0 })??;
    check_eq!((set.set, user.count(USR1)?), (1 << USR1, 21));
    check_eq!(user.ask(&SigMask { how: How::Query, reserved: 0, set: 0 })??.set, 0);
    end(user)
}

pub(crate) fn who_waits_is_interrupted() -> Outcome {
    let mut parent = User::new()?;
    let child = parent.fork()?;
    parent.catch(USR1)?;
    parent.begin(&Wait4 { pid: -1, options: 0 })?;
    while !is_waiting(&parent)? {}
    User::first()?.kill(parent.pid as i32, USR1)??;
    check_eq!(parent.answer::<Wait4>()?.map(drop), Err(Errno::Intr));
    check_eq!(parent.count(USR1)?, 1);
    parent.ask(&SigMask { how: How::Set, reserved: 0, set: 1 << USR1 })??;
    parent.begin(&SigSuspend { set: 0 })?;
    User::first()?.kill(parent.pid as i32, USR1)??;
    check_eq!(parent.answer::<SigSuspend>()?.map(drop), Err(Errno::Intr));
    check_eq!(parent.count(USR1)?, 2);
    check_eq!(parent.ask(&SigMask { how: How::Query, reserved: 0, set: 0 })??.set, 1 << USR1);
    let pid = child.pid;
    child.exit(5)?;
    check_eq!(parent.wait(-1, WaitOptions::empty())?, Ok((pid, status::exited(5))));
    end(parent)
}

/// Whether a process waits for a child. The first user asks, so that the other one has its turns meanwhile.
fn is_waiting(user: &User) -> Result<bool, suite::Failure> {
    let call = GetProcessStatus { slot: user.endpoint.slot() as u32, reserved: 0 };
    let process = User::first()?.ask(&call)??;
    Ok(process.flags & ProcessFlags::WAITS.bits() != 0)
}

pub(crate) fn timers_come_while_one_runs() -> Outcome {
    let mut user = User::new()?;
    for (timer, signal) in [(Timer::Real, ALRM), (Timer::Virtual, VTALRM)] {
        user.catch(signal)?;
        let short = 20_000;
        let set =
            SetTimer { timer, reserved: 0, interval_seconds: 0, interval_micros: short, seconds: 0, micros: short };
        user.ask(&set)??;
        let told = user.order(Do::Spin, &[signal.into(), 3])??;
        check!(told[0] >= 3);
        let old = user.ask(&SetTimer { interval_micros: 0, micros: 0, ..set })??;
        check_eq!((old.interval_seconds, old.interval_micros), (0, short));
        let count = user.count(signal)?;
        check_eq!(user.count(signal)?, count);
    }
    // One that nobody catches ends what runs.
    let mut other = User::new()?;
    let alarm =
        SetTimer { timer: Timer::Real, reserved: 0, interval_seconds: 0, interval_micros: 0, seconds: 0, micros: 1 };
    other.ask(&alarm)??;
    other.tell(Do::Spin, &[1, 1])?;
    ends(other.pid, ALRM)?;
    end(user)
}

pub(crate) fn who_stops_goes_on_when_it_is_told_to() -> Outcome {
    let mut user = User::new()?;
    let pid = user.pid;
    user.catch(USR1)?;
    for _ in 0..5 {
        let count = user.count(USR1)?;
        user.tell(Do::Spin, &[USR1.into(), count + 1])?;
        User::first()?.kill(pid as i32, STOP)??;
        check_eq!(changed(pid, WaitOptions::UNTRACED)?, (pid, status::stopped(STOP)));
        User::first()?.kill(pid as i32, USR1)??;
        check_eq!(changed(pid, WaitOptions::NO_HANG)?, (0, 0));
        User::first()?.kill(pid as i32, CONT)??;
        check_eq!(changed(pid, WaitOptions::CONTINUED)?, (pid, status::CONTINUED));
        check_eq!(user.done()?.map(|words| words[0]), Ok(count + 1));
    }
    User::first()?.kill(pid as i32, STOP)??;
    end(user)
}

pub(crate) fn who_cannot_be_reached_gets_its_signal_later() -> Outcome {
    // It waits for the suite, which is not there for it, or is about to send to it.
    let mut users = [User::new()?, User::new()?, User::new()?];
    for user in &mut users {
        user.catch(USR1)?;
        user.catch(USR2)?;
        user.tell(Do::Nothing, &[])?;
    }
    for user in &users {
        for signal in [USR1, USR2] {
            User::first()?.kill(user.pid as i32, signal)??;
        }
    }
    for user in &mut users {
        user.done()??;
        check_eq!((user.count(USR1)?, user.count(USR2)?), (1, 1));
    }
    users.into_iter().try_for_each(end)
}

pub(crate) fn a_lost_stack_is_the_end_of_its_process_only() -> Outcome {
    let mut user = User::new()?;
    user.catch(USR1)?;
    user.tell(Do::LoseStack, &[USR1.into()])?;
    ends(user.pid, SEGV)?;
    let mut user = User::new()?;
    user.begin(&SigReturn { frame: 8 })?;
    ends(user.pid, SEGV)?;
    nobody_is_left()
}

pub(crate) fn a_tracer_sees_every_step() -> Outcome {
    /// Where the instruction pointer is in a context.
    const RIP: u64 = 16;
    let mut tracer = User::new()?;
    let mut user = tracer.fork()?;
    let pid = user.pid;
    user.catch(USR1)?;
    let ptrace = |tracer: &mut User, request, address, data| {
        let traced = tracer.ask(&Ptrace { request, pid, address, data })?;
        Ok::<_, suite::Failure>(traced.map(|traced| traced.data))
    };
    user.tell(Do::Spin, &[USR1.into(), 1])?;
    ptrace(&mut tracer, TraceRequest::Attach, 0, 0)??;
    check_eq!(tracer.wait(pid as i32, WaitOptions::empty())?, Ok((pid, status::stopped(STOP))));
    let mut places = 0;
    let mut last = 0;
    for _ in 0..20 {
        ptrace(&mut tracer, TraceRequest::Step, 0, 0)??;
        check_eq!(tracer.wait(pid as i32, WaitOptions::empty())?, Ok((pid, status::stopped(TRAP))));
        let rip = ptrace(&mut tracer, TraceRequest::GetRegister, RIP, 0)??;
        places += u64::from(rip != last);
        last = rip;
        ptrace(&mut tracer, TraceRequest::Peek, rip, 0)??;
    }
    check!(places > 2, "it stood still");
    check_eq!(ptrace(&mut tracer, TraceRequest::Peek, 8, 0)?, Err(Errno::Fault));
    ptrace(&mut tracer, TraceRequest::Detach, 0, USR1.into())??;
    check_eq!(user.done()?.map(|words| words[0]), Ok(1));
    // Whoever traces takes along whom it traces.
    ptrace(&mut tracer, TraceRequest::Attach, 0, 0)??;
    let tracer_pid = tracer.pid;
    tracer.exit(0)?;
    ends(tracer_pid, 0)?;
    ends(pid, KILL)
}

pub(crate) fn killing_everybody_leaves_the_services() -> Outcome {
    let users = [User::new()?, User::new()?, User::new()?];
    User::first()?.kill(-1, KILL)??;
    for user in users {
        ends(user.pid, KILL)?;
    }
    nobody_is_left()?;
    let echo = sys::lookup("echo").ok_or(Errno::NoEnt)?;
    check!(crate::user::pm().pid_of(PidOf { process: echo, reserved: 0 }).is_ok());
    check_eq!(User::first()?.kill(1, KILL)?, Err(Errno::Inval));
    Ok(())
}
