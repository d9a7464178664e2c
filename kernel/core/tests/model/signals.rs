//! Signals and their managers.

use super::*;
use crate::support::DOORBELL;
use abi::Signal;

impl Model {
    /// Whoever runs does something that the processor does not do for it.
    pub(crate) fn exception(&mut self, cpu: usize, signal: Signal) {
        let Some(me) = self.running[cpu] else { return };
        if self.manager_of(me).is_none_or(|manager| manager == me || self.slots[manager].endpoint == self.root) {
            self.machine.lines.push(format!("{} stopped: test", self.program(me).name()));
        }
        self.raise(me, signal);
    }

    /// The manager of a process, or who stands in for one that is not there. Only services get signals for others.
    pub(crate) fn manager_of(&self, i: usize) -> Option<usize> {
        let own = self.authority(i);
        let named = |endpoint| if endpoint == Endpoint::SELF { Some(i) } else { self.live(endpoint) };
        [own.manager, own.backup, self.root].into_iter().filter_map(named).find(|manager| self.is_service(*manager))
    }

    pub(super) fn raise(&mut self, i: usize, signal: Signal) {
        match self.manager_of(i) {
            Some(manager) if manager != i => self.raise_with(i, signal, manager),
            Some(_) if !signal.is_lethal() => {
                self.mailbox_mut(i).signals |= signal.bit();
                self.signal_service(i, Signal::MANAGER_SELF);
            }
            _ => {
                if let Some(manager) = self.other_manager(i) {
                    self.raise_with(i, signal, manager);
                }
            }
        }
    }

    /// It cannot manage its own end: its backup does that from now on, or the root, whose own end is that of all.
    fn other_manager(&mut self, i: usize) -> Option<usize> {
        let backup = std::mem::replace(&mut self.authority_mut(i).backup, Endpoint::NONE);
        let is_other = |manager: &usize| *manager != i && self.is_service(*manager);
        let backup = self.live(backup).filter(is_other);
        let manager = backup.or_else(|| self.live(self.root).filter(is_other));
        match manager {
            None => self.action = Action::Panic(slot(i)),
            Some(manager) => self.authority_mut(i).manager = self.slots[manager].endpoint,
        }
        if let Some(backup) = backup {
            self.release(backup, Rts::NO_PRIV);
        }
        manager
    }

    fn raise_with(&mut self, i: usize, signal: Signal, manager: usize) {
        let p = self.program_mut(i);
        if p.signals & signal.bit() != 0 {
            return;
        }
        p.signals |= signal.bit();
        if !p.is(Rts::SIGNALED) {
            self.hold(i, Rts::SIGNALED | Rts::SIGNAL_PENDING);
            self.stop_waiting(manager, i);
            self.signal_service(manager, Signal::MANAGER);
        }
    }

    /// Nobody waits for an answer of, or to send to, a process that it has to deal with itself.
    fn stop_waiting(&mut self, manager: usize, i: usize) {
        let (p, endpoint) = (self.program(manager), self.slots[i].endpoint);
        let sends = p.is(Rts::SENDING) && p.send_to == endpoint;
        let asks = p.is(Rts::RECEIVING) && p.is(Rts::REPLY) && p.receive_from == endpoint;
        if sends || asks {
            self.sending.retain(|sender| *sender != manager);
            self.fail_wait(manager, Errno::Locked);
        }
    }

    /// The kernel tells a service something.
    pub(super) fn signal_service(&mut self, to: usize, signal: Signal) {
        self.mailbox_mut(to).signals |= signal.bit();
        self.post(SYSTEM, to);
    }

    pub(super) fn first_signaled(&self, manager: usize) -> Option<usize> {
        (0..SLOTS).find(|i| self.program(*i).is(Rts::SIGNALED) && self.manager_of(*i) == Some(manager))
    }

    /// The first process that has signals for a manager, and these.
    pub(super) fn take_signals(&mut self, manager: usize) -> (Endpoint, u64) {
        let Some(i) = self.first_signaled(manager) else { return (Endpoint::NONE, 0) };
        let endpoint = self.slots[i].endpoint;
        let p = self.program_mut(i);
        p.rts.remove(Rts::SIGNALED);
        let signals = std::mem::take(&mut p.signals);
        p.taken |= signals;
        (endpoint, signals)
    }

    /// Whoever was managed by `former` has another manager, or one that remembers nothing: that one hears of all signals again.
    pub(super) fn hand_on(&mut self, former: Endpoint) {
        for i in 0..SLOTS {
            let own = self.authority(i);
            let managers = [own.manager, own.backup, self.root];
            let named = managers.map(|m| if m == Endpoint::SELF { self.slots[i].endpoint } else { m });
            let manages = |m: &Endpoint| *m == former || self.live(*m).is_some_and(|m| self.is_service(m));
            if named.into_iter().find(manages) == Some(former) {
                self.offer(i);
            }
        }
    }

    pub(super) fn offer(&mut self, i: usize) {
        if !self.program(i).is(Rts::SIGNAL_PENDING) {
            return;
        }
        let other = self.manager_of(i).filter(|manager| *manager != i);
        let Some(manager) = other.or_else(|| self.other_manager(i)) else { return };
        let p = self.program_mut(i);
        p.signals |= std::mem::take(&mut p.taken);
        p.rts |= Rts::SIGNALED;
        self.stop_waiting(manager, i);
        self.signal_service(manager, Signal::MANAGER);
    }

    /// The same if its manager is not `former` any more.
    pub(super) fn change_manager(&mut self, i: usize, former: Option<usize>) {
        if self.manager_of(i) != former {
            self.offer(i);
        }
    }

    pub(super) fn end_signals(&mut self, me: usize, i: usize) -> Result<(), Errno> {
        if self.manager_of(i) != Some(me) {
            return Err(Errno::Perm);
        }
        if !self.program(i).is(Rts::SIGNAL_PENDING) {
            return Err(Errno::Inval);
        }
        self.program_mut(i).taken = 0;
        if !self.program(i).is(Rts::SIGNALED) {
            self.release(i, Rts::SIGNAL_PENDING);
        }
        Ok(())
    }

    /// A process has sent its message, or will not: its manager is told if he waits for that.
    pub(super) fn send_is_over(&mut self, i: usize) {
        if std::mem::take(&mut self.program_mut(i).wants_send_done) {
            self.raise(i, Signal::SEND_DONE);
        }
    }

    /// An interrupt, as the root has asked for it.
    pub(crate) fn interrupt(&mut self) {
        match self.live(self.root).filter(|_| self.has_hook) {
            None => self.machine.lines.push(format!("nobody handles interrupt line {DOORBELL}: masked")),
            Some(root) => {
                self.mailbox_mut(root).interrupts |= 1;
                self.post(HARDWARE, root);
            }
        }
    }
}
