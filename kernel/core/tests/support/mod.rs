//! A machine made of plain structs, and a world of a few programs on it.

mod calls;
mod children;
mod devices;
mod grants;
mod machine;
mod root;
mod tables;

pub(crate) use calls::*;
#[allow(unused_imports)]
pub(crate) use children::*;
pub(crate) use devices::*;
pub(crate) use grants::*;
pub(crate) use machine::*;
pub(crate) use root::*;
#[allow(unused_imports)]
pub(crate) use tables::{Entry, TestMemory};

use abi::boot::{BootEntry, PRIORITIES};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, PRIVILEGES, PrivilegeId, Signal, TrapMask};
use kernel_core::boot::BootMemory;
use kernel_core::filters::Filters;
use kernel_core::frames::{FrameInfo, Frames};
use kernel_core::rights::Refusals;
use kernel_core::spaces::lending::{Lending, Lendings};
use kernel_core::spaces::{Home, SPACES, Space, SpaceTable};
use kernel_core::{
    Action, CpuId, Kernel, PrivilegeTable, Privileges, Process, QUANTUM_TICKS, Rts, Slot, SpaceId, Spaces, Table,
};
use protocol::Call;
use std::boxed::Box;
use std::vec::Vec;

/// The endpoint of the program that was added first, and so on.
pub(crate) const A: Endpoint = Endpoint::from_raw(0);
pub(crate) const B: Endpoint = Endpoint::from_raw(1);
pub(crate) const C: Endpoint = Endpoint::from_raw(2);
pub(crate) const D: Endpoint = Endpoint::from_raw(3);

/// The first slot that is free in a world of four programs and the root.
pub(crate) const FREE: Endpoint = Endpoint::from_raw(5);

/// The scheduling queue of programs that a test does not care about.
pub(crate) const PRIORITY: u8 = 7;

/// A program that may do everything.
pub(crate) fn program(name: &str) -> BootEntry {
    BootEntry {
        name: BootEntry::encode_name(name).expect("tests give good names"),
        size: 0,
        crc32: 0,
        traps: TrapMask::all().bits(),
        sends: u64::MAX,
        calls: u64::MAX,
        priority: PRIORITY,
        cpu: 0,
        flags: 0,
        memory: 0,
        reserved: [0; 4],
    }
}

/// Four programs that may do everything: A, B, C, D.
pub(crate) fn four() -> [BootEntry; 4] {
    ["a", "b", "c", "d"].map(program)
}

/// Frames of a world: more than it can have programs.
const FRAMES: usize = 128;

/// Lendings of pages.
pub(crate) const LENDINGS: usize = 16;

/// The tables that a kernel works on; too large for a stack.
pub(crate) struct Storage {
    pub(crate) procs: Box<Table<TestMachine>>,
    privileges: Box<PrivilegeTable>,
    filters: Box<Filters>,
    refusals: Box<Refusals>,
    spaces: Box<SpaceTable>,
    frames: Vec<FrameInfo>,
    lendings: Vec<Lending>,
}

impl Storage {
    /// With this many frames.
    pub(crate) fn with(frames: usize) -> Self {
        Self::with_lendings(frames, LENDINGS)
    }

    /// With this many frames, and room for so many lendings.
    pub(crate) fn with_lendings(frames: usize, lendings: usize) -> Self {
        let free: Vec<_> = Slot::all().map(|slot| Process::free(slot, Regs::default())).collect();
        Self {
            procs: free.into_boxed_slice().try_into().ok().expect("Slot::all has as many as the table"),
            privileges: Box::new([const { Privileges::FREE }; PRIVILEGES]),
            filters: Box::new(Filters::new()),
            refusals: Box::new(Refusals::NONE),
            spaces: std::vec![Space::FREE; SPACES].into_boxed_slice().try_into().expect("as many"),
            frames: std::vec![FrameInfo::RESERVED; frames],
            lendings: std::vec![Lending::UNUSED; lendings],
        }
    }

    /// A kernel without processes and spaces, whose frames are all free.
    pub(crate) fn kernel(&mut self, online: usize) -> Kernel<'_, TestMachine> {
        let mut frames = Frames::new(&mut self.frames);
        frames.add_free(0..u64::MAX);
        let spaces = Spaces::new(&mut self.spaces, frames, Lendings::new(&mut self.lendings));
        let Self { procs, privileges, filters, refusals, .. } = self;
        Kernel::new(kernel_core::Storage { procs, privileges, filters, refusals, spaces }, online)
    }
}

/// The tables of a world.
pub(crate) fn table() -> Storage {
    Storage::with(FRAMES)
}

/// A new space for the program with this place, whose number is that of its root table's frame.
pub(crate) fn new_space(kernel: &mut Kernel<'_, TestMachine>, machine: &mut TestMachine, place: usize) -> SpaceId {
    let (root, _) = kernel.spaces.claim(1).expect("there are frames");
    assert_eq!(root, place as u64 * PAGE_SIZE);
    let name = kernel.spaces.create(machine, root).expect("there is room");
    kernel.spaces.find(name).expect("it was made just now")
}

/// What a trap came to, for whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on, with success.
    Done,
    /// It goes on, with an error.
    Failed(Errno),
    /// It waits.
    Blocked,
    /// It has ended.
    Ended,
}

/// All that can be seen from outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    processes: Vec<(Endpoint, Rts, Option<Home>, PrivilegeId, Regs)>,
    privileges: Vec<Privileges>,
    running: Option<Slot>,
    machine: TestMachine,
}

impl Snapshot {
    /// The same, without what processes have in their registers.
    pub(crate) fn without_registers(mut self) -> Self {
        self.processes.iter_mut().for_each(|(.., regs)| *regs = Regs::default());
        self
    }
}

/// A kernel with everything that it needs.
pub(crate) struct World<'t> {
    pub(crate) kernel: Kernel<'t, TestMachine>,
    pub(crate) machine: TestMachine,
    /// The boot table: the programs of the test, the root system process, and those that were added later.
    pub(crate) entries: Vec<BootEntry>,
    pub(crate) root: Endpoint,
    /// Whether the root does its duty by itself, as soon as it is told something. Else the test lets it trap as any other.
    pub(crate) automatic: bool,
}

impl<'t> World<'t> {
    /// A world in which these programs have been started with the privileges of their entries, and the first one runs. The root
    /// system process comes behind them, and waits for what it has to do.
    pub(crate) fn new(table: &'t mut Storage, programs: &[BootEntry]) -> Self {
        Self::on(table, programs, 1)
    }

    /// The same on this many processors.
    pub(crate) fn on(table: &'t mut Storage, programs: &[BootEntry], online: usize) -> Self {
        let mut world = Self::before_boot(table, programs, online);
        world.start_root();
        world
    }

    /// The same before the root has run for the first time.
    pub(crate) fn before_boot(table: &'t mut Storage, programs: &[BootEntry], online: usize) -> Self {
        let root = Endpoint::new(programs.len(), 0).expect("there are slots");
        let (kernel, machine) = (table.kernel(online), TestMachine::default());
        let mut world = World { kernel, machine, entries: Vec::new(), root, automatic: true };
        for entry in programs {
            world.start(entry).expect("there is room");
        }
        world.start(&root_entry()).expect("there is room for the root");
        world
    }

    /// Starts one more program, which gets the privileges of its entry.
    pub(crate) fn add(&mut self, entry: &BootEntry) -> Option<Slot> {
        let slot = self.start(entry)?;
        self.admit(slot.index());
        Some(slot)
    }

    /// Starts one more program, in a space whose root table is the frame with the number of its place.
    fn start(&mut self, entry: &BootEntry) -> Option<Slot> {
        let place = self.entries.len();
        let space = new_space(&mut self.kernel, &mut self.machine, place);
        let Some(slot) = self.kernel.add_boot_program(entry, Regs::default(), BootMemory::Space(space)) else {
            let (spaces, root) = (&mut self.kernel.spaces, place as u64 * PAGE_SIZE);
            assert_eq!(spaces.destroy(&mut self.machine, spaces.name(space)), Ok(false));
            assert_eq!(spaces.give_back(root, 1), Ok(1));
            return None;
        };
        self.entries.push(*entry);
        Some(slot)
    }

    /// The endpoints of all programs of the boot table but the root.
    pub(crate) fn programs(&self) -> impl Iterator<Item = Endpoint> + use<> {
        let root = self.root;
        (0..self.entries.len()).filter_map(|slot| Endpoint::new(slot, 0)).filter(move |program| *program != root)
    }

    /// Who runs.
    pub(crate) fn running(&self) -> Option<Endpoint> {
        self.kernel.cpu(CpuId::BOOT).current().map(|slot| self.kernel.process(slot).endpoint)
    }

    /// Lets time pass until `who` runs, which must be ready and no less urgent than the others.
    pub(crate) fn run(&mut self, who: Endpoint) {
        for _ in 0..=self.entries.len() {
            if self.running() == Some(who) {
                return;
            }
            self.tick(QUANTUM_TICKS);
        }
        panic!("{who} does not get to run");
    }

    /// Lets timer ticks come.
    pub(crate) fn tick(&mut self, ticks: u16) {
        for _ in 0..ticks {
            self.machine.ticks += 1;
            self.kernel.tick(&mut self.machine, CpuId::BOOT);
            self.schedule();
        }
    }

    /// Lets `who` run and trap.
    pub(crate) fn trap(&mut self, who: Endpoint, call: Regs) -> Outcome {
        self.run(who);
        self.step(call);
        self.outcome(who)
    }

    /// Whoever runs traps, and the machine has nothing to do; then the next one is chosen.
    pub(crate) fn step(&mut self, call: Regs) {
        assert_eq!(self.act(call), Action::Resume);
    }

    /// Whoever runs traps; then the next one is chosen.
    pub(crate) fn act(&mut self, call: Regs) -> Action {
        let me = self.kernel.cpu(CpuId::BOOT).current().expect("somebody runs");
        self.kernel.process_mut(me).frame = call;
        let action = self.kernel.trap(&mut self.machine, CpuId::BOOT);
        self.schedule();
        action
    }

    /// Lets `who` run and make a kernel call that does not wait.
    pub(crate) fn call<C: Call>(&mut self, who: Endpoint, request: &C) -> Result<C::Reply, Errno> {
        match self.trap(who, kernel_call(request)) {
            Outcome::Failed(errno) => Err(errno),
            Outcome::Done => answer_in::<C>(&self.regs(who)),
            other => panic!("{who}: {other:?}"),
        }
    }

    /// Whoever runs gets a signal from the processor that ends it; then the next one is chosen.
    pub(crate) fn stop(&mut self) {
        self.except(Signal::ILL);
    }

    /// Whoever runs gets a signal from the processor; then the next one is chosen.
    pub(crate) fn except(&mut self, signal: Signal) {
        let action = self.kernel.exception(&mut self.machine, CpuId::BOOT, signal, format_args!("test"));
        assert_eq!(action, Action::Resume);
        self.schedule();
    }

    /// Chooses who runs, and lets the root do its duty if it is told something.
    pub(crate) fn schedule(&mut self) {
        self.choose(CpuId::BOOT);
        if self.automatic && self.running() == Some(self.root) {
            self.attend();
            self.rest();
        }
    }

    /// Chooses who runs on a processor.
    pub(crate) fn choose(&mut self, cpu: CpuId) -> Option<Slot> {
        let next = self.kernel.schedule(&mut self.machine, cpu);
        self.kernel.check_invariants().expect("invariants hold after each step");
        next
    }

    /// Lets `who` run, and stops it.
    pub(crate) fn kill(&mut self, who: Endpoint) {
        self.run(who);
        self.stop();
    }

    pub(crate) fn process(&self, who: Endpoint) -> &Process<TestMachine> {
        self.kernel.process(Slot::of(who))
    }

    /// The places of the programs in whose space nobody lives any more.
    pub(crate) fn deserted(&self) -> Vec<usize> {
        let spaces = &self.kernel.spaces;
        spaces.live().enumerate().filter(|(_, id)| spaces.bound(*id) == 0).map(|(place, _)| place).collect()
    }

    /// Why somebody does not run.
    pub(crate) fn rts(&self, who: Endpoint) -> Rts {
        self.process(who).rts()
    }

    /// The registers of a process.
    pub(crate) fn regs(&self, who: Endpoint) -> Regs {
        self.process(who).frame
    }

    /// How things stand with a process, after a trap or after it was released.
    pub(crate) fn outcome(&self, who: Endpoint) -> Outcome {
        match self.rts(who) {
            Rts::FREE => Outcome::Ended,
            rts if !rts.is_empty() => Outcome::Blocked,
            _ => match Errno::from_result(self.regs(who).rax as i64) {
                Ok(_) => Outcome::Done,
                Err(errno) => Outcome::Failed(errno),
            },
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let process = |slot: Slot| {
            let p = self.kernel.process(slot);
            (p.endpoint, p.rts(), p.space, p.privilege_id(), p.frame)
        };
        let all = (0..).map_while(PrivilegeId::new).map(|id| self.kernel.privileges_of(id));
        let in_use = all.filter(|p| !p.flags.is_empty());
        Snapshot {
            processes: Slot::all().take(self.entries.len() + FORKS).map(process).collect(),
            privileges: in_use.cloned().collect(),
            running: self.kernel.cpu(CpuId::BOOT).current(),
            machine: self.machine.clone(),
        }
    }

    /// What comes to light when everybody who gets to run offers a message to all, and then takes whatever there is: who
    /// waits where in which order, what is pending, who is ready. Those who may not do that end.
    pub(crate) fn aftermath(&mut self) -> Vec<Snapshot> {
        let mut seen = Vec::new();
        let mut offers = Vec::new();
        while let Some(me) = self.running() {
            if !offers.contains(&me) {
                offers.push(me);
                for other in self.programs() {
                    self.offer(me, other);
                }
            }
            if self.running() == Some(me) {
                self.step(receive(Endpoint::ANY));
                if matches!(self.outcome(me), Outcome::Failed(_)) {
                    self.kill(me);
                }
            }
            seen.push(self.snapshot());
        }
        seen
    }

    /// Offers a message to `other`, as long as `me` runs.
    fn offer(&mut self, me: Endpoint, other: Endpoint) {
        if self.running() == Some(me) {
            self.step(sendnb(other, 99));
        }
    }
}

/// Slots that a snapshot has besides those of boot programs.
const FORKS: usize = 4;

const _: () = assert!((PRIORITY as usize) < PRIORITIES);

/// Checks that `call`, made by `who` in the world that `setup` makes of the programs, fails with `errno` and changes
/// nothing: what can be seen is as before but for the result, and what cannot be seen behaves as if nobody had called.
pub(crate) fn denied(programs: &[BootEntry], setup: impl Fn(&mut World<'_>), who: Endpoint, call: Regs, errno: Errno) {
    let (mut disturbed, mut calm) = (table(), table());
    let mut disturbed = World::new(&mut disturbed, programs);
    let mut calm = World::new(&mut calm, programs);
    for world in [&mut disturbed, &mut calm] {
        setup(world);
        world.run(who);
        world.kernel.process_mut(Slot::of(who)).frame = call;
    }
    assert_eq!(disturbed.trap(who, call), Outcome::Failed(errno), "{call:x?}");
    calm.kernel.process_mut(Slot::of(who)).frame.rax = errno.to_result() as u64;
    assert_eq!(disturbed.snapshot(), calm.snapshot(), "{call:x?}");
    assert_eq!(disturbed.aftermath(), calm.aftermath(), "{call:x?}");
}
