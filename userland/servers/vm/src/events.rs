//! Memory that is needed: page faults, and kernel calls that wait for memory of somebody.

use crate::asks::Who;
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
        let segv = if wait.len == 0 {
            self.fault(wait.process, wait.address, need)
        } else {
            self.request(wait, need);
            None
        };
        self.go_on();
        segv
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
        match supplied {
            Err(why @ (Errno::NoMem | Errno::Again)) => self.fault_again(process, address, need, why),
            _ => self.end_fault(process, address, need, supplied),
        }
    }

    /// Frames are missing, which the cache may have, or the page of a file, which is asked for.
    #[cold]
    fn fault_again(&mut self, process: Endpoint, address: u64, need: Need, why: Errno) -> Option<Segv> {
        let pages = address / PAGE_SIZE..address / PAGE_SIZE + 1;
        let supplied = match why {
            Errno::NoMem => self.with_cache_for(|vm| vm.supply(process, pages.clone(), need)),
            _ => Err(why),
        };
        let supplied = match supplied {
            Err(Errno::Again) => match self.wait_for(Who::Fault(address), process, pages, need) {
                Ok(()) => {
                    self.machine.faulting = None;
                    return None;
                }
                Err(why) => Err(why),
            },
            _ => supplied,
        };
        self.count_fault(process, supplied, false);
        self.end_fault(process, address, need, supplied)
    }

    /// Counts a fault for which there is memory.
    pub(crate) fn count_fault(&mut self, process: Endpoint, supplied: Result<(), Errno>, is_major: bool) {
        if let Ok(found) = self.processes.get_mut(process) {
            let counters = &mut found.memory.counters;
            let counter = if is_major { &mut counters.major_faults } else { &mut counters.minor_faults };
            *counter += u64::from(supplied.is_ok());
        }
    }

    /// A process goes on after a fault, or gets a signal.
    pub(crate) fn end_fault(
        &mut self,
        process: Endpoint,
        address: u64,
        need: Need,
        supplied: Result<(), Errno>,
    ) -> Option<Segv> {
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
                let supplied = self.with_cache_for(|vm| vm.supply(wait.process, pages.clone(), need));
                if supplied == Err(Errno::Again)
                    && self.wait_for(Who::Request(wait.requestor), wait.process, pages, need).is_ok()
                {
                    return;
                }
                supplied
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
