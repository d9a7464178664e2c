//! The calls of the root system process.

use crate::service::{Instance, Left, Name, PERIODS_TO_BEGIN, Phase, Service, Then, Waiter};
use crate::update::PERIOD;
use crate::{Root, Servers};
use abi::policy::{ServiceFlags, contains};
use abi::{Errno, PrivilegeFlags, PrivilegeId};
use protocol::rs::*;
use protocol::{Answer, Caller, Transport};

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// The file of a program that can be started.
    pub(crate) fn image(&self, program: Name) -> Option<&'static [u8]> {
        self.images.iter().flatten().find(|(name, _)| *name == program).map(|(_, image)| *image)
    }

    /// Whether somebody may have the root system process do something about the services of a program.
    ///
    /// # Errors
    /// `EPERM`; `ELOCKED` for whom it would have to ask something itself meanwhile.
    fn check_control(&self, from: Caller, policy: usize) -> Result<(), Errno> {
        let caller = self.services.named(from.endpoint).and_then(|place| self.services.get(place));
        let is_asked = |caller: &Service| [Name::PM, Name::DS].contains(&caller.label);
        if self.pager == Some(from.endpoint) || caller.is_some_and(is_asked) {
            return Err(Errno::Locked);
        }
        let caller = caller.and_then(|service| self.policy.get(service.policy));
        let may = caller.is_some_and(|caller| contains(&caller.control, policy));
        if may { Ok(()) } else { Err(Errno::Perm) }
    }

    /// The place of a service that somebody wants something done about.
    ///
    /// # Errors
    /// `EINVAL` for what is no label, `ESRCH`, `EPERM`.
    fn target(&self, from: Caller, label: &[u8; abi::boot::NAME_LEN]) -> Result<usize, Errno> {
        let label = Name::read(label).ok_or(Errno::Inval)?;
        let place = self.services.labeled(label).ok_or(Errno::Srch)?;
        let policy = self.services.get(place).map_or(usize::MAX, |service| service.policy);
        self.check_control(from, policy).map(|()| place)
    }

    /// The same, of a service that nothing is under way with.
    ///
    /// # Errors
    /// And `EBUSY`.
    fn idle_target(&self, from: Caller, label: &[u8; abi::boot::NAME_LEN]) -> Result<usize, Errno> {
        let place = self.target(from, label)?;
        let is_busy = self.services.get(place).is_none_or(Service::is_busy);
        if is_busy { Err(Errno::Busy) } else { Ok(place) }
    }

    fn do_up(&mut self, from: Caller, call: &Up) -> Result<(), Errno> {
        let program = Name::read(&call.program).ok_or(Errno::Inval)?;
        let label = if call.label == [0; _] { program } else { Name::read(&call.label).ok_or(Errno::Inval)? };
        let policy = self.policy.find(program).ok_or(Errno::NoEnt)?;
        self.check_control(from, policy)?;
        // What has the name of another program would pass for that.
        let is_anothers = self.policy.find(label).is_some_and(|other| other != policy);
        if is_anothers || self.services.labeled(label).is_some() || self.work.shuts_down {
            return Err(Errno::Busy);
        }
        let image = self.image(program).ok_or(Errno::NoEnt)?;
        let place = self.services.free().ok_or(Errno::NoMem)?;
        let now = Instance { endpoint: abi::Endpoint::NONE, program, image };
        let service = self.new_service(label, policy, now).ok_or(Errno::NoEnt)?;
        self.services.put(place, service);
        if let Err(error) = self.start_anew(place, Init::Fresh, Waiter::Up(from)) {
            self.services.take(place);
            return Err(error);
        }
        Ok(())
    }

    /// What is known of a service before it has a process.
    pub(crate) fn new_service(&self, label: Name, policy: usize, now: Instance) -> Option<Service> {
        let entry = self.policy.get(policy)?;
        Some(Service {
            label,
            policy,
            flags: ServiceFlags::from_bits(entry.flags)?,
            id: PrivilegeId::USER,
            pid: 0,
            now,
            other: None,
            phase: Phase::GivenUp,
            left: Left::NOTHING,
            kept: Left::NOTHING,
            prepared: NO_STATE,
            ready: None,
            waiter: None,
            restarts: 0,
            failures: 0,
            reason: Reason::None,
            signal: None,
            heartbeat: u64::from(entry.heartbeat).div_ceil(PERIOD),
            pinged: self.work.now,
            alive: self.work.now,
            is_booting: false,
            is_unpublished: false,
        })
    }

    /// Makes a process for a service that has none, and lets it begin.
    fn start_anew(&mut self, place: usize, how: Init, waiter: Waiter) -> Result<(), Errno> {
        let Some(&service) = self.services.get(place) else {
            return Err(Errno::Srch);
        };
        let flag = if how == Init::Restart { PrivilegeFlags::RESTART } else { PrivilegeFlags::empty() };
        let made = self.make(service.policy, service.now.program, service.now.image, flag)?;
        let until = self.work.now + PERIODS_TO_BEGIN;
        let process = made.instance.endpoint;
        if let Some(service) = self.services.get_mut(place) {
            service.now = made.instance;
            (service.id, service.pid) = (made.id, made.pid);
            (service.left, service.kept) = (Left::NOTHING, Left::NOTHING);
            service.phase = Phase::Starting { how, until };
            service.waiter = Some(waiter);
        }
        self.connect(place);
        self.changed(place);
        if let Err(error) = self.let_begin(place) {
            self.end_or_log(process);
            self.forget(place);
            if let Some(service) = self.services.get_mut(place) {
                service.waiter = None;
            }
            self.set_phase(place, Phase::GivenUp);
            return Err(error);
        }
        Ok(())
    }

    fn do_restart(&mut self, from: Caller, call: &Restart) -> Result<(), Errno> {
        let place = self.target(from, &call.label)?;
        match self.services.get(place).map(|service| service.phase) {
            _ if self.work.shuts_down => return Err(Errno::Busy),
            Some(Phase::Waiting { .. }) => {
                self.await_end(place, Waiter::Restart(from));
                self.start_again(place);
            }
            Some(Phase::GivenUp) => self.start_anew(place, Init::Restart, Waiter::Restart(from))?,
            _ => return Err(Errno::Busy),
        }
        if let Some(service) = self.services.get_mut(place) {
            service.reason = Reason::Request;
        }
        Ok(())
    }

    fn do_down(&mut self, from: Caller, call: &Down) -> Result<bool, Errno> {
        let place = self.idle_target(from, &call.label)?;
        let Some(&service) = self.services.get(place) else {
            return Err(Errno::Srch);
        };
        if service.has(ServiceFlags::CORE) {
            return Err(Errno::Perm);
        }
        if service.phase == Phase::Active {
            self.await_end(place, Waiter::Down(from));
            self.ask_to_end(place, Then::Gone);
            return Ok(false);
        }
        self.remove(place);
        Ok(true)
    }

    fn do_refresh(&mut self, from: Caller, call: &Refresh) -> Result<(), Errno> {
        let place = self.idle_target(from, &call.label)?;
        let Some(service) = self.services.get(place).filter(|service| service.phase == Phase::Active) else {
            return Err(Errno::Busy);
        };
        if service.label == Name::PM {
            return Err(Errno::Perm);
        }
        if service.now.image.is_empty() {
            return Err(Errno::NoEnt);
        }
        self.await_end(place, Waiter::Refresh(from));
        self.ask_to_end(place, Then::Restart);
        Ok(())
    }

    fn await_end(&mut self, place: usize, waiter: Waiter) {
        if let Some(service) = self.services.get_mut(place) {
            service.waiter = Some(waiter);
        }
    }
}

/// Whoever asked is answered when it has come to an end.
fn later<R>(begun: Result<(), Errno>) -> Answer<R> {
    match begun {
        Ok(()) => Answer::Later,
        Err(errno) => Answer::Fail(errno),
    }
}

impl<T: Transport + Copy, S: Servers> Server for Root<T, S> {
    fn up(&mut self, from: Caller, call: Up) -> Answer<UpDone> {
        later(self.do_up(from, &call))
    }

    fn down(&mut self, from: Caller, call: Down) -> Answer<DownDone> {
        match self.do_down(from, &call) {
            Ok(true) => Answer::Reply(DownDone {}),
            Ok(false) => Answer::Later,
            Err(errno) => Answer::Fail(errno),
        }
    }

    fn refresh(&mut self, from: Caller, call: Refresh) -> Answer<Refreshed> {
        later(self.do_refresh(from, &call))
    }

    fn restart(&mut self, from: Caller, call: Restart) -> Answer<Restarted> {
        later(self.do_restart(from, &call))
    }

    fn shutdown(&mut self, from: Caller, _: Shutdown) -> Answer<ShutdownDone> {
        // Whoever may end the root system process's every service may end them all.
        let may = |service: &Service| self.check_control(from, service.policy).is_ok();
        if self.services.iter().next().is_none() || !self.services.iter().all(may) {
            return Answer::Fail(Errno::Perm);
        }
        self.shut_down();
        Answer::Reply(ShutdownDone {})
    }

    fn update(&mut self, from: Caller, call: Update) -> Answer<UpdateDone> {
        let place = self.idle_target(from, &call.label);
        later(place.and_then(|place| self.begin_update(place, from, &call)))
    }

    fn lookup(&mut self, _: Caller, call: Lookup) -> Answer<Found> {
        let place = Name::read(&call.label).ok_or(Errno::Inval).and_then(|label| {
            let place = self.services.labeled(label).ok_or(Errno::Srch)?;
            self.services.get(place).filter(|service| service.phase != Phase::GivenUp).ok_or(Errno::Srch)
        });
        place.map(|service| Found { endpoint: service.now.endpoint }).into()
    }

    fn service(&mut self, _: Caller, call: GetService) -> Answer<ServiceInfo> {
        let Some(place) = usize::try_from(call.slot).ok().filter(|place| *place < crate::SERVICES) else {
            return Answer::Fail(Errno::Dom);
        };
        let info = self.services.get(place).ok_or(Errno::Srch).map(|service| ServiceInfo {
            label: service.label.0,
            program: service.now.program.0,
            endpoint: service.now.endpoint,
            pid: service.pid,
            state: service.state(),
            restarts: service.restarts,
            reason: service.reason,
            backoff: if let Phase::Waiting { periods } = service.phase { periods } else { 0 },
        });
        info.into()
    }

    fn edit(&mut self, from: Caller, call: Edit) -> Answer<Edited> {
        let place = self.target(from, &call.label);
        let edited = place.map(|place| {
            if let Some(service) = self.services.get_mut(place) {
                service.heartbeat = u64::from(call.heartbeat).div_ceil(PERIOD);
                (service.alive, service.pinged) = (self.work.now, self.work.now);
            }
            Edited {}
        });
        edited.into()
    }

    fn init_info(&mut self, from: Caller, _: GetInit) -> Answer<InitInfo> {
        self.init_info_for(from.endpoint).into()
    }

    fn init_done(&mut self, from: Caller, call: InitDone) -> Answer<Begun> {
        match self.init_done_by(from.endpoint, &call) {
            Ok(true) => Answer::Reply(Begun {}),
            Ok(false) => Answer::Later,
            Err(errno) => Answer::Fail(errno),
        }
    }

    fn ready(&mut self, from: Caller, call: Ready) -> Answer<GoOn> {
        match self.is_ready(from, &call) {
            Ok(()) => Answer::Later,
            Err(errno) => Answer::Fail(errno),
        }
    }
}
