//! Notifications: marks at their receivers. What they tell is made when they are delivered.

use crate::events::QueuedEvent;
use crate::process::Pending;
use crate::{Frame, Kernel, Machine, Rts, Slot};
use abi::{Endpoint, Errno, Kind, Message, PrivilegeId, Signal, Status, Trap};

impl<M: Machine> Kernel<'_, M> {
    pub(super) fn notify(&mut self, machine: &mut M, me: Slot, to: Slot) -> Result<(), Errno> {
        let (source, id) = (self.process(me).endpoint, self.process(me).privilege_id);
        // A notification comes from a privilege id, and users have none of their own.
        if !self.is_service(me) {
            return Err(Errno::TrapDenied);
        }
        let waits = self.takes_notification(to, source);
        // Those who share their privileges have no place where it could wait for one of them.
        if !waits && !self.is_service(to) {
            return Err(Errno::NotReady);
        }
        self.post(machine, id, to);
        self.process_mut(me).frame.set_result(0);
        Ok(())
    }

    fn takes_notification(&self, slot: Slot, source: Endpoint) -> bool {
        !self.process(slot).rts.contains(Rts::REPLY) && self.is_waiting_for(slot, source, Kind::NOTIFY)
    }

    /// Notifies `to` in the name of whoever has the privileges `id`: now, or when it receives.
    pub(crate) fn post(&mut self, machine: &mut M, id: PrivilegeId, to: Slot) {
        match self.owner_of(id) {
            Some(source) if self.takes_notification(to, source) => self.deliver_notification(machine, id, source, to),
            _ => {
                self.privileges_mut(to).notified_by |= id.bit();
                self.process_mut(to).pending |= Pending::MESSAGES;
            }
        }
    }

    /// Delivers a notification. Its first word is the time; the pending interrupts or signals follow, and with signals of the
    /// kernel what the first of them is about. What more there is keeps a notification pending.
    fn deliver_notification(&mut self, machine: &mut M, id: PrivilegeId, source: Endpoint, to: Slot) {
        let mut message = Message::new(source, Kind::NOTIFY);
        message.body[0] = machine.ticks();
        let own = self.privileges_mut(to);
        own.notified_by &= !id.bit();
        if id == PrivilegeId::HARDWARE {
            message.body[1] = core::mem::take(&mut own.interrupts);
        } else if id == PrivilegeId::SYSTEM {
            let signals = core::mem::take(&mut own.signals);
            message.body[1] = signals;
            if signals & Signal::MANAGER.bit() != 0 {
                let (slot, set) = self.take_signaled(to).unzip();
                message.body[2] = slot.map_or(Endpoint::NONE, |slot| self.process(slot).endpoint).raw().into();
                message.body[3] = set.unwrap_or(0);
                self.keep_pending(to, Signal::MANAGER, self.first_signaled(to).is_some());
            }
            if signals & Signal::MEMORY.bit() != 0 {
                let event = self.take_memory_event();
                message.body[4..].copy_from_slice(&event.map_or(QueuedEvent::NONE, |event| event.words()));
                self.keep_pending(to, Signal::MEMORY, self.has_memory_event());
            }
        }
        self.deliver(to, &message, Status::sent_with(Trap::Notify));
    }

    fn keep_pending(&mut self, slot: Slot, signal: Signal, more: bool) {
        if more {
            let own = self.privileges_mut(slot);
            own.signals |= signal.bit();
            own.notified_by |= PrivilegeId::SYSTEM.bit();
            self.process_mut(slot).pending |= Pending::MESSAGES;
        }
    }

    pub(super) fn receive_notification(&mut self, machine: &mut M, me: Slot, from: Endpoint) -> bool {
        let pending = self.pending_notification(me, from).and_then(|id| Some((id, self.owner_of(id)?)));
        if let Some((id, source)) = pending {
            self.deliver_notification(machine, id, source, me);
        }
        pending.is_some()
    }

    /// The lowest privilege id among those who have notified `me` and are accepted.
    pub(crate) fn pending_notification(&self, me: Slot, from: Endpoint) -> Option<PrivilegeId> {
        let mut pending = self.privileges(me).notified_by;
        while pending != 0 {
            let id = PrivilegeId::new(pending.trailing_zeros())?;
            let accepted = |source| (from == Endpoint::ANY || from == source) && self.lets_in(me, source, Kind::NOTIFY);
            if self.owner_of(id).is_some_and(accepted) {
                return Some(id);
            }
            pending &= pending - 1;
        }
        None
    }
}
