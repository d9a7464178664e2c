//! What the core keeps for each processor.

use crate::list::List;
use crate::{Machine, Slot, Table};
use abi::boot::PRIORITIES;

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
    pub(super) current: Option<Slot>,
    /// Timer ticks that it may still run before others of its priority do. They go along with a message that is handed over
    /// directly.
    pub(super) ticks_left: u16,
    pub(super) ready: [List; PRIORITIES],
    /// A bit for each queue that is not empty.
    pub(super) occupied: u16,
    /// Whoever runs goes on as long as its priority is below: one more than that of the most urgent ready process, and 0
    /// once a choice must be made anyway.
    pub(super) bound: u8,
    /// Time-stamp counter at the last switch.
    pub(crate) switched_at: u64,
    /// Cycles that it had nothing to do.
    pub(crate) idle: u64,
    /// Who is charged for the time of services: the last one to run that can be.
    pub(super) billed: Option<Slot>,
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

    pub(super) fn set_occupied(&mut self, occupied: u16) {
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
