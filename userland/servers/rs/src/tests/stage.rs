//! The root system process in its world, and services that do what a test says.

use super::world::{BOSS, Plan, Shared, World, name_of};
use super::*;
use crate::service::{Phase, Service};
use protocol::rs::*;
use std::cell::{Ref, RefMut};
use std::string::ToString;
use std::vec::Vec;

/// The signal by which a service is asked to end.
pub(crate) const TERM: u32 = 15;

pub(crate) struct Stage<'w> {
    pub(crate) root: Root<&'w Shared, &'w Shared>,
    shared: &'w Shared,
    last_tag: u16,
    /// Why the system has ended.
    pub(crate) fatal: Option<Fatal>,
}

/// How a service begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub(crate) error: u32,
    /// Bytes that it leaves for an instance after a crash.
    pub(crate) keeps: u64,
}

impl Beginning {
    pub(crate) const WELL: Self = Self { error: 0, keeps: 0 };
    pub(crate) const FAILS: Self = Self { error: Errno::Io as u32, keeps: 0 };
}

impl<'w> Stage<'w> {
    pub(crate) fn new(shared: &'w Shared) -> Self {
        Self { root: Root::new(shared, shared), shared, last_tag: 0, fatal: None }
    }

    /// One that has booted: all services have begun.
    pub(crate) fn booted(shared: &'w Shared) -> Self {
        let mut stage = Self::new(shared);
        stage.boot().expect("a boot");
        stage.all_begin();
        assert!(stage.root.work.is_up, "{:?}", stage.world().log);
        stage
    }

    pub(crate) fn boot(&mut self) -> Result<(), BootFailure> {
        self.root.boot()?;
        self.after();
        Ok(())
    }

    /// Whoever is to begin does, until nobody is.
    pub(crate) fn all_begin(&mut self) {
        while let Some(endpoint) = self.next_to_begin() {
            self.begins(endpoint);
        }
    }

    /// A process that may run and has not begun.
    pub(crate) fn next_to_begin(&self) -> Option<Endpoint> {
        let starts = |service: &&Service| matches!(service.phase, Phase::Starting { .. });
        let all = self.root.services.iter().filter(starts).map(|service| service.now.endpoint);
        all.into_iter().find(|endpoint| self.can_ask(*endpoint))
    }

    /// Whether a process runs and waits for nobody.
    pub(crate) fn can_ask(&self, endpoint: Endpoint) -> bool {
        self.world()
            .processes
            .get(&endpoint)
            .is_some_and(|it| it.program.runs() && it.program.asks.is_none() && !it.program.sends)
    }

    pub(crate) fn world(&self) -> Ref<'_, World> {
        self.shared.0.borrow()
    }

    pub(crate) fn world_mut(&self) -> RefMut<'_, World> {
        self.shared.0.borrow_mut()
    }

    /// What the root system process knows of a service.
    pub(crate) fn known(&self, label: &str) -> Option<Service> {
        let place = self.root.services.labeled(name_of(label))?;
        self.root.services.get(place).copied()
    }

    pub(crate) fn service(&self, label: &str) -> Service {
        self.known(label).unwrap_or_else(|| panic!("no service {label}: {:?}", self.world().log))
    }

    pub(crate) fn phase(&self, label: &str) -> Phase {
        self.service(label).phase
    }

    /// The endpoint of a service.
    pub(crate) fn at(&self, label: &str) -> Endpoint {
        self.service(label).now.endpoint
    }

    pub(crate) fn is_logged(&self, text: &str) -> bool {
        self.world().log.iter().any(|line| line.contains(text))
    }

    /// A process asks the root system process something; returns the tag of the request.
    pub(crate) fn ask<C: Call>(&mut self, from: Endpoint, call: &C) -> u16 {
        assert!(self.can_ask(from), "{from} cannot ask for {}", C::NAME);
        self.last_tag += 1;
        let tag = self.last_tag;
        self.world_mut().processes.get_mut(&from).expect("a process").program.asks = Some(tag);
        let mut message = Message { peer: from, tag, ..protocol::encode(C::KIND, call) };
        if self.root.answer(&mut message) {
            let mut servers = self.shared;
            Servers::answer(&mut servers, &message);
        }
        self.after();
        tag
    }

    /// The answer to a request, if it has come.
    pub(crate) fn answer_to<C: Call>(&self, tag: u16) -> Option<Result<C::Reply, Errno>> {
        let answer = *self.world().answers.get(&tag)?;
        Some(match answer.kind.status().expect("an answer") {
            Ok(()) => Ok(protocol::decode::<C::Reply>(&answer).expect("a reply")),
            Err(errno) => Err(errno),
        })
    }

    /// Asks something that is answered at once.
    pub(crate) fn told<C: Call>(&mut self, from: Endpoint, call: &C) -> Result<C::Reply, Errno> {
        let tag = self.ask(from, call);
        self.answer_to::<C>(tag).unwrap_or_else(|| panic!("{} is not answered", C::NAME))
    }

    /// The same for who has all control.
    pub(crate) fn boss<C: Call>(&mut self, call: &C) -> Result<C::Reply, Errno> {
        let boss = self.at(BOSS);
        self.told(boss, call)
    }

    pub(crate) fn boss_asks<C: Call>(&mut self, call: &C) -> u16 {
        let boss = self.at(BOSS);
        self.ask(boss, call)
    }

    pub(crate) fn begins(&mut self, process: Endpoint) -> u16 {
        self.begins_so(process, Beginning::WELL)
    }

    /// A process asks how to begin, and tells how it went. Returns the tag of that.
    pub(crate) fn begins_so(&mut self, process: Endpoint, Beginning { error, keeps }: Beginning) -> u16 {
        let info = self.told(process, &GetInit {}).expect("it is starting");
        assert_eq!(info.endpoint, process);
        self.takes_over(process, &info);
        let is_store = self.is_store(process);
        let state_len = if is_store { 8 } else { keeps };
        self.ask(process, &InitDone { error, reserved: 0, state_grant: GrantId::from_raw(9), state_len })
    }

    fn is_store(&self, process: Endpoint) -> bool {
        self.world().processes[&process].program.name == Some(name_of("ds"))
    }

    /// A data store that finds nothing of the one before it begins with what everybody may read.
    fn takes_over(&mut self, process: Endpoint, info: &InitInfo) {
        if self.is_store(process) && info.state_len == 0 {
            let mut world = self.world_mut();
            let shown = world.shown.values().filter(|entry| entry.endpoint != Endpoint::NONE);
            world.labels = shown.map(|entry| (Name(entry.label).text().to_string(), entry.endpoint)).collect();
        }
    }

    /// A service is brought up, and begins.
    pub(crate) fn up(&mut self, label: &str) -> Endpoint {
        self.up_as(label, label)
    }

    pub(crate) fn up_as(&mut self, program: &str, label: &str) -> Endpoint {
        let tag = self.boss_asks(&Up {
            program: name_of(program).0,
            label: name_of(label).0,
            arguments: GrantId::INVALID,
            len: 0,
        });
        let starts = self.known(label).map(|service| (service.phase, service.now.endpoint));
        if let Some((Phase::Starting { .. }, process)) = starts {
            self.begins(process);
        }
        self.answer_to::<Up>(tag).expect("an answer").expect("it is up").endpoint
    }

    /// A process has a signal that ends it.
    pub(crate) fn dies(&mut self, process: Endpoint) {
        self.world_mut().raise(process, Signal::SEGV).expect("a process");
        self.after();
    }

    /// A service ends by itself.
    pub(crate) fn ends(&mut self, process: Endpoint) {
        self.world_mut().raise(process, Signal::ABRT).expect("a process");
        self.after();
    }

    /// A period passes.
    pub(crate) fn period(&mut self) {
        assert!(core::mem::take(&mut self.world_mut().is_armed), "nobody waits for the next period");
        self.notified(Endpoint::CLOCK);
    }

    pub(crate) fn periods(&mut self, count: usize) {
        (0..count).for_each(|_| self.period());
    }

    /// A process answers a ping, or notifies without one.
    pub(crate) fn notified(&mut self, from: Endpoint) {
        let told = self.root.notified(&Message::new(from, Kind::NOTIFY));
        self.fatal = self.fatal.or(told.err());
        self.after();
    }

    /// Everybody who was pinged answers.
    pub(crate) fn pongs(&mut self) {
        let pinged: Vec<_> = self.world().processes.iter().filter(|(_, it)| it.is_pinged).map(|(at, _)| *at).collect();
        for process in pinged {
            if self.can_ask(process) {
                self.world_mut().process(process).expect("a process").is_pinged = false;
                self.notified(process);
            }
        }
    }

    /// Signals are told before anything else happens; then all must be in order.
    fn after(&mut self) {
        self.fatal = self.fatal.or(self.root.fatal().err());
        if self.fatal.is_some() {
            return;
        }
        if self.world().first_signaled().is_some() {
            return self.notified(Endpoint::SYSTEM);
        }
        super::rules::check(&self.root, &self.world());
    }

    /// What the root system process has told a process and it has not received yet.
    pub(crate) fn takes<C: Call>(&mut self, process: Endpoint) -> Option<C> {
        let mut world = self.world_mut();
        let told = &mut world.process(process).ok()?.told;
        let at = told.iter().position(|message| message.kind == C::KIND)?;
        Some(protocol::decode(&told.remove(at)).expect("a call"))
    }
}

/// A label in a request.
pub(crate) fn label(text: &str) -> [u8; abi::boot::NAME_LEN] {
    name_of(text).0
}

/// Plays on the usual stage, which has booted.
pub(crate) fn play(act: impl FnOnce(&mut Stage<'_>)) {
    play_in(Plan::village(), act);
}

/// The same where something is different.
pub(crate) fn play_in(plan: Plan, act: impl FnOnce(&mut Stage<'_>)) {
    let shared = Shared::new(plan);
    act(&mut Stage::booted(&shared));
}
