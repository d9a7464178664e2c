//! All processes by their slots, which are those of the kernel and of the memory server.

use crate::process::Process;
use crate::signals::{Action, SIGNALS};
use abi::Endpoint;
use protocol::pm::LAST_PID;

/// Number of slots.
pub(crate) const SLOTS: usize = Endpoint::SLOTS;

/// The pid of the first user process.
pub(crate) const INIT_PID: u32 = 1;

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u16);

impl Slot {
    /// That of a process.
    pub(crate) fn of(endpoint: Endpoint) -> Self {
        Self(endpoint.slot() as u16)
    }

    /// One with a number; `None` if there is none.
    pub(crate) fn at(number: u32) -> Option<Self> {
        u16::try_from(number).ok().filter(|number| usize::from(*number) < SLOTS).map(Self)
    }

    /// Its number.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a process does about each signal, by their numbers.
pub(crate) type Actions = [Action; SIGNALS];

/// The process table. All zeros is an empty one, so that it takes no room in the program's file.
#[derive(Debug)]
pub struct Table {
    processes: [Process; SLOTS],
    actions: [Actions; SLOTS],
    /// A bit for each slot that is taken.
    taken: [u64; SLOTS / u64::BITS as usize],
    /// How many these are.
    len: usize,
    /// The pid that was given out last.
    last_pid: u32,
}

impl Table {
    /// No processes.
    pub const EMPTY: Self = Self {
        processes: [Process::FREE; SLOTS],
        actions: [[Action::DEFAULT; SIGNALS]; SLOTS],
        taken: [0; SLOTS / u64::BITS as usize],
        len: 0,
        last_pid: 0,
    };

    /// How many processes there are, zombies too.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A slot that no process has.
    pub(crate) fn free_slot(&self) -> Option<Slot> {
        let (word, bits) = self.taken.iter().enumerate().find(|(_, bits)| **bits != u64::MAX)?;
        Slot::at(word as u32 * u64::BITS + bits.trailing_ones())
    }

    /// All slots with processes, in their order.
    pub(crate) fn slots(&self) -> impl DoubleEndedIterator<Item = Slot> + use<> {
        let taken = self.taken;
        (0..SLOTS as u16).map(Slot).filter(move |slot| taken[slot.index() / 64] >> (slot.index() % 64) & 1 != 0)
    }

    /// All processes, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Process)> {
        self.slots().map(|slot| (slot, &self[slot]))
    }

    /// The process with an endpoint.
    pub(crate) fn find(&self, endpoint: Endpoint) -> Option<Slot> {
        let slot = Slot::of(endpoint);
        let process = &self[slot];
        (process.pid != 0 && process.endpoint == endpoint).then_some(slot)
    }

    /// The process with a pid, a zombie too.
    pub(crate) fn by_pid(&self, pid: u32) -> Option<Slot> {
        self.iter().find(|(_, process)| process.pid == pid && pid != 0).map(|(slot, _)| slot)
    }

    /// The pid of a process; 0 for nobody.
    pub(crate) fn pid(&self, slot: Option<Slot>) -> u32 {
        slot.map_or(0, |slot| self[slot].pid)
    }

    /// What a process does about signals.
    pub(crate) fn actions(&self, slot: Slot) -> &Actions {
        &self.actions[slot.index()]
    }

    /// The same, to be changed.
    pub(crate) fn actions_mut(&mut self, slot: Slot) -> &mut Actions {
        &mut self.actions[slot.index()]
    }

    /// A pid that nobody has, as a process, a group or a session.
    pub(crate) fn next_pid(&mut self) -> u32 {
        const FIRST: u32 = INIT_PID + 1;
        loop {
            let pid = if (FIRST..LAST_PID).contains(&self.last_pid) { self.last_pid + 1 } else { FIRST };
            let pid = if self.last_pid < FIRST { FIRST } else { pid };
            self.last_pid = pid;
            // There are more pids than slots can have.
            if self.iter().all(|(_, p)| ![p.pid, p.group, p.session].contains(&pid)) {
                return pid;
            }
        }
    }

    /// The next pid is looked for from here on.
    #[cfg(test)]
    pub(crate) fn set_last_pid(&mut self, pid: u32) {
        self.last_pid = pid;
    }

    /// Puts a process into its slot, which is free.
    pub(crate) fn add(&mut self, process: Process) -> Slot {
        let slot = Slot::of(process.endpoint);
        debug_assert_eq!(self[slot].pid, 0);
        self.taken[slot.index() / 64] |= 1 << (slot.index() % 64);
        self.len += 1;
        self.actions[slot.index()] = [Action::DEFAULT; SIGNALS];
        self[slot] = process;
        slot
    }

    /// Frees a slot.
    pub(crate) fn remove(&mut self, slot: Slot) {
        debug_assert_ne!(self[slot].pid, 0);
        self.taken[slot.index() / 64] &= !(1 << (slot.index() % 64));
        self.len -= 1;
        self[slot] = Process::FREE;
    }
}

impl core::ops::Index<Slot> for Table {
    type Output = Process;

    fn index(&self, slot: Slot) -> &Process {
        &self.processes[slot.index()]
    }
}

impl core::ops::IndexMut<Slot> for Table {
    fn index_mut(&mut self, slot: Slot) -> &mut Process {
        &mut self.processes[slot.index()]
    }
}
