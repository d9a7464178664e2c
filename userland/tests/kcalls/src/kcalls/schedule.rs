//! Turns, and who decides on them.

use crate::kit::{called, child, nap, obedient, registers};
use abi::{Endpoint, Errno, Message, Trap};
use family::{Board, Child, Plan, QUANTUM, RUNS, free_slot, me, programs};
use protocol::decode;
use protocol::kernel::*;
use protocol::sched::{OUT_OF_QUANTUM, OutOfQuantum};
use suite::{Outcome, check, check_eq};
use sys::kernel;

fn kept(process: Endpoint) -> Schedule {
    Schedule { process, priority: KEEP, quantum: KEEP, cpu: KEEP }
}

fn release(process: Endpoint) -> SchedCtl {
    SchedCtl { process, scheduler: Scheduler::Kernel, priority: KEEP, quantum: KEEP, cpu: KEEP }
}

/// Milliseconds of a short turn, and the timer ticks that it has.
const SHORT: i32 = 20;

pub(crate) fn one_message_for_each_turn() -> Outcome {
    let child = Child::start(&Plan::new(programs::count)?.scheduled(SHORT))?;
    let mut last = 0;
    for _ in 0..5 {
        let told = rt::receive(child.endpoint)?;
        check_eq!((told.message.kind, told.status.is_from_kernel()), (OUT_OF_QUANTUM, true));
        check!(!told.status.wants_reply() && !told.status.is_notification(), "{:?}", told.status);
        let end: OutOfQuantum = decode(&told.message)?;
        check_eq!((end.priority, end.cpu), (7, 0));
        check!(end.cycles > 0 && end.quantum >= 1, "{end:?}");
        let count = child.board().get(Board::COUNT);
        check!(count > last, "it did not run");
        last = count;
        // It waits; and nothing more is told.
        nap(3)?;
        check_eq!(child.board().get(Board::COUNT), count);
        kernel().schedule(kept(child.endpoint))?;
        check_eq!(child.info()?.flags, RUNS);
    }
    child.end()
}

pub(crate) fn the_kernel_takes_over_where_the_scheduler_lets_go() -> Outcome {
    let child = Child::start(&Plan::new(programs::count)?.scheduled(SHORT))?;
    check_eq!(child.info()?.scheduler, me()?);
    rt::receive(child.endpoint)?;
    kernel().schedctl(release(child.endpoint))?;
    check_eq!(child.info()?.scheduler, Endpoint::NONE);
    let count = child.board().get(Board::COUNT);
    // Many turns.
    nap(10)?;
    check!(child.board().get(Board::COUNT) > count && child.info()?.flags == RUNS, "it does not run on");
    check_eq!(kernel().schedule(kept(child.endpoint)).err(), Some(Errno::Perm));
    child.end()
}

pub(crate) fn the_kernel_takes_over_where_the_scheduler_dies() -> Outcome {
    // One that has been told, and one that never was.
    for told in [false, true] {
        let scheduler = obedient(&["schedctl"])?;
        let child = Child::prepare(&Plan::new(programs::count)?, free_slot()?)?;
        let call = SchedCtl { scheduler: Scheduler::Caller, quantum: SHORT, ..release(child.endpoint) };
        called(&scheduler, &call)??;
        check_eq!(child.info()?.scheduler, scheduler.endpoint);
        child.allow()?;
        nap(5)?;
        check!(child.info()?.flags != RUNS, "its time is not used up");
        if told {
            let from = child.endpoint;
            crate::kit::order(&scheduler, registers(Trap::Receive, &Message::new(from, OUT_OF_QUANTUM), from))?;
            check_eq!(crate::kit::received(&scheduler).kind, OUT_OF_QUANTUM);
        }
        let count = child.board().get(Board::COUNT);
        scheduler.end()?;
        nap(10)?;
        check!(child.board().get(Board::COUNT) > count, "it does not run on");
        check_eq!((child.info()?.scheduler, child.info()?.flags), (Endpoint::NONE, RUNS));
        child.end()?;
    }
    Ok(())
}

pub(crate) fn a_forged_message_is_told_by_its_status() -> Outcome {
    let child = obedient(&[])?;
    let forged = Message { body: [1; 7], ..Message::new(me()?, OUT_OF_QUANTUM) };
    crate::kit::order(&child, registers(Trap::Send, &forged, Endpoint::NONE))?;
    let received = rt::receive(child.endpoint)?;
    check_eq!((received.message.kind, received.status.is_from_kernel()), (OUT_OF_QUANTUM, false));
    child.end()
}

pub(crate) fn the_urgent_run_first() -> Outcome {
    let (hog, other) = (child(programs::count)?, child(programs::count)?);
    let place = |child: &Child, priority| {
        let call = Schedule { priority, ..kept(child.endpoint) };
        let Schedule { process, quantum, cpu, .. } = call;
        kernel().schedctl(SchedCtl { process, scheduler: Scheduler::Kernel, priority, quantum, cpu })
    };
    for (first, second) in [(&hog, &other), (&other, &hog)] {
        place(first, 6)?;
        place(second, 8)?;
        let before = [first, second].map(|child| child.board().get(Board::COUNT));
        nap(12)?;
        let after = [first, second].map(|child| child.board().get(Board::COUNT));
        check!(after[0] > before[0] && after[1] == before[1], "from {before:?} to {after:?}");
    }
    // Equals get their turns one after the other.
    place(&hog, 7)?;
    place(&other, 7)?;
    let before = [&hog, &other].map(|child| child.board().get(Board::COUNT));
    nap(24)?;
    let after = [&hog, &other].map(|child| child.board().get(Board::COUNT));
    check!(after[0] > before[0] && after[1] > before[1], "from {before:?} to {after:?}");
    hog.end()?;
    other.end()
}

pub(crate) fn turns_that_cannot_be() -> Outcome {
    let child = Child::start(&Plan::new(programs::count)?.scheduled(QUANTUM))?;
    let before = child.info()?;
    let process = child.endpoint;
    let refused = |call: Schedule| {
        let Schedule { process, priority, quantum, cpu } = call;
        let first = kernel().schedule(call).err();
        let second =
            kernel().schedctl(SchedCtl { process, scheduler: Scheduler::Kernel, priority, quantum, cpu }).err();
        if first == second { first } else { None }
    };
    for priority in [-2, 16, i32::MIN, i32::MAX] {
        check_eq!(refused(Schedule { priority, ..kept(process) }), Some(Errno::Inval));
    }
    for quantum in [0, -2, i32::MIN, i32::MAX] {
        check_eq!(refused(Schedule { quantum, ..kept(process) }), Some(Errno::Inval));
    }
    for cpu in [-2, abi::boot::MAX_CPUS as i32, i32::MIN, i32::MAX] {
        check_eq!(refused(Schedule { cpu, ..kept(process) }), Some(Errno::Inval));
    }
    let after = child.info()?;
    check_eq!((after.scheduler, after.priority, after.cpu), (before.scheduler, before.priority, before.cpu));
    child.end()?;
    // Nobody but its scheduler decides.
    let stranger = obedient(&["schedule"])?;
    check_eq!(called(&stranger, &kept(stranger.endpoint))?.err(), Some(Errno::Perm));
    stranger.end()
}
