//! Signals and their manager, which the suite is.

use crate::kit::{called, child, nap, obedient, settle};
use abi::{Endpoint, Errno, Signal};
use family::{Board, Child, Plan, RUNS, finish, programs, signal};
use protocol::kernel::*;
use protocol::trace::{GetRegister, SetRegister};
use suite::{Outcome, check, check_eq};
use sys::{kernel, trace};

const HANGUP: Signal = match Signal::from_user(1) {
    Some(signal) => signal,
    None => unreachable!(),
};

fn kill(child: &Child, signal: Signal) -> Outcome {
    kernel().kill(Kill { process: child.endpoint, signal: signal.number() })?;
    Ok(())
}

/// Lets others run for a while: a child that counts counts, or does not.
fn counts(child: &Child) -> Result<bool, suite::Failure> {
    let before = child.board().get(Board::COUNT);
    nap(2)?;
    Ok(child.board().get(Board::COUNT) != before)
}

pub(crate) fn a_process_with_a_signal_stops_until_its_manager_has_finished() -> Outcome {
    let child = child(programs::count)?;
    check!(counts(&child)?);
    kill(&child, HANGUP)?;
    signal(&child, HANGUP)?;
    check!(!counts(&child)?, "it runs");
    // There is no more to take.
    check_eq!(kernel().getksig(GetKSig {})?.process, Endpoint::NONE);
    finish(&child)?;
    check_eq!(child.info()?.flags, RUNS);
    check!(counts(&child)?, "it does not go on");
    child.end()
}

pub(crate) fn signals_before_they_are_taken_are_told_at_once() -> Outcome {
    let (first, second) = (child(programs::count)?, child(programs::count)?);
    for signal in [HANGUP, Signal::KILL, HANGUP] {
        kill(&first, signal)?;
    }
    kill(&second, Signal::KILL)?;
    let told = family::next_event()?.signaled;
    check_eq!(told, Some((first.endpoint, HANGUP.bit() | Signal::KILL.bit())));
    // The other one is told in its turn, or can be asked for.
    let asked = kernel().getksig(GetKSig {})?;
    check_eq!((asked.process, asked.signals), (second.endpoint, Signal::KILL.bit()));
    check_eq!(kernel().getksig(GetKSig {})?.process, Endpoint::NONE);
    for child in [first, second] {
        finish(&child)?;
        check_eq!(child.info()?.flags, RUNS);
        check_eq!(kernel().endksig(EndKSig { process: child.endpoint }).err(), Some(Errno::Inval));
        child.end()?;
    }
    Ok(())
}

pub(crate) fn a_signal_after_they_were_taken_keeps_it_stopped() -> Outcome {
    let child = child(programs::count)?;
    kill(&child, HANGUP)?;
    signal(&child, HANGUP)?;
    kill(&child, Signal::KILL)?;
    finish(&child)?;
    check!(!counts_while_told(&child)?, "it runs");
    check_eq!(kernel().getksig(GetKSig {})?.signals, Signal::KILL.bit());
    finish(&child)?;
    check!(counts(&child)?, "it does not go on");
    child.end()
}

/// The same while a notification is pending, which stays so.
fn counts_while_told(child: &Child) -> Result<bool, suite::Failure> {
    let before = child.board().get(Board::COUNT);
    kernel().setalarm(SetAlarm { ticks: 2, absolute: 0 })?;
    rt::receive(Endpoint::CLOCK)?;
    Ok(child.board().get(Board::COUNT) != before)
}

pub(crate) fn only_the_manager_finishes() -> Outcome {
    let manager = obedient(&["getksig", "endksig"])?;
    let managed = Child::start(&Plan { manager: manager.endpoint, ..Plan::new(programs::count)? })?;
    let mine = child(programs::count)?;
    kill(&managed, HANGUP)?;
    kill(&mine, Signal::KILL)?;
    // Each sees its own.
    signal(&mine, Signal::KILL)?;
    check_eq!(kernel().getksig(GetKSig {})?.process, Endpoint::NONE);
    check_eq!(kernel().endksig(EndKSig { process: managed.endpoint }).err(), Some(Errno::Perm));
    let theirs = called(&manager, &GetKSig {})??;
    check_eq!((theirs.process, theirs.signals), (managed.endpoint, HANGUP.bit()));
    check_eq!(called(&manager, &EndKSig { process: mine.endpoint })?.err(), Some(Errno::Perm));
    kernel().runctl(RunCtl { process: managed.endpoint, action: RunAction::Stop })?;
    check_eq!(called(&manager, &EndKSig { process: managed.endpoint })?.err(), None);
    check_eq!(called(&manager, &EndKSig { process: managed.endpoint })?.err(), Some(Errno::Inval));
    mine.end()?;
    managed.end()?;
    manager.end()
}

pub(crate) fn an_exception_is_told_and_gone_on_from() -> Outcome {
    const RBX: u32 = 1;
    const RIP: u32 = 16;
    const LENGTH: u64 = 2; // Of the instruction that raises it.
    let child = child(programs::trip)?;
    let process = child.endpoint;
    for value in [0x1234, !0, 1 << 63] {
        signal(&child, Signal::ILL)?;
        let rip = trace().get_register(GetRegister { process, index: RIP })?.value;
        trace().set_register(SetRegister { process, index: RIP, value: rip + LENGTH })?;
        check_eq!(trace().get_register(GetRegister { process, index: RBX })?.value, 1);
        trace().set_register(SetRegister { process, index: RBX, value })?;
        finish(&child)?;
        settle()?;
        check_eq!(child.board().get(Board::RESULT), value);
    }
    child.end()
}

pub(crate) fn numbers_that_are_no_signals() -> Outcome {
    let child = child(programs::count)?;
    for signal in [0, 32, 33, 34, 35, 63, 64, u32::MAX] {
        check_eq!(kernel().kill(Kill { process: child.endpoint, signal }).err(), Some(Errno::Inval));
    }
    check_eq!(child.info()?.flags, RUNS);
    child.end()
}
