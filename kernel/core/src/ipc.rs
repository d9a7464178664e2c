//! Messages.
//!
//! A message never has a buffer of the kernel's own: a blocked sender keeps it in its saved registers, and delivery
//! copies it from frame to frame.

use crate::{Frame, Kernel, Machine, Request, Rts, SLOTS, Slot};
use abi::{Endpoint, Errno, Kind, Message, Status, Trap};

impl<M: Machine> Kernel<'_, M> {
    /// Carries out a message trap of `me`, the running process. On success its frame has the result, or it is blocked.
    ///
    /// # Errors
    /// The result of the trap; nothing has changed then.
    pub(crate) fn ipc(&mut self, machine: &M, me: Slot, trap: Trap, request: &Request) -> Result<(), Errno> {
        match trap {
            Trap::Receive => {
                self.check_source(me, trap, request.source)?;
                self.check_receive(me, request.source, None)?;
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
        if self.privileges(me).sends & self.process(to).privilege_bit() == 0 {
            return Err(Errno::CallDenied);
        }
        self.check_trap(me, trap)?;
        Ok(to)
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

    /// The message in the registers of `sender`, with its true source.
    fn message_of(&self, sender: Slot) -> Message {
        let p = self.process(sender);
        let mut message = Message::new(p.endpoint, Kind(0));
        message.set_header(p.frame.request().header);
        message.body = p.frame.body();
        message
    }

    /// Whether `slot` waits for a message from `source`.
    fn is_waiting_for(&self, slot: Slot, source: Endpoint) -> bool {
        let p = self.process(slot);
        let waits = p.rts.contains(Rts::RECEIVING) && !p.rts.contains(Rts::SENDING);
        waits && (p.receive_from == Endpoint::ANY || p.receive_from == source)
    }

    /// Gives `message` to `slot`, which either asks for it right now or was waiting and can run again.
    fn deliver(&mut self, slot: Slot, message: &Message, status: Status) {
        let p = self.process_mut(slot);
        let status = match p.failed_reply.take() {
            Some(errno) => status.with_failed_reply(errno),
            None => status,
        };
        p.frame.deliver(message, status);
        if p.rts.contains(Rts::RECEIVING) {
            p.rts.remove(Rts::RECEIVING | Rts::REPLY);
            self.make_ready(slot);
        }
    }

    fn send(&mut self, me: Slot, to: Slot, trap: Trap) -> Result<(), Errno> {
        let (source, destination) = (self.process(me).endpoint, self.process(to).endpoint);
        let mut blocked = Rts::empty();
        if self.is_waiting_for(to, source) {
            let message = self.message_of(me);
            self.deliver(to, &message, Status::sent_with(trap));
        } else if trap == Trap::SendNb {
            return Err(Errno::NotReady);
        } else if self.closes_circle(me, to).is_some() {
            return Err(Errno::Locked);
        } else {
            self.queue_sender(to, me);
            blocked |= Rts::SENDING;
        }
        if trap == Trap::SendRec {
            blocked |= Rts::RECEIVING | Rts::REPLY;
        }
        let p = self.process_mut(me);
        p.send_to = destination;
        p.receive_from = destination;
        p.rts |= blocked;
        p.frame.set_result(0);
        Ok(())
    }

    fn notify(&mut self, machine: &M, me: Slot, to: Slot) -> Result<(), Errno> {
        let source = self.process(me).endpoint;
        if self.is_waiting_for(to, source) && !self.process(to).rts.contains(Rts::REPLY) {
            let message = notification(machine, source);
            self.deliver(to, &message, Status::sent_with(Trap::Notify));
        } else {
            let bit = self.process(me).privilege_bit();
            self.privileges_mut(to).notified_by |= bit;
        }
        self.process_mut(me).frame.set_result(0);
        Ok(())
    }

    /// Whether `me` may receive: there is something to take, or it can wait without closing a circle. The one who is
    /// `answered` before that waits no more.
    fn check_receive(&self, me: Slot, from: Endpoint, answered: Option<Slot>) -> Result<(), Errno> {
        let Some(source) = self.lookup(from) else {
            return Ok(()); // ANY, or a kernel task.
        };
        if self.pending_notification(me, from).is_some() || self.first_sender(me, from).is_some() {
            return Ok(());
        }
        match self.closes_circle(me, source) {
            Some(last) if Some(last) != answered => Err(Errno::Locked),
            _ => Ok(()),
        }
    }

    /// Receives: a pending notification, else the first acceptable sender that waits, else blocks.
    fn receive(&mut self, machine: &M, me: Slot, from: Endpoint) {
        if let Some(notifier) = self.pending_notification(me, from) {
            let id = self.process(Slot::of(notifier)).privilege_id();
            self.privileges_mut(me).notified_by &= !(1 << id);
            let message = notification(machine, notifier);
            self.deliver(me, &message, Status::sent_with(Trap::Notify));
        } else if let Some(sender) = self.first_sender(me, from) {
            self.take_from(me, sender);
        } else {
            let p = self.process_mut(me);
            p.receive_from = from;
            p.rts |= Rts::RECEIVING;
        }
    }

    /// Who has the lowest privilege id among those who have notified `me` and are accepted.
    pub(crate) fn pending_notification(&self, me: Slot, from: Endpoint) -> Option<Endpoint> {
        let mut pending = self.privileges(me).notified_by;
        while pending != 0 {
            // Boot programs have their place in the boot table as privilege id.
            let notifier = *self.boot.get(pending.trailing_zeros() as usize)?;
            if from == Endpoint::ANY || from == notifier {
                return Some(notifier);
            }
            pending &= pending - 1;
        }
        None
    }

    fn first_sender(&self, me: Slot, from: Endpoint) -> Option<Slot> {
        let accepts = |&sender: &Slot| from == Endpoint::ANY || from == self.process(sender).endpoint;
        self.process(me).senders.iter(self.procs).find(accepts)
    }

    /// Takes the message of a sender that waits.
    fn take_from(&mut self, me: Slot, sender: Slot) {
        let message = self.message_of(sender);
        self.unqueue_sender(me, sender);
        let p = self.process_mut(sender);
        p.rts.remove(Rts::SENDING);
        let trap = if p.rts.contains(Rts::REPLY) { Trap::SendRec } else { Trap::Send };
        if p.rts.is_empty() {
            self.make_ready(sender);
        }
        self.deliver(me, &message, Status::sent_with(trap));
    }

    /// Answers the destination, then receives, whether or not the answer could be given. It is not given where nothing can
    /// be received.
    fn reply_receive(&mut self, machine: &M, me: Slot, request: &Request) -> Result<(), Errno> {
        let answered = self.check_reply(me, request.destination);
        self.check_receive(me, request.source, answered.ok())?;
        match answered {
            Ok(to) => {
                let message = self.message_of(me);
                self.deliver(to, &message, Status::sent_with(Trap::ReplyReceive));
            }
            Err(errno) => self.process_mut(me).failed_reply = Some(errno),
        }
        self.receive(machine, me, request.source);
        Ok(())
    }

    /// Whom the answer goes to: a process whose SENDREC `me` has taken. That is all the right that answering needs.
    pub(crate) fn check_reply(&self, me: Slot, destination: Endpoint) -> Result<Slot, Errno> {
        let to = self.lookup(destination).ok_or(Errno::DeadSrcDst)?;
        let p = self.process(to);
        let waits = p.rts == Rts::RECEIVING | Rts::REPLY && p.receive_from == self.process(me).endpoint;
        if waits { Ok(to) } else { Err(Errno::NotReady) }
    }

    /// If `me`, by waiting for `target`, would close a circle of processes that wait for each other: the one of them that
    /// waits for `me`. Two of whom one sends and the other receives never get here: they have met.
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
fn is_kernel_task(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::HARDWARE | Endpoint::SYSTEM | Endpoint::CLOCK | Endpoint::ASYNCM)
}

/// A notification: its first word is the time.
fn notification<M: Machine>(machine: &M, source: Endpoint) -> Message {
    let mut message = Message::new(source, Kind::NOTIFY);
    message.body[0] = machine.ticks();
    message
}
