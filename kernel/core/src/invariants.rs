//! What must hold between any two operations, checked after each step of the tests and by debugging kernels.

use crate::process::Pending;
use crate::spaces::SPACES;
use crate::{CpuId, Kernel, Machine, Privileges, Rts, SLOTS, Slot, SpaceId};
use abi::boot::PRIORITIES;
use abi::{PrivilegeFlags, PrivilegeId};

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
    /// Its signals, the set of those that have some and its flags disagree.
    BadSignals(Slot),
    /// It waits for memory and has no event, or the other way round; or it is in the queue of events without one.
    BadEvent(Slot),
    /// The structure has no owner who has it, or is free and not empty.
    BadPrivileges(PrivilegeId),
    /// What the process keeps of its privileges, or its priority is not what they say.
    BadCopy(Slot),
    /// Another number of processes lives in the space than are counted, or the space has ended.
    BadSpace(SpaceId),
    /// The space has lent or borrowed pages in a way that cannot be, or other ones than are counted.
    BadLending(SpaceId),
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
            }
        }
        for slot in self.events.iter(self.procs) {
            mark(&mut queued, slot)?;
            require(self.process(slot).pending.contains(Pending::EVENT), Violation::BadEvent(slot))?;
            require(self.events.is_linked(self.procs, slot), Violation::BadLinks(slot))?;
        }
        Slot::all().try_for_each(|slot| self.check_process(slot, queued[slot.index()]))?;
        PrivilegeId::of_services().try_for_each(|id| self.check_privileges(id))?;
        self.check_spaces()
    }

    /// Each structure belongs to one live service, or is free and nothing is pending in it.
    fn check_privileges(&self, id: PrivilegeId) -> Result<(), Violation> {
        let p = self.privileges_of(id);
        let holds = match self.lookup(p.owner) {
            Some(owner) => self.process(owner).privilege_id == id && p.flags.contains(PrivilegeFlags::SERVICE),
            None => *p == Privileges::FREE,
        };
        require(holds, Violation::BadPrivileges(id))
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
            .try_for_each(|id| require(self.spaces.bound(id) == bound[id.index()], Violation::BadSpace(id)))?;
        self.spaces.audit_lendings().map_err(Violation::BadLending)
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
        if p.rts == Rts::FREE {
            return self.check_free(slot);
        }
        self.check_flags(slot)?;
        let should_be_queued =
            p.rts.contains(Rts::SENDING) || p.pending.contains(Pending::EVENT) || p.rts.is_empty() && !self.runs(slot);
        require(!should_be_queued || queued, Violation::NotQueued(slot))?;
        let waits_for_dead = p.rts.contains(Rts::SENDING) && self.lookup(p.send_to).is_none()
            || p.rts.contains(Rts::REPLY) && self.lookup(p.receive_from).is_none()
            || p.rts.contains(Rts::RECEIVING) && !self.is_source(p.receive_from);
        require(!waits_for_dead, Violation::WaitsForDead(slot))?;
        let signaled = p.rts.contains(Rts::SIGNALED);
        let agree = self.signaled.contains(slot) == signaled && (p.signals != 0) == signaled;
        let pending = p.rts.contains(Rts::SIGNAL_PENDING);
        require(agree && (p.signals | p.taken_signals != 0) == pending, Violation::BadSignals(slot))?;
        let waits_for_memory = p.rts.intersects(Rts::PAGE_FAULT | Rts::MEMORY_REQUEST);
        let has_event = p.memory_event.is_some();
        let to_be_told = p.pending.contains(Pending::EVENT);
        require(has_event == waits_for_memory && (!to_be_told || has_event), Violation::BadEvent(slot))?;
        let owns = p.privilege_id == PrivilegeId::USER || self.privileges(slot).owner == p.endpoint;
        require(owns && p.privilege_bit == p.privilege_id.bit(), Violation::BadPrivileges(p.privilege_id))?;
        self.check_missed(slot)
    }

    /// A free slot holds nothing.
    fn check_free(&self, slot: Slot) -> Result<(), Violation> {
        let p = self.process(slot);
        let empty = p.space.is_none() && p.senders.head().is_none() && p.pending.is_empty();
        let unknown = !self.alive.contains(slot) && p.privilege_id == PrivilegeId::USER && p.memory_event.is_none();
        require(empty && unknown, Violation::BadFlags(slot))?;
        require(p.signals | p.taken_signals == 0 && !self.signaled.contains(slot), Violation::BadSignals(slot))
    }

    /// Flags of a process that belong together.
    fn check_flags(&self, slot: Slot) -> Result<(), Violation> {
        let p = self.process(slot);
        let free = p.rts.contains(Rts::FREE) || !self.alive.contains(slot);
        let homeless = p.rts.contains(Rts::NO_SPACE);
        require(!free && p.space.is_none() == homeless, Violation::BadFlags(slot))?;
        let of_receiving = p.rts.intersects(Rts::REPLY | Rts::SPECIAL);
        let receiving = p.rts.contains(Rts::RECEIVING);
        let special = !receiving || p.rts.contains(self.special(slot));
        let sends = p.rts.contains(Rts::SENDING);
        let by_kernel = p.pending.contains(Pending::KERNEL_SENDS);
        let moves = p.moves_to.is_some();
        let holds = (!of_receiving || receiving)
            && special
            && (!by_kernel || sends && p.rts.contains(Rts::NO_QUANTUM))
            && (!p.pending.contains(Pending::SEND_SIGNAL) || sends && !by_kernel)
            && (!moves || self.runs(slot));
        require(holds, Violation::BadFlags(slot))?;
        require(self.is_derived(slot), Violation::BadCopy(slot))
    }

    /// Whether what a process keeps of other things is what they say.
    fn is_derived(&self, slot: Slot) -> bool {
        let (p, own) = (self.process(slot), self.privileges(slot));
        let traps = self.plain_traps(slot, own.traps, own.flags);
        let urgency = if own.flags.contains(PrivilegeFlags::PREEMPTIBLE) { p.priority } else { 0 };
        let has_messages = own.notified_by | own.async_from != 0 && self.is_service(slot);
        (p.plain_traps, p.sends, p.calls, p.urgency) == (traps, own.sends, own.calls, urgency)
            && (!has_messages || p.pending.contains(Pending::MESSAGES))
    }

    /// Whoever waits could not have got anything that is there.
    fn check_missed(&self, slot: Slot) -> Result<(), Violation> {
        let p = self.process(slot);
        if !p.rts.contains(Rts::RECEIVING) || p.rts.contains(Rts::SENDING) {
            return Ok(());
        }
        let sender = self.first_sender(slot, p.receive_from);
        sender.map_or(Ok(()), |sender| Err(Violation::MissedSender(sender)))?;
        let missed = !p.rts.contains(Rts::REPLY) && self.pending_notification(slot, p.receive_from).is_some();
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
    use abi::{Endpoint, TrapMask};

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
        for from in [Endpoint::ANY, C] {
            let wait = |p: &mut crate::Process<TestMachine>| (p.rts, p.receive_from) = (Rts::RECEIVING, from);
            assert_eq!(found_in(A, wait), Err(MissedSender(c)));
        }
        let notified = |world: &mut World<'_>| {
            world.kernel.privileges_mut(d).notified_by = PrivilegeId::CLOCK.bit();
            world.kernel.process_mut(d).pending |= Pending::MESSAGES;
        };
        assert_eq!(found(notified), Err(MissedNotification(d)));
        let desert = |world: &mut World<'_>| world.kernel.spaces.unbind(&mut world.machine, a_space.unwrap().id());
        assert_eq!(found(desert), Err(BadSpace(a_space.unwrap().id())));
        assert_eq!(found_in(B, |p| p.space = a_space), Err(BadSpace(a_space.unwrap().id())));
    }

    #[test]
    fn flags_without_what_they_belong_to_are_found() {
        let [a, c, d] = [A, C, D].map(Slot::of);
        let mut table = table();
        let a_space = World::new(&mut table, &four()).process(A).space;
        assert_eq!(found_in(D, |p| p.rts = Rts::REPLY), Err(BadFlags(d)));
        assert_eq!(found_in(C, |p| p.rts |= Rts::SPECIAL), Err(BadFlags(c)));
        assert_eq!(found_in(D, |p| p.failed_reply = Some(abi::Errno::NotReady)), Err(BadFlags(d)), "without SPECIAL");
        assert_eq!(found_in(D, |p| p.rts |= Rts::FREE), Err(BadFlags(d)));
        assert_eq!(found_in(D, |p| p.space = None), Err(BadFlags(d)));
        assert_eq!(found_in(D, |p| p.rts |= Rts::NO_SPACE), Err(BadFlags(d)));
        assert_eq!(found_in(FREE, |p| p.space = a_space), Err(BadFlags(Slot::of(FREE))));
        assert_eq!(found_in(FREE, |p| p.pending = Pending::CALL), Err(BadFlags(Slot::of(FREE))));
        assert_eq!(found_in(C, |p| p.pending |= Pending::KERNEL_SENDS), Err(BadFlags(c)), "without NO_QUANTUM");
        assert_eq!(found_in(D, |p| p.pending |= Pending::SEND_SIGNAL), Err(BadFlags(d)));
        assert_eq!(found_in(A, |p| p.urgency += 1), Err(BadCopy(a)));
        assert_eq!(found_in(D, |p| p.urgency = 0), Err(BadCopy(d)));
        assert_eq!(found_in(A, |p| p.sends |= 1), Err(BadCopy(a)));
        assert_eq!(found_in(A, |p| p.calls -= 1), Err(BadCopy(a)));
        assert_eq!(found(|world| world.kernel.alive.remove(d)), Err(BadFlags(d)));
        assert_eq!(found(|world| world.kernel.alive.insert(Slot::of(FREE))), Err(BadFlags(Slot::of(FREE))));
        assert_eq!(found_in(A, |p| p.plain_traps = TrapMask::empty()), Err(BadCopy(a)));
        assert_eq!(found(|world| world.kernel.privileges_mut(a).notified_by = 4), Err(BadCopy(a)));
    }

    #[test]
    fn damaged_signals_events_and_privileges_are_found() {
        let d = Slot::of(D);
        assert_eq!(found_in(D, |p| p.signals = 2), Err(BadSignals(d)));
        assert_eq!(found_in(D, |p| p.rts |= Rts::SIGNALED | Rts::SIGNAL_PENDING), Err(BadSignals(d)));
        assert_eq!(found(|world| world.kernel.signaled.insert(d)), Err(BadSignals(d)));
        let without_pending = |world: &mut World<'_>| {
            world.kernel.signaled.insert(d);
            let p = world.kernel.process_mut(d);
            (p.signals, p.rts) = (2, p.rts | Rts::SIGNALED);
        };
        assert_eq!(found(without_pending), Err(BadSignals(d)));
        assert_eq!(found_in(D, |p| p.rts |= Rts::SIGNAL_PENDING), Err(BadSignals(d)));
        assert_eq!(found_in(D, |p| p.taken_signals = 2), Err(BadSignals(d)));
        assert_eq!(found_in(FREE, |p| p.taken_signals = 2), Err(BadSignals(Slot::of(FREE))));
        assert_eq!(found_in(D, |p| p.rts |= Rts::PAGE_FAULT), Err(BadEvent(d)));
        assert_eq!(found_in(D, |p| p.pending |= Pending::EVENT), Err(NotQueued(d)));
        assert_eq!(found(|world| world.kernel.queue_event(&mut world.machine, d)), Err(BadEvent(d)));
        let id = PrivilegeId::of_boot_program(3).unwrap();
        assert_eq!(found(|world| world.kernel.privileges_mut(d).owner = A), Err(BadPrivileges(id)));
        assert_eq!(found(|world| world.kernel.privileges_mut(d).owner = Endpoint::NONE), Err(BadPrivileges(id)));
        assert_eq!(found_in(D, |p| p.privilege_bit <<= 1), Err(BadPrivileges(id)));
        let last = PrivilegeId::new(63).unwrap();
        assert_eq!(found(|world| world.kernel.privileges[63].notified_by = 4), Err(BadPrivileges(last)));
    }

    #[test]
    fn damaged_queues_are_found() {
        let (a, b) = (Slot::of(A), Slot::of(B));
        let forget = |world: &mut World<'_>| world.kernel.process_mut(a).senders = List::EMPTY;
        assert_eq!(found(forget), Err(NotQueued(Slot::of(C))));
        for damaged in 0..2 {
            let cut = |world: &mut World<'_>| {
                let late = world.add(&program("late")).unwrap();
                world.kernel.process_mut([b, late][damaged]).links = Links::NONE;
            };
            assert_eq!(found(cut), Err(BadLinks(b)), "where the queue comes by first");
        }
    }
}
