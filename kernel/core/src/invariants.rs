//! What must hold between any two operations, checked after each step of the tests and by debugging kernels.

use crate::{Cpu, Kernel, Machine, Rts, SLOTS, Slot};
use abi::Endpoint;

/// Something that must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The process is in two queues, or twice in one.
    QueuedTwice(Slot),
    /// The process is runnable, does not run and is in no ready queue.
    NotQueued(Slot),
    /// The process is in a queue that does not fit its state.
    WronglyQueued(Slot),
    /// The links of its neighbours disagree with its own.
    BadLinks(Slot),
    /// A queue's bit says empty or not, and it is the other way round.
    BadOccupied(usize),
    /// The process waits for somebody who is not there.
    WaitsForDead(Slot),
    /// A flag is set without the one that it belongs to, or a free slot holds something.
    BadFlags(Slot),
    /// The process could have met a sender that waits, and did not.
    MissedSender(Slot),
}

impl<M: Machine> Kernel<'_, M> {
    /// Checks everything.
    ///
    /// # Errors
    /// The first violation found.
    pub fn check_invariants(&self, cpu: &Cpu) -> Result<(), Violation> {
        let mut queued = [false; SLOTS];
        for (priority, queue) in cpu.queues().iter().enumerate() {
            if queue.head().is_some() != (cpu.occupied() >> priority & 1 != 0) {
                return Err(Violation::BadOccupied(priority));
            }
            for slot in queue.iter(self.procs) {
                let p = self.process(slot);
                mark(&mut queued, slot)?;
                let fits = p.rts.is_empty() && usize::from(p.priority) == priority && cpu.current() != Some(slot);
                require(fits, Violation::WronglyQueued(slot))?;
                require(queue.is_linked(self.procs, slot), Violation::BadLinks(slot))?;
            }
        }
        for slot in Slot::all() {
            let p = self.process(slot);
            for sender in p.senders.iter(self.procs) {
                mark(&mut queued, sender)?;
                let s = self.process(sender);
                let fits = s.rts.contains(Rts::SENDING) && s.send_to == p.endpoint;
                require(fits, Violation::WronglyQueued(sender))?;
                require(p.senders.is_linked(self.procs, sender), Violation::BadLinks(sender))?;
                let missed = p.rts == Rts::RECEIVING && [Endpoint::ANY, s.endpoint].contains(&p.receive_from);
                require(!missed, Violation::MissedSender(sender))?;
            }
        }
        Slot::all().try_for_each(|slot| self.check_process(cpu, slot, queued[slot.index()]))
    }

    fn check_process(&self, cpu: &Cpu, slot: Slot, queued: bool) -> Result<(), Violation> {
        let p = self.process(slot);
        let free = p.rts.contains(Rts::FREE);
        let alone = p.rts == Rts::FREE && p.space.is_none() && p.senders.head().is_none();
        require(free == alone && p.space.is_none() == free, Violation::BadFlags(slot))?;
        require(!p.rts.contains(Rts::REPLY) || p.rts.contains(Rts::RECEIVING), Violation::BadFlags(slot))?;
        let should_be_queued = p.rts.contains(Rts::SENDING) || (p.rts.is_empty() && cpu.current() != Some(slot));
        require(!should_be_queued || queued, Violation::NotQueued(slot))?;
        let waits_for_dead = p.rts.contains(Rts::SENDING) && self.lookup(p.send_to).is_none()
            || p.rts.contains(Rts::REPLY) && self.lookup(p.receive_from).is_none();
        require(!waits_for_dead, Violation::WaitsForDead(slot))
    }
}

fn require(holds: bool, violation: Violation) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(violation) }
}

fn mark(queued: &mut [bool; SLOTS], slot: Slot) -> Result<(), Violation> {
    require(!core::mem::replace(&mut queued[slot.index()], true), Violation::QueuedTwice(slot))
}
