//! The command `service`, as far as its effects show: what it says is read by `mkimage/tests/system/command.rs`.

use crate::kit::*;
use abi::Errno;
use protocol::rs::{Init, State};
use suite::{Outcome, check_eq};

const SERVICE: &str = "service";

/// Runs the command, and waits until it has ended.
fn service(line: &str) -> Result<(), Errno> {
    up_with(SERVICE, "", line.as_bytes())?;
    until_known(SERVICE, false)
}

pub(crate) fn the_command_starts_and_ends_services() -> Outcome {
    let before = supplies()?;
    service("up assist")?;
    check_arguments(lookup(ASSIST)?, &[])?;
    service("up\0assist\0-args\0list -a\0-label\0x")?;
    let x = lookup("x")?;
    check_arguments(x, &["list", "-a"])?;
    service("refresh x")?;
    check_eq!(count(x)?.how, Init::Restart as u32);
    check_eq!(info("x")?.restarts, 1);
    service("list")?;
    service("down x")?;
    check_eq!(lookup("x"), Err(Errno::Srch));
    service("down assist")?;
    check_eq!(lookup(ASSIST), Err(Errno::Srch));
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn the_command_watches_and_updates_services() -> Outcome {
    let before = supplies()?;
    service("up assist -period 1000")?;
    let endpoint = lookup(ASSIST)?;
    // It is pinged, and does not answer.
    check_eq!(does(endpoint, protocol::assist::Deed::IgnorePings)?, 0);
    while info(ASSIST)?.restarts == 0 {
        pause()?;
    }
    until_active(ASSIST)?;
    service("edit assist -period 0")?;
    let counted = count(endpoint)?.calls;
    service("update assist assist -state 2 -maxtime 1000")?;
    let after = count(endpoint)?;
    check_eq!((after.calls, after.how), (counted + 1, Init::LiveUpdate as u32));
    // Of one that does not let itself be replaced the old version goes on.
    service("update assist assist -state 9")?;
    check_eq!(count(endpoint)?.calls, counted + 2);
    service("restart assist")?;
    check_eq!(count(endpoint)?.calls, counted + 3);
    service("down assist")?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn what_the_command_may_not_do_changes_nothing() -> Outcome {
    let before = supplies()?;
    for line in [
        "down ds",
        "down rs",
        "refresh vm",
        "restart hello",
        "up assist-fail",
        "up nothing",
        "up assist -label BAD",
        "up assist -period soon",
        "up assist -label",
        "down nobody",
        "shutdown",
        "frobnicate",
        "--help",
        "help\0me",
    ] {
        service(line)?;
    }
    for label in ["vm", "pm", "ds", "suite", "hello"] {
        check_eq!(info(label)?.state, State::Active);
    }
    check_eq!(lookup(ASSIST), Err(Errno::Srch));
    check_eq!(supplies()?, before);
    Ok(())
}
