//! Messages.
//!
//! A message never has a buffer of the kernel's own: a blocked sender keeps it in its saved registers, and delivery
//! copies it from frame to frame. Notifications and the kernel's own messages are made when they are delivered.

use crate::events::QueuedEvent;
use crate::process::Pending;
use crate::{Frame, Kernel, Machine, Request, Rts, SLOTS, Slot};
use abi::{Endpoint, Errno, Kind, Message, PrivilegeId, Signal, Status, Trap};

impl<M: Machine> Kernel<'_, M> {
    /// Carries out a message trap of `me`, the running process. On success its frame has the result, or it is blocked.
    ///
    /// # Errors
    /// The result of the trap; nothing has changed then.
    pub(crate) fn ipc(&mut self, machine: &mut M, me: Slot, trap: Trap, request: &Request) -> Result<(), Errno> {
        match trap {
            Trap::Receive => {
                self.check_source(me, trap, request.source)?;
                self.check_receive(machine, me, request.source, None)?;
                self.receive(machine, me, request.source);
                Ok(())
            }
            Trap::ReplyReceive => {
                self.check_source(me, trap, request.source)?;
                self.reply_receive(machine, me, request)
            }
            Trap::Send | Trap::SendNb | Trap::SendRec | Trap::Notify => {
                let to = self.check_destination(me, trap, request.destination)?;
                if trap == Trap::Notify { self.notify(machine, me, to) } else { self.send(me, to, trap) }
            }
            Trap::SendA => {
                self.check_trap(me, trap)?;
                self.senda(machine, me)
            }
            Trap::KernelCall => Err(Errno::BadCall),
        }
    }

    fn check_trap(&self, me: Slot, trap: Trap) -> Result<(), Errno> {
        if self.privileges(me).traps.contains(trap.mask()) { Ok(()) } else { Err(Errno::TrapDenied) }
    }

    /// The checks of a destination, in their specified order.
    fn check_destination(&self, me: Slot, trap: Trap, destination: Endpoint) -> Result<Slot, Errno> {
        if destination == Endpoint::ANY {
            return Err(Errno::Inval);
        }
        if is_kernel_task(destination) {
            return Err(Errno::TrapDenied);
        }
        let to = self.lookup(destination).ok_or(Errno::DeadSrcDst)?;
        let answers = trap == Trap::SendNb && self.waits_for_answer(to, me);
        if !answers && !self.may_send(me, to) {
            return Err(Errno::CallDenied);
        }
        self.check_trap(me, trap)?;
        Ok(to)
    }

    pub(crate) fn may_send(&self, me: Slot, to: Slot) -> bool {
        self.privileges(me).sends & self.process(to).privilege_bit() != 0
    }

    /// The same for a source.
    fn check_source(&self, me: Slot, trap: Trap, source: Endpoint) -> Result<(), Errno> {
        if !self.is_source(source) {
            return Err(Errno::DeadSrcDst);
        }
        self.check_trap(me, trap)
    }

    /// Whether something can come from there.
    pub(crate) fn is_source(&self, source: Endpoint) -> bool {
        source == Endpoint::ANY || is_kernel_task(source) || self.lookup(source).is_some()
    }

    /// The message that `sender` sends, with its true source, and how it was sent.
    fn message_of(&self, sender: Slot) -> (Message, Status) {
        let p = self.process(sender);
        if p.pending.contains(Pending::KERNEL_SENDS) {
            return (self.out_of_quantum(sender), Status::sent_with(Trap::Send).by_kernel());
        }
        let mut message = Message::new(p.endpoint, Kind(0));
        message.set_header(p.frame.request().header);
        message.body = p.frame.body();
        let trap = if p.rts.contains(Rts::REPLY) { Trap::SendRec } else { Trap::Send };
        (message, Status::sent_with(trap))
    }

    /// The kind of the message that `sender` sends.
    fn kind_of(&self, sender: Slot) -> Kind {
        let p = self.process(sender);
        if p.pending.contains(Pending::KERNEL_SENDS) {
            return protocol::sched::OUT_OF_QUANTUM;
        }
        Kind(p.frame.request().header as u16)
    }

    /// Whether `slot` waits for a message of this kind from `source`.
    pub(crate) fn is_waiting_for(&self, slot: Slot, source: Endpoint, kind: Kind) -> bool {
        let p = self.process(slot);
        let waits = p.rts.contains(Rts::RECEIVING) && !p.rts.contains(Rts::SENDING);
        waits && (p.receive_from == Endpoint::ANY || p.receive_from == source) && self.lets_in(slot, source, kind)
    }

    /// Whether `slot` has made `to`'s SENDREC its own: it took the message, and has not answered.
    fn waits_for_answer(&self, slot: Slot, to: Slot) -> bool {
        let p = self.process(slot);
        let waits = p.rts.contains(Rts::RECEIVING | Rts::REPLY) && !p.rts.contains(Rts::SENDING);
        waits && p.receive_from == self.process(to).endpoint
    }

    /// Gives `message` to `slot`, which either asks for it right now or was waiting.
    pub(crate) fn deliver(&mut self, slot: Slot, message: &Message, status: Status) {
        let p = self.process_mut(slot);
        let status = match p.failed_reply.take() {
            Some(errno) => status.with_failed_reply(errno),
            None => status,
        };
        p.frame.deliver(message, status);
        self.unblock(slot, Rts::WAITS);
    }

    fn send(&mut self, me: Slot, to: Slot, trap: Trap) -> Result<(), Errno> {
        let (source, destination) = (self.process(me).endpoint, self.process(to).endpoint);
        let mut blocked = Rts::empty();
        if self.is_waiting_for(to, source, self.kind_of(me)) {
            let (message, _) = self.message_of(me);
            self.deliver(to, &message, Status::sent_with(trap));
        } else if trap == Trap::SendNb {
            return Err(Errno::NotReady);
        } else if self.send_closes_circle(me, to) {
            return Err(Errno::Locked);
        } else {
            self.queue_sender(to, me);
            blocked |= Rts::SENDING;
        }
        if trap == Trap::SendRec {
            blocked |= Rts::RECEIVING | Rts::REPLY | self.special(me);
        }
        let p = self.process_mut(me);
        p.send_to = destination;
        p.receive_from = destination;
        p.rts |= blocked;
        p.frame.set_result(0);
        Ok(())
    }

    /// The kernel sends its message about `me` to a scheduler, in its name.
    pub(crate) fn send_by_kernel(&mut self, me: Slot, to: Slot) {
        let (source, destination) = (self.process(me).endpoint, self.process(to).endpoint);
        if self.is_waiting_for(to, source, self.kind_of(me)) {
            let (message, status) = self.message_of(me);
            self.process_mut(me).pending.remove(Pending::KERNEL_SENDS);
            self.deliver(to, &message, status);
        } else {
            self.queue_sender(to, me);
            let p = self.process_mut(me);
            p.send_to = destination;
            p.rts |= Rts::SENDING;
        }
    }

    fn notify(&mut self, machine: &mut M, me: Slot, to: Slot) -> Result<(), Errno> {
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

    /// Whether `me` may receive: there is something to take, or it can wait without closing a circle. The one who is
    /// `answered` before that waits no more.
    fn check_receive(&self, machine: &M, me: Slot, from: Endpoint, answered: Option<Slot>) -> Result<(), Errno> {
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

    fn receive_notification(&mut self, machine: &mut M, me: Slot, from: Endpoint) -> bool {
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

    /// Answers the destination, then receives, whether or not the answer could be given. It is not given where nothing can
    /// be received.
    fn reply_receive(&mut self, machine: &mut M, me: Slot, request: &Request) -> Result<(), Errno> {
        let answered = self.check_reply(me, request.destination);
        self.check_receive(machine, me, request.source, answered.ok())?;
        match answered {
            Ok(to) => {
                let (message, _) = self.message_of(me);
                self.deliver(to, &message, Status::sent_with(Trap::ReplyReceive));
            }
            Err(errno) => self.process_mut(me).failed_reply = Some(errno),
        }
        self.receive(machine, me, request.source);
        Ok(())
    }

    /// Whom the answer goes to: a process whose SENDREC `me` has taken, and that lets it in. That is all the right that
    /// answering needs.
    pub(crate) fn check_reply(&self, me: Slot, destination: Endpoint) -> Result<Slot, Errno> {
        let to = self.lookup(destination).ok_or(Errno::DeadSrcDst)?;
        let waits = self.waits_for_answer(to, me) && self.lets_in(to, self.process(me).endpoint, self.kind_of(me));
        if waits { Ok(to) } else { Err(Errno::NotReady) }
    }

    /// Whether `me`, by waiting to send to `to`, would close a circle of processes that wait for each other. It does not if `to`
    /// receives from it, and has a filter that does not let the message in yet.
    fn send_closes_circle(&self, me: Slot, to: Slot) -> bool {
        let takes_later = |last| last == to && to != me && !self.process(to).rts.contains(Rts::SENDING);
        self.closes_circle(me, to).is_some_and(|last| !takes_later(last))
    }

    fn sends_to(&self, sender: Slot, receiver: Slot) -> bool {
        let p = self.process(sender);
        p.rts.contains(Rts::SENDING) && p.send_to == self.process(receiver).endpoint
    }

    /// If `me`, by waiting for `target`, would close a circle of processes that wait for each other: the one of them that
    /// waits for `me`.
    fn closes_circle(&self, me: Slot, target: Slot) -> Option<Slot> {
        let mut last = me;
        let mut at = target;
        // Nobody is in a circle that `me` is not in; the bound keeps the work bounded all the same.
        for _ in 0..SLOTS {
            if at == me {
                return Some(last);
            }
            let p = self.process(at);
            let next = if p.rts.contains(Rts::SENDING) {
                p.send_to
            } else if p.rts.contains(Rts::RECEIVING) {
                p.receive_from
            } else {
                return None;
            };
            last = at;
            at = self.lookup(next)?; // Nobody waits for ANY or for a kernel task.
        }
        None
    }
}

/// The names in the kernel's own range: they send notifications and take nothing.
pub(crate) fn is_kernel_task(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::HARDWARE | Endpoint::SYSTEM | Endpoint::CLOCK | Endpoint::ASYNCM)
}
