//! Lets the processes of a world make traps, one after another, and counts what the storm comes to.

use crate::audit::{audit, checksum};
use crate::machine::DEVICE;
use crate::regs::TRAP_LEN;
use crate::tables::Tables;
use crate::world::{
    ARENA, COPIES, CPUS, FILTERS, FIRST_FREE, GRANTS, PEERS, ROOT, Rights, STORM, Scarce, TEXT, USERS, VICTIMS, VM,
    WINDOW, World, booted, processors,
};
use crate::{machine, repair};
use abi::event::SystemEvent;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Signal, Trap};
use kernel_core::{Action, CpuId, MemoryAccess, Rts, Slot};
use protocol::irqctl::SetPolicy;
use protocol::kernel::SetGrant;
use protocol::vmctl::{AnswerRequest, ClearPageFault, NextEvent};
use protocol::{Call, encode};
use std::collections::BTreeMap;
use storm::{Generator, Histogram, Known, Random, Registers, Row, Samples};

/// A trap that was made, and has not returned yet.
struct Made {
    registers: Registers,
    /// Where its process goes on when it has.
    rip: u64,
    by: usize,
}

pub(crate) struct Storm<'t> {
    pub(crate) world: World<'t>,
    pub(crate) random: Random,
    /// That of the service, of users, and of the others.
    service: Generator,
    users: Generator,
    peers: Generator,
    /// Traps that have not returned, by their numbers.
    made: BTreeMap<u64, Made>,
    number: u64,
    histogram: &'t mut Histogram,
    /// Traps of the storm so far.
    pub(crate) steps: u64,
    checksum: u64,
    /// The last trap, and who made it.
    last: Option<(Slot, Registers)>,
    /// The system is at its end: what ended it had the right to.
    ended: bool,
}

/// So many of those that never receive are known.
const SLEEPERS_KNOWN: usize = 4;
/// One of so many turns of a service it tells where its grants are: an update or a new program ends them.
const GRANTING: u64 = 12;
/// Steps between two repairs.
const REPAIR: u64 = 48;
/// Turns without a trap of the storm before its system is given up.
const PATIENCE: u64 = 2000;
/// Repairs between two audits.
const AUDIT: u64 = 12;

impl<'t> Storm<'t> {
    pub(crate) fn new(tables: &'t mut Tables, rights: Rights, seed: u64, histogram: &'t mut Histogram) -> Self {
        let world = World::new(tables, rights);
        let generator = |place: u64, calls, omitted| {
            let mut known = Known::new(booted(STORM), ARENA, WINDOW);
            known.memory_end = machine::RAM.end * PAGE_SIZE;
            known.root = booted(ROOT);
            known.first_slot = FIRST_FREE;
            known.samples = Samples { ports: TEXT, filters: FILTERS, grants: GRANTS, copies: COPIES };
            known.device = (DEVICE.start + 1) * PAGE_SIZE..DEVICE.end * PAGE_SIZE;
            for slot in (VM..PEERS.end + SLEEPERS_KNOWN).chain(USERS).chain(VICTIMS) {
                known.endpoints.push(slot as u64);
            }
            for slot in STORM..PEERS.end {
                known.granters.push(booted(slot));
            }
            Generator::new(seed ^ place << 60, known, calls, omitted)
        };
        let checksum = checksum(&world.machine);
        Self {
            random: Random::new(!seed),
            service: generator(1, 70, &[]),
            users: generator(2, 60, &["kernel.abort"]),
            peers: generator(3, 45, &["kernel.abort", "kernel.exit"]),
            made: BTreeMap::new(),
            number: 0,
            histogram,
            steps: 0,
            checksum,
            last: None,
            ended: false,
            world,
        }
    }

    /// Storms until so many traps were made, or the system ends.
    pub(crate) fn run(&mut self, steps: u64) {
        let (mut turns, mut last) = (0u64, (0, 0));
        while self.steps < steps && !self.ended && self.world.kernel.action() == Action::Resume {
            if self.steps != last.0 {
                last = (self.steps, turns);
            }
            // The storm has stopped itself in a way that the root cannot mend.
            self.ended |= turns - last.1 > PATIENCE;
            if turns.is_multiple_of(REPAIR) {
                self.ended |= repair::repair(self).is_err();
                if turns.is_multiple_of(REPAIR * AUDIT) {
                    self.audit();
                }
            }
            turns += 1;
            let before = self.steps;
            self.turn();
            // What others broke shows at the next trap of the storm, too.
            if self.steps != before {
                self.check();
            }
        }
        self.audit();
    }

    fn check(&self) {
        let kernel = &self.world.kernel;
        if let Err(violation) = kernel.check_invariants() {
            let Some((slot, last)) = self.last else { panic!("{violation:?} before anything was done") };
            let who = kernel.process(slot);
            panic!(
                "{violation:?} after {} of {} {:?}: {:x?}; after {} traps",
                Row::of(last.rax, last.rsi).name(),
                who.endpoint,
                who.rts(),
                last,
                self.steps
            );
        }
    }

    fn audit(&self) {
        audit(&self.world.kernel, &self.world.machine);
        assert_eq!(checksum(&self.world.machine), self.checksum, "memory that is nobody's has changed");
    }

    /// Something happens on one processor.
    fn turn(&mut self) {
        let cpu = CpuId::new(self.random.below(CPUS as u64) as usize).expect("there are so many");
        self.world.machine.cpu = cpu;
        self.event(cpu);
        let World { kernel, machine, .. } = &mut self.world;
        if let Some(slot) = kernel.schedule(machine, cpu) {
            self.act(slot);
        }
        let World { kernel, machine, .. } = &mut self.world;
        kernel.schedule(machine, cpu);
        for other in kernel.take_kicks(cpu) {
            machine.cpu = other;
            kernel.schedule(machine, other);
        }
    }

    /// Time passes, or something comes from outside.
    fn event(&mut self, cpu: CpuId) {
        let World { kernel, machine, .. } = &mut self.world;
        match self.random.below(256) {
            0..=15 => {
                machine.ticks += 1;
                processors().for_each(|cpu| {
                    machine.cpu = cpu;
                    kernel.tick(machine, cpu);
                    kernel.schedule(machine, cpu);
                });
                machine.cpu = cpu;
            }
            16..=17 => kernel.interrupt(machine, self.random.below(32) as u8),
            18..=24 if self.may_fault(cpu) => {
                let World { kernel, machine, .. } = &mut self.world;
                let address = ARENA.start + self.random.below(1 << 16);
                let access = if self.random.below(2) == 0 { MemoryAccess::Write } else { MemoryAccess::Read };
                let fast = self.random.below(2) == 0;
                if !fast || kernel.fast_page_fault(machine, cpu, address, access).is_none() {
                    let _ = kernel.memory_fault(machine, cpu, address, access, format_args!("storm"));
                }
            }
            25 if self.may_fault(cpu) => {
                let World { kernel, machine, .. } = &mut self.world;
                let _ = kernel.exception(machine, cpu, Signal::TRAP, format_args!("storm"));
            }
            _ => {}
        }
    }

    /// Whether the one that runs can fault: without root and memory server there is no system.
    fn may_fault(&self, cpu: CpuId) -> bool {
        self.world.kernel.cpu(cpu).current().is_some_and(|slot| slot.index() > STORM)
    }

    /// A process that runs does something.
    fn act(&mut self, slot: Slot) {
        self.returned(slot);
        let frame = self.world.kernel.process(slot).frame;
        let again = self.made.get(&frame.rbx).is_some_and(|made| frame.rip() == made.rip.wrapping_sub(TRAP_LEN));
        if again {
            // It was held back.
            let World { kernel, machine, .. } = &mut self.world;
            kernel.process_mut(slot).frame = frame.trap_again();
            let cpu = machine.cpu;
            let action = kernel.trap(machine, cpu);
            return self.done(slot, frame.rbx, action);
        }
        self.made.remove(&frame.rbx);
        let registers = match slot.index() {
            ROOT => return self.attend(),
            VM => self.serve_memory(slot),
            number if USERS.contains(&number) && self.random.below(100) >= self.world.rights.users_storm => {
                self.wait(slot)
            }
            _ => self.draw(slot),
        };
        self.last = Some((slot, registers));
        self.number += 1;
        let number = self.number;
        let action = self.world.trap(slot, &registers, number);
        let rip = frame.rip().wrapping_add(TRAP_LEN);
        self.made.insert(number, Made { registers, rip, by: slot.index() });
        self.steps += u64::from(self.storms(slot.index()));
        self.done(slot, number, action);
    }

    /// Whether the traps of a slot count.
    fn storms(&self, slot: usize) -> bool {
        slot == STORM || USERS.contains(&slot)
    }

    /// A trap was made; what never returns is counted now.
    fn done(&mut self, slot: Slot, number: u64, action: Action) {
        let exited = self.world.kernel.process(slot).rts().contains(Rts::EXITED);
        let never_returns = exited || matches!(action, Action::Abort { .. });
        if never_returns
            && let Some(made) = self.made.remove(&number)
            && self.storms(made.by)
        {
            self.histogram.count(Row::of(made.registers.rax, made.registers.rsi), 0);
        }
    }

    /// Counts what the last trap of a process came to, if it has returned.
    fn returned(&mut self, slot: Slot) {
        let frame = self.world.kernel.process(slot).frame;
        let Some(made) = self.made.get(&frame.rbx).filter(|made| made.rip == frame.rip()) else {
            return;
        };
        let (registers, by) = (made.registers, made.by);
        self.made.remove(&frame.rbx);
        let result = frame.rax as i64;
        if self.storms(by) {
            self.histogram.count(Row::of(registers.rax, registers.rsi), result);
        }
        let generator = match by {
            STORM => &mut self.service,
            by if USERS.contains(&by) => &mut self.users,
            _ => &mut self.peers,
        };
        generator.learn(&registers, result, &frame.body);
    }

    /// The root deals with what it was told, or waits.
    fn attend(&mut self) {
        let frame = self.world.kernel.process(Slot::of(booted(ROOT))).frame;
        let event = frame.notified_by(Endpoint::SYSTEM).then(|| SystemEvent::read(&frame.body));
        if let Some((process, signals)) = event.and_then(|event| event.signaled) {
            self.ended |= repair::handle(self, process, signals).is_err();
        }
        self.ended |= self.world.rest().is_err();
    }

    /// The memory server has something to do, or waits.
    fn serve_memory(&mut self, slot: Slot) -> Registers {
        let frame = self.world.kernel.process(slot).frame;
        if self.world.rights.scarce == Scarce::Answers {
            return Registers { rdx: booted(PEERS.start).raw().into(), ..self.wait(slot) };
        }
        let event = frame.notified_by(Endpoint::SYSTEM).then(|| SystemEvent::read(&frame.body));
        let wait = event.and_then(|event| event.memory);
        let reenable = 1;
        let takes_hooks = self.world.rights.scarce == Scarce::Hooks && self.random.below(4) != 0;
        match (self.random.below(16), wait) {
            _ if takes_hooks => call(&SetPolicy { line: 3, bit: (self.number % 32) as u32, reenable }),
            (0, _) => call(&SetPolicy { line: 3, bit: self.random.below(32) as u32, reenable }),
            (1, _) => call(&NextEvent {}),
            (2..9, Some(_)) => self.wait(slot), // It forgets about it.
            (_, Some(wait)) if wait.len == 0 => call(&ClearPageFault { process: wait.requestor }),
            (_, Some(wait)) => {
                // The memory is never there: a call that is carried on would ask again, for ever.
                call(&AnswerRequest { process: wait.requestor, available: u32::from(self.random.below(8) == 0) })
            }
            _ => self.wait(slot),
        }
    }

    /// Answers who waits for an answer, or receives.
    fn wait(&mut self, slot: Slot) -> Registers {
        let frame = self.world.kernel.process(slot).frame;
        let trap = match frame.asked_by() {
            Some(_) if self.random.below(3) == 0 => Trap::SendNb,
            Some(_) => Trap::ReplyReceive,
            None => Trap::Receive,
        };
        let to = frame.asked_by().unwrap_or(Endpoint::NONE);
        Registers {
            rax: trap.rax(),
            rdi: to.raw().into(),
            rsi: self.random.word() & 0xffff_ffff,
            rdx: Endpoint::ANY.raw().into(),
            body: core::array::from_fn(|_| self.random.word()),
        }
    }

    fn draw(&mut self, slot: Slot) -> Registers {
        let me = self.world.kernel.process(slot).frame;
        let waits = me.asked_by().is_some() || self.random.below(2) != 0;
        let endpoint = Endpoint::new(slot.index(), 0).filter(|e| self.world.kernel.lookup(*e).is_some());
        if PEERS.contains(&slot.index()) && self.random.below(GRANTING) == 0 {
            return call(&SetGrant { address: GRANTS, count: 8 });
        }
        let generator = match slot.index() {
            STORM => &mut self.service,
            slot if USERS.contains(&slot) => &mut self.users,
            _ if waits && self.world.rights.scarce != Scarce::Answers => return self.wait(slot),
            _ => &mut self.peers,
        };
        generator.known.me = endpoint.unwrap_or(generator.known.me);
        generator.draw(self.histogram)
    }

    /// Those who were made anew become known.
    pub(crate) fn introduce(&mut self, who: Endpoint) {
        for generator in [&mut self.service, &mut self.users, &mut self.peers] {
            let old = generator.known.endpoints.all().iter().find(|raw| **raw as usize % 1024 == who.slot()).copied();
            old.into_iter().for_each(|old| generator.known.endpoints.remove(old));
            generator.known.endpoints.push(who.raw().into());
        }
    }
}

fn call<C: Call>(request: &C) -> Registers {
    let message = encode(C::KIND, request);
    Registers { rax: Trap::KernelCall.rax(), rdi: 0, rsi: message.header(), rdx: 0, body: message.body }
}
