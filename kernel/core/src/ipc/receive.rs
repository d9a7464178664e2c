//! Receiving: notifications first, then asynchronous messages, then whoever waits to send.

use crate::process::Pending;
use crate::{Kernel, Machine, Rts, Slot};
use abi::{Endpoint, Errno, Signal};

impl<M: Machine> Kernel<'_, M> {
    /// Whether `me` may receive: there is something to take, or it can wait without closing a circle. The one who is
    /// `answered` before that waits no more.
    pub(super) fn check_receive(
        &self,
        machine: &M,
        me: Slot,
        from: Endpoint,
        answered: Option<Slot>,
    ) -> Result<(), Errno> {
        let Some(source) = self.lookup(from) else {
            return Ok(()); // ANY, or a kernel task.
        };
        if self.has_pending(me) && self.pending_notification(me, from).is_some()
            || self.first_sender(me, from).is_some()
        {
            return Ok(());
        }
        let waits_for_itself = match self.closes_circle(me, source) {
            Some(last) => Some(last) != answered && !(last == source && self.sends_to(last, me)),
            None => false,
        };
        if waits_for_itself && !self.has_entry(machine, me, source) { Err(Errno::Locked) } else { Ok(()) }
    }

    /// Receives: a pending notification, else an asynchronous message, else from the first acceptable sender that waits, else
    /// blocks.
    pub(crate) fn receive(&mut self, machine: &mut M, me: Slot, from: Endpoint) {
        if self.has_pending(me) && self.receive_pending(machine, me, from) {
            return;
        }
        if let Some(sender) = self.first_sender(me, from) {
            return self.take_from(machine, me, sender);
        }
        let special = self.special(me);
        let p = self.process_mut(me);
        p.receive_from = from;
        p.rts |= Rts::RECEIVING | special;
    }

    /// Receives what is pending, if there is something that is accepted.
    fn receive_pending(&mut self, machine: &mut M, me: Slot, from: Endpoint) -> bool {
        // A look at its own table may have been what notifies it.
        let received = self.receive_notification(machine, me, from)
            || self.receive_async(machine, me, from)
            || self.receive_notification(machine, me, from);
        self.settle_pending(me);
        received
    }

    /// Whether a notification or an asynchronous message may be pending.
    fn has_pending(&self, slot: Slot) -> bool {
        self.process(slot).pending.contains(Pending::MESSAGES)
    }

    /// Nothing is pending for a process any more, if that is so. Users share their structure, but asynchronous messages only.
    fn settle_pending(&mut self, slot: Slot) {
        let own = self.privileges(slot);
        if own.notified_by | own.async_from == 0 {
            self.process_mut(slot).pending.remove(Pending::MESSAGES);
        }
    }

    pub(crate) fn first_sender(&self, me: Slot, from: Endpoint) -> Option<Slot> {
        let accepts = |&sender: &Slot| {
            let source = self.process(sender).endpoint;
            (from == Endpoint::ANY || from == source) && self.lets_in(me, source, self.kind_of(sender))
        };
        self.process(me).senders.iter(self.procs).find(accepts)
    }

    /// Takes the message of a sender that waits.
    pub(crate) fn take_from(&mut self, machine: &mut M, me: Slot, sender: Slot) {
        let (message, status) = self.message_of(sender);
        self.unqueue_sender(me, sender);
        self.deliver(me, &message, status);
        self.process_mut(sender).pending.remove(Pending::KERNEL_SENDS);
        self.unblock(sender, Rts::SENDING);
        self.tell_send_done(machine, sender);
    }

    /// The sending of a process is over: its manager is told, if a stop was delayed for that.
    pub(crate) fn tell_send_done(&mut self, machine: &mut M, slot: Slot) {
        let p = self.process_mut(slot);
        if p.pending.contains(Pending::SEND_SIGNAL) {
            p.pending.remove(Pending::SEND_SIGNAL);
            self.raise(machine, slot, Signal::SEND_DONE);
        }
    }
}
