//! Recovery scripts.

use crate::kit::*;
use abi::{Endpoint, Errno};
use protocol::assist::{Deed, Wish};
use protocol::rs::{GetService, Init, Reason, State};
use suite::{Failure, Outcome, check_eq};

/// Has a script that does as it is told.
const SCRIPTED: &str = "assist-scripted";
const SCRIPT: &str = "assist-script";

/// Waits for the script of a service that is dead.
fn script() -> Result<Endpoint, Failure> {
    until_known(SCRIPT, true)?;
    let script = lookup(SCRIPT)?;
    // It has begun when it answers.
    count(script)?;
    check_eq!(info(SCRIPTED)?.state, State::Recovering);
    Ok(script)
}

/// Has a service die.
fn dies(service: Endpoint) -> Outcome {
    check_eq!(does(service, Deed::Panic), Err(Errno::DeadSrcDst));
    Ok(())
}

/// Has a script end that has done its work.
fn end_script() -> Result<(), Errno> {
    down(SCRIPT)
}

pub(crate) fn a_script_is_told_of_whom_and_why() -> Outcome {
    let before = supplies()?;
    let service = up(SCRIPTED, "a")?;
    dies(service)?;
    until_known(SCRIPT, true)?;
    let script = lookup(SCRIPT)?;
    check_argument(script, 0, SCRIPT)?;
    check_arguments(script, &["a", "terminated", "0"])?;
    let dead = info("a")?;
    check_eq!((dead.state, dead.endpoint), (State::Recovering, service));
    check_eq!(asks(script, Wish::Restart, "a", "")?, None);
    let again = info("a")?;
    check_eq!((again.state, again.restarts, again.reason), (State::Active, 1, Reason::Crash));
    check_eq!(count(service)?.how, Init::Restart as u32);
    end_script()?;
    // The same of one that is silent.
    check_eq!(does(service, Deed::IgnorePings)?, 0);
    edit("a", 1000)?;
    until_known(SCRIPT, true)?;
    let script = lookup(SCRIPT)?;
    check_arguments(script, &["a", "no-heartbeat", "1"])?;
    edit("a", 0)?;
    check_eq!(asks(script, Wish::Restart, "a", "")?, None);
    end_script()?;
    // And of one that is to begin anew.
    check_eq!(refresh("a"), Ok(service));
    until_known(SCRIPT, true)?;
    let script = lookup(SCRIPT)?;
    check_arguments(script, &["a", "restart", "2"])?;
    check_eq!(asks(script, Wish::Down, "a", "")?, None);
    check_eq!(lookup("a"), Err(Errno::Srch));
    end_script()?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn a_script_decides_by_itself() -> Outcome {
    let before = supplies()?;
    let service = up("assist-auto", "")?;
    for restarts in 1..=2 {
        dies(service)?;
        check_eq!(until_active("assist-auto")?.restarts, restarts);
        until_known("assist-recover", false)?;
    }
    dies(service)?;
    until_known("assist-auto", false)?;
    until_known("assist-recover", false)?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn nobody_runs_a_script_for_what_runs() -> Outcome {
    let service = up(SCRIPTED, "")?;
    dies(service)?;
    let script = script()?;
    // What it does not control it cannot restart, and what runs neither.
    check_eq!(asks(script, Wish::Down, HELLO, "")?, Some(Errno::Perm));
    check_eq!(asks(script, Wish::Restart, SCRIPT, "")?, Some(Errno::Perm));
    check_eq!(asks(script, Wish::Up, "", ASSIST)?, Some(Errno::Perm));
    check_eq!(refresh(SCRIPTED), Err(Errno::Busy));
    check_eq!(update(SCRIPTED, ASSIST, sef::state::WORK_FREE), Err(Errno::Busy));
    check_eq!(asks(script, Wish::Restart, SCRIPTED, "")?, None);
    check_eq!(asks(script, Wish::Restart, SCRIPTED, "")?, Some(Errno::Busy));
    end_script()?;
    // Somebody else may decide, too: the script has nothing to say any more.
    dies(service)?;
    let script = self::script()?;
    down(SCRIPTED)?;
    check_eq!(asks(script, Wish::Restart, SCRIPTED, "")?, Some(Errno::Srch));
    end_script()?;
    check_eq!(lookup(SCRIPTED), Err(Errno::Srch));
    Ok(())
}

pub(crate) fn a_script_that_ends_leaves_a_service_to_its_policy() -> Outcome {
    let before = supplies()?;
    let service = up(SCRIPTED, "")?;
    for (restarts, deed) in [(1, Deed::Exit), (2, Deed::WriteToNull)] {
        dies(service)?;
        check_eq!(does(script()?, deed), Err(Errno::DeadSrcDst));
        check_eq!(until_active(SCRIPTED)?.restarts, restarts);
        until_known(SCRIPT, false)?;
    }
    dies(service)?;
    script()?;
    end_script()?;
    check_eq!(until_active(SCRIPTED)?.restarts, 3);
    down(SCRIPTED)?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn a_script_that_does_not_begin_does_too() -> Outcome {
    let before = supplies()?;
    with("assist-bad", "", |service| {
        dies(service)?;
        check_eq!(until_active("assist-bad")?.restarts, 1);
        check_eq!(lookup("script-fail"), Err(Errno::Srch));
        Ok(())
    })?;
    check_eq!(supplies()?, before);
    Ok(())
}

/// Of two labels that a script could have the second is that of its program, cut, with the place of the service.
pub(crate) fn a_script_that_cannot_be_started_does_too() -> Outcome {
    let service = up(SCRIPTED, "")?;
    let place = (0..).find(|slot| {
        let found = root().and_then(|mut root| root.service(GetService { slot: *slot }));
        found.is_ok_and(|found| found.endpoint == service)
    });
    let place = place.unwrap_or(0);
    let mut second = *b"assist-scrip-00";
    second[13] += (place / 10) as u8;
    second[14] += (place % 10) as u8;
    let second = core::str::from_utf8(&second).unwrap_or_default();
    with(SCRIPT, "", |_| {
        // With one label taken it has the other one.
        dies(service)?;
        until_known(second, true)?;
        let script = lookup(second)?;
        check_arguments(script, &[SCRIPTED, "terminated", "0"])?;
        check_eq!(asks(script, Wish::Restart, SCRIPTED, "")?, None);
        down(second)?;
        with(ASSIST, second, |_| {
            dies(service)?;
            check_eq!(until_active(SCRIPTED)?.restarts, 2);
            Ok(())
        })
    })?;
    down(SCRIPTED)?;
    Ok(())
}

pub(crate) fn a_script_that_takes_too_long_does_too() -> Outcome {
    with(SCRIPTED, "", |service| {
        dies(service)?;
        script()?;
        until_known(SCRIPT, false)?;
        check_eq!(until_active(SCRIPTED)?.restarts, 1);
        Ok(())
    })
}

pub(crate) fn a_service_that_was_restarted_too_often_is_given_up() -> Outcome {
    let service = up(SCRIPTED, "")?;
    for _ in 0..8 {
        dies(service)?;
        check_eq!(asks(script()?, Wish::Restart, SCRIPTED, "")?, None);
        end_script()?;
    }
    dies(service)?;
    check_eq!(lookup(SCRIPTED), Err(Errno::Srch));
    check_eq!(info(SCRIPTED)?.state, State::GivenUp);
    check_eq!(lookup(SCRIPT), Err(Errno::Srch));
    down(SCRIPTED)?;
    Ok(())
}
