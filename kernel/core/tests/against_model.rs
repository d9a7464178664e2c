//! The kernel against the model: both are driven with the same random steps, and after each of them every process must see
//! the same in both.

use crate::model::{From, KERNEL_CALLS, Model, State};
use crate::support::*;
use abi::boot::{BootEntry, MAX_PROGRAMS};
use abi::{BODY_WORDS, Endpoint, Errno, Trap, TrapMask};
use kernel_core::{Action, Rts};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Steps of a sequence: this many on average.
const STEPS: usize = 500;

#[derive(Clone, Debug)]
enum Step {
    /// Whoever runs traps, with these names in the lower halves of rdi and rdx. If nobody runs, a program is started that
    /// may do everything.
    Trap { call: Regs, to: Name, from: Name },
    /// Whoever runs does something bad.
    Stop,
    /// A timer tick comes.
    Tick,
    /// One more program is started.
    Add(Rights),
}

/// An endpoint in a register.
#[derive(Clone, Debug)]
enum Name {
    /// One of those who live.
    Live(Index),
    /// One of those who wait for the caller; if nobody does, of those who live.
    Waiting(Index),
    /// Whatever it may be.
    Raw(u32),
}

impl Name {
    /// The name in the mouth of `me`.
    fn resolve(&self, model: &Model, me: usize) -> u64 {
        let all = 1..model.processes.len(); // Not the root.
        let mut candidates: Vec<_> = all.clone().filter(|&i| model.processes[i].state != State::Dead).collect();
        let index = match self {
            Self::Raw(raw) => return u64::from(*raw),
            Self::Live(index) => index,
            Self::Waiting(index) => {
                let waiting: Vec<_> = all.filter(|&i| model.waits_for(i) == Some(me)).collect();
                if !waiting.is_empty() {
                    candidates = waiting;
                }
                index
            }
        };
        *index.get(&candidates) as u64
    }
}

/// What a program may do, and how urgent it is.
#[derive(Clone, Debug)]
struct Rights {
    traps: TrapMask,
    sends: u64,
    calls: u64,
    priority: u8,
}

impl Rights {
    const ALL: Self = Self { traps: TrapMask::all(), sends: u64::MAX, calls: u64::MAX, priority: PRIORITY };

    fn entry(&self, place: usize) -> BootEntry {
        let Self { traps, sends, calls, priority } = *self;
        // Not to the root, which the model does not know of but by name.
        BootEntry { traps: traps.bits(), sends: sends & !1, calls, priority, ..program(&format!("p{place}")) }
    }
}

fn name() -> impl Strategy<Value = Name> {
    let special = [
        Endpoint::ANY,
        Endpoint::NONE,
        Endpoint::SELF,
        Endpoint::HARDWARE,
        Endpoint::SYSTEM,
        Endpoint::CLOCK,
        Endpoint::ASYNCM,
    ];
    let old = (0_u32..8, 1..=Endpoint::LAST_GENERATION + 2).prop_map(|(slot, generation)| generation << 15 | slot);
    let beyond = (0_u32..8, 0_u32..32).prop_map(|(slot, above)| above << 10 | slot);
    prop_oneof![
        30 => any::<Index>().prop_map(Name::Live),
        20 => any::<Index>().prop_map(Name::Waiting),
        8 => Just(Name::Raw(Endpoint::ANY.raw())),
        3 => (0..MAX_PROGRAMS as u32 + 2).prop_map(Name::Raw),
        3 => prop::sample::select(special.to_vec()).prop_map(|endpoint| Name::Raw(endpoint.raw())),
        1 => old.prop_map(Name::Raw),
        1 => beyond.prop_map(Name::Raw),
        1 => any::<u32>().prop_map(Name::Raw),
    ]
}

/// Kind and tag: mostly those of kernel calls, which mean nothing to the other traps.
fn header() -> impl Strategy<Value = u64> {
    let known =
        (prop::sample::select(KERNEL_CALLS.to_vec()), any::<u16>()).prop_map(|(kind, tag)| kind | u64::from(tag) << 16);
    let near = (0x5ff_u64..0x642, any::<u32>()).prop_map(|(kind, above)| kind | u64::from(above) << 16);
    // The model does not know the other calls yet.
    let in_model = |header: &u64| {
        KERNEL_CALLS.contains(&(header & 0xffff)) || protocol::kernel::right(abi::Kind(*header as u16)).is_none()
    };
    prop_oneof![8 => known, 1 => near, 2 => any::<u64>()].prop_filter("a call that the model knows", in_model)
}

fn word() -> impl Strategy<Value = u64> {
    let small = 0_u64..6;
    let address = MEMORY_START - 2..MEMORY_START + MEMORY as u64 + 2;
    prop_oneof![2 => small, 2 => address, 1 => 0_u64..2 * MEMORY as u64, 1 => any::<u64>()]
}

fn trap() -> impl Strategy<Value = Step> {
    let traps = prop_oneof![
        6 => Just(Trap::Send.rax()),
        4 => Just(Trap::Receive.rax()),
        6 => Just(Trap::SendRec.rax()),
        4 => Just(Trap::Notify.rax()),
        4 => Just(Trap::SendNb.rax()),
        5 => Just(Trap::ReplyReceive.rax()),
        4 => Just(Trap::KernelCall.rax()),
        1 => (0_u64..64).prop_map(|n| u64::from(abi::TRAP_BASE) + n),
        1 => any::<u64>(),
    ];
    let traps = traps.prop_filter("a trap that the model knows", |rax| *rax != Trap::SendA.rax());
    let upper_half = || prop_oneof![Just(0), any::<u32>()].prop_map(|half| u64::from(half) << 32);
    let body = (word(), word(), any::<[u64; BODY_WORDS - 2]>());
    let call = (traps, upper_half(), header(), upper_half(), body);
    let call = call.prop_map(|(rax, rdi, rsi, rdx, (first, second, rest))| {
        let mut body = [first, second, 0, 0, 0, 0, 0];
        body[2..].copy_from_slice(&rest);
        Regs { rax, rdi, rsi, rdx, body, ..Regs::default() }
    });
    (call, name(), name()).prop_map(|(call, to, from)| Step::Trap { call, to, from })
}

/// A mask that allows everything, or leaves out a few things, or is anything.
fn mask() -> impl Strategy<Value = u64> {
    let most = (0_u32..8, 0_u32..64).prop_map(|(a, b)| !(1 << a | 1 << b));
    prop_oneof![4 => Just(u64::MAX), 2 => most, 1 => any::<u64>()]
}

fn rights() -> impl Strategy<Value = Rights> {
    let priority = prop_oneof![6 => Just(7_u8), 4 => 6_u8..9, 1 => 1_u8..16];
    (mask(), mask(), mask(), priority).prop_map(|(traps, sends, calls, priority)| Rights {
        traps: TrapMask::from_bits_truncate(traps as u32),
        sends,
        calls,
        priority,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => trap(),
        1 => Just(Step::Stop),
        12 => Just(Step::Tick),
        3 => rights().prop_map(Step::Add),
    ]
}

/// Both, side by side.
struct Pair<'t> {
    world: World<'t>,
    model: Model,
    tally: &'t RefCell<Tally>,
}

impl Pair<'_> {
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Trap { call, to, from } => match self.model.running {
                Some(me) => {
                    let rdi = call.rdi | to.resolve(&self.model, me);
                    let rdx = call.rdx | from.resolve(&self.model, me);
                    self.trap(me, Regs { rdi, rdx, ..*call })?;
                }
                None => self.add(&Rights::ALL.entry(self.model.processes.len()))?,
            },
            Step::Stop => {
                self.world.stop();
                self.model.stop();
            }
            Step::Tick => {
                self.model.tick();
                self.world.tick(1);
            }
            Step::Add(rights) => self.add(&rights.entry(self.model.processes.len()))?,
        }
        self.model.schedule();
        Ok(())
    }

    fn trap(&mut self, me: usize, call: Regs) -> Result<(), TestCaseError> {
        let action = self.world.act(call);
        self.model.trap(call);
        let aborted = match action {
            Action::Resume => None,
            Action::Abort { how, status } => Some((how as u32, status)),
            Action::Panic(slot) => panic!("nobody manages {slot:?}"),
        };
        prop_assert_eq!(aborted, self.model.aborted);
        self.tally.borrow_mut().count(&call, me, &self.model);
        Ok(())
    }

    fn add(&mut self, entry: &BootEntry) -> Result<(), TestCaseError> {
        let place = self.model.processes.len();
        let added = self.world.add(entry);
        prop_assert_eq!(added.map(|slot| slot.index()), (place < MAX_PROGRAMS).then_some(place));
        if added.is_some() {
            self.model.add(entry);
        }
        self.world.schedule();
        Ok(())
    }

    /// Every process sees the same in both.
    fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.world.running().map(Endpoint::slot), self.model.running);
        prop_assert_eq!(self.world.machine.seen(), self.model.machine.seen());
        for (slot, expected) in self.model.processes.iter().enumerate().skip(1) {
            let found = self.world.process(Endpoint::from_raw(slot as u32));
            // The model does not care which path delivers.
            prop_assert_eq!(found.rts() - Rts::SPECIAL, flags(expected.state), "state of {}", slot);
            let seen = match expected.state {
                State::Dead => continue,
                State::Ready => found.frame,
                // Nobody has a result while it waits.
                _ => Regs { rax: expected.regs.rax, ..found.frame },
            };
            prop_assert_eq!(seen, expected.regs, "registers of {}", slot);
        }
        Ok(())
    }
}

fn flags(state: State) -> Rts {
    match state {
        State::Ready => Rts::empty(),
        State::Sending { then_receives: false, .. } => Rts::SENDING,
        State::Sending { then_receives: true, .. } => Rts::SENDING | Rts::RECEIVING | Rts::REPLY,
        State::Receiving { in_sendrec: false, .. } => Rts::RECEIVING,
        State::Receiving { in_sendrec: true, .. } => Rts::RECEIVING | Rts::REPLY,
        State::Dead => Rts::FREE,
    }
}

/// How often each trap came to each end. A run that never gets to some of them would prove little.
#[derive(Debug, Default)]
struct Tally(BTreeMap<(u64, String), usize>);

impl Tally {
    fn count(&mut self, call: &Regs, me: usize, model: &Model) {
        let process = &model.processes[me];
        let end = match process.state {
            State::Ready => match Errno::from_result(process.regs.rax as i64) {
                _ if process.regs == *call => "abort",
                Ok(_) if process.regs.rdx >> 32 != 0 && process.regs.rdi != call.rdi => "failed reply",
                Ok(_) => "ok",
                Err(errno) => errno.code(),
            },
            State::Receiving { from: From::Task, .. } => "waits for a task",
            State::Dead => "dead",
            _ => "waits",
        };
        *self.0.entry((call.rax.wrapping_sub(abi::TRAP_BASE.into()), end.to_owned())).or_default() += 1;
    }

    fn of(&self, trap: Trap, end: &str) -> usize {
        self.0.get(&(trap as u64, end.to_owned())).copied().unwrap_or(0)
    }
}

/// Every end that each trap can come to.
const ENDS: [(Trap, &[&str]); 7] = [
    (Trap::Send, &["ok", "waits", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED", "ELOCKED"]),
    (Trap::SendRec, &["waits", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED", "ELOCKED"]),
    (Trap::SendNb, &["ok", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED", "ENOTREADY"]),
    (Trap::Notify, &["ok", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED"]),
    (Trap::Receive, &["ok", "waits", "waits for a task", "EDEADSRCDST", "ETRAPDENIED", "ELOCKED"]),
    (Trap::ReplyReceive, &["ok", "failed reply", "waits", "waits for a task", "EDEADSRCDST", "ETRAPDENIED", "ELOCKED"]),
    (Trap::KernelCall, &["ok", "abort", "dead", "EBADREQUEST", "ECALLDENIED", "EINVAL", "EFAULT", "EDOM"]),
];

fn sequences() -> u32 {
    if std::env::var_os("SELIX_SOAK").is_some() { 2_000 } else { 200 }
}

#[test]
fn every_process_sees_what_the_model_says() {
    let tally = RefCell::default();
    let config = ProptestConfig {
        cases: sequences(),
        rng_seed: RngSeed::Fixed(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let input = (prop::collection::vec(rights(), 2..6), prop::collection::vec(step(), 1..2 * STEPS));
    let result = TestRunner::new(config).run(&input, |(programs, steps)| {
        let mut table = table();
        let mut pair = Pair { world: World::new(&mut table, &[]), model: Model::new(&root_entry()), tally: &tally };
        for step in programs.into_iter().map(Step::Add).chain(steps) {
            pair.step(&step)?;
            pair.compare()?;
            // That was the end of the system.
            if pair.model.aborted.is_some() {
                break;
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let tally = tally.into_inner();
    for (trap, ends) in ENDS {
        for end in ends {
            let times = tally.of(trap, end);
            assert!(times >= 30, "{trap:?} came to the end {end:?} only {times} times: {tally:?}");
        }
    }
}
