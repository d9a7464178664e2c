//! Scheduling: a queue for each priority, the first process of the most urgent one runs.

use crate::list::List;
use crate::{Kernel, Machine, Slot};
use abi::boot::PRIORITIES;

/// Timer ticks that a process runs before others of its priority get their turn.
pub const QUANTUM_TICKS: u16 = 5;

/// What the core keeps for each CPU.
pub struct Cpu {
    /// Who runs; in no queue meanwhile.
    current: Option<Slot>,
    ready: [List; PRIORITIES],
    /// A bit for each queue that is not empty.
    occupied: u16,
    /// The most urgent of them, [`NOBODY`] if there is none.
    best_ready: u8,
}

/// A priority below all others.
const NOBODY: u8 = PRIORITIES as u8;

impl Cpu {
    /// A CPU that has nothing to run.
    pub const fn new() -> Self {
        Self { current: None, ready: [List::EMPTY; PRIORITIES], occupied: 0, best_ready: NOBODY }
    }

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

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Kernel<'_, M> {
    pub(crate) fn enqueue_tail(&mut self, cpu: &mut Cpu, slot: Slot) {
        let priority = self.process(slot).priority;
        cpu.ready[usize::from(priority)].push_back(self.procs, slot);
        cpu.set_occupied(cpu.occupied | 1 << priority);
    }

    fn enqueue_head(&mut self, cpu: &mut Cpu, slot: Slot) {
        let priority = self.process(slot).priority;
        cpu.ready[usize::from(priority)].push_front(self.procs, slot);
        cpu.set_occupied(cpu.occupied | 1 << priority);
    }

    /// Takes a process that is ready, but does not run, out of its queue.
    pub(crate) fn dequeue(&mut self, cpu: &mut Cpu, slot: Slot) {
        let priority = self.process(slot).priority;
        let queue = &mut cpu.ready[usize::from(priority)];
        queue.remove(self.procs, slot);
        if queue.head().is_none() {
            cpu.set_occupied(cpu.occupied & !(1 << priority));
        }
    }

    /// Whether the process that runs on `cpu` goes on: it can, has time left, and nobody more urgent is ready.
    #[inline(always)]
    pub fn goes_on(&self, cpu: &Cpu) -> bool {
        cpu.current.is_some_and(|me| {
            let p = self.process(me);
            p.rts.is_empty() && p.ticks_left != 0 && cpu.best_ready() >= p.priority
        })
    }

    /// Chooses who runs next on `cpu`: the one that runs as long as it can, has time left and nobody more urgent is
    /// ready. One that gives way to a more urgent process goes on before its peers; one whose time is used up goes behind
    /// them with fresh time. `None` if nobody is ready.
    pub fn schedule(&mut self, cpu: &mut Cpu) -> Option<Slot> {
        if self.goes_on(cpu) {
            return cpu.current;
        }
        if let Some(me) = cpu.current {
            let p = self.process_mut(me);
            if p.rts.is_empty() {
                if p.ticks_left == 0 {
                    p.ticks_left = QUANTUM_TICKS;
                    self.enqueue_tail(cpu, me);
                } else {
                    self.enqueue_head(cpu, me);
                }
            }
        }
        cpu.current = cpu.ready.get(usize::from(cpu.best_ready())).and_then(List::head);
        if let Some(next) = cpu.current {
            self.dequeue(cpu, next);
        }
        cpu.current
    }

    /// A timer tick has come on `cpu`.
    pub fn tick(&mut self, cpu: &mut Cpu) {
        if let Some(me) = cpu.current {
            let p = self.process_mut(me);
            p.ticks_left = p.ticks_left.saturating_sub(1);
        }
    }

    /// A process that was blocked can run.
    pub(crate) fn make_ready(&mut self, cpu: &mut Cpu, slot: Slot) {
        debug_assert!(self.process(slot).rts.is_empty());
        self.enqueue_tail(cpu, slot);
    }

    /// Forgets the running process, which has ended.
    pub(crate) fn vacate(&mut self, cpu: &mut Cpu) {
        cpu.current = None;
    }
}
