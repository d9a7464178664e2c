//! The slot swap of a live update: two processes go on under each other's endpoints.
//!
//! What belongs to the program moves: registers, address space, name, why it does not run, whom it waits for and what it
//! sends, its authority, its tables and its time. What belongs to the endpoint stays: who waits to send to it, what is
//! pending for it, its alarm and its hooks, its processor and its scheduler. So whatever was on its way to the old instance
//! reaches the new one, once.

use crate::process::Pending;
use crate::{Kernel, Machine, Rts, Slot};
use abi::{Endpoint, Errno, PrivilegeFlags};
use core::mem::swap;
use protocol::kernel::{Update, UpdateDirection};

impl<M: Machine> Kernel<'_, M> {
    /// Carries out the kernel call. The caller runs, so it is neither of the two.
    pub(crate) fn update(&mut self, machine: &mut M, call: &Update) -> Result<(), Errno> {
        let (source, destination) = (self.named(call.source)?, self.named(call.destination)?);
        self.check_swap(source, destination, call.direction)?;
        if call.direction == UpdateDirection::Rollback {
            self.withdraw_message(source);
            self.hand_back_messages(machine, source, destination);
        }
        self.inherit(source, destination);
        let both = [source, destination];
        both.iter().for_each(|slot| self.recall_requests(*slot));
        both.iter().for_each(|slot| self.leave_lists(*slot));
        self.swap_programs(source, destination);
        self.swap_privileges(source, destination);
        let [a, b] = both.map(|slot| self.process(slot).endpoint);
        self.spaces.rename_granters(a, b);
        both.iter().for_each(|slot| self.derive(*slot));
        for (slot, before) in both.into_iter().zip([destination, source]) {
            self.join_lists(machine, slot, before);
        }
        // Its message was withdrawn; here it is told of under its new name.
        self.tell_send_done(machine, destination);
        both.iter().for_each(|slot| self.catch_up(machine, *slot));
        both.iter().for_each(|slot| self.resend_table(machine, *slot));
        Ok(())
    }

    fn check_swap(&self, source: Slot, destination: Slot, direction: UpdateDirection) -> Result<(), Errno> {
        if source == destination {
            return Err(Errno::Inval);
        }
        if !self.is_service(source) || !self.is_service(destination) {
            return Err(Errno::Perm);
        }
        if !self.is_updatable(source) || !self.is_updatable(destination) {
            return Err(Errno::Busy);
        }
        // Rolling back, the failing new instance may well be sending: its message is withdrawn.
        let sends = |slot| self.process(slot).rts.contains(Rts::SENDING);
        if sends(destination) || sends(source) && direction == UpdateDirection::Forward {
            return Err(Errno::Busy);
        }
        let mut merged = self.privileges(destination).resources.clone();
        merged.add_all(&self.privileges(source).resources)
    }

    /// Whether a process does not run, and will not before somebody else has done something.
    fn is_updatable(&self, slot: Slot) -> bool {
        let rts = self.process(slot).rts;
        let frozen = rts.intersects(Rts::NO_PRIV | Rts::SIGNAL_PENDING);
        let receives = rts.contains(Rts::RECEIVING) && !rts.contains(Rts::SENDING);
        (frozen || receives) && !self.runs(slot)
    }

    fn swap_programs(&mut self, source: Slot, destination: Slot) {
        let Ok([a, b]) = self.procs.get_disjoint_mut([source.index(), destination.index()]) else {
            return; // They are two, or there is nothing to swap.
        };
        swap(a, b);
        swap(&mut a.endpoint, &mut b.endpoint);
        swap(&mut a.senders, &mut b.senders);
        swap(&mut a.scheduler, &mut b.scheduler);
        swap(&mut a.cpu, &mut b.cpu);
        swap(&mut a.privilege_id, &mut b.privilege_id);
        swap(&mut a.privilege_bit, &mut b.privilege_bit);
        swap(&mut a.is_scheduler, &mut b.is_scheduler);
        let messages = (a.pending ^ b.pending) & Pending::MESSAGES;
        a.pending ^= messages;
        b.pending ^= messages;
    }

    /// The new instance has at least the authority over hardware, and over whom to send to, that the old one has.
    fn inherit(&mut self, source: Slot, destination: Slot) {
        let (sends, resources) = (self.privileges(source).sends, self.privileges(source).resources.clone());
        let own = self.process(destination).privilege_bit();
        let to = self.privileges_mut(destination);
        to.sends |= sends & !own;
        // There is room: it was tried before.
        let _ = to.resources.add_all(&resources);
    }

    /// Takes a process out of the lists that hold it as a program.
    fn leave_lists(&mut self, slot: Slot) {
        self.signaled.remove(slot);
        self.unqueue_event(slot);
    }

    /// Puts a program there again, which was in the slot `before`. The memory server is told once more what it waits for: it may
    /// have been told under the other name.
    fn join_lists(&mut self, machine: &mut M, slot: Slot, before: Slot) {
        let (old, new) = (self.process(before).endpoint, self.process(slot).endpoint);
        let p = self.process_mut(slot);
        let waits = p.memory_event.is_some();
        let recalled = p.memory_event.is_some_and(|event| event.process == Endpoint::NONE);
        if let Some(event) = p.memory_event.as_mut().filter(|event| event.process == old) {
            event.process = new;
        }
        self.rejoin_signals(machine, slot);
        match recalled {
            _ if !waits => {}
            // The answer goes to the other name.
            true => {
                let _ = self.end_memory_request(slot, true);
            }
            false => self.queue_event(machine, slot),
        }
    }

    /// A program that waits gets what is there for it, after its endpoint or its filters have become others.
    pub(crate) fn catch_up(&mut self, machine: &mut M, slot: Slot) {
        let p = self.process(slot);
        let (rts, from) = (p.rts, p.receive_from);
        if !rts.contains(Rts::RECEIVING) || rts.contains(Rts::SENDING) {
            return;
        }
        if !rts.contains(Rts::REPLY) {
            self.receive(machine, slot, from);
        } else if let Some(sender) = self.first_sender(slot, from) {
            self.take_from(machine, slot, sender);
        }
    }

    /// Exchanges what the programs may do and have registered; what is pending for the endpoints stays.
    fn swap_privileges(&mut self, source: Slot, destination: Slot) {
        let ids = [source, destination].map(|slot| self.process(slot).privilege_id);
        let Ok([a, b]) = self.privileges.get_disjoint_mut(ids.map(|id| id.index())) else {
            return; // Each service has a structure of its own.
        };
        swap(a, b);
        swap(&mut a.owner, &mut b.owner);
        swap(&mut a.notified_by, &mut b.notified_by);
        swap(&mut a.async_from, &mut b.async_from);
        swap(&mut a.interrupts, &mut b.interrupts);
        swap(&mut a.signals, &mut b.signals);
        let dynamic = (a.flags ^ b.flags) & PrivilegeFlags::DYNAMIC;
        a.flags ^= dynamic;
        b.flags ^= dynamic;
        // Who might send to the other one still may: nobody sends to itself.
        let [bit_a, bit_b] = ids.map(|id| id.bit());
        for (own, bit, other) in [(&mut a.sends, bit_a, bit_b), (&mut b.sends, bit_b, bit_a)] {
            if *own & bit != 0 {
                *own = *own & !bit | other;
            }
        }
    }
}
