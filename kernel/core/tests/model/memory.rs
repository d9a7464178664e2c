//! Programs' memory, and waiting for it.

use super::*;
use abi::Signal;
use abi::layout::{USER_END, USER_START};

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Event {
    pub(super) process: Endpoint,
    address: u64,
    len: u64,
    /// 0 reading, 1 writing, 2 executing.
    access: u64,
}

impl Model {
    pub(super) fn load(&self, i: usize, address: u64, len: u64) -> Option<Vec<u8>> {
        let space = self.program(i).space?;
        (0..len).map(|at| self.machine.byte(space, address.checked_add(at)?)).collect()
    }

    /// Writes what can be written up to the first byte that cannot.
    pub(super) fn store(&mut self, i: usize, address: u64, bytes: &[u8]) {
        let Some(space) = self.program(i).space else { return };
        for (at, byte) in (address..).zip(bytes) {
            if self.machine.byte(space, at).is_none() {
                return;
            }
            self.machine.written.insert((space, at), *byte);
        }
    }

    /// The memory server; a process that has become a user is none any more.
    pub(crate) fn pager(&self) -> Option<usize> {
        self.live(self.pager).filter(|slot| self.is_service(*slot))
    }

    /// Whoever runs touches memory that is not there.
    pub(crate) fn fault(&mut self, cpu: usize, address: u64, access: u64) {
        let Some(me) = self.running[cpu] else { return };
        match self.pager() {
            None => self.exception(cpu, Signal::SEGV),
            Some(pager) if pager == me => self.action = Action::Panic(slot(me)),
            Some(_) => self.wait_for_memory(me, address, 0, access, Rts::PAGE_FAULT),
        }
    }

    /// A call of `me` needs to read its own memory.
    pub(super) fn need(&mut self, me: usize, call: &Call, address: u64, len: u64) -> Stop {
        let is_memory = address >= USER_START && address.checked_add(len).is_some_and(|end| end <= USER_END);
        match self.pager() {
            Some(pager) if pager != me && is_memory => {
                self.program_mut(me).suspended = Some(Ask::Call(call.clone()));
                self.wait_for_memory(me, address, len, 0, Rts::MEMORY_REQUEST);
                Stop::Waits
            }
            _ => Stop::Failed(Errno::Fault),
        }
    }

    fn wait_for_memory(&mut self, me: usize, address: u64, len: u64, access: u64, why: Rts) {
        self.hold(me, why);
        self.program_mut(me).event = Some(Event { process: self.slots[me].endpoint, address, len, access });
        self.queue_event(me);
    }

    pub(super) fn queue_event(&mut self, i: usize) {
        self.events.push(i);
        if let Some(pager) = self.pager() {
            self.signal_service(pager, Signal::MEMORY);
        }
    }

    /// The first event that nobody has been told, in words.
    pub(super) fn take_event(&mut self) -> Option<[u64; 3]> {
        if self.events.is_empty() {
            return None;
        }
        let i = self.events.remove(0);
        let Event { process, address, len, access } = self.program(i).event?;
        let names = u64::from(self.slots[i].endpoint.raw()) | u64::from(process.raw()) << 32;
        Some([names, address, access << 56 | len])
    }

    pub(super) fn forget_event(&mut self, i: usize) {
        self.events.retain(|event| *event != i);
        self.program_mut(i).event = None;
    }

    pub(super) fn clear_page_fault(&mut self, i: usize) -> Result<(), Errno> {
        if !self.program(i).is(Rts::PAGE_FAULT) {
            return Err(Errno::Inval);
        }
        self.forget_event(i);
        self.release(i, Rts::PAGE_FAULT);
        Ok(())
    }

    pub(super) fn answer_request(&mut self, i: usize, available: bool) -> Result<(), Errno> {
        if !self.program(i).is(Rts::MEMORY_REQUEST) {
            return Err(Errno::Inval);
        }
        self.forget_event(i);
        let p = self.program_mut(i);
        if !available && p.suspended.take().is_some() {
            p.regs.rax = Errno::Fault.to_result() as u64;
        }
        self.release(i, Rts::MEMORY_REQUEST);
        Ok(())
    }

    /// Lets a process live in a space, or nowhere.
    pub(super) fn settle_in(&mut self, i: usize, space: Option<usize>) -> Result<(), Errno> {
        if self.program(i).rts.is_empty() || self.runs(i) {
            return Err(Errno::Busy);
        }
        self.program_mut(i).space = space;
        match space {
            Some(_) => self.release(i, Rts::NO_SPACE),
            None => self.hold(i, Rts::NO_SPACE),
        }
        Ok(())
    }
}
