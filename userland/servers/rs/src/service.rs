//! What the root system process knows of a service.

use abi::boot::{BootEntry, NAME_LEN};
use abi::grant::GrantId;
use abi::policy::{ServiceFlags, ServicePolicy};
use abi::{Endpoint, PrivilegeId, Signal};
use core::fmt;
use protocol::Caller;
use protocol::rs::{Init, Reason, State};
use protocol::sef::{ServiceEntry, TABLE_LEN};

/// Most services at once: each has privileges of its own.
pub const SERVICES: usize = TABLE_LEN;
/// So many periods a service has to begin.
pub(crate) const PERIODS_TO_BEGIN: u64 = 10;
/// So many periods it has to end when it is asked to; then it is ended.
pub const PERIODS_TO_END: u64 = 2;
/// So many periods it has to get ready for an update, if nothing else is said.
pub(crate) const PERIODS_TO_PREPARE: u64 = 2;

/// So many periods a recovery script has to say what becomes of a service.
pub(crate) const PERIODS_TO_DECIDE: u64 = 30;

/// The name of a service or a program, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name(pub [u8; NAME_LEN]);

impl Name {
    /// The process manager.
    pub(crate) const PM: Self = Self::of(b"pm");
    /// The data store.
    pub(crate) const DS: Self = Self::of(b"ds");

    const fn of(text: &[u8]) -> Self {
        let mut name = [0; NAME_LEN];
        let mut i = 0;
        while i < text.len() {
            name[i] = text[i];
            i += 1;
        }
        Self(name)
    }

    /// A name as it came in a message; `None` if it is none.
    pub(crate) fn read(bytes: &[u8; NAME_LEN]) -> Option<Self> {
        BootEntry::decode_name(bytes).map(|_| Self(*bytes))
    }

    /// Its text.
    pub(crate) fn text(&self) -> &str {
        BootEntry::decode_name(&self.0).unwrap_or("?")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A process that a service was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance {
    pub(crate) endpoint: Endpoint,
    pub(crate) program: Name,
    /// Its program's file; empty if that was not kept.
    pub(crate) image: &'static [u8],
}

/// State that one instance leaves to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) grant: GrantId,
    pub(crate) len: u64,
}

impl Left {
    pub(crate) const NOTHING: Self = Self { grant: GrantId::INVALID, len: 0 };
}

/// What a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It was made, and is to begin before a deadline, in periods since boot. At boot it may wait for others first.
    Starting { how: Init, until: u64 },
    /// It serves.
    Active,
    /// It gets ready to be replaced in a state.
    Preparing { state: u32, until: u64 },
    /// It was asked to end, and after the deadline it is ended.
    Ending { until: u64, then: Then },
    /// It is dead, and restarted after so many periods.
    Waiting { periods: u32 },
    /// It is dead, and its recovery script, which has this endpoint, says what becomes of it before a deadline.
    Recovering { script: Endpoint, until: u64 },
    /// It is dead, and only restarted when somebody asks for it.
    GivenUp,
}

/// What follows when a service has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Gone,
    /// It starts again.
    Restart,
}

/// A service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) label: Name,
    /// Place of its policy.
    pub(crate) policy: usize,
    pub(crate) flags: ServiceFlags,
    /// The id of its privileges, which stays with its endpoint.
    pub(crate) id: PrivilegeId,
    pub(crate) pid: u32,
    /// The one that has its endpoint.
    pub(crate) now: Instance,
    /// The one that it replaces, until it has begun; or that is to replace it.
    pub(crate) other: Option<Instance>,
    pub(crate) phase: Phase,
    /// What the one before it has left.
    pub(crate) left: Left,
    /// What it leaves for the case that it crashes.
    pub(crate) kept: Left,
    /// The state that the old version was replaced in.
    pub(crate) prepared: u32,
    /// The old version in an update: it waits to hear that it was called off.
    pub(crate) ready: Option<Caller>,
    /// Who waits for the end of what is under way.
    pub(crate) waiter: Option<Waiter>,
    pub(crate) restarts: u32,
    /// How often it has died since it was well for a period.
    pub(crate) failures: u32,
    pub(crate) reason: Reason,
    /// The signal it died of.
    pub(crate) signal: Option<Signal>,
    /// In periods; 0 if it is not pinged.
    pub(crate) heartbeat: u64,
    /// When it was pinged last, in periods since boot.
    pub(crate) pinged: u64,
    /// When it gave its last sign of life.
    pub(crate) alive: u64,
    /// It is of the boot table, and has not begun.
    pub(crate) is_booting: bool,
    /// What others know of it is not what they should know.
    pub(crate) is_unpublished: bool,
}

/// Somebody who waits for an answer, and what it tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// For [`protocol::rs::Up`].
    Up(Caller),
    /// For [`protocol::rs::Down`].
    Down(Caller),
    /// For [`protocol::rs::Refresh`].
    Refresh(Caller),
    /// For [`protocol::rs::Restart`].
    Restart(Caller),
    /// For [`protocol::rs::Update`].
    Update(Caller),
}

impl Waiter {
    /// Who waits.
    pub(crate) fn caller(&self) -> Caller {
        match *self {
            Self::Up(caller)
            | Self::Down(caller)
            | Self::Refresh(caller)
            | Self::Restart(caller)
            | Self::Update(caller) => caller,
        }
    }
}

impl Service {
    /// What others are told that it is doing.
    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Starting { how: Init::LiveUpdate, .. } | Phase::Preparing { .. } => State::Updating,
            Phase::Starting { .. } => State::Starting,
            Phase::Active => State::Active,
            Phase::Ending { .. } => State::Ending,
            Phase::Waiting { .. } => State::Waiting,
            Phase::GivenUp => State::GivenUp,
            Phase::Recovering { .. } => State::Recovering,
        }
    }

    /// What it was silent before does not count.
    pub(crate) fn watch_from(&mut self, now: u64) {
        (self.alive, self.pinged) = (now, now);
    }

    /// Whether it cannot be asked to do anything else.
    pub(crate) fn is_busy(&self) -> bool {
        !(self.is_dead() || self.phase == Phase::Active) || self.waiter.is_some()
    }

    /// Whether no process is behind it that does anything.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. } | Phase::Recovering { .. } | Phase::GivenUp)
    }

    /// Whether it was restarted as often as its policy allows.
    pub(crate) fn is_spent(&self, policy: &ServicePolicy) -> bool {
        policy.restarts > 0 && self.restarts >= policy.restarts.into()
    }

    /// Whether it has a process, with its privileges, that is dead or alive.
    pub(crate) fn has_process(&self) -> bool {
        self.phase != Phase::GivenUp
    }

    pub(crate) fn has(&self, flag: ServiceFlags) -> bool {
        self.flags.contains(flag)
    }

    /// As everybody may see it.
    pub(crate) fn entry(&self) -> ServiceEntry {
        let Self { label, now, flags, .. } = self;
        ServiceEntry { label: label.0, program: now.program.0, endpoint: now.endpoint, flags: flags.bits() }
    }
}

/// All services, each in a place of its own.
#[derive(Debug)]
pub(crate) struct Table([Option<Service>; SERVICES]);

impl Table {
    pub(crate) const EMPTY: Self = Self([const { None }; SERVICES]);

    /// A free place.
    pub(crate) fn free(&self) -> Option<usize> {
        self.0.iter().position(Option::is_none)
    }

    pub(crate) fn put(&mut self, place: usize, service: Service) {
        if let Some(entry) = self.0.get_mut(place) {
            *entry = Some(service);
        }
    }

    pub(crate) fn take(&mut self, place: usize) -> Option<Service> {
        self.0.get_mut(place)?.take()
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Service> {
        self.0.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Service> {
        self.0.get_mut(place)?.as_mut()
    }

    /// The places that are taken.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let taken = self.0.each_ref().map(Option::is_some);
        (0..SERVICES).filter(move |place| taken[*place])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.0.iter().flatten()
    }

    pub(crate) fn labeled(&self, label: Name) -> Option<usize> {
        self.0.iter().position(|entry| entry.as_ref().is_some_and(|service| service.label == label))
    }

    /// The service that has an endpoint.
    pub(crate) fn named(&self, endpoint: Endpoint) -> Option<usize> {
        self.0.iter().position(|entry| entry.as_ref().is_some_and(|service| service.now.endpoint == endpoint))
    }

    /// The service whose other instance has an endpoint.
    pub(crate) fn with_other(&self, endpoint: Endpoint) -> Option<usize> {
        let is_it = |service: &Service| service.other.is_some_and(|other| other.endpoint == endpoint);
        self.0.iter().position(|entry| entry.as_ref().is_some_and(is_it))
    }

    /// The endpoint of a service that can be asked something.
    pub(crate) fn active(&self, label: Name) -> Option<Endpoint> {
        let service = self.get(self.labeled(label)?)?;
        matches!(service.phase, Phase::Active | Phase::Preparing { .. }).then_some(service.now.endpoint)
    }
}

/// What is under way beside the services themselves.
#[derive(Debug)]
pub(crate) struct Work {
    /// Periods since boot.
    pub(crate) now: u64,
    /// The place of the service that boots next.
    pub(crate) booting: usize,
    /// So many services boot, in the first places; whatever is started meanwhile comes behind them.
    pub(crate) boots: usize,
    /// The system has booted.
    pub(crate) is_up: bool,
    /// Whatever dies stays dead.
    pub(crate) shuts_down: bool,
    /// The process manager is to be asked for the pids of boot services.
    pub(crate) lacks_ids: bool,
    /// Labels that the data store has to forget.
    pub(crate) forgotten: [Option<Name>; SERVICES],
}

impl Work {
    pub(crate) const NONE: Self = Self {
        now: 0,
        booting: 0,
        boots: 0,
        is_up: false,
        shuts_down: false,
        lacks_ids: false,
        forgotten: [None; SERVICES],
    };
}
