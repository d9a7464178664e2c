//! Forks of the measuring program, which the process manager makes.

use crate::memory::{Area, Memory};
use abi::{Endpoint, Errno};
use bench::calls::{Client, End, Fork, ForkOnly, Leave, MANAGER, Wait};
use bench::{PASSES, Trouble, report, timed};
use sys::Ipc;

/// Pages that the program has when it forks.
const RESIDENT: u64 = 64;

/// The process manager.
pub(crate) struct Family {
    manager: Client<Ipc>,
}

impl Family {
    pub(crate) fn find() -> Result<Self, Errno> {
        let to = sys::lookup(MANAGER).ok_or(Errno::Srch)?;
        Ok(Self { manager: Client { to, transport: Ipc::default() } })
    }

    /// Makes a child that ends at once, and waits for its end; returns what it cost.
    pub(crate) fn fork_and_wait(&mut self) -> Result<u32, Trouble> {
        let before = timed::now();
        let forked = self.manager.fork(Fork {})?;
        if forked.child == Endpoint::NONE {
            self.manager.leave(Leave {})?;
        }
        self.manager.wait(Wait {})?;
        Ok(timed::now().wrapping_sub(before) as u32)
    }

    /// Makes a child that does nothing.
    pub(crate) fn fork_only(&mut self) -> Result<Endpoint, Errno> {
        self.manager.fork_only(ForkOnly {}).map(|forked| forked.child)
    }

    /// Ends the child.
    pub(crate) fn end(&mut self) -> Result<(), Errno> {
        self.manager.end(End {}).map(drop)
    }
}

/// Measures writes to what a child shows too, and forks.
pub(crate) fn measure(memory: &mut Memory, family: &mut Family) -> Result<(), Trouble> {
    let area = memory.map(PASSES)?;
    area.fill();
    family.fork_only()?;
    report("fault.cow", |page| Ok(area.touch(page)))?;
    family.end()?;
    memory.unmap(area)?;

    let filling = fill_up(memory)?;
    report("fork.64p", |_| family.fork_and_wait())?;
    if memory.resident()? != RESIDENT {
        return Err(Trouble::WrongAnswer);
    }
    memory.unmap(filling)?;
    Ok(())
}

/// Touches so many pages that the program has [`RESIDENT`].
fn fill_up(memory: &mut Memory) -> Result<Area, Trouble> {
    let missing = RESIDENT.checked_sub(memory.resident()?).filter(|&missing| missing > 0);
    let filling = memory.map(missing.ok_or(Trouble::WrongAnswer)?)?;
    filling.fill();
    Ok(filling)
}
