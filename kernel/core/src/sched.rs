//! Scheduling: a queue for each priority, the first process of the most urgent one runs.

use crate::list::List;
use crate::{Kernel, Machine, Slot};
use abi::boot::PRIORITIES;

/// Timer ticks that a process runs before others of its priority get their turn.
pub const QUANTUM_TICKS: u16 = 5;

pub use abi::boot::MAX_CPUS;

/// The number of a processor; always in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    ready: [List; PRIORITIES],
    /// A bit for each queue that is not empty.
    occupied: u16,
    /// The most urgent of them, [`NOBODY`] if there is none.
    best_ready: u8,
}

const _: () = assert!(size_of::<Cpu>() == 256);

/// A priority below all others.
const NOBODY: u8 = PRIORITIES as u8;

impl Cpu {
    /// A processor that has nothing to run.
    pub(crate) const IDLE: Self =
        Self { current: None, ready: [List::EMPTY; PRIORITIES], occupied: 0, best_ready: NOBODY };

    /// The process that runs.
    pub fn current(&self) -> Option<Slot> {
        self.current
    }

    /// The most urgent priority that is ready; below all others if none is.
    pub(crate) fn best_ready(&self) -> u8 {
        self.best_ready
    }

    fn set_occupied(&mut self, occupied: u16) {
        self.occupied = occupied;
        self.best_ready = (occupied.trailing_zeros() as u8).min(NOBODY);
    }

    /// Makes a process that was blocked the one that runs.
    pub(crate) fn switch_to(&mut self, slot: Slot) {
        self.current = Some(slot);
    }

    pub(crate) fn queues(&self) -> &[List; PRIORITIES] {
        &self.ready
    }

    pub(crate) fn occupied(&self) -> u16 {
        self.occupied
    }
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

    /// Puts a process behind those of its priority that are ready on its processor.
    pub(crate) fn enqueue_tail(&mut self, slot: Slot) {
        let (cpu, priority) = self.place(slot);
        let cpu = &mut self.cpus[cpu.index()];
        cpu.ready[usize::from(priority)].push_back(self.procs, slot);
        cpu.set_occupied(cpu.occupied | 1 << priority);
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
        let cpu = self.cpu(cpu);
        cpu.current.is_some_and(|me| {
            let p = self.process(me);
            p.rts.is_empty() && p.ticks_left != 0 && cpu.best_ready >= p.priority
        })
    }

    /// Chooses who runs next on `cpu`: the one that runs as long as it can, has time left and nobody more urgent is
    /// ready. One that gives way to a more urgent process goes on before its peers; one whose time is used up goes behind
    /// them with fresh time. `None` if nobody is ready.
    pub fn schedule(&mut self, cpu: CpuId) -> Option<Slot> {
        if self.goes_on(cpu) { self.cpu(cpu).current } else { self.switch(cpu) }
    }

    /// The same, when the one that runs does not go on.
    pub fn switch(&mut self, cpu: CpuId) -> Option<Slot> {
        if let Some(me) = self.cpu(cpu).current {
            let p = self.process_mut(me);
            if p.rts.is_empty() {
                if p.ticks_left == 0 {
                    p.ticks_left = QUANTUM_TICKS;
                    self.enqueue_tail(me);
                } else {
                    self.enqueue_head(me);
                }
            }
        }
        let cpu = &mut self.cpus[cpu.index()];
        let best = cpu.best_ready;
        cpu.current = match cpu.ready.get_mut(usize::from(best)) {
            None => None,
            Some(queue) => {
                let next = queue.pop_front(self.procs);
                if queue.head().is_none() {
                    cpu.set_occupied(cpu.occupied & !(1 << best));
                }
                next
            }
        };
        cpu.current
    }

    /// A timer tick has come on `cpu`.
    pub fn tick(&mut self, cpu: CpuId) {
        if let Some(me) = self.cpu(cpu).current {
            let p = self.process_mut(me);
            p.ticks_left = p.ticks_left.saturating_sub(1);
        }
    }

    /// A process that was blocked can run. If its processor does something less urgent, or nothing, that must choose anew:
    /// see [`Kernel::take_kicks`].
    pub(crate) fn make_ready(&mut self, slot: Slot) {
        debug_assert!(self.process(slot).rts.is_empty());
        self.enqueue_tail(slot);
        let (cpu, priority) = self.place(slot);
        let urgent = self.cpu(cpu).current.is_none_or(|other| self.process(other).priority > priority);
        if urgent {
            self.kicks |= 1 << cpu.index();
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

    /// Forgets that a process runs: it has ended.
    pub(crate) fn vacate(&mut self, slot: Slot) {
        let cpu = self.process(slot).cpu;
        self.cpu_mut(cpu).current = None;
    }
}
