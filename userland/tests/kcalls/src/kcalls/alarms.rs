//! Alarms.

use crate::kit::{called, obedient, order, perform, received, registers, result, settle};
use abi::{Endpoint, Kind, Message, Trap};
use protocol::kernel::{AlarmSet, NEVER, SetAlarm};
use suite::{Outcome, check, check_eq};
use sys::kernel;

fn set(ticks: u64, absolute: bool) -> Result<AlarmSet, abi::Errno> {
    kernel().setalarm(SetAlarm { ticks, absolute: absolute.into() })
}

/// Waits for the next notification, which must be that of the alarm, and returns when it came.
fn alarm() -> Result<u64, suite::Failure> {
    let told = rt::receive(Endpoint::CLOCK)?;
    check_eq!((told.message.peer, told.status.is_notification()), (Endpoint::CLOCK, true));
    Ok(told.message.body[0])
}

pub(crate) fn an_alarm_comes_once() -> Outcome {
    for ticks in [1, 2, 5] {
        let before = set(ticks, false)?;
        check_eq!(before.left, NEVER);
        check!(alarm()? >= before.now + ticks, "it came too early");
        check_eq!(set(0, false)?.left, NEVER);
    }
    let now = sys::ticks()?;
    set(now + 3, true)?;
    check!(alarm()? >= now + 3, "it came too early");
    Ok(())
}

pub(crate) fn an_alarm_is_replaced_or_cancelled() -> Outcome {
    const FAR: u64 = 1_000_000;
    check_eq!(set(FAR, false)?.left, NEVER);
    let left = set(2, false)?.left;
    check!(left <= FAR && left > FAR - 1000, "{left} ticks are left");
    let start = sys::ticks()?;
    check!(alarm()? < start + FAR / 2, "the first one came");
    set(2, false)?;
    let left = set(0, false)?.left;
    check!(left <= 2, "{left} ticks are left");
    // What was cancelled does not come: the next one is the only one.
    let start = set(6, false)?.now;
    check!(alarm()? >= start + 6, "the cancelled one came");
    check_eq!(set(u64::MAX, false)?.left, NEVER);
    check_eq!(set(0, false)?.left, NEVER);
    Ok(())
}

/// The notification is there before the call returns: a receiving that cannot wait finds it.
pub(crate) fn what_is_past_comes_at_once() -> Outcome {
    for past in [0, 1, sys::ticks()?] {
        check_eq!(set(past, true)?.left, NEVER);
        // Pending notifications come before whoever sends.
        let sender = obedient(&[])?;
        perform(&sender, Trap::Send, family::me()?, Endpoint::NONE)?;
        check_eq!(rt::receive(Endpoint::ANY)?.message.peer, Endpoint::CLOCK);
        check_eq!(rt::receive(Endpoint::ANY)?.message.peer, sender.endpoint);
        sender.end()?;
    }
    Ok(())
}

pub(crate) fn each_has_its_own() -> Outcome {
    let child = obedient(&["setalarm"])?;
    let first = called(&child, &SetAlarm { ticks: 4, absolute: 0 })??;
    check_eq!(first.left, NEVER);
    check_eq!(set(1, false)?.left, NEVER);
    alarm()?;
    order(&child, registers(Trap::Receive, &Message::new(Endpoint::NONE, Kind(0)), Endpoint::CLOCK))?;
    // It waits for its own, and has it some time.
    set(8, false)?;
    alarm()?;
    settle()?;
    check_eq!((result(&child), received(&child).peer), (Ok(0), Endpoint::CLOCK));
    check!(received(&child).body[0] >= first.now + 4, "it came too early");
    child.end()
}
