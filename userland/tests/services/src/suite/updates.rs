//! Services are replaced by other versions of them while they run.

use crate::kit::*;
use abi::{Endpoint, Errno};
use protocol::assist::Deed;
use protocol::rs::{Init, NO_STATE, State};
use sef::state;
use suite::{Outcome, check, check_eq};

/// How often a service is replaced, one time after the other.
const MANY: u64 = 20;

/// The service serves, has counted so many calls before, and began so.
fn serves(endpoint: Endpoint, calls: u64, how: Init) -> Outcome {
    let info = info(ASSIST)?;
    check_eq!((info.state, info.endpoint), (State::Active, endpoint));
    let counted = count(endpoint)?;
    check_eq!((counted.calls, counted.how), (calls, how as u32));
    Ok(())
}

pub(crate) fn a_new_version_goes_on_with_the_state() -> Outcome {
    with(ASSIST, "", |endpoint| {
        for _ in 0..3 {
            count(endpoint)?;
        }
        update(ASSIST, ASSIST, state::WORK_FREE)?;
        serves(endpoint, 4, Init::LiveUpdate)?;
        update(ASSIST, ASSIST, state::REQUEST_FREE)?;
        serves(endpoint, 5, Init::LiveUpdate)?;
        check_eq!(update(ASSIST, ASSIST, NO_STATE), Err(Errno::Inval));
        check_eq!(update(ASSIST, "nothing", state::WORK_FREE), Err(Errno::NoEnt));
        check_eq!(update("nobody", ASSIST, state::WORK_FREE), Err(Errno::Srch));
        serves(endpoint, 6, Init::LiveUpdate)
    })
}

pub(crate) fn a_client_that_waits_is_served_by_the_new_version() -> Outcome {
    // The other client calls all the time, and ends as soon as an answer is wrong.
    with(ASSIST, "", |endpoint| {
        with("client-assist", "", |_| {
            for _ in 0..5 {
                update(ASSIST, ASSIST, state::WORK_FREE)?;
            }
            check_eq!(info("client-assist")?.restarts, 0);
            let first = count(endpoint)?.calls;
            pause()?;
            let second = count(endpoint)?.calls;
            check!(second > first + 1, "the client does not go on: {first}, {second}");
            Ok(())
        })
    })
}

pub(crate) fn another_layout_of_the_state_is_read() -> Outcome {
    let hello = open_hello()?;
    let opens = ask_hello(hello, hello::GET_OPENS)?;
    update(HELLO, "hello-2", state::WORK_FREE)?;
    check_eq!(lookup(HELLO)?, hello);
    // The minor device is still open, and nothing was forgotten.
    check_eq!(ask_hello(hello, hello::GET_OPENS)?, opens);
    check_eq!(open_hello()?, hello);
    check_eq!(ask_hello(hello, hello::GET_OPENS)?, opens + 1);
    let mut text = [0; 5];
    read_hello(hello, 0, &mut text)?;
    check_eq!(ask_hello(hello, hello::GET_READS)?, 5);
    Ok(())
}

pub(crate) fn a_newer_state_is_refused_and_the_old_version_goes_on() -> Outcome {
    let hello = open_hello()?;
    let opens = ask_hello(hello, hello::GET_OPENS)?;
    check_eq!(update(HELLO, "hello", state::WORK_FREE), Err(Errno::Inval));
    check_eq!(info(HELLO)?.state, State::Active);
    check_eq!(ask_hello(hello, hello::GET_OPENS)?, opens);
    check_eq!(ask_hello(hello, hello::GET_READS)?, 5);
    check_eq!(update(HELLO, "hello-2", 99), Err(Errno::Inval));
    update(HELLO, "hello-2", state::REQUEST_FREE)?;
    check_eq!(ask_hello(hello, hello::GET_OPENS)?, opens);
    Ok(())
}

pub(crate) fn a_new_version_that_does_not_begin_is_rolled_back() -> Outcome {
    with(ASSIST, "", |endpoint| {
        let mut calls = 1;
        serves(endpoint, calls, Init::Fresh)?;
        let before = supplies()?;
        for (program, error) in
            [("assist-crash", Errno::DeadSrcDst), ("assist-fail", Errno::Io), ("assist-hang", Errno::TimedOut)]
        {
            check_eq!(update(ASSIST, program, state::WORK_FREE), Err(error));
            calls += 1;
            serves(endpoint, calls, Init::Fresh)?;
        }
        check_eq!(supplies()?, before);
        update(ASSIST, ASSIST, state::WORK_FREE)?;
        serves(endpoint, calls + 1, Init::LiveUpdate)
    })
}

pub(crate) fn an_old_version_that_is_not_ready_goes_on() -> Outcome {
    with(ASSIST, "", |endpoint| {
        let before = supplies()?;
        check_eq!(update(ASSIST, ASSIST, state::UNREACHABLE), Err(Errno::TimedOut));
        serves(endpoint, 1, Init::Fresh)?;
        check_eq!(update(ASSIST, ASSIST, state::PROTOCOL_FREE), Err(Errno::Inval));
        check_eq!(does(endpoint, Deed::RefuseUpdate)?, 0);
        check_eq!(update(ASSIST, ASSIST, state::REQUEST_FREE), Err(Errno::Busy));
        check_eq!(does(endpoint, Deed::FailToSave)?, 0);
        check_eq!(update(ASSIST, ASSIST, state::WORK_FREE), Err(Errno::Io));
        serves(endpoint, 2, Init::Fresh)?;
        check_eq!(supplies()?, before);
        Ok(())
    })
}

pub(crate) fn an_old_version_that_crashes_is_restarted() -> Outcome {
    with(ASSIST, "", |endpoint| {
        count(endpoint)?;
        check_eq!(update(ASSIST, ASSIST, state::CRASH), Err(Errno::DeadSrcDst));
        check_eq!(until_active(ASSIST)?.restarts, 1);
        serves(endpoint, 1, Init::Restart)
    })
}

pub(crate) fn many_updates_leave_everything_as_it_was() -> Outcome {
    with(ASSIST, "", |endpoint| {
        // Whatever is needed for the first time is there after the first rounds.
        let mut before = None;
        for round in 1..=MANY {
            // A tenth of them fails.
            if round % 10 == 0 {
                check_eq!(update(ASSIST, "assist-fail", state::WORK_FREE), Err(Errno::Io));
                check_eq!(supplies()?, *before.get_or_insert(supplies()?));
            } else {
                update(ASSIST, ASSIST, state::WORK_FREE)?;
            }
            serves(endpoint, round, Init::LiveUpdate)?;
        }
        Ok(())
    })
}
