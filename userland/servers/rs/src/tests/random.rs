//! Random requests, deaths, answers, silence, periods and failing calls. After each event everything must be in order (see
//! [`super::rules`]); and when nothing goes wrong any more for a while, every service must have come to rest.

use super::stage::{Beginning, Stage, TERM};
use super::world::{BOSS, Fault, LOAD, Plan, Shared, TELL, name_of};
use super::*;
use crate::service::{Phase, Service};
use abi::policy::ServiceFlags;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use protocol::ds::{Delete, Publish};
use protocol::kernel::{Kill, SchedCtl};
use protocol::pm::{PidOf, SrvExit, SrvFork};
use protocol::privctl::{ClearRefs, Disallow};
use protocol::rs::*;
use protocol::sef::{Prepare, Signaled, state};
use std::vec;
use std::vec::Vec;

/// What can be brought up, and under which names.
const PROGRAMS: [&str; 9] = ["ds", "hello", "hello-2", "limited", "phoenix", "beat", "mute", "once", "heart"];
const LABELS: [&str; 13] = [
    "hello", "hello-2", "limited", "phoenix", "beat", "mute", "once", "heart", "second", "third", "ds", "echo",
    "nobody",
];
/// Periods after which all that goes well has come to rest: the longest delay of a restart, and time to end, begin and so on.
const CALM: usize = 60;

#[derive(Clone, Copy, Debug)]
enum Request {
    Up(&'static str, &'static str),
    Down(&'static str),
    Refresh(&'static str),
    Restart(&'static str),
    Update(&'static str, &'static str, u32),
    Edit(&'static str, u32),
    Lookup(&'static str),
    Info(u64),
    Shutdown,
}

#[derive(Clone, Debug)]
enum Step {
    /// Somebody who may asks for something.
    Ask(Index, Request),
    /// Whoever is to begin does or does not, or only asks how.
    Begin(Index, u32, u64),
    AskHow(Index),
    /// Anybody says that it has begun, or is ready, whether that is so or not.
    SayBegun(Index),
    SayReady(Index, u32, u32),
    /// Whoever was told to prepare is ready, or refuses.
    Ready(Index, u32, u64),
    /// Whoever was told to ends.
    End(Index),
    /// Some die at the same moment.
    Die(Vec<Index>),
    /// A signal that ends nobody.
    Hup(Index),
    /// Somebody waits to send to somebody who takes nothing, or whoever does goes on.
    Send(Index),
    AllSent,
    /// Somebody notifies.
    Notify(Index),
    /// Whoever was pinged answers.
    Pong,
    Period,
    Fault(Kind, u32, u32, Errno),
}

/// The data store and nobody else has the name and the program of it: the world asks whoever has.
fn fitting((program, label): (&'static str, &'static str)) -> (&'static str, &'static str) {
    match (program, label) {
        ("ds", _) | (_, "ds") => ("ds", "ds"),
        pair => pair,
    }
}

fn request() -> impl Strategy<Value = Request> {
    let (label, program) = (|| select(&LABELS[..]), || select(&PROGRAMS[..]));
    prop_oneof![
        12 => (program(), label()).prop_map(|pair| {
            let (program, label) = fitting(pair);
            Request::Up(program, label)
        }),
        6 => program().prop_map(|program| Request::Up(program, program)),
        4 => label().prop_map(Request::Down),
        4 => label().prop_map(Request::Refresh),
        4 => label().prop_map(Request::Restart),
        9 => ((program(), label()), 0..5000_u32).prop_map(|(pair, patience)| {
            let (program, label) = fitting(pair);
            Request::Update(label, program, patience)
        }),
        2 => (label(), 0..4000_u32).prop_map(|(label, heartbeat)| Request::Edit(label, heartbeat)),
        1 => label().prop_map(Request::Lookup),
        1 => (0..70_u64).prop_map(Request::Info),
        1 => Just(Request::Shutdown),
    ]
}

fn fault() -> impl Strategy<Value = Step> {
    let kinds = [
        SrvFork::KIND,
        SrvExit::KIND,
        SetSys::KIND,
        SetCalls::KIND,
        SchedCtl::KIND,
        LOAD,
        Allow::KIND,
        protocol::vm::Update::KIND,
        Kill::KIND,
        Disallow::KIND,
        ClearRefs::KIND,
        UpdateSys::KIND,
        Publish::KIND,
        Delete::KIND,
        TELL,
        WillExit::KIND,
        Exit::KIND,
        Clear::KIND,
        PidOf::KIND,
    ];
    let errors = [Errno::NoMem, Errno::Inval, Errno::Busy, Errno::Perm, Errno::DeadSrcDst, Errno::Locked];
    (select(kinds.to_vec()), 0..4_u32, 1..4_u32, select(errors.to_vec()))
        .prop_map(|(kind, after, times, error)| Step::Fault(kind, after, times, error))
}

fn step() -> impl Strategy<Value = Step> {
    let error = || prop_oneof![4 => Just(0), 1 => Just(Errno::Io as u32), 1 => any::<u32>()];
    let who = any::<Index>;
    prop_oneof![
        10 => (who(), request()).prop_map(|(who, request)| Step::Ask(who, request)),
        12 => (who(), error(), 0..9_u64).prop_map(|(who, error, keeps)| Step::Begin(who, error, keeps)),
        1 => who().prop_map(Step::AskHow),
        1 => who().prop_map(Step::SayBegun),
        1 => (who(), 0..4_u32, error()).prop_map(|(who, state, error)| Step::SayReady(who, state, error)),
        6 => (who(), error(), 0..9_u64).prop_map(|(who, error, len)| Step::Ready(who, error, len)),
        3 => who().prop_map(Step::End),
        6 => proptest::collection::vec(who(), 1..3).prop_map(Step::Die),
        1 => who().prop_map(Step::Hup),
        1 => who().prop_map(Step::Notify),
        2 => who().prop_map(Step::Send),
        2 => Just(Step::AllSent),
        4 => Just(Step::Pong),
        8 => Just(Step::Period),
        2 => fault(),
    ]
}

/// The usual system, but that `hello` has control over some, itself too.
fn plan() -> Plan {
    let mut plan = Plan::village();
    let controlled = plan.set(&["hello", "hello-2", "limited", "phoenix", "echo", "ds"]);
    plan.entry("hello").control = controlled;
    plan
}

impl Stage<'_> {
    /// One of those that run, and wait for nothing, that fit.
    fn some(&self, which: Index, fits: impl Fn(&Self, Endpoint) -> bool) -> Option<Endpoint> {
        let all: Vec<_> = self.world().processes.keys().copied().filter(|at| *at != self.world().root).collect();
        let all: Vec<_> = all.into_iter().filter(|at| self.can_ask(*at) && fits(self, *at)).collect();
        (!all.is_empty()).then(|| *which.get(&all))
    }

    /// Whether the root system process asks it something: who is asked waits for nobody.
    fn is_asked(&self, process: Endpoint) -> bool {
        let name = self.world().processes[&process].program.name;
        ["vm", "pm", "ds"].iter().any(|server| name == Some(name_of(server)))
    }

    fn all_sent(&mut self) {
        self.world_mut().processes.values_mut().for_each(|it| it.program.sends = false);
    }

    fn starts(&self, process: Endpoint) -> bool {
        let service = self.root.services.named(process).and_then(|place| self.root.services.get(place));
        service.is_some_and(|service| matches!(service.phase, Phase::Starting { .. }))
    }

    fn is_told<C: Call>(&self, process: Endpoint) -> bool {
        self.world().processes[&process].told.iter().any(|message| message.kind == C::KIND)
    }

    fn make(&mut self, step: &Step) {
        match step {
            Step::Ask(who, request) => {
                let may = |stage: &Self, at| {
                    [BOSS, "hello", "second"]
                        .iter()
                        .any(|label| stage.known(label).is_some_and(|it| it.now.endpoint == at))
                };
                if let Some(from) = self.some(*who, may) {
                    self.request(from, request);
                }
            }
            Step::Begin(which, error, keeps) => {
                if let Some(process) = self.some(*which, Self::starts) {
                    self.begins_so(process, Beginning { error: *error, keeps: *keeps });
                }
            }
            Step::AskHow(who) => {
                if let Some(process) = self.some(*who, |_, _| true) {
                    let starts = self.starts(process);
                    let told = self.told(process, &GetInit {});
                    assert_eq!(told.is_ok(), starts);
                }
            }
            Step::SayBegun(who) => {
                if let Some(process) = self.some(*who, |stage, at| !stage.starts(at)) {
                    let call = InitDone { error: 0, reserved: 0, state_grant: GrantId::INVALID, state_len: 0 };
                    assert!(self.told(process, &call).is_err());
                }
            }
            Step::SayReady(who, state, error) => {
                if let Some(process) = self.some(*who, |stage, at| !stage.is_told::<Prepare>(at)) {
                    self.ask(
                        process,
                        &Ready { state: *state, error: *error, state_grant: GrantId::INVALID, state_len: 0 },
                    );
                }
            }
            Step::Ready(which, error, len) => {
                if let Some(process) = self.some(*which, Self::is_told::<Prepare>) {
                    self.prepares(process, *error, *len);
                }
            }
            Step::End(which) => {
                if let Some(process) = self.some(*which, Self::is_told::<Signaled>) {
                    self.takes_signal(process);
                }
            }
            Step::Die(which) => self.die(which),
            Step::Hup(who) => {
                if let Some(process) = self.some(*who, |_, _| true) {
                    self.world_mut().raise(process, Signal::from_user(1).expect("a signal")).expect("a process");
                    self.notified(Endpoint::SYSTEM);
                }
            }
            Step::Notify(who) => {
                if let Some(process) = self.some(*who, |_, _| true) {
                    self.notified(process);
                }
            }
            Step::Send(who) => {
                if let Some(process) = self.some(*who, |stage, at| !stage.is_asked(at)) {
                    self.world_mut().process(process).expect("a process").program.sends = true;
                }
            }
            Step::AllSent => self.all_sent(),
            Step::Pong => self.pongs(),
            Step::Period => self.period(),
            Step::Fault(what, after, times, error) => {
                let fault = Fault { what: *what, after: *after, times: *times, error: *error };
                self.world_mut().faults.push(fault);
            }
        }
    }

    fn request(&mut self, from: Endpoint, request: &Request) {
        let name = |text| name_of(text).0;
        match *request {
            Request::Up(program, label) => {
                _ = self
                    .ask(from, &Up { program: name(program), label: name(label), arguments: GrantId::INVALID, len: 0 })
            }
            Request::Down(label) => _ = self.ask(from, &Down { label: name(label) }),
            Request::Refresh(label) => _ = self.ask(from, &Refresh { label: name(label) }),
            Request::Restart(label) => _ = self.ask(from, &Restart { label: name(label) }),
            Request::Update(label, program, patience) => {
                let state = if patience % 7 == 0 { NO_STATE } else { state::WORK_FREE };
                let call = Update { label: name(label), program: name(program), state, patience };
                self.ask(from, &call);
            }
            Request::Edit(label, heartbeat) => _ = self.told(from, &Edit { label: name(label), heartbeat }),
            Request::Lookup(label) => _ = self.told(from, &Lookup { label: name(label) }),
            Request::Info(slot) => _ = self.told(from, &GetService { slot }),
            Request::Shutdown => _ = self.told(from, &Shutdown {}),
        }
    }

    fn prepares(&mut self, process: Endpoint, error: u32, state_len: u64) {
        let state = self.takes::<Prepare>(process).expect("it was told").state;
        if state != NO_STATE {
            self.ask(process, &Ready { state, error, state_grant: GrantId::from_raw(4), state_len });
        }
    }

    fn takes_signal(&mut self, process: Endpoint) {
        if self.takes::<Signaled>(process).expect("it was told").signal == TERM {
            self.ends(process);
        }
    }

    /// Some of all processes but the most important ones, which are hit only if both are meant.
    fn die(&mut self, which: &[Index]) {
        let all: Vec<_> = self.world().processes.keys().copied().filter(|at| *at != self.world().root).collect();
        for one in which {
            let process = *one.get(&all);
            if process.slot() > endpoint(2).slot() || which.len() == 2 && which[0].get(&all) == which[1].get(&all) {
                self.world_mut().raise(process, Signal::SEGV).expect("a process");
            }
        }
        self.notified(Endpoint::SYSTEM);
    }

    /// Everybody does what is asked of it.
    fn all_do_well(&mut self) {
        while self.fatal.is_none() {
            if let Some(process) = self.next_to_begin() {
                self.begins(process);
            } else if let Some(process) = self.first(Self::is_told::<Prepare>) {
                self.prepares(process, 0, 8);
            } else if let Some(process) = self.first(Self::is_told::<Signaled>) {
                self.takes_signal(process);
            } else {
                return self.pongs();
            }
        }
    }

    fn first(&self, fits: impl Fn(&Self, Endpoint) -> bool) -> Option<Endpoint> {
        let all: Vec<_> = self.world().processes.keys().copied().collect();
        all.into_iter().find(|at| self.can_ask(*at) && fits(self, *at))
    }

    /// Nothing goes wrong any more: every service comes to rest.
    fn calm_down(&mut self) {
        self.world_mut().faults.clear();
        self.all_sent();
        for _ in 0..CALM {
            self.all_do_well();
            if self.fatal.is_some() {
                return;
            }
            self.period();
        }
        self.all_do_well();
        self.all_is_well();
    }

    fn all_is_well(&self) {
        if self.root.work.shuts_down {
            let is_dead = |service: &Service| service.phase == Phase::GivenUp;
            assert!(self.root.services.iter().all(is_dead), "{:?}", self.world().log);
            return;
        }
        let nobody_is_told = self.root.services.active(Name::DS).is_none();
        assert!(self.root.work.is_up && (nobody_is_told || !self.root.has_news()), "{:?}", self.world().log);
        for service in self.root.services.iter() {
            let limit = u32::from(self.root.policy.get(service.policy).expect("a policy").restarts);
            let may_be_given_up = limit > 0 && service.restarts >= limit || service.now.image.is_empty();
            match service.phase {
                Phase::Active => assert!(service.waiter.is_none()),
                Phase::GivenUp => assert!(may_be_given_up, "{}: {:?}", service.label, self.world().log),
                other => panic!("{} is {other:?}: {:?}", service.label, self.world().log),
            }
        }
    }

    /// The system ends only if one dies without which it cannot go on, or the kernel does not do what it must.
    fn ends_for_a_reason(&self) {
        match self.fatal {
            Some(Fatal::Lost(label, _)) => {
                let place = self.root.policy.find(label);
                let entry = place.and_then(|place| self.root.policy.get(place));
                // A label can be another one than the program's name.
                let is_core = entry.is_some_and(|entry| entry.has(ServiceFlags::CORE));
                let known = self.known(label.text()).is_some_and(|service| service.has(ServiceFlags::CORE));
                assert!(is_core || known || !self.root.work.is_up, "{label}: {:?}", self.world().log);
            }
            Some(Fatal::Denied(error)) => {
                assert!(self.world().failed.contains(&Clear::KIND), "{error}: {:?}", self.world().log);
            }
            None => {}
        }
    }
}

/// Boots, during which things may go wrong already, and goes on.
fn run(steps: &[Step], early: usize) {
    let shared = Shared::new(plan());
    let mut stage = Stage::new(&shared);
    stage.boot().expect("a boot");
    let (first, rest) = steps.split_at(early.min(steps.len()));
    for step in first {
        if stage.fatal.is_none() {
            stage.make(step);
        }
    }
    if stage.fatal.is_none() {
        stage.all_do_well();
    }
    for step in rest {
        if stage.fatal.is_none() {
            stage.make(step);
        }
    }
    if stage.fatal.is_none() {
        stage.calm_down();
    }
    stage.ends_for_a_reason();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("SELIX_SOAK").is_some() { 40_000 } else { 400 },
        rng_seed: RngSeed::Fixed(6),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_everything_stays_in_order(
        steps in proptest::collection::vec(step(), 1..150),
        early in prop_oneof![3 => Just(0_usize), 1 => 0..20_usize],
    ) {
        run(&steps, early);
    }
}
