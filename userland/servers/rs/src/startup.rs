//! Boot by a policy: services are made known, and begin one after the other.

use crate::boot::{BootFailure, Step, is_file};
use crate::service::{Instance, Name, PERIODS_TO_BEGIN, Phase, SERVICES};
use crate::{Root, Servers, Set};
use abi::boot::BootFlags;
use abi::policy::{POLICY_FILE, ServiceFlags, ServicePolicy, contains};
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeId};
use protocol::Transport;
use protocol::getinfo::BootPolicy;
use protocol::kernel::GetBootEntry;
use protocol::pm::PidOf;
use protocol::privctl::{Allow, SetUser, UpdateSys};
use protocol::rs::Init;
use protocol::sef::ServiceEntry;
use protocol::vm::SetCalls;

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Takes over the policy and all files of programs that were kept, and makes the services of the boot table known. Whether there is a
    /// policy.
    pub(crate) fn take_policy(&mut self) -> Result<bool, BootFailure> {
        if self.pager.is_none() {
            return Ok(false);
        }
        let kept = BootFlags::FILE.union(BootFlags::KEPT).bits();
        for place in 0.. {
            let Some(policy) = self.boot_policy(place)? else { break };
            if policy.flags & kept == 0 {
                continue;
            }
            let failed = |error| BootFailure { step: Step::Read, place, error };
            let name = Name(self.kernel().boot_entry(GetBootEntry { index: place }).map_err(failed)?.name);
            let file = self.servers.boot_file(place).map_err(failed)?;
            if is_file(&policy) && name.text() == POLICY_FILE {
                self.policy = Set::read(file).map_err(|error| {
                    self.servers.log(format_args!("the policy {error}"));
                    failed(Errno::Inval)
                })?;
            } else if let Some(free) = self.images.iter_mut().find(|image| image.is_none()) {
                *free = Some((name, file));
            }
        }
        if self.policy.is_empty() {
            return Ok(false);
        }
        (0..SERVICES).for_each(|place| self.servers.show(place, &ServiceEntry::FREE));
        self.know_services()?;
        Ok(true)
    }

    /// Makes the services of the boot table known, and gives all its programs what only the policy says.
    fn know_services(&mut self) -> Result<(), BootFailure> {
        for place in 0.. {
            let Some(boot) = self.boot_policy(place)? else { break };
            let failed = |step| move |error| BootFailure { step, place, error };
            if is_file(&boot) {
                continue;
            }
            let name = self.kernel().boot_entry(GetBootEntry { index: place }).map_err(failed(Step::Read))?.name;
            let name = Name(name);
            let policy = self.policy.find(name).ok_or(Errno::NoEnt).map_err(failed(Step::Compare))?;
            let entry = self.policy.get(policy).ok_or(Errno::NoEnt).map_err(failed(Step::Compare))?;
            if !self.agrees(&boot, entry)? {
                return Err(failed(Step::Compare)(Errno::Perm));
            }
            if boot.endpoint != self.me && !entry.has(ServiceFlags::USER) {
                self.know_service(place, &boot, name, policy);
            }
        }
        let me = self.me;
        let mut result = Ok(());
        for place in 0.. {
            let Some(boot) = self.boot_policy(place)? else { break };
            if is_file(&boot) || boot.endpoint == me {
                continue;
            }
            result = result
                .and_then(|()| self.complete(&boot).map_err(|error| BootFailure { step: Step::Give, place, error }));
        }
        result
    }

    fn know_service(&mut self, place: u64, boot: &BootPolicy, label: Name, policy: usize) {
        let image = self.image(label).unwrap_or_default();
        let now = Instance { endpoint: boot.endpoint, program: label, image };
        let id = usize::try_from(place).ok().and_then(PrivilegeId::of_boot_program);
        let (Some(mut service), Some(id), Some(free)) =
            (self.new_service(label, policy, now), id, self.services.free())
        else {
            return;
        };
        service.id = id;
        // The memory server serves already.
        let serves = Some(boot.endpoint) == self.pager;
        service.phase = if serves { Phase::Active } else { Phase::Starting { how: Init::Fresh, until: u64::MAX } };
        service.is_booting = !serves;
        self.services.put(free, service);
        self.work.boots = free + 1;
        self.changed(free);
    }

    /// Whether the boot table gives a program what its policy says.
    fn agrees(&self, boot: &BootPolicy, policy: &ServicePolicy) -> Result<bool, BootFailure> {
        let same = boot.calls == policy.calls && boot.memory == policy.memory && boot.traps == policy.traps;
        for place in 0.. {
            let Some(_) = self.boot_policy(place)?.filter(|target| !is_file(target)) else { break };
            let failed = |error| BootFailure { step: Step::Read, place, error };
            let name = self.kernel().boot_entry(GetBootEntry { index: place }).map_err(failed)?.name;
            let may = self.policy.find(Name(name)).is_some_and(|service| contains(&policy.sends, service));
            if may != (boot.sends >> place & 1 != 0) {
                return Ok(false);
            }
        }
        Ok(same)
    }

    /// Gives a boot program what only its policy says: whom it manages, what hardware it has, whether it is a user.
    fn complete(&mut self, boot: &BootPolicy) -> Result<(), Errno> {
        let process = boot.endpoint;
        let name = self.kernel().boot_entry(GetBootEntry { index: process.slot() as u64 })?.name;
        let Some(policy) = self.policy.find(Name(name)) else {
            return Ok(());
        };
        let spec = self.spec(policy, PrivilegeFlags::empty());
        if self.services.named(process).is_some() {
            self.privctl().update_sys(UpdateSys { spec, process, reset_ranges: 0 })?;
            return self.give_hardware(policy, process);
        }
        self.privctl().set_user(SetUser { process })?;
        self.privctl().update_sys(UpdateSys { spec, process: Endpoint::NONE, reset_ranges: 0 })?;
        self.memory_server()?.set_calls(SetCalls { process, is_user: 1, calls: 0 }).map(drop)
    }

    /// Lets the next boot services begin, up to one that all others wait for; when all have begun, the users.
    pub(crate) fn boot_next(&mut self) {
        let until = self.work.now + PERIODS_TO_BEGIN;
        let is_waited_for = |root: &Self, place: usize| {
            let service = root.services.get(place);
            service.is_some_and(|service| service.has(ServiceFlags::SYNCHRONOUS) && service.is_booting)
        };
        // Whoever begins at once has the next one begin.
        while self.work.booting < self.work.boots
            && self.work.booting.checked_sub(1).is_none_or(|last| !is_waited_for(self, last))
        {
            let place = self.work.booting;
            self.work.booting += 1;
            let Some(service) = self.services.get_mut(place) else {
                continue;
            };
            if service.is_booting {
                service.phase = Phase::Starting { how: Init::Fresh, until };
                if let Err(error) = self.let_begin(place) {
                    return self.cannot_begin(place, error);
                }
            }
        }
        let all_begun = !self.services.iter().any(|service| service.is_booting);
        if all_begun && !self.work.is_up {
            self.is_up();
        }
    }

    fn is_up(&mut self) {
        self.work.is_up = true;
        // The process manager may be the last that has begun, and wait to hear so: it is asked later.
        self.work.lacks_ids = true;
        let count = self.work.boots;
        self.servers.log(format_args!("{count} services are up"));
    }

    /// Asks for the pids of the boot services, and tells whose the boot programs are; then the users run.
    pub(crate) fn exchange_ids(&mut self) {
        self.work.lacks_ids = false;
        for place in self.services.places() {
            let Some(process) = self.services.get(place).map(|service| service.now.endpoint) else {
                continue;
            };
            let found = self.process_manager().and_then(|mut manager| manager.pid_of(PidOf { process, reserved: 0 }));
            if let (Ok(found), Some(service)) = (found, self.services.get_mut(place)) {
                service.pid = found.pid;
            }
        }
        self.let_users_run();
    }

    /// Lets the users of the boot table run. One that cannot is no reason for the others not to.
    fn let_users_run(&mut self) {
        for place in 0.. {
            let boot = match self.boot_policy(place) {
                Ok(Some(boot)) => boot,
                Ok(None) => return,
                Err(failure) => return self.servers.log(format_args!("{failure}")),
            };
            if let Err(error) = self.let_user_run(place, &boot) {
                let failure = BootFailure { step: Step::Allow, place, error };
                self.servers.log(format_args!("{failure}"));
            }
        }
    }

    fn let_user_run(&mut self, place: u64, boot: &BootPolicy) -> Result<(), Errno> {
        let name = self.kernel().boot_entry(GetBootEntry { index: place })?.name;
        let policy = self.policy.find(Name(name)).and_then(|policy| self.policy.get(policy));
        let Some(policy) = policy.filter(|_| !is_file(boot)) else {
            return Ok(());
        };
        self.tell_ids(boot.endpoint, policy.uid)?;
        if !policy.has(ServiceFlags::USER) {
            return Ok(());
        }
        self.privctl().allow(Allow { process: boot.endpoint }).map(drop)
    }
}
