//! Children on other processors.

use family::{Board, Child, Code, Plan, until};
use protocol::getinfo::GetMachine;
use suite::{Failure, Outcome, skip};

/// How many processors run.
pub(crate) fn cpus() -> Result<u64, Failure> {
    let cpus = sys::getinfo().machine(GetMachine {})?.cpus;
    if cpus < 2 {
        skip!("there is one processor");
    }
    Ok(cpus)
}

/// A processor besides the suite's; different ones for different numbers, as far as there are.
pub(crate) fn cpu(number: u64) -> Result<u64, Failure> {
    Ok(1 + number % (cpus()? - 1))
}

/// An ordinary child on such a processor.
pub(crate) fn plan(code: Code, number: u64) -> Result<Plan, Failure> {
    Ok(Plan::new(code)?.on(cpu(number)?))
}

/// Waits until a child has counted on.
pub(crate) fn counts_on(board: &Board) -> Outcome {
    let count = board.get(Board::COUNT);
    until(|| board.get(Board::COUNT) != count)
}

/// Does something to a stopped process as soon as it has left its processor.
pub(crate) fn when_left<T>(mut act: impl FnMut() -> Result<T, abi::Errno>) -> Result<T, Failure> {
    let mut done = None;
    until(|| {
        let result = act();
        let busy = result.as_ref().err() == Some(&abi::Errno::Busy);
        done = Some(result);
        !busy
    })?;
    match done {
        Some(result) => Ok(result?),
        None => skip!("nothing was done"),
    }
}

/// Ends children.
pub(crate) fn end_all<const N: usize>(children: [Child; N]) -> Outcome {
    children.into_iter().try_for_each(Child::end)
}
