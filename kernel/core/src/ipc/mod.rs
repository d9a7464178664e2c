//! Messages.
//!
//! A message never has a buffer of the kernel's own: a blocked sender keeps it in its saved registers, and delivery
//! copies it from frame to frame. Notifications and the kernel's own messages are made when they are delivered.

mod deadlock;
mod notify;
mod receive;

use crate::process::Pending;
use crate::{Frame, Kernel, Machine, Request, Rts, Slot};
use abi::{Endpoint, Errno, Kind, Message, Status, Trap};

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
    pub(crate) fn waits_for_answer(&self, slot: Slot, to: Slot) -> bool {
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
        let stands = self.stands_for(to, me);
        if stands && trap == Trap::SendRec {
            return Err(Errno::Locked);
        }
        if self.is_waiting_for(to, source, self.kind_of(me)) {
            let (message, _) = self.message_of(me);
            self.deliver(to, &message, Status::sent_with(trap));
        } else if trap == Trap::SendNb {
            return Err(Errno::NotReady);
        } else if stands || self.send_closes_circle(me, to) {
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
}

/// The names in the kernel's own range: they send notifications and take nothing.
pub(crate) fn is_kernel_task(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::HARDWARE | Endpoint::SYSTEM | Endpoint::CLOCK | Endpoint::ASYNCM)
}
