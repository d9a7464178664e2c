//! Scheduling: a queue for each priority, the first process of the most urgent one runs.

mod cpu;
mod turns;

pub use cpu::{Cpu, CpuId, MAX_CPUS};
pub(crate) use turns::Place;
pub use turns::QUANTUM_TICKS;

use crate::frames::FrameNumber;
use crate::process::Pending;
use crate::{Kernel, Machine, Rts, Slot};
use abi::PrivilegeFlags;

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
