//! Time on other processors.

use abi::Errno;
use smp::call_echo;
use suite::{Outcome, check_eq};

/// Calls to a server beside which others compute.
const CALLS: u64 = 300;
/// How often both of two equals must be heard.
const ROUNDS: usize = 5;

/// Two programs that never wait run on one processor: both are heard, again and again.
pub(crate) fn equals_share_a_processor() -> Outcome {
    for _ in 0..ROUNDS {
        for name in ["hog-a", "hog-b"] {
            let from = sys::lookup(name).ok_or(Errno::NoEnt)?;
            check_eq!(rt::receive(from)?.message.peer, from);
        }
    }
    Ok(())
}

/// A server gets its turn on the processor on which others compute that are less urgent and never wait.
pub(crate) fn the_urgent_interrupt_others() -> Outcome {
    call_echo(sys::lookup("echo3").ok_or(Errno::NoEnt)?, CALLS)?;
    Ok(())
}

/// The clients have ended: whoever names them is told, and their processors do other work.
pub(crate) fn the_dead_leave_their_processor() -> Outcome {
    for (client, server) in [("client1", "echo1"), ("client2", "echo2"), ("client3", "echo3")] {
        let dead = sys::lookup(client).ok_or(Errno::NoEnt)?;
        check_eq!(rt::receive(dead).map(drop), Err(Errno::DeadSrcDst));
        call_echo(sys::lookup(server).ok_or(Errno::NoEnt)?, CALLS)?;
    }
    Ok(())
}
