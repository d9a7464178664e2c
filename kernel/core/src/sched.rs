//! Scheduling: a queue for each priority, the first process of the most urgent one runs.

use crate::frames::FrameNumber;
use crate::list::List;
use crate::process::Pending;
use crate::{Kernel, Machine, Rts, Slot, Table};
use abi::boot::PRIORITIES;
use abi::{Endpoint, Message, PrivilegeFlags};
use protocol::sched::{OUT_OF_QUANTUM, OutOfQuantum};

/// Timer ticks that a process runs before others of its priority get their turn.
pub const QUANTUM_TICKS: u16 = 5;

pub use abi::boot::MAX_CPUS;

/// The number of a processor; always in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct CpuId(u8);

impl CpuId {
    /// The processor that the system boots on: there always is one.
    pub const BOOT: Self = Self(0);

    /// The processor with this number; `None` beyond [`MAX_CPUS`].
    pub const fn new(number: usize) -> Option<Self> {
        if number < MAX_CPUS { Some(Self(number as u8)) } else { None }
    }

    /// Its index in tables of [`MAX_CPUS`] entries.
    pub const fn index(self) -> usize {
        self.0 as usize % MAX_CPUS
    }

    /// All of them, whether they run or not.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..MAX_CPUS as u8).map(Self)
    }
}

/// What the core keeps for each processor; as much aligned as it is long, so that a number turns into an address by a shift.
#[derive(Clone, Copy)]
#[repr(align(256))]
pub struct Cpu {
    /// Who runs; in no queue meanwhile.
    current: Option<Slot>,
    /// Timer ticks that it may still run before others of its priority do. They go along with a message that is handed over
    /// directly.
    ticks_left: u16,
    ready: [List; PRIORITIES],
    /// A bit for each queue that is not empty.
    occupied: u16,
    /// Whoever runs goes on as long as its priority is below: one more than that of the most urgent ready process, and 0
    /// once a choice must be made anyway.
    bound: u8,
    /// Time-stamp counter at the last switch.
    pub(crate) switched_at: u64,
    /// Cycles that it had nothing to do.
    pub(crate) idle: u64,
    /// Who is charged for the time of services: the last one to run that can be.
    billed: Option<Slot>,
}

const _: () = assert!(size_of::<Cpu>() == 256);

/// The bound if nobody is ready.
const UNBOUNDED: u8 = PRIORITIES as u8 + 1;

impl Cpu {
    /// A processor that has nothing to run.
    pub(crate) const IDLE: Self = Self {
        current: None,
        ticks_left: 0,
        ready: [List::EMPTY; PRIORITIES],
        occupied: 0,
        bound: UNBOUNDED,
        switched_at: 0,
        idle: 0,
        billed: None,
    };

    /// The process that runs.
    pub fn current(&self) -> Option<Slot> {
        self.current
    }

    /// Only a process whose priority is below may run on, or be switched to.
    pub(crate) fn bound(&self) -> u8 {
        self.bound
    }

    /// What the bound is if no choice is asked for.
    pub(crate) fn bound_by_ready(&self) -> u8 {
        (self.occupied.trailing_zeros() as u8 + 1).min(UNBOUNDED)
    }

    fn set_occupied(&mut self, occupied: u16) {
        self.occupied = occupied;
        // One that was asked to choose anew still is.
        if self.bound != 0 {
            self.bound = self.bound_by_ready();
        }
    }

    /// Whoever runs does not go on before a choice is made.
    pub(crate) fn choose_anew(&mut self) {
        self.bound = 0;
    }

    /// Cycles since the last switch, which is now.
    #[inline(always)]
    pub(crate) fn time_since_switch(&mut self, now: u64) -> u64 {
        now.wrapping_sub(core::mem::replace(&mut self.switched_at, now))
    }

    /// Makes a process that was blocked the one that runs.
    pub(crate) fn switch_to(&mut self, slot: Slot) {
        self.current = Some(slot);
    }

    /// The same, for a turn of its own.
    pub(crate) fn start_turn(&mut self, slot: Slot, ticks: u16) {
        self.current = Some(slot);
        self.ticks_left = ticks;
    }

    /// Charges nobody who has ended.
    pub(crate) fn forget(&mut self, slot: Slot) {
        if self.billed == Some(slot) {
            self.billed = None;
        }
    }

    /// Ticks that are left of the turn.
    pub(crate) fn ticks_left(&self) -> u16 {
        self.ticks_left
    }

    /// Puts a process behind those of its priority that are ready here.
    pub(crate) fn append<M: Machine>(&mut self, procs: &mut Table<M>, slot: Slot) {
        let priority = procs[slot.index()].priority;
        self.ready[usize::from(priority) % PRIORITIES].push_back(procs, slot);
        self.set_occupied(self.occupied | 1 << priority);
    }

    /// The first process of the most urgent queue.
    pub(crate) fn first(&self) -> Option<Slot> {
        self.ready.get(self.occupied.trailing_zeros() as usize)?.head()
    }

    /// Takes that one out, and makes it the one that runs.
    pub(crate) fn take_first<M: Machine>(&mut self, procs: &mut Table<M>) -> Option<Slot> {
        let best = self.occupied.trailing_zeros() as usize;
        let queue = self.ready.get_mut(best)?;
        let next = queue.pop_front(procs)?;
        if queue.head().is_none() {
            self.occupied &= !(1 << best);
        }
        self.ticks_left = procs[next.index()].ticks_left;
        self.current = Some(next);
        self.bound = self.bound_by_ready();
        Some(next)
    }

    pub(crate) fn queues(&self) -> &[List; PRIORITIES] {
        &self.ready
    }

    pub(crate) fn occupied(&self) -> u16 {
        self.occupied
    }
}

/// Where, how urgently and how long a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) cpu: CpuId,
    pub(crate) priority: u8,
    /// Ticks.
    pub(crate) quantum: u16,
}

impl<M: Machine> Kernel<'_, M> {
    /// What is kept for a processor.
    pub fn cpu(&self, id: CpuId) -> &Cpu {
        &self.cpus[id.index()]
    }

    pub(crate) fn cpu_mut(&mut self, id: CpuId) -> &mut Cpu {
        &mut self.cpus[id.index()]
    }

    /// Whether a process runs right now, or has just blocked and nobody else was chosen yet.
    pub(crate) fn runs(&self, slot: Slot) -> bool {
        self.cpu(self.process(slot).cpu).current == Some(slot)
    }

    /// Whether a process cannot run, and its processor has left it: so its registers are where they can be changed.
    pub(crate) fn is_stopped(&self, slot: Slot) -> bool {
        !self.process(slot).rts.is_empty() && !self.runs(slot)
    }

    /// Whether what a process waits for will put something into its registers. The kernel's own message needs them not.
    pub(crate) fn waits_in_trap(&self, slot: Slot) -> bool {
        let p = self.process(slot);
        let sends = p.rts.contains(Rts::SENDING) && !p.pending.contains(Pending::KERNEL_SENDS);
        sends || p.rts.intersects(Rts::RECEIVING | Rts::MEMORY_REQUEST)
    }

    /// Puts a process behind those of its priority that are ready on its processor.
    pub(crate) fn enqueue_tail(&mut self, slot: Slot) {
        let cpu = self.process(slot).cpu;
        self.cpus[cpu.index()].append(self.procs, slot);
    }

    /// Puts it before them.
    fn enqueue_head(&mut self, slot: Slot) {
        let (cpu, priority) = self.place(slot);
        let cpu = &mut self.cpus[cpu.index()];
        cpu.ready[usize::from(priority)].push_front(self.procs, slot);
        cpu.set_occupied(cpu.occupied | 1 << priority);
    }

    /// Takes a process that is ready, but does not run, out of its queue.
    pub(crate) fn dequeue(&mut self, slot: Slot) {
        let (cpu, priority) = self.place(slot);
        let cpu = &mut self.cpus[cpu.index()];
        let queue = &mut cpu.ready[usize::from(priority)];
        queue.remove(self.procs, slot);
        if queue.head().is_none() {
            cpu.set_occupied(cpu.occupied & !(1 << priority));
        }
    }

    /// The queue of a process.
    fn place(&self, slot: Slot) -> (CpuId, u8) {
        let p = self.process(slot);
        (p.cpu, p.priority)
    }

    /// Whether the process that runs on `cpu` goes on: it can, has time left, and nobody more urgent is ready.
    #[inline(always)]
    pub fn goes_on(&self, cpu: CpuId) -> bool {
        self.cpu(cpu).current.is_some_and(|me| self.keeps(cpu, me))
    }

    /// The same of a process that ran when the kernel was entered.
    #[inline(always)]
    pub fn keeps(&self, cpu: CpuId, me: Slot) -> bool {
        let (cpu, p) = (self.cpu(cpu), self.process(me));
        cpu.current == Some(me) && p.rts.is_empty() && cpu.ticks_left != 0 && p.urgency < cpu.bound
    }

    /// Chooses who runs next on `cpu`: the one that runs as long as it can, has time left and nobody more urgent is
    /// ready. One that gives way to a more urgent process goes on before its peers; one whose time is used up goes behind
    /// them with fresh time, or waits for its scheduler. A kernel call that was suspended is carried on before its process
    /// runs. `None` if nobody is ready.
    pub fn schedule(&mut self, machine: &mut M, cpu: CpuId) -> Option<Slot> {
        if self.goes_on(cpu) { self.cpu(cpu).current } else { self.switch(machine, cpu) }
    }

    /// The same, when the one that runs does not go on.
    pub fn switch(&mut self, machine: &mut M, cpu: CpuId) -> Option<Slot> {
        self.here = cpu;
        self.charge(machine, cpu);
        loop {
            self.put_back(cpu);
            let next = self.pick(cpu)?;
            if self.may_run(machine, next) {
                return Some(next);
            }
        }
    }

    /// Does what is to be done before a process runs; whether it then can.
    fn may_run(&mut self, machine: &mut M, slot: Slot) -> bool {
        let pending = self.process(slot).pending;
        if pending.is_empty() {
            return true;
        }
        if pending.contains(Pending::CALL) {
            self.resume_call(machine, slot);
        } else if pending.contains(Pending::TRAP_MADE) {
            self.end_trap(machine, slot);
        }
        // A call that starts again is carried on once more before its program goes on; then its tracer hears of it.
        let p = self.process(slot);
        p.rts.is_empty() && !p.pending.intersects(Pending::BEFORE_RUNNING)
    }

    /// Puts the process that ran into a queue, if it can go on.
    fn put_back(&mut self, cpu: CpuId) {
        let here = self.cpu_mut(cpu);
        let ticks_left = here.ticks_left;
        let Some(me) = here.current.take() else {
            return;
        };
        self.process_mut(me).ticks_left = ticks_left;
        if let Some(place) = self.process_mut(me).moves_to.take() {
            self.take_place(me, place);
            if self.process(me).rts.is_empty() {
                self.make_ready(me);
            }
            return;
        }
        let p = self.process(me);
        if !p.rts.is_empty() {
            return;
        }
        if p.ticks_left != 0 {
            self.enqueue_head(me);
        } else if self.has_scheduler(me) {
            self.end_turn(me);
        } else {
            let p = self.process_mut(me);
            p.ticks_left = p.quantum;
            self.enqueue_tail(me);
        }
    }

    /// Makes the first process of the most urgent queue the one that runs, if there is one.
    fn pick(&mut self, cpu: CpuId) -> Option<Slot> {
        let here = &mut self.cpus[cpu.index()];
        here.bound = here.bound_by_ready();
        here.take_first(self.procs)
    }

    /// Charges the time since the last switch to the process that ran; if none did, the processor had nothing to do.
    pub(crate) fn charge(&mut self, machine: &M, cpu: CpuId) {
        let cpu = &mut self.cpus[cpu.index()];
        let cycles = cpu.time_since_switch(machine.time_stamp());
        match cpu.current {
            Some(slot) => self.procs[slot.index()].used.cycles += cycles,
            None => cpu.idle += cycles,
        }
    }

    /// A processor is about to run a process. Returns the root page table that it must load; `None` if it has it loaded.
    #[inline(always)]
    pub fn enter_space(&mut self, cpu: CpuId, slot: Slot) -> Option<FrameNumber> {
        let home = self.procs[slot.index()].space?;
        self.spaces.enter(cpu, home)
    }

    /// Whether somebody but the kernel decides what becomes of a process whose time is used up. Where that one has died, or
    /// the process is not to be preempted, it is the kernel.
    fn has_scheduler(&self, slot: Slot) -> bool {
        let p = self.process(slot);
        p.scheduler != Endpoint::NONE && p.scheduler != p.endpoint && p.urgency == p.priority
    }

    /// The time of a process is used up: it waits until its scheduler has decided, who is sent a message in its name.
    fn end_turn(&mut self, slot: Slot) {
        let p = self.process_mut(slot);
        p.rts |= Rts::NO_QUANTUM;
        p.pending |= Pending::KERNEL_SENDS;
        let scheduler = p.scheduler;
        match self.lookup(scheduler) {
            Some(to) => self.send_by_kernel(slot, to),
            None => self.leave_scheduler(slot),
        }
    }

    /// What the scheduler of a process is told when its time is used up.
    pub(crate) fn out_of_quantum(&self, slot: Slot) -> Message {
        let p = self.process(slot);
        let told = OutOfQuantum {
            cycles: p.used.cycles,
            user_ticks: p.used.user_ticks,
            system_ticks: p.used.system_ticks,
            priority: p.priority.into(),
            cpu: p.cpu.index() as u32,
            quantum: p.quantum.into(),
        };
        Message { peer: p.endpoint, ..protocol::encode(OUT_OF_QUANTUM, &told) }
    }

    /// The kernel schedules a process from now on, and gives it a turn if it waits for one.
    pub(crate) fn leave_scheduler(&mut self, slot: Slot) {
        self.withdraw_kernel_message(slot);
        let p = self.process_mut(slot);
        p.scheduler = Endpoint::NONE;
        p.pending.remove(Pending::KERNEL_SENDS);
        p.ticks_left = p.quantum;
        self.unblock(slot, Rts::NO_QUANTUM);
    }

    /// Whoever was to be told that the time of a process is used up need not decide any more.
    fn withdraw_kernel_message(&mut self, slot: Slot) {
        if self.process(slot).pending.contains(Pending::KERNEL_SENDS) {
            self.withdraw_message(slot);
        }
    }

    /// A timer tick has come on `cpu`.
    pub fn tick(&mut self, machine: &mut M, cpu: CpuId) {
        self.here = cpu;
        if let Some(me) = self.cpu(cpu).current {
            let here = self.cpu_mut(cpu);
            here.ticks_left = here.ticks_left.saturating_sub(1);
            self.process_mut(me).used.user_ticks += 1;
            if self.privileges(me).flags.contains(PrivilegeFlags::BILLABLE) {
                self.cpu_mut(cpu).billed = Some(me);
            } else if let Some(billed) = self.cpu(cpu).billed {
                self.process_mut(billed).used.system_ticks += 1;
            }
        }
        if cpu == CpuId::BOOT {
            self.ring_alarms(machine);
            self.spaces.sweep(machine);
            self.spaces.settle_lendings(machine);
        }
    }

    /// A process that was blocked can run. If its processor does something less urgent, or nothing, that must choose anew:
    /// see [`Kernel::take_kicks`].
    pub(crate) fn make_ready(&mut self, slot: Slot) {
        let p = &self.procs[slot.index()];
        debug_assert!(p.rts.is_empty());
        let (id, priority) = (p.cpu, p.priority);
        let cpu = &mut self.cpus[id.index()];
        if cpu.current == Some(slot) {
            return; // It was blocked and released before anybody else was chosen.
        }
        let urgent = cpu.current.is_none_or(|other| self.procs[other.index()].urgency > priority);
        cpu.append(self.procs, slot);
        if urgent {
            self.kicks |= 1 << id.index();
        }
    }

    /// Stops a process for one more reason. When this returns, it executes no further instruction until the reason is gone.
    pub(crate) fn block(&mut self, machine: &mut M, slot: Slot, why: Rts) {
        let p = self.process_mut(slot);
        let could_run = p.rts.is_empty();
        p.rts |= why;
        if !could_run {
            return;
        }
        if !self.runs(slot) {
            self.dequeue(slot);
            return;
        }
        let cpu = self.process(slot).cpu;
        if cpu != self.here {
            self.cpu_mut(cpu).bound = 0;
            self.spaces.stop(machine, cpu);
        }
    }

    /// A reason why a process does not run is gone.
    pub(crate) fn unblock(&mut self, slot: Slot, why: Rts) {
        let p = self.process_mut(slot);
        if !p.rts.intersects(why) {
            return;
        }
        p.rts.remove(why);
        if p.rts.is_empty() {
            self.make_ready(slot);
        }
    }

    /// Sets what a scheduler decides, and gives the process a new turn behind its peers. One that runs on another processor
    /// goes to its new place as soon as that one has left it.
    pub(crate) fn place_process(&mut self, slot: Slot, place: Place) {
        self.withdraw_kernel_message(slot);
        let waits = !self.process(slot).rts.is_empty();
        if self.runs(slot) {
            let from = self.process(slot).cpu;
            self.cpu_mut(from).bound = 0;
            self.kicks |= 1 << from.index();
            self.process_mut(slot).moves_to = Some(place);
        } else if waits {
            self.take_place(slot, place);
        } else {
            self.dequeue(slot);
            self.take_place(slot, place);
            self.make_ready(slot);
        }
        self.unblock(slot, Rts::NO_QUANTUM);
    }

    fn take_place(&mut self, slot: Slot, Place { cpu, priority, quantum }: Place) {
        let p = self.process_mut(slot);
        (p.cpu, p.priority, p.quantum, p.ticks_left) = (cpu, priority, quantum, quantum);
        self.derive(slot);
    }

    /// The processors, besides the one that asks, that must choose anew who runs; each is named once.
    pub fn take_kicks(&mut self, except: CpuId) -> impl Iterator<Item = CpuId> + use<M> {
        let kicks = core::mem::take(&mut self.kicks) & !(1 << except.index());
        CpuId::all().filter(move |id| kicks >> id.index() & 1 != 0)
    }

    /// Whether [`Kernel::take_kicks`] may have something.
    #[inline(always)]
    pub fn has_kicks(&self) -> bool {
        self.kicks != 0
    }

    /// Whether a processor runs.
    pub(crate) fn is_online(&self, cpu: CpuId) -> bool {
        cpu.index() < self.online
    }

    /// Forgets that a process runs: it has ended, or goes elsewhere.
    pub(crate) fn vacate(&mut self, slot: Slot) {
        let cpu = self.process(slot).cpu;
        self.cpu_mut(cpu).current = None;
    }
}
