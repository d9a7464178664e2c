//! Memory that is not there: page faults of programs, and kernel calls that need memory of somebody. The process waits in a
//! queue until the memory server has been told, and then until that one has answered.

use crate::process::Pending;
use crate::{Action, Frame, Kernel, Machine, Rts, Slot};
use abi::{Endpoint, Errno, Signal};

/// What somebody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEvent {
    /// Whose memory; [`Endpoint::NONE`] if that one's is not what it was since the memory server was told.
    pub process: Endpoint,
    /// Its first byte.
    pub address: u64,
    /// Bytes; 0 for a page fault, of which only the address is known.
    pub len: u64,
    /// What it is needed for.
    pub access: MemoryAccess,
}

/// What memory is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MemoryAccess {
    /// To be read.
    Read = 0,
    /// To be written.
    Write = 1,
    /// To be executed.
    Execute = 2,
}

/// An event in the queue, and who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueuedEvent {
    pub(crate) requestor: Endpoint,
    pub(crate) event: MemoryEvent,
}

impl QueuedEvent {
    /// Nothing, in these words.
    pub(crate) const NONE: [u64; 3] = [Endpoint::NONE.raw() as u64, 0, 0];

    /// As it travels in the last three words of a notification: who waits, whose memory (the same, for a page fault); the
    /// address; the access in the upper bits, and the length.
    pub(crate) fn words(&self) -> [u64; 3] {
        let MemoryEvent { process, address, len, access } = self.event;
        let names = u64::from(self.requestor.raw()) | u64::from(process.raw()) << 32;
        [names, address, (access as u64) << abi::event::ACCESS_SHIFT | len]
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// The running process `me` touched memory that is not there, or not for this. The memory server is told; where there is none,
    /// it is a signal.
    pub(crate) fn page_fault(&mut self, machine: &mut M, me: Slot, address: u64, access: MemoryAccess) {
        let process = self.process(me).endpoint;
        match self.service(self.pager) {
            Some(pager) if pager == me => self.action = Action::Panic(me),
            Some(_) => {
                let event = MemoryEvent { process, address, len: 0, access };
                self.wait_for_memory(machine, me, event, Rts::PAGE_FAULT);
            }
            None => self.raise(machine, me, Signal::SEGV),
        }
    }

    /// A kernel call of `me` needs memory. It is suspended until the memory server has answered; `EFAULT` if there is none.
    pub(crate) fn request_memory(&mut self, machine: &mut M, me: Slot, event: MemoryEvent) -> Result<(), Errno> {
        self.service(self.pager).filter(|&pager| pager != me).ok_or(Errno::Fault)?;
        self.process_mut(me).pending |= Pending::CALL;
        self.wait_for_memory(machine, me, event, Rts::MEMORY_REQUEST);
        Ok(())
    }

    fn wait_for_memory(&mut self, machine: &mut M, me: Slot, event: MemoryEvent, why: Rts) {
        self.block(machine, me, why);
        self.process_mut(me).memory_event = Some(event);
        self.queue_event(machine, me);
    }

    /// Lets the memory server be told what a process waits for.
    pub(crate) fn queue_event(&mut self, machine: &mut M, slot: Slot) {
        self.process_mut(slot).pending |= Pending::EVENT;
        self.events.push_back(self.procs, slot);
        if let Some(pager) = self.service(self.pager) {
            self.signal_service(machine, pager, Signal::MEMORY);
        }
    }

    /// It need not be told any more, if it was not yet.
    pub(crate) fn unqueue_event(&mut self, slot: Slot) {
        let p = self.process_mut(slot);
        if p.pending.contains(Pending::EVENT) {
            p.pending.remove(Pending::EVENT);
            self.events.remove(self.procs, slot);
        }
    }

    /// Takes the first event that the memory server has not been told.
    pub(crate) fn take_memory_event(&mut self) -> Option<QueuedEvent> {
        let slot = self.events.pop_front(self.procs)?;
        let p = self.process_mut(slot);
        p.pending.remove(Pending::EVENT);
        Some(QueuedEvent { requestor: p.endpoint, event: p.memory_event? })
    }

    pub(crate) fn has_memory_event(&self) -> bool {
        self.events.head().is_some()
    }

    /// Nobody needs to hear of the event of a process any more.
    pub(crate) fn forget_memory_event(&mut self, slot: Slot) {
        self.unqueue_event(slot);
        self.process_mut(slot).memory_event = None;
    }

    /// The memory server has dealt with the page fault of a process.
    pub(crate) fn end_page_fault(&mut self, slot: Slot) -> Result<(), Errno> {
        if !self.process(slot).rts.contains(Rts::PAGE_FAULT) {
            return Err(Errno::Inval);
        }
        self.forget_memory_event(slot);
        self.unblock(slot, Rts::PAGE_FAULT);
        Ok(())
    }

    /// The memory server has made the memory available that a call of a process needs, or cannot: then the call fails.
    pub(crate) fn end_memory_request(&mut self, slot: Slot, available: bool) -> Result<(), Errno> {
        if !self.process(slot).rts.contains(Rts::MEMORY_REQUEST) {
            return Err(Errno::Inval);
        }
        let recalled = self.process(slot).memory_event.is_some_and(|event| event.process == Endpoint::NONE);
        self.forget_memory_event(slot);
        // A new program that was put in the place of the old one has not called.
        let p = self.process_mut(slot);
        if !available && !recalled && p.pending.contains(Pending::CALL) {
            p.pending.remove(Pending::CALL);
            p.frame.set_result(Errno::Fault.to_result());
        }
        self.unblock(slot, Rts::MEMORY_REQUEST);
        Ok(())
    }

    /// A process ends, or goes on under another endpoint: calls of others that wait for its memory start again, and find out.
    /// Where the memory server knows of such a call, its answer must come first: it could be taken for one to the next request.
    pub(crate) fn recall_requests(&mut self, owner: Slot) {
        let endpoint = self.process(owner).endpoint;
        let others = self.alive.clone();
        for other in others.iter().filter(|&other| other != owner) {
            let p = self.process_mut(other);
            let told = !p.pending.contains(Pending::EVENT);
            let Some(event) = p.memory_event.as_mut().filter(|event| event.process == endpoint) else {
                continue;
            };
            if told {
                event.process = Endpoint::NONE;
            } else {
                // It waits for an answer, so it can be answered.
                let _ = self.end_memory_request(other, true);
            }
        }
    }
}
