//! The random steps of the test against the model. They are chosen by what there is, so that most of them mean something.

use crate::model::{Ask, CPUS, Call, Model, SLOTS, space_name};
use crate::support::*;
use abi::asynchronous::AsyncEntry;
use abi::boot::BootEntry;
use abi::filter::FilterElement;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Kind, PrivilegeFlags, PrivilegeSpec, Signal, TrapMask};
use kernel_core::{MemoryAccess, Rts};
use protocol::kernel::*;
use protocol::privctl::*;
use protocol::vmctl::{AnswerRequest, ClearPageFault, NextEvent, Settle};
use protocol::{getinfo, privctl, statectl};
use zerocopy::IntoBytes;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Whoever runs on a processor traps, with message `n`; perhaps by the fast path.
    Trap { cpu: usize, ask: Ask, n: u16, fast: bool },
    /// He does something bad.
    Exception { cpu: usize, signal: Signal },
    /// He touches memory that is not there; perhaps that is told by the fast path.
    Fault { cpu: usize, address: u64, access: MemoryAccess, fast: bool },
    /// A timer tick.
    Tick { cpu: usize },
    /// An interrupt for the root.
    Interrupt,
    /// Somebody writes into his memory.
    Store { space: usize, address: u64, bytes: Vec<u8> },
    /// A page of somebody's memory comes or goes.
    Page { space: usize, address: u64, there: bool },
}

impl Step {
    /// The processor that is in the kernel.
    pub(crate) fn cpu(&self) -> usize {
        match self {
            Self::Trap { cpu, .. } | Self::Exception { cpu, .. } | Self::Fault { cpu, .. } | Self::Tick { cpu } => *cpu,
            _ => 0,
        }
    }
}

/// Where a program has its tables of asynchronous messages, and how far apart they are.
const TABLES: u64 = MEMORY_START;
const TABLE: u64 = 0x200;
/// Where it has the elements of its filters.
const ELEMENTS: u64 = MEMORY_START + 0x800;
/// Memory that comes and goes.
const FICKLE: u64 = MEMORY_START + 3 * PAGE_SIZE;

/// Makes choices from one number.
pub(crate) struct Chooser(u64);

impl Chooser {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64, Steele and others 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }

    /// One of the slots for which something holds.
    fn slot(&mut self, holds: impl Fn(usize) -> bool) -> Option<usize> {
        let all: Vec<_> = (0..SLOTS).filter(|slot| holds(*slot)).collect();
        if all.is_empty() { None } else { Some(self.one_of(&all)) }
    }

    /// A step, and a processor that may take its time with what follows from it.
    pub(crate) fn step(&mut self, model: &Model) -> (Option<usize>, Step) {
        let late = self.below(2 * CPUS as u64) as usize;
        (Some(late).filter(|late| *late < CPUS), self.any_step(model))
    }

    fn any_step(&mut self, model: &Model) -> Step {
        let cpu = self.below(CPUS as u64) as usize;
        let busy: Vec<_> = (0..CPUS).filter(|cpu| model.running[*cpu].is_some()).collect();
        if busy.is_empty() {
            return if self.once_in(2) { Step::Tick { cpu: 0 } } else { Step::Interrupt };
        }
        match self.below(200) {
            0..22 => Step::Tick { cpu },
            22..26 => Step::Tick { cpu: 0 },
            26..28 => Step::Interrupt,
            28..42 => self.store(model),
            42..46 => self.page(),
            46..48 => self.exception(model, cpu),
            48..51 => self.fault(model, cpu),
            _ => {
                let cpu = self.one_of(&busy);
                let me = model.running[cpu].expect("it is busy");
                let n = if self.once_in(10) { self.below(1000) as u16 } else { self.below(4) as u16 };
                Step::Trap { cpu, ask: self.ask(model, me), n, fast: self.once_in(2) }
            }
        }
    }

    /// What a program has in its memory at first: elements of filters.
    pub(crate) fn first_elements(space: usize) -> Step {
        let elements = [
            FilterElement::of_kind(Kind(0x7000)),
            FilterElement::from_source(Endpoint::ANY_USR),
            FilterElement::of_kind_from(Kind(0x1000), Endpoint::CLOCK),
        ];
        Step::Store { space, address: ELEMENTS, bytes: elements.as_bytes().to_vec() }
    }

    /// Whether the kernel would have to give up if this process came to its end.
    fn is_vital(model: &Model, slot: usize) -> bool {
        model.manager_of(slot) == Some(slot)
    }

    fn exception(&mut self, model: &Model, cpu: usize) -> Step {
        let signal = self.one_of(&[Signal::ILL, Signal::SEGV, Signal::FPE, Signal::TRAP, Signal::BUS]);
        let vital = model.running[cpu].is_some_and(|me| Self::is_vital(model, me));
        if vital && !self.once_in(50) { Step::Tick { cpu } } else { Step::Exception { cpu, signal } }
    }

    fn fault(&mut self, model: &Model, cpu: usize) -> Step {
        let access = self.one_of(&[MemoryAccess::Read, MemoryAccess::Write, MemoryAccess::Execute]);
        let vital = model.running[cpu].is_some_and(|me| Self::is_vital(model, me) || model.pager() == Some(me));
        let address = FICKLE + self.below(PAGE_SIZE);
        let fast = self.once_in(2);
        if vital && !self.once_in(50) { Step::Tick { cpu } } else { Step::Fault { cpu, address, access, fast } }
    }

    fn page(&mut self) -> Step {
        let (space, there) = (self.below(SLOTS as u64) as usize, !self.once_in(3));
        Step::Page { space, address: FICKLE, there }
    }

    /// An entry of a table of asynchronous messages, or an element of a filter.
    fn store(&mut self, model: &Model) -> Step {
        let any = self.below(SLOTS as u64) as usize;
        let runs = self.slot(|slot| model.runs(slot) && model.program(slot).space.is_some());
        let space = runs.filter(|_| !self.once_in(3)).and_then(|slot| model.program(slot).space).unwrap_or(any);
        if self.once_in(5) {
            let element = self.element(model);
            let address = self.one_of(&[ELEMENTS, ELEMENTS, FICKLE]) + 16 * self.below(3);
            return Step::Store { space, address, bytes: element.as_bytes().to_vec() };
        }
        let flags = match self.below(12) {
            0 => 0,
            1 => self.below(64) as u32,
            _ => 1 | self.one_of(&[0, 4, 8, 16, 12]),
        };
        let destination = if self.once_in(12) { Endpoint::SELF } else { self.name(model, 0) };
        let n = self.below(4) as u16;
        let mut entry = AsyncEntry { flags, destination, result: 1, message: message(n) };
        entry.message.body[6] = self.next();
        let table = self.one_of(&[TABLES, TABLES + TABLE, FICKLE]);
        Step::Store { space, address: table + 80 * self.below(3), bytes: entry.as_bytes().to_vec() }
    }

    fn element(&mut self, model: &Model) -> FilterElement {
        let kinds = [0x7000, 0x7001, 0x7002, 0x7003, 0x1000, 0x901];
        let kind = Kind(self.one_of(&kinds));
        let classes = [Endpoint::ANY_USR, Endpoint::ANY_TSK, Endpoint::ANY_SYS, Endpoint::SYSTEM, Endpoint::CLOCK];
        let source = if self.once_in(2) { self.name(model, 0) } else { self.one_of(&classes) };
        match self.below(10) {
            0..4 => FilterElement::from_source(source),
            4..7 => FilterElement::of_kind(kind),
            7..9 => FilterElement::of_kind_from(kind, source),
            _ => FilterElement { flags: self.below(8) as u32, ..FilterElement::from_source(source) },
        }
    }

    /// An endpoint in the mouth of `me`.
    fn name(&mut self, model: &Model, me: usize) -> Endpoint {
        let live = |slot: usize| !model.program(slot).is(Rts::FREE);
        let own = model.slots[me].endpoint;
        let any = self.below(SLOTS as u64) as usize;
        let named = match self.below(100) {
            0..50 => self.slot(|slot| live(slot) && slot != me),
            50..74 => self.slot(|slot| live(slot) && model.waits_for(slot) == Some(own)).or(Some(any)),
            74..80 => Some(any),
            80..90 => return Endpoint::ANY,
            90..95 => {
                let other = model.slots[any].endpoint;
                return Endpoint::new(any, (other.generation() + self.below(3) as u32).saturating_sub(1))
                    .expect("there are as many generations");
            }
            95..99 => {
                let (tasks, others) = (
                    [Endpoint::SYSTEM, Endpoint::CLOCK, Endpoint::HARDWARE, Endpoint::ASYNCM],
                    [Endpoint::NONE, Endpoint::SELF, Endpoint::ANY_USR],
                );
                return if self.once_in(2) { self.one_of(&tasks) } else { self.one_of(&others) };
            }
            _ => return Endpoint::from_raw(self.next() as u32),
        };
        model.slots[named.unwrap_or(any)].endpoint
    }

    /// A live process, mostly.
    fn process(&mut self, model: &Model) -> Endpoint {
        let live = self.slot(|slot| !model.program(slot).is(Rts::FREE)).unwrap_or(0);
        if self.once_in(20) { self.name(model, live) } else { model.slots[live].endpoint }
    }

    fn ask(&mut self, model: &Model, me: usize) -> Ask {
        if model.slots[me].endpoint == model.root {
            return self.ask_of_root(model, me);
        }
        match self.below(120) {
            100..110 => Ask::SendRec(self.server(model, me)),
            110..114 => Ask::Notify(self.server(model, me)),
            0..9 => Ask::Send(self.name(model, me)),
            9..15 => Ask::SendNb(self.name(model, me)),
            15..29 => Ask::SendRec(self.name(model, me)),
            29..37 => Ask::Notify(self.name(model, me)),
            37..42 => Ask::Receive(self.name(model, me)),
            42..53 => Ask::Receive(Endpoint::ANY),
            53..65 => {
                let from = if self.once_in(4) { self.name(model, me) } else { Endpoint::ANY };
                Ask::ReplyReceive { to: self.client(model, me), from }
            }
            65..72 => self.send_table(),
            72 => Ask::Unknown(self.next()),
            73..88 => self.help(model, me).unwrap_or_else(|| Ask::Call(self.call(model, me))),
            _ => Ask::Call(self.call(model, me)),
        }
    }

    /// The root never waits for somebody in particular, and helps the others, so that a system does not come to rest.
    fn ask_of_root(&mut self, model: &Model, me: usize) -> Ask {
        match self.below(100) {
            0..45 => self.help(model, me).unwrap_or(Ask::Receive(Endpoint::ANY)),
            45..50 => Ask::Receive(Endpoint::ANY),
            50..60 => Ask::ReplyReceive { to: self.client(model, me), from: Endpoint::ANY },
            60..66 => Ask::Notify(self.name(model, me)),
            66..72 => Ask::SendNb(self.name(model, me)),
            72..76 => self.send_table(),
            76 if self.once_in(10) => Ask::SendRec(self.name(model, me)),
            _ => match self.call(model, me) {
                // What can make it wait, or keep it from being woken.
                Call::AddBlacklist(_) | Call::AddWhitelist(_) | Call::DiagWrite(_) | Call::YieldTo(_)
                    if !self.once_in(10) =>
                {
                    Ask::Call(Call::ClearFilters(statectl::ClearFilters {}))
                }
                call => Ask::Call(call),
            },
        }
    }

    /// Somebody who waits for anybody on the same processor, if there is one.
    fn server(&mut self, model: &Model, me: usize) -> Endpoint {
        let waits =
            |slot: usize| model.program(slot).rts == Rts::RECEIVING && model.slots[slot].cpu == model.slots[me].cpu;
        self.slot(waits).map_or_else(|| self.name(model, me), |slot| model.slots[slot].endpoint)
    }

    /// Somebody who waits for an answer, if there is one.
    fn client(&mut self, model: &Model, me: usize) -> Endpoint {
        match self.slot(|slot| model.awaits_answer(slot, me)) {
            Some(client) if !self.once_in(10) => model.slots[client].endpoint,
            _ => self.name(model, me),
        }
    }

    fn send_table(&mut self) -> Ask {
        let address = self.one_of(&[TABLES, TABLES + TABLE, FICKLE]);
        match self.below(20) {
            0 => Ask::SendA { address: u64::MAX - self.below(200), count: 3 },
            1 => Ask::SendA { address, count: 63 + self.below(4) },
            2 => Ask::SendA { address: MEMORY_START - 40, count: 2 },
            _ => Ask::SendA { address, count: self.below(4) },
        }
    }

    /// What somebody who does not run may need.
    fn help(&mut self, model: &Model, me: usize) -> Option<Ask> {
        let waits =
            |slot: usize| slot != me && !model.program(slot).rts.is_empty() && !model.program(slot).is(Rts::FREE);
        let slot = self.slot(waits)?;
        let ipc = Rts::SENDING | Rts::RECEIVING | Rts::REPLY;
        let reasons: Vec<_> = (model.program(slot).rts - ipc).iter().collect();
        let process = model.slots[slot].endpoint;
        if reasons.is_empty() {
            let partner = model.waits_for(slot).filter(|partner| *partner != Endpoint::ANY);
            return Some(match self.below(6) {
                0 => Ask::Call(self.exec(process)),
                1 => Ask::Call(Call::ClearRefsOf(privctl::ClearRefs { process: partner.unwrap_or(process) })),
                2 => Ask::Notify(process),
                _ => Ask::SendNb(process),
            });
        }
        Some(Ask::Call(match self.one_of(&reasons) {
            Rts::NO_PRIV => match self.below(6) {
                0 => Call::SetUser(SetUser { process }),
                1 => self.set_sys(model, process),
                _ => Call::Allow(Allow { process }),
            },
            Rts::NO_SPACE => Call::Settle(Settle { process, reserved: 0, space: space_name(slot) }),
            Rts::NO_QUANTUM if model.slots[slot].scheduler == model.slots[me].endpoint => self.schedule(process),
            Rts::NO_QUANTUM => self.schedctl(process),
            Rts::SIGNALED => Call::GetKSig(GetKSig {}),
            Rts::SIGNAL_PENDING => Call::EndKSig(EndKSig { process }),
            Rts::PAGE_FAULT => Call::ClearPageFault(ClearPageFault { process }),
            Rts::MEMORY_REQUEST => {
                let available = u32::from(!self.once_in(3));
                Call::AnswerRequest(AnswerRequest { process, available })
            }
            Rts::STOPPED => Call::RunCtl(RunCtl { process, action: RunAction::Resume }),
            _ => Call::Clear(Clear { process }),
        }))
    }

    fn call(&mut self, model: &Model, me: usize) -> Call {
        let process = match self.process(model) {
            root if root == model.root && !self.once_in(20) => model.slots[0].endpoint,
            process => process,
        };
        match self.below(60) {
            0..6 => self.fork(model),
            6..8 => self.exec(process),
            8 => Call::Clear(Clear { process }),
            9 => self.schedule(process),
            10..13 => self.schedctl(process),
            13..15 => self.kill(model, process),
            15 => Call::GetKSig(GetKSig {}),
            16 => Call::EndKSig(EndKSig { process }),
            17..20 => self.alarm(model),
            20 => Call::Times(Times {}),
            21 => Call::WhoAmI(WhoAmI {}),
            22..25 => {
                let address = self.one_of(&[MEMORY_START, FICKLE, FICKLE - 4, 0]);
                Call::DiagWrite(DiagWrite { address, len: self.one_of(&[1, 8, 0, 1025]) })
            }
            25..28 => {
                let action = self.one_of(&[RunAction::Stop, RunAction::StopAfterSend, RunAction::Resume]);
                Call::RunCtl(RunCtl { process, action })
            }
            28..33 => self.update(model),
            33 if !Self::is_vital(model, me) || self.once_in(50) => Call::Exit(Exit { status: self.below(3) }),
            34 if self.once_in(60) => Call::Abort(Abort { how: AbortHow::Leave, status: self.below(3) as u32 }),
            34 => Call::Unknown(self.one_of(&[0x5ff, 0x604, 0x60b, 0x63f, 0xffff, 0x7000])),
            35..38 => Call::Disallow(Disallow { process }),
            38 => Call::Allow(Allow { process }),
            39 => self.set_sys(model, process),
            40 => Call::SetUser(SetUser { process }),
            41..44 => self.update_sys(model, process),
            44 => Call::YieldTo(YieldTo { process }),
            45 => Call::ClearRefsOf(privctl::ClearRefs { process }),
            46..48 => {
                let id = self.one_of(&[5, 6, 7, 8, 11, 12, 13, 14, 63, 64]);
                Call::GetPrivileges(getinfo::GetPrivileges { id })
            }
            48 => {
                let space = self.one_of(&[0, space_name(2), space_name(7), 12]);
                Call::Settle(Settle { process, reserved: 0, space })
            }
            49 => Call::NextEvent(NextEvent {}),
            50 => Call::ClearPageFault(ClearPageFault { process }),
            51 => Call::AnswerRequest(AnswerRequest { process, available: self.below(2) as u32 }),
            52 => Call::ClearRefs(statectl::ClearRefs {}),
            53 => {
                let (address, count) = self.elements();
                Call::AddBlacklist(statectl::AddBlacklist { address, count })
            }
            54 => {
                let (address, count) = self.elements();
                Call::AddWhitelist(statectl::AddWhitelist { address, count })
            }
            _ => Call::ClearFilters(statectl::ClearFilters {}),
        }
    }

    fn elements(&mut self) -> (u64, u64) {
        (self.one_of(&[ELEMENTS, ELEMENTS, FICKLE]), self.one_of(&[1, 1, 2, 3, 0, 129]))
    }

    fn fork(&mut self, model: &Model) -> Call {
        let receives = |slot: usize| {
            let p = model.program(slot);
            p.is(Rts::RECEIVING) && !p.is(Rts::SENDING)
        };
        let free = self.slot(|slot| model.program(slot).is(Rts::FREE));
        let parent = self.slot(receives);
        match (parent, free) {
            (Some(parent), Some(slot)) if !self.once_in(10) => {
                Call::Fork(Fork { parent: model.slots[parent].endpoint, slot: slot as u32 })
            }
            _ => Call::Fork(Fork { parent: self.process(model), slot: self.one_of(&[0, 7, 1024, u32::MAX]) }),
        }
    }

    fn exec(&mut self, process: Endpoint) -> Call {
        let name = BootEntry::encode_name(self.one_of(&["new", "another", "a"])).expect("a good name");
        let entry = if self.once_in(10) { 8 } else { ENTRY };
        Call::Exec(Exec { name, stack: STACK, entry, process, reserved: 0 })
    }

    /// Where, how urgently and how long.
    fn numbers(&mut self) -> [i32; 3] {
        let priority = self.one_of(&[KEEP, 6, 7, 7, 8, 0, 15, 16, -2]);
        let quantum = self.one_of(&[KEEP, 4, 8, 12, 20, 0, i32::MAX]);
        [priority, quantum, self.one_of(&[KEEP, 0, 1, 2, 3, 4, 8])]
    }

    fn schedule(&mut self, process: Endpoint) -> Call {
        let [priority, quantum, cpu] = if self.once_in(2) { [KEEP; 3] } else { self.numbers() };
        Call::Schedule(Schedule { process, priority, quantum, cpu })
    }

    fn schedctl(&mut self, process: Endpoint) -> Call {
        let [priority, quantum, cpu] = if self.once_in(2) { [KEEP; 3] } else { self.numbers() };
        let scheduler = self.one_of(&[Scheduler::Kernel, Scheduler::Caller]);
        Call::SchedCtl(SchedCtl { process, scheduler, priority, quantum, cpu })
    }

    fn kill(&mut self, model: &Model, process: Endpoint) -> Call {
        let process = if self.once_in(8) { model.root } else { process };
        let vital = model.live(process).is_some_and(|slot| Self::is_vital(model, slot));
        let signal = match self.below(4) {
            0 => self.below(66) as u32,
            _ => self.one_of(&[1, 9, 11, 15]),
        };
        let lethal = Signal::from_user(signal).is_some_and(Signal::is_lethal);
        let signal = if vital && lethal && !self.once_in(50) { 15 } else { signal };
        Call::Kill(Kill { process, signal })
    }

    fn alarm(&mut self, model: &Model) -> Call {
        let now = model.machine.ticks;
        let (ticks, absolute) =
            self.one_of(&[(0, 0), (1, 0), (3, 0), (10, 0), (now + 2, 1), (now, 1), (0, 1), (now / 2, 7)]);
        Call::SetAlarm(SetAlarm { ticks, absolute })
    }

    fn update(&mut self, model: &Model) -> Call {
        let rare = self.once_in(20);
        let is_root = |slot: usize| model.slots[slot].endpoint == model.root;
        let ready = |slot: usize| model.is_service(slot) && model.is_updatable(slot) && (rare || !is_root(slot));
        let two = (self.slot(ready), self.slot(ready));
        let [source, destination] = match two {
            (Some(a), Some(b)) if !self.once_in(8) => [a, b].map(|slot| model.slots[slot].endpoint),
            _ => [self.process(model), self.process(model)],
        };
        let direction = self.one_of(&[UpdateDirection::Forward, UpdateDirection::Rollback]);
        Call::Update(Update { source, destination, direction })
    }

    fn spec(&mut self, model: &Model) -> PrivilegeSpec {
        let mut mask = |rare: u64| if self.once_in(rare) { self.next() } else { u64::MAX };
        let (sends, calls) = (mask(8), mask(8));
        let traps = if self.once_in(12) { self.next() as u32 & TrapMask::all().bits() } else { TrapMask::all().bits() };
        let mut flags = PrivilegeFlags::PREEMPTIBLE;
        for (flag, rare) in
            [(PrivilegeFlags::PREEMPTIBLE, 8), (PrivilegeFlags::PAGER, 4), (PrivilegeFlags::BILLABLE, 4)]
        {
            if self.once_in(rare) {
                flags ^= flag;
            }
        }
        let manager = match self.below(10) {
            0 => Endpoint::SELF,
            1..6 => model.root,
            _ => self.process(model),
        };
        let backup = if self.once_in(2) { Endpoint::NONE } else { self.process(model) };
        let traps = if self.once_in(40) { 1 } else { traps };
        PrivilegeSpec { sends, calls, flags: flags.bits(), init_flags: 0, traps, manager, backup, reserved: 0 }
    }

    fn set_sys(&mut self, model: &Model, process: Endpoint) -> Call {
        let id = match self.below(4) {
            0 => self.one_of(&[5, 6, 7, 8, 9, 10, 11, 12, 64]),
            1 => 6 + process.slot() as u32,
            _ => DYNAMIC_ID,
        };
        Call::SetSys(SetSys { spec: self.spec(model), process, id })
    }

    fn update_sys(&mut self, model: &Model, process: Endpoint) -> Call {
        let process = if self.once_in(4) { Endpoint::NONE } else { process };
        Call::UpdateSys(UpdateSys { spec: self.spec(model), process, reset_ranges: 0 })
    }
}
