//! Signals: raised for a process, they stop it and are told to its manager, who deals with them and lets it go on.

use crate::{Action, Kernel, Machine, Rts, Slot};
use abi::{Endpoint, Errno, PrivilegeId, Signal};

impl<M: Machine> Kernel<'_, M> {
    /// Raises a signal for a process.
    pub(crate) fn raise(&mut self, machine: &mut M, slot: Slot, signal: Signal) {
        match self.manager_of(slot) {
            Some(manager) if manager != slot => self.raise_with(machine, slot, signal, manager),
            Some(_) if !signal.is_lethal() => {
                self.privileges_mut(slot).signals |= signal.bit();
                self.signal_service(machine, slot, Signal::MANAGER_SELF);
            }
            _ => match self.promote_another(slot) {
                Some(manager) => self.raise_with(machine, slot, signal, manager),
                None => self.action = Action::Panic(slot),
            },
        }
    }

    /// Stops the process and tells its manager.
    fn raise_with(&mut self, machine: &mut M, slot: Slot, signal: Signal, manager: Slot) {
        let p = self.process_mut(slot);
        if p.signals & signal.bit() != 0 {
            return;
        }
        p.signals |= signal.bit();
        if !p.rts.contains(Rts::SIGNALED) {
            self.signaled.insert(slot);
            self.block(machine, slot, Rts::SIGNALED | Rts::SIGNAL_PENDING);
            self.stop_waiting(machine, manager, slot);
            self.signal_service(machine, manager, Signal::MANAGER);
        }
    }

    /// Whether a process stands until `manager` has dealt with its signals. To wait for it is to wait for oneself.
    pub(crate) fn stands_for(&self, slot: Slot, manager: Slot) -> bool {
        self.process(slot).rts.contains(Rts::SIGNAL_PENDING) && self.manager_of(slot) == Some(manager)
    }

    /// A process stands now: if its manager waits for it to take or to answer a message, that fails.
    fn stop_waiting(&mut self, machine: &mut M, manager: Slot, slot: Slot) {
        self.fail_wait_for(machine, manager, slot, Rts::RECEIVING | Rts::REPLY, Errno::Locked);
    }

    /// Who gets the signals of a process: its manager, or whoever stands in for one that has died. `None` if there is nobody.
    pub(crate) fn manager_of(&self, slot: Slot) -> Option<Slot> {
        self.managers(slot).into_iter().find_map(|manager| self.service(manager))
    }

    /// Who may come into question for that, the first one first.
    fn managers(&self, slot: Slot) -> [Endpoint; 3] {
        let p = self.privileges(slot);
        let manager = if p.manager == Endpoint::SELF { self.process(slot).endpoint } else { p.manager };
        [manager, p.backup, self.root]
    }

    /// A live service. Users share what is pending for them, and so can be told nothing that is not for all.
    pub(crate) fn service(&self, endpoint: Endpoint) -> Option<Slot> {
        self.lookup(endpoint).filter(|&slot| self.is_service(slot))
    }

    /// A manager has died, or knows nothing of what it has taken: the signals that it has not ended go to whoever manages those
    /// processes now.
    pub(crate) fn hand_on_signals(&mut self, machine: &mut M, former: Endpoint) {
        let stopped = self.alive.clone();
        for slot in stopped.iter() {
            let managed = |manager: &Endpoint| *manager == former || self.service(*manager).is_some();
            if self.managers(slot).into_iter().find(managed) == Some(former) {
                self.offer_signals(machine, slot);
            }
        }
    }

    /// Tells the manager of a process of all its signals that have not been ended, whoever has taken them before.
    fn offer_signals(&mut self, machine: &mut M, slot: Slot) {
        if !self.process(slot).rts.contains(Rts::SIGNAL_PENDING) {
            return;
        }
        // It cannot be its own manager while it is stopped.
        let other = self.manager_of(slot).filter(|manager| *manager != slot);
        let Some(manager) = other.or_else(|| self.promote_another(slot)) else {
            self.action = Action::Panic(slot);
            return;
        };
        let p = self.process_mut(slot);
        p.signals |= core::mem::take(&mut p.taken_signals);
        p.rts |= Rts::SIGNALED;
        self.signaled.insert(slot);
        self.stop_waiting(machine, manager, slot);
        self.signal_service(machine, manager, Signal::MANAGER);
    }

    /// The same after what says who the manager is has changed, if that is somebody else now.
    pub(crate) fn change_manager(&mut self, machine: &mut M, slot: Slot, former: Option<Slot>) {
        if self.manager_of(slot) != former {
            self.offer_signals(machine, slot);
        }
    }

    /// A process cannot manage itself any more. Its backup manager takes over, and runs; if there is none, the root does.
    /// `None` for the root itself.
    fn promote_another(&mut self, slot: Slot) -> Option<Slot> {
        let p = self.privileges_mut(slot);
        let backup = core::mem::replace(&mut p.backup, Endpoint::NONE);
        let backup = self.service(backup).filter(|&manager| manager != slot);
        if let Some(manager) = backup {
            self.unblock(manager, Rts::NO_PRIV);
        }
        let manager = backup.or_else(|| self.service(self.root).filter(|&root| root != slot))?;
        self.privileges_mut(slot).manager = self.process(manager).endpoint;
        Some(manager)
    }

    /// A program with signals has come to another slot: its manager hears of them under the new name.
    pub(crate) fn rejoin_signals(&mut self, machine: &mut M, slot: Slot) {
        let signaled = self.process(slot).rts.contains(Rts::SIGNALED);
        if signaled {
            self.signaled.insert(slot);
        }
        match self.manager_of(slot) {
            // It has come into the place of its manager.
            Some(manager) if manager == slot => self.offer_signals(machine, slot),
            Some(manager) if signaled => self.signal_service(machine, manager, Signal::MANAGER),
            _ => {}
        }
    }

    /// Sends a signal of the kernel to a service: a bit in the notification from [`Endpoint::SYSTEM`].
    pub(crate) fn signal_service(&mut self, machine: &mut M, to: Slot, signal: Signal) {
        self.privileges_mut(to).signals |= signal.bit();
        self.post(machine, PrivilegeId::SYSTEM, to);
    }

    /// Takes the signals of the first process that has some and is managed by `manager`.
    pub(crate) fn take_signaled(&mut self, manager: Slot) -> Option<(Slot, u64)> {
        let slot = self.first_signaled(manager)?;
        self.signaled.remove(slot);
        let p = self.process_mut(slot);
        // It goes on waiting: SIGNAL_PENDING is still set.
        p.rts.remove(Rts::SIGNALED);
        let signals = core::mem::take(&mut p.signals);
        p.taken_signals |= signals;
        Some((slot, signals))
    }

    pub(crate) fn first_signaled(&self, manager: Slot) -> Option<Slot> {
        self.signaled.iter().find(|&slot| self.manager_of(slot) == Some(manager))
    }

    /// The manager of a process has finished with its signals.
    pub(crate) fn end_signals(&mut self, me: Slot, slot: Slot) -> Result<(), Errno> {
        if self.manager_of(slot) != Some(me) {
            return Err(Errno::Perm);
        }
        let p = self.process_mut(slot);
        let rts = p.rts;
        if !rts.contains(Rts::SIGNAL_PENDING) {
            return Err(Errno::Inval);
        }
        p.taken_signals = 0;
        if !rts.contains(Rts::SIGNALED) {
            self.unblock(slot, Rts::SIGNAL_PENDING);
        }
        Ok(())
    }
}
