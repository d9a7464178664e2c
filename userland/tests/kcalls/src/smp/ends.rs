//! The end of processes that run elsewhere.

use crate::elsewhere::{counts_on, plan};
use abi::Endpoint;
use family::{Board, Child, RUNS, free_frames, free_slot, frozen, programs};
use protocol::kernel::Clear;
use suite::{Outcome, check, check_eq};
use sys::kernel;

pub(crate) fn whoever_is_ended_elsewhere_executes_nothing_more() -> Outcome {
    const ROUNDS: u64 = 100;
    let slot = free_slot()?;
    let mut last: Option<(Endpoint, u64)> = None;
    for round in 0..ROUNDS {
        let child = Child::prepare(&plan(programs::count, round)?, slot)?;
        if let Some((dead, _)) = last {
            check_eq!(child.endpoint, dead.next_generation());
        }
        child.allow()?;
        counts_on(child.board())?;
        kernel().clear(Clear { process: child.endpoint })?;
        frozen(child.board())?;
        let endpoint = child.endpoint;
        child.home.end()?;
        let frames = free_frames()?;
        check!(last.is_none_or(|(_, before)| before == frames), "frames are lost in round {round}");
        last = Some((endpoint, frames));
    }
    Ok(())
}

/// One processor stops a process and lets it go on all the time, while it is ended and another one takes its slot.
pub(crate) fn a_request_for_the_dead_hits_nobody_else() -> Outcome {
    const ROUNDS: u64 = 50;
    const MOMENT: u64 = 200;
    let slot = free_slot()?;
    let stopper = Child::prepare(&plan(programs::stop_other, 1)?.calls(&["runctl"]), slot + 1)?;
    stopper.board().set(Board::ARGUMENT, u64::MAX);
    let mut victim = Child::start_in(&plan(programs::count, 0)?, slot)?;
    stopper.board().set(Board::FREE, victim.endpoint.raw().into());
    stopper.allow()?;
    for _ in 0..ROUNDS {
        counts_on(stopper.board())?;
        victim.end()?;
        let newcomer = Child::start_in(&plan(programs::count, 0)?, slot)?;
        for _ in 0..MOMENT {
            check_eq!(newcomer.info()?.flags, RUNS);
        }
        counts_on(newcomer.board())?;
        stopper.board().set(Board::FREE, newcomer.endpoint.raw().into());
        victim = newcomer;
    }
    stopper.end()?;
    victim.end()
}
