//! Stopping processes, letting them run, and telling those who wait for them.

use crate::kit::{called, child, nap, obedient, order_call, perform, result, settle};
use abi::{Endpoint, Errno, Signal, Trap};
use family::{Board, Child, RUNS, finish, me, programs, signal};
use protocol::kernel::{Kill, RunAction, RunCtl};
use protocol::privctl::{Allow, ClearRefs, Disallow, YieldTo};
use protocol::trace::{Resume, Stop};
use suite::{Outcome, check, check_eq};
use sys::{kernel, privctl, trace};

fn run(child: &Child, action: RunAction) -> Result<(), Errno> {
    kernel().runctl(RunCtl { process: child.endpoint, action }).map(drop)
}

fn counts(child: &Child) -> Result<bool, suite::Failure> {
    let before = child.board().get(Board::COUNT);
    nap(2)?;
    Ok(child.board().get(Board::COUNT) != before)
}

pub(crate) fn whoever_is_stopped_does_not_run() -> Outcome {
    let child = child(programs::count)?;
    for action in [RunAction::Stop, RunAction::StopAfterSend] {
        check_eq!(run(&child, RunAction::Resume), Err(Errno::Inval));
        check!(counts(&child)?, "it does not run");
        run(&child, action)?;
        // Once more is no harm.
        run(&child, action)?;
        check!(!counts(&child)?, "it runs");
        run(&child, RunAction::Resume)?;
    }
    check!(counts(&child)?, "it does not go on");
    child.end()
}

/// Each pair of reasons, taken away in either order: it runs after the second.
pub(crate) fn reasons_to_wait_add_up() -> Outcome {
    type Step = fn(&Child) -> Outcome;
    const REASONS: [(Step, Step); 4] = [
        (|child| Ok(run(child, RunAction::Stop)?), |child| Ok(run(child, RunAction::Resume)?)),
        (
            |child| Ok(trace().stop(Stop { process: child.endpoint }).map(drop)?),
            |child| Ok(trace().resume(Resume { process: child.endpoint }).map(drop)?),
        ),
        (
            |child| {
                kernel().kill(Kill { process: child.endpoint, signal: Signal::KILL.number() })?;
                signal(child, Signal::KILL)
            },
            finish,
        ),
        (
            |child| Ok(privctl().disallow(Disallow { process: child.endpoint }).map(drop)?),
            |child| Ok(privctl().allow(Allow { process: child.endpoint }).map(drop)?),
        ),
    ];
    let child = child(programs::count)?;
    for (i, (set_a, clear_a)) in REASONS.iter().enumerate() {
        for (set_b, clear_b) in &REASONS[..i] {
            for (first, second) in [(clear_a, clear_b), (clear_b, clear_a)] {
                set_a(&child)?;
                set_b(&child)?;
                first(&child)?;
                check!(child.info()?.flags != RUNS, "it could run");
                check!(!counts(&child)?, "it runs");
                second(&child)?;
                check_eq!(child.info()?.flags, RUNS);
                check!(counts(&child)?, "it does not run");
            }
        }
    }
    child.end()
}

pub(crate) fn a_stop_waits_for_the_end_of_sending() -> Outcome {
    let child = obedient(&[])?;
    perform(&child, Trap::Send, me()?, Endpoint::ANY)?;
    check_eq!(run(&child, RunAction::StopAfterSend), Err(Errno::Busy));
    check_eq!(rt::receive(child.endpoint)?.message, crate::kit::message_from(&child));
    signal(&child, Signal::SEND_DONE)?;
    // Now it can be stopped, and goes on when that is over.
    run(&child, RunAction::StopAfterSend)?;
    finish(&child)?;
    settle()?;
    check_eq!(child.board().get(Board::COUNT), 0);
    run(&child, RunAction::Resume)?;
    settle()?;
    check_eq!((child.board().get(Board::COUNT), result(&child)), (1, Ok(0)));
    child.end()
}

pub(crate) fn leave_to_run_is_given_once_and_taken_once() -> Outcome {
    let child = child(programs::count)?;
    let process = child.endpoint;
    check_eq!(privctl().allow(Allow { process }).err(), Some(Errno::Perm));
    check!(child.privileges(&family::Plan::new(programs::count)?).is_err(), "it gets others while it runs");
    privctl().disallow(Disallow { process })?;
    check!(!counts(&child)?, "it runs");
    check_eq!(privctl().disallow(Disallow { process }).err(), Some(Errno::Perm));
    privctl().allow(Allow { process })?;
    check!(counts(&child)?, "it does not run");
    child.end()
}

pub(crate) fn the_caller_waits_when_it_yields() -> Outcome {
    let (a, b) = (obedient(&["privctl"])?, obedient(&["privctl"])?);
    check_eq!(called(&a, &YieldTo { process: b.endpoint })?.err(), Some(Errno::Perm));
    privctl().disallow(Disallow { process: b.endpoint })?;
    order_call(&a, &YieldTo { process: b.endpoint })?;
    check_eq!(a.board().get(Board::COUNT), 1);
    check_eq!(privctl().allow(Allow { process: b.endpoint }).err(), Some(Errno::Perm));
    // Back again: the first one finds its call done.
    order_call(&b, &YieldTo { process: a.endpoint })?;
    settle()?;
    check_eq!((a.board().get(Board::COUNT), result(&a)), (2, Ok(0)));
    check_eq!(b.board().get(Board::COUNT), 0);
    a.end()?;
    b.end()
}

pub(crate) fn peers_are_told_when_references_are_cleared() -> Outcome {
    let server = obedient(&["statectl"])?;
    let clients = [obedient(&[])?, obedient(&[])?, obedient(&[])?];
    for by_itself in [false, true] {
        for (client, trap) in clients.iter().zip([Trap::Send, Trap::SendRec, Trap::Receive]) {
            perform(client, trap, server.endpoint, server.endpoint)?;
        }
        if by_itself {
            called(&server, &protocol::statectl::ClearRefs {})??;
        } else {
            privctl().clear_ipc_refs(ClearRefs { process: server.endpoint })?;
            settle()?;
        }
        for client in &clients {
            check_eq!(result(client), Err(Errno::DeadSrcDst));
        }
    }
    clients.into_iter().try_for_each(Child::end)?;
    // The server itself goes on.
    perform(&server, Trap::SendNb, me()?, Endpoint::ANY)?;
    check_eq!(result(&server), Err(Errno::NotReady));
    server.end()
}
