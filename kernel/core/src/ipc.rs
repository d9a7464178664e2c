//! Messages.
//!
//! A message never has a buffer of the kernel's own: a blocked sender keeps it in its saved registers, and delivery
//! copies it from frame to frame.

use crate::{Cpu, Frame, Kernel, Machine, Request, Rts, SLOTS, Slot};
use abi::{Endpoint, Errno, Kind, Message, Status, Trap};

/// The two ways to wait for a process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Send,
    Receive,
}

impl<M: Machine> Kernel<'_, M> {
    /// Carries out a message trap of `me`, the running process. On success its frame has the result, or it is blocked.
    ///
    /// # Errors
    /// The result of the trap; nothing has changed then.
    pub(crate) fn ipc(
        &mut self,
        machine: &M,
        cpu: &mut Cpu,
        me: Slot,
        trap: Trap,
        request: &Request,
    ) -> Result<(), Errno> {
        match trap {
            Trap::Receive => {
                self.check_trap(me, trap)?;
                self.receive(machine, cpu, me, request.source)
            }
            Trap::ReplyReceive => {
                self.check_trap(me, trap)?;
                self.reply_receive(machine, cpu, me, request)
            }
            Trap::Send | Trap::SendNb | Trap::SendRec | Trap::Notify => {
                let to = self.check_destination(me, trap, request.destination)?;
                if trap == Trap::Notify { self.notify(machine, cpu, me, to) } else { self.send(cpu, me, to, trap) }
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
        if self.privileges(me).sends >> self.process(to).privilege_id() & 1 == 0 {
            return Err(Errno::CallDenied);
        }
        self.check_trap(me, trap)?;
        Ok(to)
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
    fn deliver(&mut self, cpu: &mut Cpu, slot: Slot, message: &Message, status: Status) {
        let p = self.process_mut(slot);
        let status = match p.failed_reply.take() {
            Some(errno) => status.with_failed_reply(errno),
            None => status,
        };
        p.frame.deliver(message, status);
        if p.rts.contains(Rts::RECEIVING) {
            p.rts.remove(Rts::RECEIVING | Rts::REPLY);
            self.make_ready(cpu, slot);
        }
    }

    fn send(&mut self, cpu: &mut Cpu, me: Slot, to: Slot, trap: Trap) -> Result<(), Errno> {
        let (source, destination) = (self.process(me).endpoint, self.process(to).endpoint);
        let mut blocked = Rts::empty();
        if self.is_waiting_for(to, source) {
            let message = self.message_of(me);
            self.deliver(cpu, to, &message, Status::sent_with(trap));
        } else if trap == Trap::SendNb {
            return Err(Errno::NotReady);
        } else if self.would_deadlock(me, to, Wait::Send) {
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

    fn notify(&mut self, machine: &M, cpu: &mut Cpu, me: Slot, to: Slot) -> Result<(), Errno> {
        let source = self.process(me).endpoint;
        if self.is_waiting_for(to, source) && !self.process(to).rts.contains(Rts::REPLY) {
            let message = notification(machine, source);
            self.deliver(cpu, to, &message, Status::sent_with(Trap::Notify));
        } else {
            let id = self.process(me).privilege_id();
            self.privileges_mut(to).notified_by |= 1 << id;
        }
        self.process_mut(me).frame.set_result(0);
        Ok(())
    }

    /// Receives: a pending notification, else the first acceptable sender that waits, else blocks.
    fn receive(&mut self, machine: &M, cpu: &mut Cpu, me: Slot, from: Endpoint) -> Result<(), Errno> {
        let source = if from == Endpoint::ANY || is_kernel_task(from) {
            None
        } else {
            Some(self.lookup(from).ok_or(Errno::DeadSrcDst)?)
        };
        if let Some(notifier) = self.take_notification(me, from) {
            let message = notification(machine, notifier);
            self.deliver(cpu, me, &message, Status::sent_with(Trap::Notify));
        } else if let Some(sender) = self.first_sender(me, from) {
            self.take_from(cpu, me, sender);
        } else if source.is_some_and(|source| self.would_deadlock(me, source, Wait::Receive)) {
            return Err(Errno::Locked);
        } else {
            let p = self.process_mut(me);
            p.receive_from = from;
            p.rts |= Rts::RECEIVING;
        }
        Ok(())
    }

    /// Takes the pending notification of the lowest privilege id that `me` accepts.
    fn take_notification(&mut self, me: Slot, from: Endpoint) -> Option<Endpoint> {
        let mut pending = self.privileges(me).notified_by;
        while pending != 0 {
            let id = pending.trailing_zeros() as usize;
            pending &= pending - 1;
            // Boot programs have their slot number as privilege id.
            let notifier = *self.boot.get(id)?;
            if from == Endpoint::ANY || from == notifier {
                self.privileges_mut(me).notified_by &= !(1 << id);
                return Some(notifier);
            }
        }
        None
    }

    fn first_sender(&self, me: Slot, from: Endpoint) -> Option<Slot> {
        let accepts = |&sender: &Slot| from == Endpoint::ANY || from == self.process(sender).endpoint;
        self.process(me).senders.iter(self.procs).find(accepts)
    }

    /// Takes the message of a sender that waits.
    fn take_from(&mut self, cpu: &mut Cpu, me: Slot, sender: Slot) {
        let message = self.message_of(sender);
        self.unqueue_sender(me, sender);
        let p = self.process_mut(sender);
        p.rts.remove(Rts::SENDING);
        let trap = if p.rts.contains(Rts::REPLY) { Trap::SendRec } else { Trap::Send };
        if p.rts.is_empty() {
            self.make_ready(cpu, sender);
        }
        self.deliver(cpu, me, &message, Status::sent_with(trap));
    }

    /// Answers the destination, then receives, whether or not the answer could be given.
    fn reply_receive(&mut self, machine: &M, cpu: &mut Cpu, me: Slot, request: &Request) -> Result<(), Errno> {
        let failed = match self.check_reply(me, request.destination) {
            Ok(to) => {
                let message = self.message_of(me);
                self.deliver(cpu, to, &message, Status::sent_with(Trap::ReplyReceive));
                None
            }
            Err(errno) => Some(errno),
        };
        self.process_mut(me).failed_reply = failed;
        let received = self.receive(machine, cpu, me, request.source);
        if received.is_err() {
            self.process_mut(me).failed_reply = None;
        }
        received
    }

    /// Whom the answer goes to: a process whose SENDREC `me` has taken. That is all the right that answering needs.
    fn check_reply(&self, me: Slot, destination: Endpoint) -> Result<Slot, Errno> {
        let to = self.lookup(destination).ok_or(Errno::DeadSrcDst)?;
        let p = self.process(to);
        let waits = p.rts == Rts::RECEIVING | Rts::REPLY && p.receive_from == self.process(me).endpoint;
        if waits { Ok(to) } else { Err(Errno::NotReady) }
    }

    /// Whether `me`, by waiting for `target`, would close a circle of processes that wait for each other. A circle of two
    /// in which one sends to the other, which receives, is none: they meet.
    fn would_deadlock(&self, me: Slot, target: Slot, wait: Wait) -> bool {
        let mut at = target;
        for length in 2..=SLOTS {
            if at == me {
                return true; // Waits for itself.
            }
            let p = self.process(at);
            let (next, sends) = if p.rts.contains(Rts::SENDING) {
                (p.send_to, true)
            } else if p.rts.contains(Rts::RECEIVING) {
                (p.receive_from, false)
            } else {
                return false;
            };
            let Some(next) = self.lookup(next) else {
                return false; // ANY, or a kernel task.
            };
            if next == me {
                return length > 2 || sends == (wait == Wait::Send);
            }
            at = next;
        }
        false // A circle that `me` is not in cannot exist; the bound keeps the work bounded all the same.
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
