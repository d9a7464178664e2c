//! Alarms of services, and the time of day.

use crate::{Kernel, Machine, Slot};
use abi::{Errno, PrivilegeId};
use protocol::kernel::NEVER;

impl<M: Machine> Kernel<'_, M> {
    /// Sets the alarm of a service, or switches it off; returns what was left of the one before.
    pub(crate) fn set_alarm(&mut self, machine: &mut M, slot: Slot, deadline: Option<u64>) -> Result<u64, Errno> {
        if !self.is_service(slot) {
            return Err(Errno::Perm);
        }
        let id = self.process(slot).privilege_id;
        let left = self.alarms.set(id.index(), deadline, machine.ticks()).unwrap_or(NEVER);
        self.ring_alarms(machine);
        Ok(left)
    }

    /// Notifies everybody whose time has come.
    pub(crate) fn ring_alarms(&mut self, machine: &mut M) {
        while let Some(id) = self.alarms.due(machine.ticks()) {
            let owner = PrivilegeId::new(id as u32).and_then(|id| self.owner_of(id));
            if let Some(slot) = owner.and_then(|owner| self.lookup(owner)) {
                self.post(machine, PrivilegeId::CLOCK, slot);
            }
        }
    }
}
