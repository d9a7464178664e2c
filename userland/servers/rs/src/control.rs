//! Who may have something done about which service.

use crate::service::{Name, Service};
use crate::{Root, Servers};
use abi::policy::{ServiceFlags, contains};
use abi::{Endpoint, Errno};
use protocol::pm::{GetProcessStatus, SrvIds};
use protocol::{Caller, Transport};

/// The user that may do everything.
const ROOT: u32 = 0;

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Whether somebody may have the root system process do something about the services of a program. Nobody may about itself, and about
    /// what is no service.
    ///
    /// # Errors
    /// `EPERM`; `ELOCKED` for whom it would have to ask something itself meanwhile.
    pub(crate) fn check_control(&mut self, from: Caller, policy: usize) -> Result<(), Errno> {
        let is_service = self.policy.get(policy).is_some_and(|target| {
            let never = ServiceFlags::ROOT.union(ServiceFlags::USER);
            target.flags & never.bits() == 0
        });
        let caller = self.services.named(from.endpoint).and_then(|place| self.services.get(place));
        let is_asked = |caller: &Service| [Name::PM, Name::DS].contains(&caller.label);
        if self.pager == Some(from.endpoint) || caller.is_some_and(is_asked) {
            return Err(Errno::Locked);
        }
        let caller = caller.and_then(|service| self.policy.get(service.policy));
        let is_named = caller.is_some_and(|caller| contains(&caller.control, policy));
        if is_service && (is_named || self.is_root(from.endpoint)) { Ok(()) } else { Err(Errno::Perm) }
    }

    /// Whether somebody is the user that may do everything: a service by its policy, a user by what the process manager knows.
    ///
    /// The process manager waits for the memory server alone, and so not for whoever asks here. A user waits for the answer meanwhile, and
    /// cannot become anybody else.
    pub(crate) fn is_root(&mut self, who: Endpoint) -> bool {
        if let Some(service) = self.services.named(who).and_then(|place| self.services.get(place)) {
            return self.policy.get(service.policy).is_some_and(|policy| policy.uid == ROOT);
        }
        if self.services.with_other(who).is_some() {
            return false;
        }
        let call = GetProcessStatus { slot: who.slot() as u32, reserved: 0 };
        let found = self.process_manager().and_then(|mut manager| manager.process(call));
        // In its slot there may be another one by now.
        found.is_ok_and(|found| found.endpoint == who && found.effective_uid == ROOT)
    }

    /// The place of a service that somebody wants something done about. The root system process is none.
    ///
    /// # Errors
    /// `EINVAL` for what is no label, `ESRCH`, `EPERM`.
    pub(crate) fn target(&mut self, from: Caller, label: &[u8; abi::boot::NAME_LEN]) -> Result<usize, Errno> {
        let label = Name::read(label).ok_or(Errno::Inval)?;
        let is_root = self.policy.find(label).and_then(|policy| self.policy.get(policy));
        if is_root.is_some_and(|policy| policy.has(ServiceFlags::ROOT)) {
            return Err(Errno::Perm);
        }
        let place = self.services.labeled(label).ok_or(Errno::Srch)?;
        let policy = self.services.get(place).map_or(usize::MAX, |service| service.policy);
        self.check_control(from, policy).map(|()| place)
    }

    /// The same, of a service that nothing is under way with.
    ///
    /// # Errors
    /// And `EBUSY`.
    pub(crate) fn idle_target(&mut self, from: Caller, label: &[u8; abi::boot::NAME_LEN]) -> Result<usize, Errno> {
        let place = self.target(from, label)?;
        let is_busy = self.services.get(place).is_none_or(Service::is_busy);
        if is_busy { Err(Errno::Busy) } else { Ok(place) }
    }

    /// Tells the process manager which user a boot program is: it cannot know.
    ///
    /// # Errors
    /// Those of the process manager. If there is none, there is nothing to tell.
    pub(crate) fn tell_ids(&mut self, process: Endpoint, uid: u32) -> Result<(), Errno> {
        let told = self.process_manager().and_then(|mut manager| manager.srv_ids(SrvIds { process, uid, gid: uid }));
        match told {
            // Or the program has ended.
            Ok(_) | Err(Errno::NoSys | Errno::Srch) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
