//! The kernel against the model: both are driven with the same random steps, and after each of them every process must see
//! the same in both.

use crate::model::{From, Model, State};
use crate::support::*;
use abi::boot::{BootEntry, MAX_PROGRAMS};
use abi::{Endpoint, Errno, Trap, TrapMask};
use kernel_core::{Action, Rts};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use protocol::kernel::PROTOCOL;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Steps of a sequence: this many on average.
const STEPS: usize = 500;

#[derive(Clone, Debug)]
enum Step {
    /// Whoever runs traps.
    Trap(Regs),
    /// Whoever runs does something bad.
    Stop,
    /// A timer tick comes.
    Tick,
    /// One more program is started.
    Add(Rights),
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
    fn entry(&self, place: usize) -> BootEntry {
        let Self { traps, sends, calls, priority } = *self;
        BootEntry { traps: traps.bits(), sends, calls, priority, ..program(&format!("p{place}")) }
    }
}

fn endpoint() -> impl Strategy<Value = u32> {
    let special = [
        Endpoint::ANY,
        Endpoint::NONE,
        Endpoint::SELF,
        Endpoint::HARDWARE,
        Endpoint::SYSTEM,
        Endpoint::CLOCK,
        Endpoint::ASYNCM,
    ];
    prop_oneof![
        30 => 0_u32..6,
        10 => 0_u32..MAX_PROGRAMS as u32 + 2,
        6 => Just(Endpoint::ANY.raw()),
        2 => prop::sample::select(special.to_vec()).prop_map(Endpoint::raw),
        1 => (0_u32..6, 1..=Endpoint::LAST_GENERATION + 2).prop_map(|(slot, generation)| generation << 15 | slot),
        1 => (0_u32..6, 0_u32..32).prop_map(|(slot, above)| above << 10 | slot),
        1 => any::<u32>(),
    ]
}

/// Kind and tag: mostly those of kernel calls, which mean nothing to the other traps.
fn header() -> impl Strategy<Value = u64> {
    let known = (0..PROTOCOL.calls.len(), any::<u16>())
        .prop_map(|(i, tag)| u64::from(PROTOCOL.base + PROTOCOL.calls[i].number) | u64::from(tag) << 16);
    let near = (0x5ff_u64..0x642, any::<u32>()).prop_map(|(kind, above)| kind | u64::from(above) << 16);
    prop_oneof![8 => known, 1 => near, 2 => any::<u64>()]
}

fn word() -> impl Strategy<Value = u64> {
    let small = 0_u64..6;
    let address = MEMORY_START - 2..MEMORY_START + MEMORY as u64 + 2;
    prop_oneof![2 => small, 2 => address, 1 => 0_u64..2 * MEMORY as u64, 1 => any::<u64>()]
}

fn trap() -> impl Strategy<Value = Regs> {
    let traps = prop_oneof![
        3 => Just(Trap::Send.rax()),
        6 => Just(Trap::Receive.rax()),
        6 => Just(Trap::SendRec.rax()),
        5 => Just(Trap::Notify.rax()),
        4 => Just(Trap::SendNb.rax()),
        6 => Just(Trap::ReplyReceive.rax()),
        4 => Just(Trap::KernelCall.rax()),
        1 => (0_u64..64).prop_map(|n| u64::from(abi::TRAP_BASE) + n),
        1 => any::<u64>(),
    ];
    let half = || {
        (endpoint(), prop_oneof![Just(0), any::<u32>()]).prop_map(|(low, high)| u64::from(high) << 32 | u64::from(low))
    };
    let body = (word(), word(), any::<[u64; 5]>());
    (traps, half(), header(), half(), body).prop_map(|(rax, rdi, rsi, rdx, (first, second, rest))| {
        let mut body = [first, second, 0, 0, 0, 0, 0];
        body[2..].copy_from_slice(&rest);
        Regs { rax, rdi, rsi, rdx, body }
    })
}

/// A mask that allows everything, or leaves out a few things, or is anything.
fn mask() -> impl Strategy<Value = u64> {
    let most = (0_u32..8, 0_u32..64).prop_map(|(a, b)| !(1 << a | 1 << b));
    prop_oneof![4 => Just(u64::MAX), 2 => most, 1 => any::<u64>()]
}

fn rights() -> impl Strategy<Value = Rights> {
    let priority = prop_oneof![6 => Just(7_u8), 4 => 6_u8..9, 1 => 0_u8..16];
    (mask(), mask(), mask(), priority).prop_map(|(traps, sends, calls, priority)| Rights {
        traps: TrapMask::from_bits_truncate(traps as u32),
        sends,
        calls,
        priority,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => trap().prop_map(Step::Trap),
        1 => Just(Step::Stop),
        12 => Just(Step::Tick),
        3 => rights().prop_map(Step::Add),
    ]
}

/// Both, side by side.
struct Pair<'t> {
    world: World<'t>,
    model: Model,
}

impl Pair<'_> {
    /// Does a step in both, as far as it can be done.
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Trap(call) if self.model.running.is_some() => {
                let action = self.world.act(*call);
                self.model.trap(*call);
                let aborted = match action {
                    Action::Resume => None,
                    Action::Abort { how, status } => Some((how as u32, status)),
                };
                prop_assert_eq!(aborted, self.model.aborted);
            }
            Step::Trap(_) => {}
            Step::Stop => {
                self.world.stop();
                self.model.stop();
            }
            Step::Tick => {
                self.model.tick();
                self.world.tick(1);
            }
            Step::Add(rights) => {
                let place = self.model.processes.len();
                let entry = rights.entry(place);
                let added = self.world.add(&entry);
                prop_assert_eq!(added.map(|slot| slot.index()), (place < MAX_PROGRAMS).then_some(place));
                if added.is_some() {
                    self.model.add(&entry);
                }
                self.world.schedule();
            }
        }
        self.model.schedule();
        Ok(())
    }

    /// Every process sees the same in both.
    fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.world.running().map(Endpoint::slot), self.model.running);
        prop_assert_eq!(&self.world.machine, &self.model.machine);
        for (slot, expected) in self.model.processes.iter().enumerate() {
            let found = self.world.process(Endpoint::from_raw(slot as u32));
            prop_assert_eq!(found.rts(), flags(expected.state), "state of {}", slot);
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
type Tally = BTreeMap<(u64, String), usize>;

fn count(tally: &mut Tally, call: &Regs, me: usize, model: &Model) {
    let process = &model.processes[me];
    let end = match process.state {
        State::Ready => match Errno::from_result(process.regs.rax as i64) {
            _ if process.regs == *call => "abort".to_owned(),
            Ok(_) if process.regs.rdx >> 32 != 0 && process.regs.rdi != call.rdi => "failed reply".to_owned(),
            Ok(_) => "ok".to_owned(),
            Err(errno) => errno.code().to_owned(),
        },
        State::Receiving { from: From::Task, .. } => "waits for a task".to_owned(),
        State::Dead => "dead".to_owned(),
        _ => "waits".to_owned(),
    };
    *tally.entry((call.rax.wrapping_sub(abi::TRAP_BASE.into()), end)).or_default() += 1;
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
    let tally = RefCell::new(Tally::new());
    let config = ProptestConfig {
        cases: sequences(),
        rng_seed: RngSeed::Fixed(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let input = (prop::collection::vec(rights(), 2..6), prop::collection::vec(step(), 1..2 * STEPS));
    let result = TestRunner::new(config).run(&input, |(programs, steps)| {
        let mut table = table();
        let mut pair = Pair { world: World::new(&mut table, &[]), model: Model::default() };
        let starts = programs.into_iter().map(Step::Add);
        for step in starts.chain(steps) {
            let me = pair.model.running;
            pair.step(&step)?;
            pair.compare()?;
            if let (Step::Trap(call), Some(me)) = (&step, me) {
                count(&mut tally.borrow_mut(), call, me, &pair.model);
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let tally = tally.into_inner();
    for (trap, ends) in ENDS {
        for end in ends {
            let times = tally.get(&(trap as u64, (*end).to_owned())).copied().unwrap_or(0);
            assert!(times >= 10, "{trap:?} came to the end {end:?} only {times} times: {tally:?}");
        }
    }
}
