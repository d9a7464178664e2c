//! Memory that is needed: page faults, and kernel calls that wait for memory of somebody.

use crate::heap::Heap;
use crate::{Need, Vm};
use abi::event::MemoryWait;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Signal};
use core::fmt;
use core::ops::Range;
use protocol::Transport;
use protocol::kernel::Kill;
use protocol::vmctl::{AnswerRequest, ClearPageFault};

/// A page fault that could not be dealt with: the process has got a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segv {
    /// Who.
    pub process: Endpoint,
    /// At which address.
    pub address: u64,
    /// For what.
    pub need: Need,
    /// `EFAULT` if it may not, `ENOMEM` if there is no memory.
    pub why: Errno,
}

impl fmt::Display for Segv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.need {
            Need::Read => "reads",
            Need::Write => "writes",
            Need::Execute => "executes",
        };
        let Self { process, address, why, .. } = self;
        write!(f, "process {:#x} {what} {address:#x}: {why}", process.raw())
    }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Deals with what the kernel tells. Returns whether a process gets a signal for it.
    pub fn event(&mut self, wait: &MemoryWait) -> Option<Segv> {
        let need = Need::of(wait.access);
        if wait.len == 0 {
            self.fault(wait.process, wait.address, need)
        } else {
            self.request(wait, need);
            None
        }
    }

    #[inline]
    fn fault(&mut self, process: Endpoint, address: u64, need: Need) -> Option<Segv> {
        let page = address / PAGE_SIZE;
        let Self { processes, machine, objects, .. } = self;
        let supplied = match processes.get_mut(process) {
            // It is being taken apart.
            Ok(found) if found.exits => return None,
            Ok(found) => {
                let memory = &mut found.memory;
                machine.faulting = Some(process);
                let supplied = memory.supply(machine, objects, page..page + 1, need);
                memory.counters.minor_faults += u64::from(supplied.is_ok());
                supplied
            }
            Err(_) => Err(Errno::Fault),
        };
        // With the page that was missing it has gone on already.
        let waits = self.machine.faulting.take().is_some();
        let mut vmctl = self.machine.vmctl();
        let Err(why) = supplied else {
            if waits {
                // It may have ended meanwhile; then there is nobody to go on.
                let _ = vmctl.clear_page_fault(ClearPageFault { process });
            }
            return None;
        };
        let _ = self.machine.kernel().kill(Kill { process, signal: Signal::SEGV.number() });
        // It goes on when its manager lets it.
        let _ = vmctl.clear_page_fault(ClearPageFault { process });
        Some(Segv { process, address, need, why })
    }

    fn request(&mut self, wait: &MemoryWait, need: Need) {
        if self.processes.get(wait.requestor).is_some_and(|requestor| requestor.exits) {
            return;
        }
        let end = wait.address.checked_add(wait.len);
        let pages = end.map(|end| wait.address / PAGE_SIZE..end.div_ceil(PAGE_SIZE));
        let is_there = |process: &&crate::Process| !process.exits;
        let supplied = match (self.processes.get(wait.process).filter(is_there), pages) {
            (Some(process), Some(pages)) if process.memory.permits(pages.clone(), need) => {
                self.supply(wait.process, pages, need)
            }
            _ => Err(Errno::Fault),
        };
        let available = supplied.is_ok().into();
        // It may have ended meanwhile.
        let _ = self.machine.vmctl().answer_request(AnswerRequest { process: wait.requestor, available });
    }

    /// Makes pages of a process available.
    #[inline]
    pub(crate) fn supply(&mut self, process: Endpoint, pages: Range<u64>, need: Need) -> Result<(), Errno> {
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(process)?.memory;
        memory.supply(machine, objects, pages, need)
    }
}
