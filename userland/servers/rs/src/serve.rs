//! The calls of the root system process.

use crate::arguments::Arguments;
use crate::service::{Instance, Left, Name, PERIODS_TO_BEGIN, Phase, Service, Then, Waiter};
use crate::update::PERIOD;
use crate::{Root, Servers};
use abi::policy::ServiceFlags;
use abi::{Errno, PrivilegeFlags, PrivilegeId};
use protocol::rs::*;
use protocol::{Answer, Caller, Transport};

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// The file of a program that can be started.
    pub(crate) fn image(&self, program: Name) -> Option<&'static [u8]> {
        self.images.iter().flatten().find(|(name, _)| *name == program).map(|(_, image)| *image)
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
        let arguments = self.arguments_of(from, call)?;
        let now = Instance { endpoint: abi::Endpoint::NONE, program, image };
        self.bring_up(label, policy, now, arguments, Some(Waiter::Up(from))).map(drop)
    }

    /// The arguments that somebody wants a program to have.
    ///
    /// # Errors
    /// `E2BIG`, and those of the copy.
    fn arguments_of(&mut self, from: Caller, call: &Up) -> Result<Arguments, Errno> {
        let mut text = [0; MAX_ARGUMENTS as usize];
        let text = usize::try_from(call.len).ok().and_then(|len| text.get_mut(..len)).ok_or(Errno::TooBig)?;
        if !text.is_empty() {
            self.servers.read(from.endpoint, call.arguments, text)?;
        }
        Arguments::of_text(text)
    }

    /// Makes a service known under a label that is free, and lets it begin. Gives its place.
    ///
    /// # Errors
    /// `ENOMEM` if there is no room, and those of [`Self::start_anew`]: it is forgotten then.
    pub(crate) fn bring_up(
        &mut self,
        label: Name,
        policy: usize,
        now: Instance,
        arguments: Arguments,
        waiter: Option<Waiter>,
    ) -> Result<usize, Errno> {
        let place = self.services.free().ok_or(Errno::NoMem)?;
        let service = self.new_service(label, policy, now).ok_or(Errno::NoEnt)?;
        self.services.put(place, service);
        if let Some(kept) = self.arguments.get_mut(place) {
            *kept = arguments;
        }
        if let Err(error) = self.start_anew(place, Init::Fresh, waiter) {
            self.remove(place);
            return Err(error);
        }
        Ok(place)
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
    fn start_anew(&mut self, place: usize, how: Init, waiter: Option<Waiter>) -> Result<(), Errno> {
        let Some(&service) = self.services.get(place) else {
            return Err(Errno::Srch);
        };
        let flag = if how == Init::Restart { PrivilegeFlags::RESTART } else { PrivilegeFlags::empty() };
        let made = self.make(place, service.now.program, service.now.image, flag)?;
        let until = self.work.now + PERIODS_TO_BEGIN;
        let process = made.instance.endpoint;
        if let Some(service) = self.services.get_mut(place) {
            service.now = made.instance;
            (service.id, service.pid) = (made.id, made.pid);
            (service.left, service.kept) = (Left::NOTHING, Left::NOTHING);
            service.phase = Phase::Starting { how, until };
            service.waiter = waiter;
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
        let phase = self.services.get(place).map(|service| service.phase);
        match phase {
            _ if self.work.shuts_down => return Err(Errno::Busy),
            Some(Phase::Waiting { .. } | Phase::Recovering { .. }) => {
                self.await_end(place, Waiter::Restart(from));
                self.start_again(place);
            }
            Some(Phase::GivenUp) => self.start_anew(place, Init::Restart, Some(Waiter::Restart(from)))?,
            _ => return Err(Errno::Busy),
        }
        // A recovery script decides, and is not the reason.
        let is_asked_for = !matches!(phase, Some(Phase::Recovering { .. }));
        if let Some(service) = self.services.get_mut(place).filter(|_| is_asked_for) {
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
        let mut places = self.services.places().peekable();
        let is_any = places.peek().is_some();
        let may_all = places.all(|place| {
            let policy = self.services.get(place).map_or(usize::MAX, |service| service.policy);
            self.check_control(from, policy).is_ok()
        });
        if !is_any || !may_all {
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
                service.watch_from(self.work.now);
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
