//! A service is replaced by another version of it while it runs. The new version is made beside it; when the old one is ready, both change
//! places; and if the new one does not begin, they change back.

use crate::life::errno_of;
use crate::service::{Left, Name, PERIODS_TO_BEGIN, PERIODS_TO_PREPARE, Phase, Service, Waiter};
use crate::{Root, Servers};
use abi::{Errno, PrivilegeFlags};
use protocol::kernel::UpdateDirection;
use protocol::rs::{GoOn, Init, NO_STATE, Ready, Reason, Update};
use protocol::sef::Prepare;
use protocol::{Call, Caller, Transport};

/// Milliseconds in a period.
pub(crate) const PERIOD: u64 = 1000;

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Makes a new version of a service, and tells the old one to prepare.
    pub(crate) fn begin_update(&mut self, place: usize, from: Caller, call: &Update) -> Result<(), Errno> {
        let program = Name::read(&call.program).ok_or(Errno::Inval)?;
        if call.state == NO_STATE {
            return Err(Errno::Inval);
        }
        let Some(&service) = self.services.get(place) else {
            return Err(Errno::Srch);
        };
        if service.phase != Phase::Active || self.services.iter().any(is_updated) {
            return Err(Errno::Busy);
        }
        let image = self.image(program).ok_or(Errno::NoEnt)?;
        let made = self.make(place, program, image, PrivilegeFlags::LIVE_UPDATE)?;
        if let Err(error) = self.tell_to_prepare(place, call.state) {
            self.end_or_log(made.instance.endpoint);
            return Err(error);
        }
        let periods = match call.patience {
            0 => PERIODS_TO_PREPARE,
            patience => u64::from(patience).div_ceil(PERIOD),
        };
        let until = self.work.now + periods;
        if let Some(service) = self.services.get_mut(place) {
            service.other = Some(made.instance);
            service.waiter = Some(Waiter::Update(from));
            service.phase = Phase::Preparing { state: call.state, until };
        }
        Ok(())
    }

    fn tell_to_prepare(&mut self, place: usize, state: u32) -> Result<(), Errno> {
        let Some(service) = self.services.get(place) else {
            return Ok(());
        };
        let mut message = protocol::encode(<Prepare as Call>::KIND, &Prepare { state, reserved: 0 });
        message.peer = service.now.endpoint;
        self.servers.tell(&message)
    }

    /// The old version is ready to be replaced, or will not be. `Ok` if it is replaced.
    pub(crate) fn is_ready(&mut self, from: Caller, call: &Ready) -> Result<(), Errno> {
        let place = self.services.named(from.endpoint).ok_or(Errno::Inval)?;
        let service = self.services.get(place).ok_or(Errno::Inval)?;
        let (Phase::Preparing { state, .. }, Some(new)) = (service.phase, service.other) else {
            return Err(Errno::Inval);
        };
        if state != call.state {
            return Err(Errno::Inval);
        }
        let old = service.now;
        let swapped = match call.error {
            0 => self.swap(old.endpoint, new.endpoint, UpdateDirection::Forward),
            number => Err(errno_of(number)),
        };
        if let Err(error) = swapped {
            self.end_update(place, error);
            return Err(Errno::Intr);
        }
        let until = self.work.now + PERIODS_TO_BEGIN;
        if let Some(service) = self.services.get_mut(place) {
            service.exchange_programs();
            // What it leaves for a crash will do if it gives nothing else.
            let given = Left { grant: call.state_grant, len: call.state_len };
            service.left = if given.len > 0 { given } else { service.kept };
            service.prepared = state;
            service.ready = Some(from);
            service.phase = Phase::Starting { how: Init::LiveUpdate, until };
        }
        self.changed(place);
        // It has its privileges, and waits for nothing else.
        if let Err(error) = self.let_begin(place) {
            self.cannot_begin(place, error);
        }
        Ok(())
    }

    /// The new version does not begin: the old one goes on under its name.
    pub(crate) fn roll_back(&mut self, place: usize, errno: Errno) {
        let Some(&service) = self.services.get(place) else {
            return;
        };
        let label = service.label;
        let Some(old) = service.other else {
            // The old version has died while the new one began, with all that it had kept.
            self.settled(place, Err(errno));
            return self.crashed(place, Reason::Crash);
        };
        let swapped = self.swap(service.now.endpoint, old.endpoint, UpdateDirection::Rollback);
        self.end_or_log(old.endpoint);
        if let Some(service) = self.services.get_mut(place) {
            match swapped {
                Ok(()) => service.exchange_programs(),
                // It is gone, and what it had kept with it.
                Err(_) => (service.kept, service.ready) = (Left::NOTHING, None),
            }
            (service.other, service.left, service.prepared) = (None, Left::NOTHING, NO_STATE);
            service.phase = Phase::Active;
            service.watch_from(self.work.now);
        }
        self.changed(place);
        if let Err(error) = swapped {
            self.servers.log(format_args!("{label} cannot be rolled back: {error}"));
            self.settled(place, Err(errno));
            return self.crashed(place, Reason::Crash);
        }
        self.servers.log(format_args!("{label} goes on in its old version: {errno}"));
        if let Some(ready) = self.services.get_mut(place).and_then(|service| service.ready.take()) {
            self.answer_later::<GoOn>(ready, Err(Errno::Again));
        }
        self.settled(place, Err(errno));
    }

    /// The update is called off before anything was swapped, and the service told so.
    pub(crate) fn call_off(&mut self, place: usize, errno: Errno) {
        if let Err(error) = self.tell_to_prepare(place, NO_STATE) {
            let label = self.label(place);
            self.servers.log(format_args!("{label} cannot be told that its update is called off: {error}"));
        }
        self.end_update(place, errno);
    }

    fn end_update(&mut self, place: usize, errno: Errno) {
        let now = self.work.now;
        let Some(service) = self.services.get_mut(place) else {
            return;
        };
        service.phase = Phase::Active;
        // It was not pinged meanwhile.
        service.watch_from(now);
        if let Some(new) = service.other.take() {
            self.end_or_log(new.endpoint);
        }
        let label = self.label(place);
        self.servers.log(format_args!("{label} is not updated: {errno}"));
        self.settled(place, Err(errno));
    }

    /// The one before has died while the new one begins. There is no way back any more, and nothing of it to be read.
    pub(crate) fn lose_old_version(&mut self, place: usize) {
        let other = self.services.get_mut(place).and_then(|service| {
            service.ready = None;
            (service.left, service.kept) = (Left::NOTHING, Left::NOTHING);
            service.other.take()
        });
        if let Some(other) = other {
            self.end_or_log(other.endpoint);
        }
    }
}

impl Service {
    /// The programs have changed places; their endpoints stay.
    fn exchange_programs(&mut self) {
        if let Some(other) = &mut self.other {
            core::mem::swap(&mut self.now.program, &mut other.program);
            core::mem::swap(&mut self.now.image, &mut other.image);
        }
    }
}

fn is_updated(service: &Service) -> bool {
    matches!(service.phase, Phase::Preparing { .. } | Phase::Starting { how: Init::LiveUpdate, .. })
}
