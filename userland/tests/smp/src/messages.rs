//! Messages between processors: none is lost, none comes twice.

use smp::call_echo;
use suite::{Outcome, check_eq};

/// Calls to each server.
const CALLS: u64 = 1000;

pub(crate) fn calls_to_other_processors() -> Outcome {
    for name in ["echo0", "echo1", "echo2", "echo3"] {
        let to = sys::lookup(name).ok_or(abi::Errno::NoEnt)?;
        call_echo(to, CALLS)?;
    }
    Ok(())
}

/// The partners wait, and their processors with them, until a notification comes.
pub(crate) fn notifications_wake_other_processors() -> Outcome {
    for name in ["waiter1", "waiter2", "waiter3"] {
        let to = sys::lookup(name).ok_or(abi::Errno::NoEnt)?;
        for _ in 0..CALLS {
            rt::notify(to)?;
            let received = rt::receive(to)?;
            check_eq!(received.message.peer, to);
            check_eq!(received.status.is_notification(), true);
        }
    }
    Ok(())
}

/// Three clients call one server at once; each tells here what came of it.
pub(crate) fn clients_on_all_processors() -> Outcome {
    let clients = ["client1", "client2", "client3"];
    for name in clients {
        let to = sys::lookup(name).ok_or(abi::Errno::NoEnt)?;
        rt::notify(to)?;
    }
    for name in clients {
        let from = sys::lookup(name).ok_or(abi::Errno::NoEnt)?;
        let verdict = rt::receive(from)?.message;
        check_eq!(verdict.kind.status(), Some(Ok(())));
    }
    Ok(())
}
