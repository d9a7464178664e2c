//! Stopping processes that run elsewhere.

use crate::elsewhere::{counts_on, end_all, plan, when_left};
use abi::Errno;
use family::{Board, Child, RUNS, free_slot, frozen, programs, until};
use protocol::kernel::{RunAction, RunCtl};
use suite::{Outcome, check_eq};
use sys::kernel;

fn run(child: &Child, action: RunAction) -> Result<(), Errno> {
    kernel().runctl(RunCtl { process: child.endpoint, action }).map(drop)
}

pub(crate) fn whoever_is_stopped_elsewhere_executes_nothing_more() -> Outcome {
    const ROUNDS: u64 = 300;
    let child = Child::start(&plan(programs::count, 0)?)?;
    for _ in 0..ROUNDS {
        counts_on(child.board())?;
        run(&child, RunAction::Stop)?;
        frozen(child.board())?;
        run(&child, RunAction::Resume)?;
    }
    counts_on(child.board())?;
    child.end()
}

pub(crate) fn two_processors_stop_each_other() -> Outcome {
    const TIMES: u64 = 1000;
    let make = |number| Child::prepare(&plan(programs::stop_other, number)?.calls(&["runctl"]), free_slot()?);
    let (a, b) = (make(0)?, make(1)?);
    for (one, other) in [(&a, &b), (&b, &a)] {
        one.board().set(Board::FREE, other.endpoint.raw().into());
        one.board().set(Board::ARGUMENT, TIMES);
    }
    a.allow()?;
    b.allow()?;
    for child in [&a, &b] {
        until(|| child.board().get(Board::RESULT) == 1)?;
        check_eq!(child.board().get(Board::TROUBLE), 0);
    }
    end_all([a, b])
}

/// Its trap, if it was in one, is not made, and leaves nothing in its registers.
pub(crate) fn whoever_is_stopped_in_a_trap_starts_anew_where_it_should() -> Outcome {
    const ROUNDS: u64 = 300;
    let child = Child::start(&plan(programs::land, 0)?.calls(&["whoami"]))?;
    for round in 1..=ROUNDS {
        until(|| child.board().get(Board::COUNT) == round)?;
        check_eq!(child.board().get(Board::RESULT), 0);
        run(&child, RunAction::Stop)?;
        when_left(|| child.exec(programs::land))?;
        run(&child, RunAction::Resume)?;
    }
    until(|| child.board().get(Board::COUNT) == ROUNDS + 1)?;
    check_eq!(child.info()?.flags, RUNS);
    child.end()
}
