//! The kernel against the model: both are driven with the same random steps, and after each of them every process must see
//! the same in both.

use crate::against_model_ends::{Tally, end_of};
use crate::against_model_steps::{Chooser, Step};
use crate::model::{Ask, CPUS, Call, Model, SLOTS, slot, space_name};
use crate::support::*;
use abi::boot::{BootEntry, BootFlags};
use abi::{Endpoint, Message, PRIVILEGES, PrivilegeId, PrivilegeSpec, Status, Trap};
use kernel_core::{Action, CpuId, Frame, MemoryAccess, Rts, Slot};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use protocol::irqctl::SetPolicy;
use protocol::kernel::{KEEP, SchedCtl, Scheduler};
use protocol::privctl::{AddIrq, Allow, SetSys, UpdateSys};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Boot programs besides the root, which comes behind them.
const PROGRAMS: usize = 5;
/// The one of them that is the memory server.
const PAGER: usize = 4;
/// Steps of the longest sequence.
const STEPS: usize = 1000;
/// Attempts to make a sequence shorter that shows a difference.
const MAX_SHRINKS: u32 = 2000;
/// Steps in which nobody runs, after which nobody will.
const STUCK: usize = 40;

/// Both, side by side.
struct Pair<'t> {
    world: World<'t>,
    model: Model,
    tally: &'t RefCell<Tally>,
    /// Messages so far: each has its number in its last word.
    serial: u64,
    /// The root's first steps are not random: they always succeed.
    booting: bool,
    /// Processors on which somebody runs between two steps.
    busy: Vec<CpuId>,
    /// One that takes its time until it enters the kernel, though it is asked to.
    late: Option<usize>,
    /// Processors that were asked to, and have not yet.
    asked: BTreeSet<CpuId>,
}

fn cpu_id(cpu: usize) -> CpuId {
    CpuId::new(cpu).expect("there are so many")
}

/// The boot table: programs on all processors, and the root.
fn entries() -> Vec<BootEntry> {
    let flags = |place| if place == PAGER { BootFlags::PAGER.bits() } else { 0 };
    let entry =
        |place: usize| BootEntry { flags: flags(place), cpu: [0, 1, 0, 2, 3][place], ..program(&format!("p{place}")) };
    (0..PROGRAMS).map(entry).chain([root_entry()]).collect()
}

impl<'t> Pair<'t> {
    /// A system in which all boot programs run.
    fn new(table: &'t mut Storage, tally: &'t RefCell<Tally>) -> Result<Self, TestCaseError> {
        let entries = entries();
        let mut world = World::before_boot(table, &entries[..PROGRAMS], CPUS);
        world.automatic = false;
        for (place, space) in world.kernel.spaces.live().enumerate() {
            assert_eq!(world.kernel.spaces.name(space), space_name(place), "the model knows its name");
        }
        for place in entries.len()..SLOTS {
            new_space(&mut world.kernel, &mut world.machine, place);
        }
        let mut pair = Self {
            world,
            model: Model::new(&entries, PROGRAMS),
            tally,
            serial: 0,
            booting: true,
            busy: Vec::new(),
            late: None,
            asked: BTreeSet::new(),
        };
        pair.settle(0)?;
        pair.boot(&entries)?;
        pair.booting = false;
        Ok(pair)
    }

    fn boot(&mut self, entries: &[BootEntry]) -> Result<(), TestCaseError> {
        let root = self.world.root;
        // Interrupts are to wake the root when nobody runs. The model knows that already.
        let line = DOORBELL.into();
        self.world.trap_on(CpuId::BOOT, kernel_call(&AddIrq { process: Endpoint::SELF, line }));
        self.world.trap_on(CpuId::BOOT, kernel_call(&SetPolicy { line, reenable: 1, bit: 0 }));
        self.world.machine.devices.take_done();
        self.model.slots[PROGRAMS].program.regs = self.world.regs(root);
        let programs = || entries[..PROGRAMS].iter().enumerate();
        let name = |place| Endpoint::new(place, 0).expect("it has a slot");
        for (place, entry) in programs() {
            let id = PrivilegeId::of_boot_program(place).expect("it has an id").index() as u32;
            self.as_root(Call::SetSys(SetSys { spec: spec_of(entry, root), process: name(place), id }))?;
        }
        for (place, entry) in programs() {
            // Now that all are there, everybody may send to everybody.
            let spec = spec_of(entry, root);
            self.as_root(Call::UpdateSys(UpdateSys { spec, process: name(place), reset_ranges: 0 }))?;
            self.as_root(Call::Allow(Allow { process: name(place) }))?;
        }
        let spec = PrivilegeSpec { sends: u64::MAX, calls: u64::MAX, flags: 0, ..spec_of(&entries[0], root) };
        self.as_root(Call::UpdateSys(UpdateSys { spec, process: Endpoint::NONE, reset_ranges: 0 }))?;
        for space in 0..SLOTS {
            self.step(&Chooser::first_elements(space))?;
        }
        let placed = SchedCtl { process: root, scheduler: Scheduler::Kernel, priority: 7, quantum: KEEP, cpu: KEEP };
        self.as_root(Call::SchedCtl(placed))?;
        Ok(())
    }

    fn as_root(&mut self, call: Call) -> Result<(), TestCaseError> {
        let name = format!("{call:?}");
        self.step(&Step::Trap { cpu: 0, ask: Ask::Call(call), n: 0, fast: false })?;
        assert_eq!(self.world.regs(self.world.root).rax, 0, "{name}");
        Ok(())
    }

    /// Does the same in both, and compares.
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let (world, model) = (&mut self.world, &mut self.model);
        let cpu = step.cpu();
        world.machine.memory.cpu = cpu;
        match step {
            Step::Trap { cpu, ask, n, fast } => return self.trap(*cpu, ask, *n, *fast),
            Step::Exception { signal, .. } => {
                let _ = world.kernel.exception(&mut world.machine, cpu_id(cpu), *signal, format_args!("test"));
                model.exception(cpu, *signal);
            }
            Step::Fault { address, access, fast, .. } => {
                if *fast && self.fast_fault(cpu, *address, *access)? {
                    return self.compare();
                }
                let world = &mut self.world;
                let (why, at) = (format_args!("test"), cpu_id(cpu));
                let _ = world.kernel.memory_fault(&mut world.machine, at, *address, *access, why);
                self.model.fault(cpu, *address, *access as u64);
            }
            Step::Tick { .. } => {
                let passed = u64::from(cpu == 0);
                world.machine.ticks += passed;
                model.machine.ticks += passed;
                world.kernel.tick(&mut world.machine, cpu_id(cpu));
                model.tick(cpu);
            }
            Step::Interrupt => {
                world.kernel.interrupt(&mut world.machine, DOORBELL);
                model.interrupt();
            }
            Step::Store { space, address, bytes } => {
                for machine in [&mut world.machine, &mut model.machine] {
                    machine.written.extend((*address..).zip(bytes).map(|(at, byte)| ((*space, at), *byte)));
                }
            }
            Step::Page { space, address, there } => {
                for machine in [&mut world.machine, &mut model.machine] {
                    let page = (*space, page_of(*address));
                    if *there {
                        machine.absent.remove(&page)
                    } else {
                        machine.absent.insert(page)
                    };
                }
            }
        }
        self.settle(cpu)?;
        self.compare()
    }

    fn trap(&mut self, cpu: usize, ask: &Ask, n: u16, fast: bool) -> Result<(), TestCaseError> {
        let Some(me) = self.model.running[cpu] else { return Ok(()) };
        let mut regs = ask.regs(n);
        if !matches!(ask, Ask::Call(_)) {
            self.serial += 1;
            regs.body[6] = self.serial;
        }
        let slot = self.world.kernel.cpu(cpu_id(cpu)).current().expect("the same runs in both");
        // A program keeps the registers that are none of the trap's.
        let before = self.world.kernel.process(slot).frame;
        let regs = Regs { rip: before.rip.max(ENTRY), rsp: before.rsp, ..regs };
        self.world.kernel.process_mut(slot).frame = regs;
        self.model.trap(cpu, ask, regs);
        let fast = fast && self.fast_trap(cpu, slot, ask);
        if fast {
            self.tally.borrow_mut().count(&format!("fast {}", ask.name()), "ok");
        } else {
            let _ = self.world.kernel.trap(&mut self.world.machine, cpu_id(cpu));
        }
        if !self.booting {
            self.tally.borrow_mut().count(ask.name(), &end_of(&self.model, me, &regs));
        }
        if fast && !matches!(ask, Ask::Call(_)) {
            // Then nobody chooses: whoever runs must be the right one.
            self.choose(BTreeSet::new())?;
            self.model.settle(cpu, self.late);
        } else {
            self.settle(cpu)?;
        }
        self.compare()
    }

    /// Whoever runs touches memory that is not there, by the fast path, if that will have it. Then nobody chooses who runs.
    fn fast_fault(&mut self, cpu: usize, address: u64, access: MemoryAccess) -> Result<bool, TestCaseError> {
        let World { kernel, machine, .. } = &mut self.world;
        let Some(partner) = kernel.fast_page_fault(machine, cpu_id(cpu), address, access) else { return Ok(false) };
        if let Some(root) = partner.load {
            machine.memory.load(cpu, Some(root));
        }
        self.tally.borrow_mut().count("fast fault", "ok");
        self.model.fault(cpu, address, access as u64);
        self.choose(BTreeSet::new())?;
        self.model.settle(cpu, self.late);
        Ok(true)
    }

    /// Whoever runs traps by the fast path, if that will have it. Where it has switched to somebody, the model follows.
    fn fast_trap(&mut self, cpu: usize, me: Slot, ask: &Ask) -> bool {
        let World { kernel, machine, .. } = &mut self.world;
        let p = kernel.process(me);
        let mut message = Message::new(p.endpoint, abi::Kind(0));
        message.set_header(p.frame.header());
        message.body = p.frame.body();
        let at = cpu_id(cpu);
        let partner = match *ask {
            Ask::Notify(to) => return kernel.fast_notify(machine, at, to),
            Ask::Call(Call::Times(_)) => return kernel.fast_times(machine, at, message.header()),
            Ask::Call(_) => return kernel.fast_call(machine, at).is_some(),
            Ask::Receive(from) => kernel.fast_receive(machine, at, from),
            Ask::SendRec(to) => kernel.fast_sendrec(machine, at, to),
            Ask::ReplyReceive { to, from } => kernel.fast_reply_receive(machine, at, to, from),
            _ => None,
        };
        let Some(partner) = partner else { return false };
        if let Some(root) = partner.load {
            machine.memory.load(cpu, Some(root));
        }
        let trap = match ask {
            Ask::Receive(_) => return true,
            Ask::SendRec(_) => Trap::SendRec,
            _ => Trap::ReplyReceive,
        };
        partner.process.frame.deliver(&message, Status::sent_with(trap));
        let to = kernel.cpu(at).current().expect("it switched to somebody");
        self.model.hand_over(cpu, to.index());
        true
    }

    /// The processor that was in the kernel chooses who runs, and others do that must.
    fn settle(&mut self, cpu: usize) -> Result<(), TestCaseError> {
        self.late = self.late.filter(|late| *late != cpu);
        self.choose(BTreeSet::from([cpu_id(cpu)]))?;
        self.model.settle(cpu, self.late);
        Ok(())
    }

    /// These processors choose who runs, those that the kernel asks to, and those that were made to leave what they did.
    fn choose(&mut self, mut must: BTreeSet<CpuId>) -> Result<(), TestCaseError> {
        let World { kernel, machine, .. } = &mut self.world;
        let all = || (0..CPUS).map(cpu_id);
        must.append(&mut self.asked);
        must.extend(all().filter(|cpu| self.busy.contains(cpu) && kernel.cpu(*cpu).current().is_none()));
        while let Some(cpu) = must.pop_first() {
            if self.late == Some(cpu.index()) {
                self.asked.insert(cpu);
                continue;
            }
            machine.memory.cpu = cpu.index();
            let next = kernel.schedule(machine, cpu);
            if let Some(root) = next.and_then(|next| kernel.enter_space(cpu, next)) {
                machine.memory.load(cpu.index(), Some(root));
            }
            must.extend(kernel.take_kicks(cpu));
            let stopped = |slot: Slot| !kernel.process(slot).rts().is_empty();
            let is_new = |cpu: &CpuId| !self.asked.contains(cpu) && kernel.cpu(*cpu).current().is_some_and(stopped);
            must.extend(all().filter(is_new));
        }
        prop_assert!(!kernel.has_kicks(), "nobody was asked in vain");
        prop_assert_eq!(kernel.check_invariants(), Ok(()));
        self.busy = all().filter(|cpu| kernel.cpu(*cpu).current().is_some()).collect();
        Ok(())
    }

    /// Every process sees the same in both.
    fn compare(&self) -> Result<(), TestCaseError> {
        let (kernel, model) = (&self.world.kernel, &self.model);
        prop_assert_eq!(kernel.action(), model.action);
        for cpu in 0..CPUS {
            let running = kernel.cpu(cpu_id(cpu)).current().map(Slot::index);
            prop_assert_eq!(running, model.running[cpu], "who runs on {}", cpu);
        }
        prop_assert_eq!(self.world.machine.seen(), model.machine.seen());
        prop_assert!(self.world.machine.written == model.machine.written, "memory differs");
        for (index, expected) in model.slots.iter().enumerate() {
            let found = kernel.process(slot(index));
            let (rts, regs) = (expected.program.rts, expected.program.regs);
            prop_assert_eq!(found.endpoint, expected.endpoint);
            // The model does not care which path delivers.
            prop_assert_eq!(found.rts() - Rts::SPECIAL, rts, "state of {}", index);
            if !rts.contains(Rts::FREE) {
                // Nobody has a result while it waits.
                let rax = if rts.is_empty() { found.frame.rax } else { regs.rax };
                prop_assert_eq!(Regs { rax, ..found.frame }, regs, "registers of {}", index);
                prop_assert_eq!(found.privilege_id().index(), expected.id);
            }
        }
        for id in 0..PRIVILEGES {
            let found = kernel.privileges_of(PrivilegeId::new(id as u32).expect("it is one"));
            let expected = &model.ids[id].authority;
            let seen = (found.traps.bits(), found.sends, found.calls, found.flags);
            prop_assert_eq!(seen, (expected.traps, expected.sends, expected.calls, expected.flags), "id {}", id);
        }
        Ok(())
    }
}

/// How many steps are made at least.
fn steps_wanted() -> usize {
    if std::env::var_os("SELIX_SOAK").is_some() { 1_000_000 } else { 20_000 }
}

#[test]
fn every_process_sees_what_the_model_says() {
    let tally = RefCell::<Tally>::default();
    let mut seed = 64;
    while tally.borrow().steps < steps_wanted() {
        let config = ProptestConfig {
            cases: 20,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_iters: MAX_SHRINKS,
            ..ProptestConfig::default()
        };
        let seeds = prop::collection::vec(any::<u64>().no_shrink(), STEPS / 2..STEPS);
        let result = TestRunner::new(config).run(&seeds, |seeds| run(&seeds, &tally));
        result.unwrap_or_else(|failure| panic!("{failure}"));
        seed += 1;
    }
    tally.into_inner().assert_complete();
}

/// A sequence: each step is chosen with a seed of its own, so that those that matter are left when others are taken away.
fn run(seeds: &[u64], tally: &RefCell<Tally>) -> Result<(), TestCaseError> {
    let mut table = table();
    let mut pair = Pair::new(&mut table, tally)?;
    let (mut stuck, mut steps) = (0, Vec::new());
    for seed in seeds {
        let (late, step) = Chooser::new(*seed).step(&pair.model);
        pair.late = late;
        tally.borrow_mut().steps += 1;
        let by = pair.model.running[step.cpu()];
        steps.push((by, step.clone()));
        pair.step(&step).map_err(|error| {
            let told: Vec<_> = steps.iter().map(|(by, step)| format!("{by:?}: {step:x?}")).collect();
            TestCaseError::fail(format!("{error}\nafter {told:#?}"))
        })?;
        stuck = if pair.model.running == [None; CPUS] { stuck + 1 } else { 0 };
        if pair.model.action != Action::Resume || stuck == STUCK {
            break;
        }
    }
    Ok(())
}
