//! The processes that the server knows.

use crate::machine::Space;
use crate::pages::Pages;
use crate::region::Regions;
use abi::{Endpoint, Errno};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What a process has, which goes with its program when two are swapped.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Whose it is.
    pub(crate) home: Endpoint,
    /// Where it lives.
    pub(crate) space: Space,
    /// What it may have where.
    pub(crate) regions: Regions,
    /// Which frames it has where. The kernel's page tables say the same, but for devices.
    pub(crate) pages: Pages,
    /// Pages of all regions.
    pub(crate) mapped: u64,
    /// Where its data segment begins and ends, in bytes.
    pub(crate) data: Option<(u64, u64)>,
    /// How much it may have.
    pub(crate) limits: Limits,
    /// What it has used.
    pub(crate) counters: Counters,
    /// Ranges that were made available until somebody has done with them, and how often.
    pub(crate) fixes: BTreeMap<Fix, u32>,
    /// All that it has is there, and stays so.
    pub(crate) is_pinned: bool,
}

/// Memory that is available: first page, the page behind the last, and whether it is to be written.
pub(crate) type Fix = (u64, u64, bool);

/// How much a process may have, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of its regions.
    pub(crate) mapped: u64,
    /// That are there.
    pub(crate) resident: u64,
}

impl Limits {
    /// As much as there is.
    pub(crate) const NONE: Self = Self { mapped: protocol::vm::UNLIMITED, resident: protocol::vm::UNLIMITED };
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Most pages that were there at once.
    pub(crate) most_resident: u64,
    /// Page faults for which memory was found at once.
    pub(crate) minor_faults: u64,
    /// Those for which a file had to be read.
    pub(crate) major_faults: u64,
}

impl Memory {
    /// Nothing, in a space.
    pub(crate) fn new(home: Endpoint, space: Space, limits: Limits) -> Self {
        Self {
            home,
            space,
            regions: Regions::default(),
            pages: Pages::default(),
            mapped: 0,
            data: None,
            limits,
            counters: Counters::default(),
            fixes: BTreeMap::new(),
            is_pinned: false,
        }
    }

    /// Notes how many pages are there.
    pub(crate) fn note_resident(&mut self) {
        self.counters.most_resident = self.counters.most_resident.max(self.pages.len());
    }
}

/// What a process may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Nothing yet.
    Nothing,
    /// What all users may.
    User,
    /// The calls of a mask, a bit for each; with [`FOR_OTHERS`](protocol::vm::FOR_OTHERS), about others too.
    Service(u64),
}

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its name.
    pub(crate) endpoint: Endpoint,
    /// It is about to end.
    pub(crate) exits: bool,
    /// What it may ask for.
    pub(crate) authority: Authority,
    /// Calls that it has made and may not make, a bit each, until somebody asks.
    pub(crate) refused: u64,
    /// What it has.
    pub(crate) memory: Memory,
}

impl Process {
    /// One that has done nothing yet.
    pub(crate) const fn new(endpoint: Endpoint, authority: Authority, memory: Memory) -> Self {
        Self { endpoint, exits: false, authority, refused: 0, memory }
    }
}

/// All processes by their slots.
#[derive(Debug)]
pub(crate) struct Processes {
    slots: Vec<Option<Box<Process>>>,
    len: u64,
}

impl Processes {
    /// The most bytes that one more allocates.
    pub(crate) const BYTES_FOR_ONE: usize = size_of::<Process>() + crate::heap::OVERHEAD;

    /// None. Allocates room for as many as there can be.
    pub(crate) fn new() -> Self {
        Self { slots: (0..Endpoint::SLOTS).map(|_| None).collect(), len: 0 }
    }

    /// How many bytes that takes.
    pub(crate) const fn bytes() -> usize {
        Endpoint::SLOTS * size_of::<Option<Box<Process>>>()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    fn slot(endpoint: Endpoint) -> usize {
        endpoint.slot() % Endpoint::SLOTS
    }

    /// The process with a name.
    #[inline]
    pub(crate) fn get(&self, endpoint: Endpoint) -> Option<&Process> {
        self.slots[Self::slot(endpoint)].as_deref().filter(|process| process.endpoint == endpoint)
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// `ESRCH` if there is none.
    #[inline]
    pub(crate) fn get_mut(&mut self, endpoint: Endpoint) -> Result<&mut Process, Errno> {
        let process = self.slots[Self::slot(endpoint)].as_deref_mut();
        process.filter(|process| process.endpoint == endpoint).ok_or(Errno::Srch)
    }

    /// Two that are different.
    ///
    /// # Errors
    /// `ESRCH` if one is missing, `EINVAL` if they are the same.
    pub(crate) fn two(&mut self, a: Endpoint, b: Endpoint) -> Result<[&mut Process; 2], Errno> {
        if self.get(a).is_none() || self.get(b).is_none() {
            return Err(Errno::Srch);
        }
        let both = self.slots.get_disjoint_mut([Self::slot(a), Self::slot(b)]).map_err(|_| Errno::Inval)?;
        match both.map(Option::as_deref_mut) {
            [Some(a), Some(b)] => Ok([a, b]),
            _ => Err(Errno::Srch),
        }
    }

    /// Whether the slot of a name is taken.
    pub(crate) fn is_taken(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(Option::is_some)
    }

    /// Adds a process in its slot, which is free.
    pub(crate) fn add(&mut self, process: Process) {
        let slot = Self::slot(process.endpoint);
        debug_assert!(self.slots[slot].is_none());
        self.slots[slot] = Some(Box::new(process));
        self.len += 1;
    }

    /// Takes a process out.
    pub(crate) fn remove(&mut self, endpoint: Endpoint) -> Option<Box<Process>> {
        self.get(endpoint)?;
        self.len -= 1;
        self.slots[Self::slot(endpoint)].take()
    }

    /// All of them, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.slots.iter().filter_map(Option::as_deref)
    }
}

impl Default for Processes {
    fn default() -> Self {
        Self::new()
    }
}
