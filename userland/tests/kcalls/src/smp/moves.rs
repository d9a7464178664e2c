//! Moving processes from one processor to another.

use crate::elsewhere::{counts_on, cpus, plan};
use abi::Errno;
use abi::boot::MAX_CPUS;
use family::{Board, Child, RUNS, free_slot, programs, until};
use protocol::kernel::{KEEP, SchedCtl, Scheduler};
use suite::{Outcome, check_eq};
use sys::kernel;

fn to(child: &Child, cpu: i32) -> Result<(), Errno> {
    let (process, scheduler) = (child.endpoint, Scheduler::Kernel);
    kernel().schedctl(SchedCtl { process, scheduler, priority: KEEP, quantum: KEEP, cpu }).map(drop)
}

/// Also to the processor of the suite, and back.
pub(crate) fn a_busy_process_moves_and_keeps_its_registers() -> Outcome {
    const MOVES: u64 = 200;
    let cpus = cpus()?;
    let child = Child::prepare(&plan(programs::keep_registers, 0)?, free_slot()?)?;
    child.board().set(Board::ARGUMENT, 0x5e);
    child.allow()?;
    for round in 0..MOVES {
        let cpu = round % cpus;
        to(&child, cpu as i32)?;
        // At once once more: the first move may not be over.
        to(&child, cpu as i32)?;
        until(|| child.info().is_ok_and(|info| u64::from(info.cpu) == cpu))?;
        counts_on(child.board())?;
        check_eq!((child.info()?.flags, child.board().get(Board::TROUBLE)), (RUNS, 0));
    }
    child.end()
}

pub(crate) fn processors_that_are_none() -> Outcome {
    let child = Child::start(&plan(programs::count, 0)?)?;
    let before = child.info()?.cpu;
    for cpu in [-2, MAX_CPUS as i32, MAX_CPUS as i32 + 1, i32::MIN, i32::MAX] {
        check_eq!(to(&child, cpu), Err(Errno::Inval));
    }
    for cpu in cpus()? as i32..MAX_CPUS as i32 {
        check_eq!(to(&child, cpu), Err(Errno::BadCpu));
    }
    check_eq!((child.info()?.cpu, child.info()?.flags), (before, RUNS));
    counts_on(child.board())?;
    to(&child, 0)?;
    counts_on(child.board())?;
    child.end()
}
