//! Messages and notifications.

use super::*;
use abi::{Signal, Trap};

/// Kind of a notification.
const NOTIFICATION: u64 = 0x1000;
/// In the status: made by the kernel.
const BY_KERNEL: u64 = 1 << 16;
/// Where the error of an answer stands in the status.
const FAILED_SHIFT: u32 = 32;
/// Kind and tag.
const HEADER: u64 = 0xffff_ffff;
/// The kind of the kernel's message to a scheduler.
const OUT_OF_QUANTUM: u64 = 0x901;

/// A message, and how it was sent.
pub(super) struct Sent {
    pub(super) header: u64,
    pub(super) body: [u64; 7],
    pub(super) status: u64,
}

pub(super) fn is_task(endpoint: Endpoint) -> bool {
    [Endpoint::HARDWARE, Endpoint::SYSTEM, Endpoint::CLOCK, Endpoint::ASYNCM].contains(&endpoint)
}

impl Model {
    pub(super) fn ipc(&mut self, me: usize, ask: &Ask) -> Result<(), Errno> {
        match *ask {
            Ask::Send(to) => self.destination(me, Trap::Send, to).and_then(|to| self.send(me, to, Trap::Send)),
            Ask::SendNb(to) => self.destination(me, Trap::SendNb, to).and_then(|to| self.send(me, to, Trap::SendNb)),
            Ask::SendRec(to) => self.destination(me, Trap::SendRec, to).and_then(|to| self.send(me, to, Trap::SendRec)),
            Ask::Notify(to) => self.destination(me, Trap::Notify, to).and_then(|to| self.notify(me, to)),
            Ask::Receive(from) => {
                self.check_source(me, Trap::Receive, from)?;
                self.or_as_before(|model| model.receive(me, from))
            }
            Ask::ReplyReceive { to, from } => {
                self.check_source(me, Trap::ReplyReceive, from)?;
                self.or_as_before(|model| {
                    if let Err(errno) = model.answer(me, to) {
                        model.program_mut(me).failed_answer = Some(errno);
                    }
                    model.receive(me, from)
                })
            }
            Ask::SendA { address, count } => {
                self.may_trap(me, Trap::SendA)?;
                self.send_table(me, address, count)
            }
            Ask::Call(_) | Ask::Unknown(_) => Err(Errno::BadCall),
        }
    }

    /// Does it all or nothing.
    fn or_as_before(&mut self, what: impl FnOnce(&mut Self) -> Result<(), Errno>) -> Result<(), Errno> {
        let before = self.clone();
        what(self).inspect_err(|_| *self = before)
    }

    fn may_trap(&self, me: usize, trap: Trap) -> Result<(), Errno> {
        let allowed = self.authority(me).traps >> trap as u32 & 1 != 0;
        if allowed { Ok(()) } else { Err(Errno::TrapDenied) }
    }

    fn destination(&self, me: usize, trap: Trap, endpoint: Endpoint) -> Result<usize, Errno> {
        if endpoint == Endpoint::ANY {
            return Err(Errno::Inval);
        }
        if is_task(endpoint) {
            return Err(Errno::TrapDenied);
        }
        let to = self.live(endpoint).ok_or(Errno::DeadSrcDst)?;
        let answers = trap == Trap::SendNb && self.awaits_answer(to, me);
        if !answers && !self.may_send(me, to) {
            return Err(Errno::CallDenied);
        }
        self.may_trap(me, trap).map(|()| to)
    }

    fn check_source(&self, me: usize, trap: Trap, endpoint: Endpoint) -> Result<(), Errno> {
        if endpoint != Endpoint::ANY && !is_task(endpoint) && self.live(endpoint).is_none() {
            return Err(Errno::DeadSrcDst);
        }
        self.may_trap(me, trap)
    }

    /// Whether `client` is in SENDREC with `server`, which has taken the message.
    pub(crate) fn awaits_answer(&self, client: usize, server: usize) -> bool {
        let p = self.program(client);
        p.is(Rts::RECEIVING | Rts::REPLY) && !p.is(Rts::SENDING) && p.receive_from == self.slots[server].endpoint
    }

    /// Whether `to` waits for such a message from `source`.
    pub(super) fn takes(&self, to: usize, source: Endpoint, kind: u16) -> bool {
        let p = self.program(to);
        let wanted = p.receive_from == Endpoint::ANY || p.receive_from == source;
        p.is(Rts::RECEIVING) && !p.is(Rts::SENDING) && wanted && self.lets_in(to, source, kind)
    }

    fn takes_notification(&self, to: usize, source: Endpoint) -> bool {
        !self.program(to).is(Rts::REPLY) && self.takes(to, source, NOTIFICATION as u16)
    }

    /// What `sender` sends.
    fn message_of(&self, sender: usize) -> Sent {
        let p = self.program(sender);
        if p.kernel_sends {
            let place = u64::from(p.priority) | (self.slots[sender].cpu as u64) << 32;
            let body = [0, p.used.0, p.used.1, place, p.quantum.into(), 0, 0];
            return Sent { header: OUT_OF_QUANTUM, body, status: sent_with(Trap::Send) | BY_KERNEL };
        }
        let trap = if p.is(Rts::REPLY) { Trap::SendRec } else { Trap::Send };
        Sent { header: p.regs.rsi & HEADER, body: p.regs.body, status: sent_with(trap) }
    }

    fn kind_of(&self, sender: usize) -> u16 {
        self.message_of(sender).header as u16
    }

    /// Gives a message to somebody who waits for it, or has just asked for it.
    pub(super) fn give(&mut self, to: usize, source: Endpoint, sent: &Sent) {
        let p = self.program_mut(to);
        let failed = p.failed_answer.take().map_or(0, |errno| errno as u64);
        p.regs.rax = 0;
        p.regs.rdi = source.raw().into();
        p.regs.rsi = sent.header;
        p.regs.rdx = sent.status | failed << FAILED_SHIFT;
        p.regs.body = sent.body;
        self.release(to, Rts::RECEIVING | Rts::REPLY);
    }

    fn send(&mut self, me: usize, to: usize, trap: Trap) -> Result<(), Errno> {
        let (source, destination) = (self.slots[me].endpoint, self.slots[to].endpoint);
        // It stands until `me` deals with its signals.
        let stands = self.program(to).is(Rts::SIGNAL_PENDING) && self.manager_of(to) == Some(me);
        if stands && trap == Trap::SendRec {
            return Err(Errno::Locked);
        }
        if self.takes(to, source, self.kind_of(me)) {
            let sent = Sent { status: sent_with(trap), ..self.message_of(me) };
            self.give(to, source, &sent);
        } else if trap == Trap::SendNb {
            return Err(Errno::NotReady);
        } else if stands || self.closes_circle(me, to, true) {
            return Err(Errno::Locked);
        } else {
            self.hold(me, Rts::SENDING);
            self.program_mut(me).send_to = destination;
            self.sending.push(me);
        }
        if trap == Trap::SendRec {
            self.hold(me, Rts::RECEIVING | Rts::REPLY);
            self.program_mut(me).receive_from = destination;
        }
        self.program_mut(me).regs.rax = 0;
        Ok(())
    }

    /// The kernel tells the scheduler of `me`, in its name.
    pub(super) fn send_by_kernel(&mut self, me: usize, to: usize) {
        let source = self.slots[me].endpoint;
        if self.takes(to, source, OUT_OF_QUANTUM as u16) {
            let sent = self.message_of(me);
            self.program_mut(me).kernel_sends = false;
            self.give(to, source, &sent);
        } else {
            self.hold(me, Rts::SENDING);
            self.program_mut(me).send_to = self.slots[to].endpoint;
            self.sending.push(me);
        }
    }

    fn notify(&mut self, me: usize, to: usize) -> Result<(), Errno> {
        if !self.is_service(me) {
            return Err(Errno::TrapDenied);
        }
        if !self.is_service(to) && !self.takes_notification(to, self.slots[me].endpoint) {
            return Err(Errno::NotReady);
        }
        self.post(self.slots[me].id, to);
        self.program_mut(me).regs.rax = 0;
        Ok(())
    }

    /// Notifies `to` in the name of a privilege id: now or when it receives.
    pub(super) fn post(&mut self, id: usize, to: usize) {
        match self.owner_of(id) {
            Some(source) if self.takes_notification(to, source) => self.give_notification(id, source, to),
            _ => self.pend_notification(id, to),
        }
    }

    fn pend_notification(&mut self, id: usize, to: usize) {
        self.mailbox_mut(to).notified_by.insert(id);
        self.slots[to].hears = true;
    }

    fn give_notification(&mut self, id: usize, source: Endpoint, to: usize) {
        let mut body = [self.machine.ticks, 0, 0, 0, 0, 0, 0];
        self.mailbox_mut(to).notified_by.remove(&id);
        if id == HARDWARE {
            body[1] = std::mem::take(&mut self.mailbox_mut(to).interrupts);
        }
        if id == SYSTEM {
            let signals = std::mem::take(&mut self.mailbox_mut(to).signals);
            body[1] = signals;
            if signals & Signal::MANAGER.bit() != 0 {
                let (process, set) = self.take_signals(to);
                (body[2], body[3]) = (process.raw().into(), set);
                if self.first_signaled(to).is_some() {
                    self.tell_again(to, Signal::MANAGER);
                }
            }
            if signals & Signal::MEMORY.bit() != 0 {
                let event = self.take_event();
                body[4..].copy_from_slice(&event.unwrap_or([Endpoint::NONE.raw().into(), 0, 0]));
                if !self.events.is_empty() {
                    self.tell_again(to, Signal::MEMORY);
                }
            }
        }
        self.give(to, source, &Sent { header: NOTIFICATION, body, status: sent_with(Trap::Notify) });
    }

    fn tell_again(&mut self, to: usize, signal: Signal) {
        self.mailbox_mut(to).signals |= signal.bit();
        self.pend_notification(SYSTEM, to);
    }

    /// Notifications, lowest id first; then asynchronous messages; then those who wait to send. Else it waits.
    pub(super) fn receive(&mut self, me: usize, from: Endpoint) -> Result<(), Errno> {
        if self.slots[me].hears {
            // A look at its own table may have been what notifies it.
            let received = self.receive_notification(me, from)
                || self.receive_async(me, from)
                || self.receive_notification(me, from);
            let own = self.mailbox(me);
            if own.notified_by.is_empty() && own.async_from.is_empty() {
                self.slots[me].hears = false;
            }
            if received {
                return Ok(());
            }
        }
        if let Some(sender) = self.first_sender(me, from) {
            self.take_from(me, sender);
            return Ok(());
        }
        self.hold(me, Rts::RECEIVING);
        self.program_mut(me).receive_from = from;
        match self.live(from) {
            Some(source) if self.closes_circle(me, source, false) => Err(Errno::Locked),
            _ => Ok(()),
        }
    }

    fn receive_notification(&mut self, me: usize, from: Endpoint) -> bool {
        let wanted =
            |source| (from == Endpoint::ANY || from == source) && self.lets_in(me, source, NOTIFICATION as u16);
        let pending = self.mailbox(me).notified_by.iter().copied();
        let found = pending.filter_map(|id| Some((id, self.owner_of(id)?))).find(|(_, source)| wanted(*source));
        if let Some((id, source)) = found {
            self.give_notification(id, source, me);
        }
        found.is_some()
    }

    pub(super) fn first_sender(&self, me: usize, from: Endpoint) -> Option<usize> {
        let accepted = |sender: &usize| {
            let source = self.slots[*sender].endpoint;
            self.program(*sender).send_to == self.slots[me].endpoint
                && (from == Endpoint::ANY || from == source)
                && self.lets_in(me, source, self.kind_of(*sender))
        };
        self.sending.iter().copied().find(accepted)
    }

    pub(super) fn take_from(&mut self, me: usize, sender: usize) {
        let sent = self.message_of(sender);
        self.sending.retain(|s| *s != sender);
        self.give(me, self.slots[sender].endpoint, &sent);
        self.program_mut(sender).kernel_sends = false;
        self.release(sender, Rts::SENDING);
        self.send_is_over(sender);
    }

    fn answer(&mut self, me: usize, destination: Endpoint) -> Result<(), Errno> {
        let to = self.live(destination).ok_or(Errno::DeadSrcDst)?;
        let source = self.slots[me].endpoint;
        if !self.awaits_answer(to, me) || !self.lets_in(to, source, self.kind_of(me)) {
            return Err(Errno::NotReady);
        }
        let sent = Sent { status: sent_with(Trap::ReplyReceive), ..self.message_of(me) };
        self.give(to, source, &sent);
        Ok(())
    }

    /// Whether `me`, by waiting for `target`, would wait for itself, over however many others. Two of whom one sends and the other
    /// receives do not: they only wait until a filter lets the message in.
    fn closes_circle(&self, me: usize, target: usize, sends: bool) -> bool {
        let mut chain = Vec::new();
        let mut at = Some(target);
        while let Some(next) = at.filter(|next| *next != me) {
            if chain.contains(&next) {
                return false; // A circle without `me`.
            }
            chain.push(next);
            at = self.waits_for(next).and_then(|endpoint| self.live(endpoint));
        }
        let pair = chain.len() == 1 && self.program(target).is(Rts::SENDING) != sends;
        at.is_some() && !pair
    }
}
