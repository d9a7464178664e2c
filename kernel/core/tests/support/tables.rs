//! Page tables made of maps, and CPUs that remember everything that they are allowed to.

use super::TestMachine;
use kernel_core::frames::FrameNumber;
use kernel_core::tables::{ENTRIES, KERNEL_HALF, Page, Rights};
use kernel_core::{CpuId, MAX_CPUS, Tables};
use std::collections::BTreeMap;
use std::vec::Vec;

/// An entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Table(FrameNumber),
    Page(Page),
    Kernel,
}

/// What a CPU remembers: whole tables and pages, as it saw them last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Pages, by their addresses.
    pub(crate) pages: BTreeMap<u64, Page>,
    /// Tables that it may go on to walk.
    pub(crate) tables: Vec<FrameNumber>,
}

/// Physical memory as far as it matters: tables, and a word that stands for what a frame holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestMemory {
    /// Entries that are not empty.
    pub(crate) entries: BTreeMap<(FrameNumber, usize), Entry>,
    /// Frames that hold something; all others are filled with zeros.
    pub(crate) contents: BTreeMap<FrameNumber, u64>,
    /// The number of the CPU that the kernel runs on.
    pub(crate) cpu: usize,
    pub(crate) remembered: [Remembered; MAX_CPUS],
    /// CPUs that were made to leave their programs, a bit each.
    pub(crate) driven_out: u32,
    /// The root tables that CPUs have loaded; `None` for the kernel's own.
    pub(crate) loaded: [Option<FrameNumber>; MAX_CPUS],
    /// How many frames were cleared.
    pub(crate) cleared: usize,
}

impl TestMemory {
    fn entry(&self, table: FrameNumber, index: usize) -> Option<Entry> {
        assert!(index < ENTRIES);
        self.entries.get(&(table, index)).copied()
    }

    fn set(&mut self, table: FrameNumber, index: usize, entry: Option<Entry>) {
        assert!(index < ENTRIES);
        match entry {
            Some(entry) => self.entries.insert((table, index), entry),
            None => self.entries.remove(&(table, index)),
        };
    }

    /// A CPU loads a root table, or the kernel's own, and forgets all that it remembers.
    pub(crate) fn load(&mut self, cpu: usize, root: Option<FrameNumber>) {
        self.loaded[cpu] = root;
        self.remembered[cpu] = Remembered::default();
    }
}

impl Tables for TestMachine {
    type Flags = Rights;

    fn cpu(&self) -> CpuId {
        CpuId::new(self.memory.cpu).expect("tests have so many CPUs")
    }

    fn clear(&mut self, frame: FrameNumber) {
        self.memory.entries.retain(|&(table, _), _| table != frame);
        self.memory.contents.remove(&frame);
        self.memory.cleared += 1;
    }

    fn copy_frame(&mut self, from: FrameNumber, to: FrameNumber) {
        match self.memory.contents.get(&from).copied() {
            Some(content) => self.memory.contents.insert(to, content),
            None => self.memory.contents.remove(&to),
        };
    }

    fn make_root(&mut self, table: FrameNumber) {
        // One entry stands for all of the kernel's half.
        self.memory.set(table, KERNEL_HALF, Some(Entry::Kernel));
    }

    fn below(&self, table: FrameNumber, index: usize) -> Option<FrameNumber> {
        match self.memory.entry(table, index)? {
            Entry::Table(below) => Some(below),
            other => panic!("{other:?} is no table"),
        }
    }

    fn set_below(&mut self, table: FrameNumber, index: usize, below: Option<FrameNumber>) {
        if let Some(below) = below {
            let full = self.memory.entries.range((below, 0)..=(below, ENTRIES)).next();
            assert_eq!(full, None, "a new table is empty");
            assert!(!self.memory.contents.contains_key(&below), "and has been cleared");
        }
        self.memory.set(table, index, below.map(Entry::Table));
    }

    fn page(&self, table: FrameNumber, index: usize) -> Option<Page> {
        match self.memory.entry(table, index)? {
            Entry::Page(page) => Some(page),
            other => panic!("{other:?} is no page"),
        }
    }

    fn flags(rights: Rights) -> Rights {
        rights
    }

    fn is_mapped(&self, table: FrameNumber, index: usize) -> bool {
        self.page(table, index).is_some()
    }

    fn set_page(&mut self, table: FrameNumber, index: usize, frame: FrameNumber, rights: Rights) {
        self.memory.set(table, index, Some(Entry::Page(Page { frame, rights })));
    }

    fn clear_page(&mut self, table: FrameNumber, index: usize) {
        self.memory.set(table, index, None);
    }

    fn flush_page(&mut self, address: u64) {
        let remembered = &mut self.memory.remembered[self.memory.cpu];
        remembered.pages.remove(&address);
        remembered.tables.clear();
    }

    fn flush_all(&mut self) {
        self.memory.remembered[self.memory.cpu] = Remembered::default();
    }

    fn leave(&mut self) {
        self.memory.load(self.memory.cpu, None);
    }

    fn leave_others(&mut self, cpus: u32) {
        assert!(cpus != 0 && cpus >> self.memory.cpu & 1 == 0, "only others are asked");
        self.memory.driven_out |= cpus;
        (0..MAX_CPUS).filter(|cpu| cpus >> cpu & 1 != 0).for_each(|cpu| self.memory.load(cpu, None));
    }
}
