//! Services that do not answer are restarted.

use crate::kit::*;
use protocol::assist::Deed;
use protocol::rs::{Reason, State};
use suite::{Outcome, check, check_eq};

/// A second, the shortest there is.
const HEARTBEAT: u32 = 1000;

fn until_restarted() -> Outcome {
    while info(ASSIST)?.restarts == 0 {
        pause()?;
    }
    let info = until_active(ASSIST)?;
    check_eq!((info.restarts, info.reason, info.state), (1, Reason::NoHeartbeat, State::Active));
    Ok(())
}

pub(crate) fn a_service_that_is_silent_is_restarted() -> Outcome {
    with(ASSIST, "", |endpoint| {
        edit(ASSIST, HEARTBEAT)?;
        // While it answers, it stays.
        for _ in 0..5 {
            check_eq!(info(ASSIST)?.restarts, 0);
            pause()?;
        }
        check_eq!(does(endpoint, Deed::IgnorePings)?, 0);
        until_restarted()?;
        count(endpoint)?;
        Ok(())
    })
}

pub(crate) fn a_service_that_waits_for_nobody_is_restarted() -> Outcome {
    with(ASSIST, "", |endpoint| {
        edit(ASSIST, HEARTBEAT)?;
        check_eq!(does(endpoint, Deed::Wait), Err(abi::Errno::DeadSrcDst));
        until_restarted()?;
        count(endpoint)?;
        Ok(())
    })
}

pub(crate) fn a_service_that_computes_for_ever_is_restarted() -> Outcome {
    with(ASSIST, "", |endpoint| {
        edit(ASSIST, HEARTBEAT)?;
        check_eq!(does(endpoint, Deed::Loop), Err(abi::Errno::DeadSrcDst));
        until_restarted()?;
        count(endpoint)?;
        Ok(())
    })
}

/// A client that is restarted when it dies.
const AGAIN: &str = "client-assist_r";

pub(crate) fn one_that_dies_while_it_sends_is_restarted() -> Outcome {
    with(ASSIST, "", |endpoint| {
        with(AGAIN, "", |_| {
            // The client calls all the time and answers no pings; the one that it calls takes nothing for a while.
            edit(AGAIN, HEARTBEAT)?;
            edit(ASSIST, 4 * HEARTBEAT)?;
            check_eq!(does(endpoint, Deed::Wait), Err(abi::Errno::DeadSrcDst));
            // When the other one died, its message was gone in any case: that makes one.
            check!(info(AGAIN)?.restarts > 1, "it was not restarted before its message was gone");
            edit(AGAIN, 0)?;
            edit(ASSIST, 0)?;
            until_active(ASSIST)?;
            until_active(AGAIN).map(drop)
        })
    })
}
