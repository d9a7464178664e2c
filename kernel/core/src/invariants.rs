//! What must hold between any two operations, checked after each step of the tests and by debugging kernels.

use crate::spaces::SPACES;
use crate::{CpuId, Kernel, Machine, Rts, SLOTS, Slot, SpaceId};
use abi::Endpoint;
use abi::boot::PRIORITIES;

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
    /// A queue's bit says empty or not, and it is the other way round; or the queue is not the most urgent one that holds
    /// somebody, and is said to be.
    BadOccupied(usize),
    /// The process waits for somebody who is not there.
    WaitsForDead(Slot),
    /// A flag is set without the one that it belongs to, or a free slot holds something.
    BadFlags(Slot),
    /// The process could have met a sender that waits, and did not.
    MissedSender(Slot),
    /// A notification is pending that the process waits for.
    MissedNotification(Slot),
    /// Another number of processes lives in the space than are counted, or the space has ended.
    BadSpace(SpaceId),
}

impl<M: Machine> Kernel<'_, M> {
    /// Checks everything.
    ///
    /// # Errors
    /// The first violation found.
    pub fn check_invariants(&self) -> Result<(), Violation> {
        let mut queued = [false; SLOTS];
        for id in CpuId::all() {
            self.check_cpu(id, &mut queued)?;
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
        Slot::all().try_for_each(|slot| self.check_process(slot, queued[slot.index()]))?;
        self.check_spaces()
    }

    fn check_spaces(&self) -> Result<(), Violation> {
        let mut bound = [0_u16; SPACES];
        for home in Slot::all().filter_map(|slot| self.process(slot).space) {
            let id = home.id();
            bound[id.index()] += 1;
            require(self.spaces.root(id) == Some(home.root()), Violation::BadSpace(id))?;
        }
        self.spaces
            .live()
            .try_for_each(|id| require(self.spaces.bound(id) == bound[id.index()], Violation::BadSpace(id)))
    }

    fn check_cpu(&self, id: CpuId, queued: &mut [bool; SLOTS]) -> Result<(), Violation> {
        let cpu = self.cpu(id);
        let most_urgent = cpu.queues().iter().position(|queue| queue.head().is_some()).unwrap_or(PRIORITIES);
        let bound = [0, most_urgent as u8 + 1];
        require(bound.contains(&cpu.bound()), Violation::BadOccupied(most_urgent))?;
        for (priority, queue) in cpu.queues().iter().enumerate() {
            if queue.head().is_some() != (cpu.occupied() >> priority & 1 != 0) {
                return Err(Violation::BadOccupied(priority));
            }
            for slot in queue.iter(self.procs) {
                let p = self.process(slot);
                mark(queued, slot)?;
                let fits = p.rts.is_empty() && (p.cpu, usize::from(p.priority)) == (id, priority) && !self.runs(slot);
                require(fits, Violation::WronglyQueued(slot))?;
                require(queue.is_linked(self.procs, slot), Violation::BadLinks(slot))?;
            }
        }
        let stray = cpu.current().filter(|slot| self.process(*slot).cpu != id);
        stray.map_or(Ok(()), |slot| Err(Violation::WronglyQueued(slot)))
    }

    fn check_process(&self, slot: Slot, queued: bool) -> Result<(), Violation> {
        let p = self.process(slot);
        let free = p.rts.contains(Rts::FREE);
        let alone = p.rts == Rts::FREE && p.space.is_none() && p.senders.head().is_none();
        require(free == alone && p.space.is_none() == free, Violation::BadFlags(slot))?;
        require(!p.rts.contains(Rts::REPLY) || p.rts.contains(Rts::RECEIVING), Violation::BadFlags(slot))?;
        let should_be_queued = p.rts.contains(Rts::SENDING) || (p.rts.is_empty() && !self.runs(slot));
        require(!should_be_queued || queued, Violation::NotQueued(slot))?;
        let waits_for_dead = p.rts.contains(Rts::SENDING) && self.lookup(p.send_to).is_none()
            || p.rts.contains(Rts::REPLY) && self.lookup(p.receive_from).is_none()
            || p.rts.contains(Rts::RECEIVING) && !self.is_source(p.receive_from);
        require(!waits_for_dead, Violation::WaitsForDead(slot))?;
        let missed = p.rts == Rts::RECEIVING && self.pending_notification(slot, p.receive_from).is_some();
        require(!missed, Violation::MissedNotification(slot))
    }
}

fn require(holds: bool, violation: Violation) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(violation) }
}

fn mark(queued: &mut [bool; SLOTS], slot: Slot) -> Result<(), Violation> {
    require(!core::mem::replace(&mut queued[slot.index()], true), Violation::QueuedTwice(slot))
}

#[cfg(test)]
mod tests {
    use super::Violation::*;
    use super::*;
    use crate::list::{Links, List};
    use crate::support::*;

    /// What is found after `damage` in a world in which A runs, B is ready, C sends to A, and D receives from anybody.
    fn found(damage: impl FnOnce(&mut World<'_>)) -> Result<(), Violation> {
        let mut table = table();
        let mut world = World::new(&mut table, &four());
        world.trap(C, send(A, 1));
        world.trap(D, receive(Endpoint::ANY));
        world.run(A);
        damage(&mut world);
        world.kernel.check_invariants()
    }

    /// The same after damage to one process.
    fn found_in(who: Endpoint, damage: impl FnOnce(&mut crate::Process<TestMachine>)) -> Result<(), Violation> {
        found(|world| damage(world.kernel.process_mut(Slot::of(who))))
    }

    const FREE: Endpoint = Endpoint::from_raw(5);

    #[test]
    fn every_damage_is_found() {
        let [a, b, c, d] = [A, B, C, D].map(Slot::of);
        let mut table = table();
        let a_space = World::new(&mut table, &four()).process(A).space;
        assert_eq!(found(|_| {}), Ok(()));
        assert_eq!(found(|world| world.kernel.queue_sender(d, b)), Err(QueuedTwice(b)));
        assert_eq!(found(|world| world.kernel.dequeue(b)), Err(NotQueued(b)));
        assert_eq!(found(|world| world.kernel.unqueue_sender(a, c)), Err(NotQueued(c)));
        assert_eq!(found(|world| world.kernel.enqueue_tail(a)), Err(WronglyQueued(a)));
        assert_eq!(found_in(B, |p| p.priority += 1), Err(WronglyQueued(b)));
        assert_eq!(found_in(B, |p| p.rts = Rts::RECEIVING), Err(WronglyQueued(b)));
        assert_eq!(found_in(C, |p| p.send_to = B), Err(WronglyQueued(c)));
        assert_eq!(found(|world| world.kernel.vacate(Slot::of(A))), Err(NotQueued(a)));
        assert_eq!(found_in(D, |p| p.rts = Rts::empty()), Err(NotQueued(d)));
        assert_eq!(found_in(A, |p| p.rts = Rts::RECEIVING | Rts::REPLY), Err(WaitsForDead(a)));
        assert_eq!(found_in(D, |p| p.receive_from = FREE), Err(WaitsForDead(d)));
        assert_eq!(found_in(D, |p| p.rts |= Rts::REPLY), Err(WaitsForDead(d)));
        assert_eq!(found_in(D, |p| p.rts = Rts::REPLY), Err(BadFlags(d)));
        assert_eq!(found_in(D, |p| p.rts |= Rts::FREE), Err(BadFlags(d)));
        assert_eq!(found_in(D, |p| p.space = None), Err(BadFlags(d)));
        assert_eq!(found_in(FREE, |p| p.space = a_space), Err(BadFlags(Slot::of(FREE))));
        let desert = |world: &mut World<'_>| world.kernel.spaces.unbind(&mut world.machine, a_space.unwrap().id());
        assert_eq!(found(desert), Err(BadSpace(a_space.unwrap().id())));
        assert_eq!(found_in(B, |p| p.space = a_space), Err(BadSpace(a_space.unwrap().id())));
        for from in [Endpoint::ANY, C] {
            let wait = |p: &mut crate::Process<TestMachine>| (p.rts, p.receive_from) = (Rts::RECEIVING, from);
            assert_eq!(found_in(A, wait), Err(MissedSender(c)));
        }
        assert_eq!(found(|world| world.kernel.privileges_mut(d).notified_by = 1 << 1), Err(MissedNotification(d)));
    }

    #[test]
    fn damaged_queues_are_found() {
        let a = Slot::of(A);
        let forget = |world: &mut World<'_>| world.kernel.process_mut(a).senders = List::EMPTY;
        assert_eq!(found(forget), Err(NotQueued(Slot::of(C))));
        for damaged in [B, Endpoint::from_raw(4)] {
            let cut = |world: &mut World<'_>| {
                world.add(&program("late"));
                world.kernel.process_mut(Slot::of(damaged)).links = Links::NONE;
            };
            assert_eq!(found(cut), Err(BadLinks(Slot::of(B))), "where the queue comes by first");
        }
    }
}
