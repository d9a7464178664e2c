//! Who else may control services.

use crate::kit::*;
use abi::{Endpoint, Errno};
use protocol::assist::Wish;
use protocol::rs::State;
use suite::{Failure, Outcome, check_eq};

/// The one that is root, and the other one.
fn users() -> Result<[Endpoint; 2], Failure> {
    let [Some(root), Some(other)] = USERS.map(sys::lookup) else { suite::fail!("a user is missing") };
    Ok([root, other])
}

/// Has somebody do everything with a service.
fn controls(who: Endpoint) -> Outcome {
    check_eq!(asks(who, Wish::Up, "x", ASSIST)?, None);
    let endpoint = lookup("x")?;
    check_eq!(asks(who, Wish::Refresh, "x", "")?, None);
    check_eq!(asks(who, Wish::Restart, "x", "")?, Some(Errno::Busy));
    check_eq!(asks(who, Wish::Edit, "x", "")?, None);
    check_eq!(asks(who, Wish::Update, "x", ASSIST)?, None);
    check_eq!(lookup("x")?, endpoint);
    check_eq!(asks(who, Wish::Down, "x", "")?, None);
    check_eq!(lookup("x"), Err(Errno::Srch));
    Ok(())
}

pub(crate) fn root_controls_everything() -> Outcome {
    let before = supplies()?;
    let [root, _] = users()?;
    controls(root)?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn no_other_user_does() -> Outcome {
    let before = supplies()?;
    let [_, other] = users()?;
    check_eq!(asks(other, Wish::Up, "x", ASSIST)?, Some(Errno::Perm));
    check_eq!(lookup("x"), Err(Errno::Srch));
    with(ASSIST, "x", |endpoint| {
        let counted = count(endpoint)?.calls;
        for wish in [Wish::Down, Wish::Refresh, Wish::Restart, Wish::Update, Wish::Edit] {
            check_eq!(asks(other, wish, "x", ASSIST)?, Some(Errno::Perm));
        }
        check_eq!(asks(other, Wish::Shutdown, "", "")?, Some(Errno::Perm));
        let info = info("x")?;
        check_eq!((info.state, info.endpoint, info.restarts), (State::Active, endpoint, 0));
        check_eq!(count(endpoint)?.calls, counted + 1);
        Ok(())
    })?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn a_service_that_is_root_does() -> Outcome {
    let before = supplies()?;
    with("assist-root", "", controls)?;
    with(ASSIST, "y", |plain| {
        for wish in [Wish::Down, Wish::Refresh, Wish::Update, Wish::Edit] {
            check_eq!(asks(plain, wish, HELLO, ASSIST)?, Some(Errno::Perm));
        }
        check_eq!(asks(plain, Wish::Up, "x", ASSIST)?, Some(Errno::Perm));
        check_eq!(asks(plain, Wish::Shutdown, "", "")?, Some(Errno::Perm));
        Ok(())
    })?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn nobody_controls_the_root_system_process_and_what_is_no_service() -> Outcome {
    let before = supplies()?;
    let [root, _] = users()?;
    for wish in [Wish::Down, Wish::Refresh, Wish::Restart, Wish::Update, Wish::Edit] {
        check_eq!(asks(root, wish, "rs", ASSIST)?, Some(Errno::Perm));
    }
    check_eq!(asks(root, Wish::Up, "", "rs")?, Some(Errno::Perm));
    check_eq!(asks(root, Wish::Up, "other", "rs")?, Some(Errno::Perm));
    // Nobody is called as it is.
    check_eq!(asks(root, Wish::Up, "rs", ASSIST)?, Some(Errno::Busy));
    check_eq!(up(ASSIST, "rs"), Err(Errno::Busy));
    // Users are none of its, even for whom the policy names one.
    check_eq!(asks(root, Wish::Up, "", "other-user")?, Some(Errno::Perm));
    check_eq!(up("root-user", ""), Err(Errno::Perm));
    check_eq!(asks(root, Wish::Down, "other-user", "")?, Some(Errno::Srch));
    // The system cannot go on without these, or cannot start them again.
    check_eq!(asks(root, Wish::Down, "ds", "")?, Some(Errno::Perm));
    check_eq!(asks(root, Wish::Down, "pm", "")?, Some(Errno::Perm));
    check_eq!(asks(root, Wish::Refresh, "pm", "")?, Some(Errno::Perm));
    check_eq!(asks(root, Wish::Refresh, "vm", "")?, Some(Errno::NoEnt));
    check_eq!(supplies()?, before);
    Ok(())
}
