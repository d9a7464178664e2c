//! What the policy says of a service, as the kernel takes it.

use crate::service::{Name, Service};
use crate::{Root, Servers, no_rights};
use abi::policy::{ITSELF, NOBODY, PolicyError, ServiceFlags, ServicePolicy, contains, parse};
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeId, PrivilegeSpec};
use protocol::Transport;
use protocol::privctl::{AddIo, AddIrq, AddMemory, UpdateSys};

/// All entries of a policy.
#[derive(Clone, Copy, Debug)]
pub struct Set(&'static [ServicePolicy]);

impl Set {
    /// Of an image that has none.
    pub(crate) const EMPTY: Self = Self(&[]);

    /// Reads the file.
    ///
    /// # Errors
    /// Those of [`abi::policy::parse`].
    pub(crate) fn read(file: &'static [u8]) -> Result<Self, PolicyError> {
        parse(file).map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, place: usize) -> Option<&'static ServicePolicy> {
        self.0.get(place)
    }

    /// The place of the entry for a program.
    pub(crate) fn find(&self, program: Name) -> Option<usize> {
        self.0.iter().position(|entry| entry.name == program.0)
    }
}

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// The privileges that the policy at a place gives; more flags may go with them. Whom a service may send to are those that there are now: see
    /// [`Self::connect`].
    pub(crate) fn spec(&self, place: usize, more: PrivilegeFlags) -> PrivilegeSpec {
        let Some(policy) = self.policy.get(place) else {
            return no_rights(self.me);
        };
        let given = [
            (ServiceFlags::PAGER, PrivilegeFlags::PAGER),
            (ServiceFlags::PREEMPTIBLE, PrivilegeFlags::PREEMPTIBLE),
            (ServiceFlags::BILLABLE, PrivilegeFlags::BILLABLE),
            (ServiceFlags::GRANTS_FOR_OTHERS, PrivilegeFlags::GRANTS_FOR_OTHERS),
        ];
        let flags = given.into_iter().filter(|(flag, _)| policy.has(*flag)).fold(more, |all, (_, flag)| all | flag);
        PrivilegeSpec {
            sends: self.targets(policy),
            calls: policy.calls,
            flags: flags.bits(),
            init_flags: 0,
            traps: policy.traps,
            manager: self.in_charge(policy.manager).unwrap_or(self.me),
            backup: self.in_charge(policy.backup).unwrap_or(Endpoint::NONE),
            reserved: 0,
        }
    }

    /// The privilege ids that it may send to: those of the services that the policy names.
    fn targets(&self, policy: &ServicePolicy) -> u64 {
        // The id of one that was given up may be somebody else's by now.
        let named = |service: &&Service| service.has_process() && contains(&policy.sends, service.policy);
        let services = self.services.iter().filter(named).fold(0, |mask, service| mask | service.id.bit());
        let users = if policy.has(ServiceFlags::SENDS_TO_USERS) { PrivilegeId::USER.bit() } else { 0 };
        let root = if self.asks_root(policy) { PrivilegeId::of_boot_program(self.me.slot()) } else { None };
        services | users | root.map_or(0, PrivilegeId::bit)
    }

    /// Whether a service may send to the root system process, and so asks it how to begin. Any other has begun when it runs.
    pub(crate) fn asks_root(&self, policy: &ServicePolicy) -> bool {
        (0..)
            .map_while(|place| self.policy.get(place))
            .position(|entry| entry.has(ServiceFlags::ROOT))
            .is_some_and(|root| contains(&policy.sends, root))
    }

    /// The manager or scheduler that a policy names by its place.
    fn in_charge(&self, place: u16) -> Option<Endpoint> {
        match place {
            NOBODY => None,
            ITSELF => Some(Endpoint::SELF),
            place => {
                let is_it = |service: &&Service| service.has_process() && service.policy == usize::from(place);
                let service = self.services.iter().find(is_it);
                service.map(|service| service.now.endpoint)
            }
        }
    }

    /// Lets all that may send to a service, which has just got its privileges, do so; and if it deals with the signals of others, it gets them.
    pub(crate) fn connect(&mut self, place: usize) {
        let Some(target) = self.services.get(place).map(|service| service.policy) else {
            return;
        };
        for sender in self.services.iter().filter(|service| !service.is_dead()) {
            let in_charge = |place: u16| usize::from(place) == target;
            let is_named = self.policy.get(sender.policy).is_some_and(|policy| {
                contains(&policy.sends, target) || in_charge(policy.manager) || in_charge(policy.backup)
            });
            if is_named {
                let spec = self.spec(sender.policy, PrivilegeFlags::empty());
                let call = UpdateSys { spec, process: sender.now.endpoint, reset_ranges: 0 };
                // It may be about to end.
                let _ = self.privctl().update_sys(call);
            }
        }
    }

    /// Gives a process, which has privileges, the hardware that the policy at a place names.
    pub(crate) fn give_hardware(&self, place: usize, process: Endpoint) -> Result<(), Errno> {
        let Some(policy) = self.policy.get(place) else {
            return Ok(());
        };
        for range in policy.io() {
            self.privctl().add_io(AddIo { process, first: range.first, last: range.last })?;
        }
        for range in policy.ranges() {
            self.privctl().add_memory(AddMemory { process, reserved: 0, start: range.start, len: range.len })?;
        }
        for line in policy.irqs() {
            self.privctl().add_irq(AddIrq { process, line: (*line).into() })?;
        }
        Ok(())
    }
}
