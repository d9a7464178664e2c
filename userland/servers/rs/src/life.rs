//! Services begin, die, start again, and are given up.

use crate::make::Made;
use crate::service::{Left, Name, PERIODS_TO_BEGIN, PERIODS_TO_END, Phase, Service, Then, Waiter};
use crate::{Fatal, Root, Servers};
use abi::policy::ServiceFlags;
use abi::{Endpoint, Errno, PrivilegeFlags, Signal};
use protocol::kernel::{Kill, UpdateDirection};
use protocol::privctl::{Allow, ClearRefs};
use protocol::rs::{DownDone, Init, InitDone, InitInfo, Reason, Refreshed, Restarted, UpDone, UpdateDone};
use protocol::sef::{ServiceEntry, Signaled};
use protocol::{Call, Transport, vm};

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// What a process that is starting has to know.
    pub(crate) fn init_info_for(&mut self, process: Endpoint) -> Result<InitInfo, Errno> {
        let table_grant = self.servers.table_grant();
        let service = self.services.named(process).and_then(|place| self.services.get(place)).ok_or(Errno::Perm)?;
        let Phase::Starting { how, .. } = service.phase else {
            return Err(Errno::Perm);
        };
        Ok(InitInfo {
            how,
            restarts: service.restarts,
            endpoint: process,
            old: service.other.map_or(Endpoint::NONE, |other| other.endpoint),
            state_grant: service.left.grant,
            state_len: service.left.len,
            table_grant,
            prepared: service.prepared,
            reserved: 0,
        })
    }

    /// A process says that it has begun, or that it cannot. Whether it is answered: whoever cannot is ended.
    pub(crate) fn init_done_by(&mut self, process: Endpoint, call: &InitDone) -> Result<bool, Errno> {
        let starts = |service: &Service| matches!(service.phase, Phase::Starting { .. });
        let place = self.services.named(process).ok_or(Errno::Perm)?;
        if !self.services.get(place).is_some_and(starts) {
            return Err(Errno::Perm);
        }
        if call.error != 0 {
            self.cannot_begin(place, errno_of(call.error));
            return Ok(false);
        }
        self.begun(place, Left { grant: call.state_grant, len: call.state_len });
        Ok(true)
    }

    /// Lets a service run that is starting. One that does not ask how to begin has begun then.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(crate) fn let_begin(&mut self, place: usize) -> Result<(), Errno> {
        let Some(&service) = self.services.get(place) else {
            return Err(Errno::Srch);
        };
        self.privctl().allow(Allow { process: service.now.endpoint })?;
        if self.policy.get(service.policy).is_some_and(|policy| !self.asks_root(policy)) {
            self.begun(place, Left::NOTHING);
        }
        Ok(())
    }

    fn begun(&mut self, place: usize, kept: Left) {
        let now = self.work.now;
        let Some(service) = self.services.get_mut(place) else {
            return;
        };
        service.phase = Phase::Active;
        let boots = core::mem::take(&mut service.is_booting);
        (service.kept, service.left, service.prepared) = (kept, Left::NOTHING, 0);
        service.watch_from(now);
        service.ready = None;
        let before = service.other.take();
        let restarts = service.restarts;
        if let Some(before) = before {
            self.end_or_log(before.endpoint);
        }
        self.changed(place);
        self.settled(place, Ok(()));
        if boots {
            self.boot_next();
        } else {
            let label = self.label(place);
            self.servers.log(format_args!("{label} is up{}", Times(restarts)));
        }
    }

    /// A service that was starting cannot begin, or has not in time.
    pub(crate) fn cannot_begin(&mut self, place: usize, errno: Errno) {
        let Some(service) = self.services.get(place) else {
            return;
        };
        let (label, process, is_booting) = (service.label, service.now.endpoint, service.is_booting);
        let Phase::Starting { how, .. } = service.phase else {
            return;
        };
        self.servers.log(format_args!("{label} cannot begin: {errno}"));
        self.freeze(process);
        match how {
            _ if is_booting => self.fatal = Some(Fatal::Lost(label, errno)),
            Init::LiveUpdate => self.roll_back(place, errno),
            Init::Fresh => {
                self.settled(place, Err(errno));
                self.remove(place);
            }
            Init::Restart => {
                if let Some(before) = self.services.get_mut(place).and_then(|service| service.other.take()) {
                    self.end_or_log(before.endpoint);
                }
                self.settled(place, Err(errno));
                self.crashed(place, Reason::Crash);
            }
        }
    }

    /// A process has a signal that ends it.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(crate) fn died(&mut self, process: Endpoint, signal: Signal) -> Result<(), Errno> {
        // With its privileges would go what is known of them.
        if !self.policy.is_empty() {
            self.tell_denials();
        }
        let Some(place) = self.services.named(process) else {
            let Some(place) = self.services.with_other(process) else {
                return self.end(process);
            };
            match self.services.get(place).map(|service| service.phase) {
                // The new version, before it was needed.
                Some(Phase::Preparing { .. }) => self.call_off(place, Errno::DeadSrcDst),
                // The one before, which waits for the other to begin: nothing is left to go back to.
                _ => self.lose_old_version(place),
            }
            return Ok(());
        };
        let Some(service) = self.services.get_mut(place) else {
            return Ok(());
        };
        service.signal = Some(signal);
        match service.phase {
            Phase::Ending { then, .. } => self.has_ended(place, then),
            Phase::Starting { .. } => self.cannot_begin(place, Errno::DeadSrcDst),
            Phase::Preparing { .. } => {
                self.call_off(place, Errno::DeadSrcDst);
                self.crashed(place, Reason::Crash);
            }
            Phase::Active => self.crashed(place, Reason::Crash),
            Phase::Waiting { .. } | Phase::Recovering { .. } | Phase::GivenUp => {}
        }
        Ok(())
    }

    /// A service is dead that should not be. Whoever waits for it is told, and its recovery script or its policy says what becomes of it.
    pub(crate) fn crashed(&mut self, place: usize, reason: Reason) {
        let Some(service) = self.services.get_mut(place) else {
            return;
        };
        service.reason = reason;
        service.failures = service.failures.saturating_add(1);
        let (label, process, signal) = (service.label, service.now.endpoint, service.signal.take());
        let policy = self.policy.get(service.policy);
        let signal = signal.map_or(0, Signal::number);
        if !service_ends_for_good(policy) {
            self.servers.log(format_args!("{label} has died, signal {signal}"));
        }
        // It may be gone by now.
        let _ = self.privctl().clear_ipc_refs(ClearRefs { process });
        if !self.ask_script(place) {
            self.restart_by_policy(place);
        }
    }

    /// Restarts a dead service now, later or not at all.
    pub(crate) fn restart_by_policy(&mut self, place: usize) {
        let Some(service) = self.services.get(place) else {
            return;
        };
        let Some(policy) = self.policy.get(service.policy) else {
            return self.give_up(place, Errno::NoEnt);
        };
        // Without the process manager nobody makes another one.
        let is_possible = !service.now.image.is_empty() && service.label != Name::PM;
        let may_restart = !service.has(ServiceFlags::NO_RESTART) && is_possible && !self.work.shuts_down;
        if !may_restart || service.is_spent(policy) {
            return self.give_up(place, Errno::DeadSrcDst);
        }
        match delay(service.failures, policy.backoff.into()) {
            0 => self.start_again(place),
            periods => self.set_phase(place, Phase::Waiting { periods }),
        }
    }

    /// Makes a new instance of a service that is dead, and lets it begin in the place of the old one.
    pub(crate) fn start_again(&mut self, place: usize) {
        let Some(&service) = self.services.get(place) else {
            return;
        };
        let made = self.make(place, service.now.program, service.now.image, PrivilegeFlags::RESTART);
        let made = made.and_then(|made| match self.replace(place, &made) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.end_or_log(made.instance.endpoint);
                Err(error)
            }
        });
        if let Err(error) = made {
            let label = service.label;
            self.servers.log(format_args!("{label} cannot be restarted yet: {error}"));
            // If it goes on for all that, it does no more.
            self.freeze(service.now.endpoint);
            self.settled(place, Err(error));
            self.set_phase(place, Phase::Waiting { periods: 1 });
        }
    }

    /// Puts a new instance in the place of a dead one, and lets it run. The dead one stays until the new one has begun.
    fn replace(&mut self, place: usize, made: &Made) -> Result<(), Errno> {
        let until = self.work.now + PERIODS_TO_BEGIN;
        let Some(service) = self.services.get(place) else {
            return Err(Errno::Srch);
        };
        let (old, is_new) = (service.now, service.has(ServiceFlags::REINCARNATE));
        if !is_new {
            let (source, destination) = (old.endpoint, made.instance.endpoint);
            match self.swap(source, destination, UpdateDirection::Forward) {
                // It died while it sent: that message is withdrawn, as if the dead one was a new version that has failed.
                Err(Errno::Busy) => self.swap(source, destination, UpdateDirection::Rollback)?,
                swapped => swapped?,
            }
            // Since they were told of its death, others may have sent to the dead instance again, which can have taken the message with it.
            let _ = self.privctl().clear_ipc_refs(ClearRefs { process: source });
        }
        let Some(service) = self.services.get_mut(place) else {
            return Err(Errno::Srch);
        };
        if is_new {
            (service.now, service.other) = (made.instance, Some(old));
            (service.id, service.pid) = (made.id, made.pid);
            service.left = Left::NOTHING;
        } else {
            service.other = Some(made.instance);
            service.left = service.kept;
        }
        service.kept = Left::NOTHING;
        service.restarts = service.restarts.saturating_add(1);
        service.phase = Phase::Starting { how: Init::Restart, until };
        if is_new {
            self.connect(place);
        }
        self.changed(place);
        // The new one is the service now, which begins or does not.
        if let Err(error) = self.let_begin(place) {
            self.cannot_begin(place, error);
        }
        Ok(())
    }

    /// Has two processes change places. What the program that had the name `source` waits for, the other one does not.
    pub(crate) fn swap(
        &mut self,
        source: Endpoint,
        destination: Endpoint,
        direction: UpdateDirection,
    ) -> Result<(), Errno> {
        let call = vm::Update { source, destination, flags: 0, direction };
        self.memory_server()?.update(call)?;
        for place in self.services.places() {
            let waiter = self.services.get_mut(place).map(|service| &mut service.waiter);
            if let Some(waiter) = waiter {
                _ = waiter.take_if(|waiter| waiter.caller().endpoint == source);
            }
        }
        Ok(())
    }

    /// Restarts a dead service no more.
    pub(crate) fn give_up(&mut self, place: usize, errno: Errno) {
        let Some(&service) = self.services.get(place) else {
            return;
        };
        let label = service.label;
        if service.has(ServiceFlags::CORE) && !self.work.shuts_down {
            self.fatal = Some(Fatal::Lost(label, errno));
            return;
        }
        if service.has(ServiceFlags::NO_RESTART) {
            return self.remove(place);
        }
        self.servers.log(format_args!("{label} is given up"));
        self.end_or_log(service.now.endpoint);
        self.forget(place);
        self.settled(place, Err(errno));
        self.set_phase(place, Phase::GivenUp);
    }

    /// Asks a service to end.
    pub(crate) fn ask_to_end(&mut self, place: usize, then: Then) {
        let until = self.work.now + PERIODS_TO_END;
        let Some(service) = self.services.get_mut(place) else {
            return;
        };
        service.phase = Phase::Ending { until, then };
        let to = service.now.endpoint;
        self.send_signal(to, SIGTERM);
    }

    /// Ends a service that has not ended by itself.
    pub(crate) fn force_to_end(&mut self, place: usize) {
        if let Some(service) = self.services.get(place) {
            let process = service.now.endpoint;
            // It may have died meanwhile.
            let _ = self.kernel().kill(Kill { process, signal: Signal::KILL.number() });
        }
    }

    fn has_ended(&mut self, place: usize, then: Then) {
        match then {
            Then::Gone => {
                self.settled(place, Ok(()));
                self.remove(place);
            }
            Then::Restart => {
                let process = self.services.get_mut(place).map(|service| {
                    service.reason = Reason::Request;
                    service.now.endpoint
                });
                if let Some(process) = process {
                    let _ = self.privctl().clear_ipc_refs(ClearRefs { process });
                    if self.ask_script(place) {
                        self.settled(place, Ok(()));
                    } else {
                        self.start_again(place);
                    }
                }
            }
        }
    }

    /// Forgets a service, with whatever processes it has.
    pub(crate) fn remove(&mut self, place: usize) {
        self.forget(place);
        let Some(service) = self.services.take(place) else {
            return;
        };
        if service.has_process() {
            self.end_or_log(service.now.endpoint);
        }
        if let Some(other) = service.other {
            self.end_or_log(other.endpoint);
        }
        self.servers.show(place, &ServiceEntry::FREE);
        self.script_ended(&service);
    }

    /// Signals for a service that do not end it are handed to it.
    pub(crate) fn pass_on(&mut self, process: Endpoint, signals: u64) {
        if self.services.named(process).is_none() {
            return;
        }
        for signal in (1..=Signal::LAST_USER).filter(|signal| signals >> signal & 1 != 0) {
            self.send_signal(process, signal);
        }
    }

    fn send_signal(&mut self, to: Endpoint, signal: u32) {
        let call = Signaled { signal, reserved: 0 };
        let mut message = protocol::encode(<Signaled as Call>::KIND, &call);
        message.peer = to;
        if let Err(error) = self.servers.tell(&message) {
            self.servers.log(format_args!("signal {signal} for {to} is lost: {error}"));
        }
    }

    /// Tells whoever waits how it has come out.
    pub(crate) fn settled(&mut self, place: usize, result: Result<(), Errno>) {
        let Some(service) = self.services.get_mut(place) else {
            return;
        };
        let endpoint = service.now.endpoint;
        match service.waiter.take() {
            None => {}
            Some(Waiter::Up(caller)) => self.answer_later(caller, result.map(|()| UpDone { endpoint })),
            Some(Waiter::Down(caller)) => self.answer_later(caller, result.map(|()| DownDone {})),
            Some(Waiter::Refresh(caller)) => self.answer_later(caller, result.map(|()| Refreshed { endpoint })),
            Some(Waiter::Restart(caller)) => self.answer_later(caller, result.map(|()| Restarted { endpoint })),
            Some(Waiter::Update(caller)) => self.answer_later(caller, result.map(|()| UpdateDone {})),
        }
    }

    pub(crate) fn set_phase(&mut self, place: usize, phase: Phase) {
        if let Some(service) = self.services.get_mut(place) {
            service.phase = phase;
        }
    }

    pub(crate) fn label(&self, place: usize) -> Name {
        self.services.get(place).map_or(Name([0; _]), |service| service.label)
    }

    pub(crate) fn end_or_log(&mut self, process: Endpoint) {
        if let Err(error) = self.end(process) {
            self.servers.log(format_args!("process {process} cannot be ended: {error}"));
        }
    }
}

/// Whether a service is not restarted in any case: whatever it has to say it says itself.
fn service_ends_for_good(policy: Option<&abi::policy::ServicePolicy>) -> bool {
    policy.is_some_and(|policy| policy.has(ServiceFlags::NO_RESTART))
}

/// The signal by which a service is asked to end.
const SIGTERM: u32 = 15;

/// An error as a service tells it.
pub(crate) fn errno_of(number: u32) -> Errno {
    u16::try_from(number).ok().and_then(Errno::from_number).unwrap_or(Errno::Proto)
}

/// How long a service that has failed so often in a row waits for its restart, at most `longest` periods.
fn delay(failures: u32, longest: u32) -> u32 {
    match failures {
        0 | 1 => 0,
        more => 1_u32.checked_shl(more - 1).unwrap_or(u32::MAX).min(longest.max(1)),
    }
}

/// How often a service was restarted, for the log.
struct Times(u32);

impl core::fmt::Display for Times {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, ", restarted {} times", self.0) }
    }
}
