//! A machine with real memory: page tables stand in its frames, and programs' memory does.

use crate::regs::Regs;
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use kernel_core::devices::{self, Devices, Width};
use kernel_core::frames::FrameNumber;
use kernel_core::lines::Trigger;
use kernel_core::tables::{Access, Backing, Cache, ENTRIES, KERNEL_HALF, Page, Rights};
use kernel_core::{CpuId, Fault, Machine, MemoryAccess, Stretch, Tables};
use std::fmt;
use std::ops::Range;
use zerocopy::IntoBytes;

/// Frames by their numbers: the kernel's, those of devices, and RAM.
pub(crate) const KERNEL: Range<u64> = 0..16;
pub(crate) const DEVICE: Range<u64> = 16..24;
pub(crate) const RAM: Range<u64> = 24..1600;
/// Entries of a table.
const WORDS: usize = ENTRIES;
/// Lines below this have edges, those from there on levels; there are no others from the end on.
const LEVELS: Range<u8> = 16..32;

/// An entry is present.
const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const EXECUTE: u64 = 1 << 2;
const IS_DEVICE: u64 = 1 << 3;
const CACHE: u32 = 4;
const TABLE: u64 = 1 << 6;
const OF_KERNEL: u64 = 1 << 7;
const WITHHELD: u64 = 1 << 8;
const FRAME: u32 = 12;

pub(crate) struct Computer {
    /// All of its memory.
    memory: Vec<u64>,
    pub(crate) ticks: u64,
    /// The processor that the kernel runs on.
    pub(crate) cpu: CpuId,
    /// Bytes of text in the log.
    pub(crate) logged: u64,
}

impl Computer {
    /// With a pattern in every frame.
    pub(crate) fn new() -> Self {
        let memory = (0..RAM.end * WORDS as u64).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 2).collect();
        Self { memory, ticks: 1, cpu: CpuId::BOOT, logged: 0 }
    }

    pub(crate) fn frame(&self, number: u64) -> &[u64] {
        &self.memory[number as usize * WORDS..][..WORDS]
    }

    /// Puts something into a program's memory that it can read.
    pub(crate) fn load(&mut self, root: FrameNumber, address: u64, bytes: &[u8]) {
        let place = self.find(root, address, MemoryAccess::Read).expect("it is there");
        self.memory.as_mut_bytes()[place..place + bytes.len()].copy_from_slice(bytes);
    }

    fn entry(&self, table: FrameNumber, index: usize) -> u64 {
        assert!(index < ENTRIES);
        self.frame(table.address() / PAGE_SIZE)[index]
    }

    fn set(&mut self, table: FrameNumber, index: usize, entry: u64) {
        assert!(index < ENTRIES);
        let number = (table.address() / PAGE_SIZE) as usize;
        self.memory[number * WORDS + index] = entry;
    }

    /// The entry that maps an address, if it is one that a program can have.
    pub(crate) fn walk(&self, root: FrameNumber, address: u64) -> Option<Page> {
        if !(USER_START..USER_END).contains(&address) {
            return None;
        }
        let index = |level: u32| (address >> (12 + 9 * level)) as usize % ENTRIES;
        let leaf = (1..=3).rev().try_fold(root, |table, level| self.below(table, index(level)))?;
        self.page(leaf, index(0))
    }

    /// Where a part of a page lies that a program could access.
    fn find(&self, root: FrameNumber, address: u64, access: MemoryAccess) -> Result<usize, Fault> {
        let page = self.walk(root, address).filter(|page| match access {
            MemoryAccess::Read => true,
            MemoryAccess::Write => page.rights.access == Access::Write && !page.rights.withheld,
            MemoryAccess::Execute => page.rights.access == Access::Execute,
        });
        let page = page.filter(|page| page.rights.backing == Backing::Memory).ok_or(Fault { address })?;
        Ok((page.frame.address() + address % PAGE_SIZE) as usize)
    }

    /// Does something with each part of a range that lies in one page: its place in memory, and in the range.
    fn parts(
        &self,
        root: FrameNumber,
        address: u64,
        len: u64,
        access: MemoryAccess,
        mut each: impl FnMut(Range<usize>, Range<usize>),
    ) -> Result<(), Fault> {
        let mut done = 0;
        while done < len {
            let at = address.checked_add(done).ok_or(Fault { address: u64::MAX })?;
            let part = (PAGE_SIZE - at % PAGE_SIZE).min(len - done) as usize;
            let place = self.find(root, at, access)?;
            each(place..place + part, done as usize..done as usize + part);
            done += part as u64;
        }
        Ok(())
    }
}

impl Machine for Computer {
    type Frame = Regs;

    fn read(&self, root: FrameNumber, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        let memory = self.memory.as_bytes();
        self.parts(root, address, into.len() as u64, MemoryAccess::Read, |place, part| {
            into[part].copy_from_slice(&memory[place]);
        })
    }

    fn write(&mut self, root: FrameNumber, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        let mut places = Vec::new();
        let found = self.parts(root, address, bytes.len() as u64, MemoryAccess::Write, |place, part| {
            places.push((place, part));
        });
        for (place, part) in places {
            self.memory.as_mut_bytes()[place].copy_from_slice(&bytes[part]);
        }
        found
    }

    fn reach(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Result<(), Fault> {
        self.parts(root, address, len, access, |_, _| {})
    }

    fn stretch(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Option<Stretch> {
        assert!(len <= protocol::kernel::MAX_COPIED, "a call does bounded work");
        let first = self.find(root, address, access).ok()?;
        let mut found = len.min(PAGE_SIZE - address % PAGE_SIZE);
        // Frames that follow each other are one stretch, as on the real machine.
        while found < len && self.find(root, address + found, access) == Ok(first + found as usize) {
            found += PAGE_SIZE.min(len - found);
        }
        Some(Stretch { first: first as u64, len: found })
    }

    fn name_of(&self, frame: FrameNumber) -> u64 {
        frame.address()
    }

    fn copy(&mut self, from: u64, to: u64, len: u64) {
        // Page by page, however frames lie: so what comes of two sides that overlap can be foretold.
        let left = |at: u64| PAGE_SIZE - at % PAGE_SIZE;
        let mut done = 0;
        while done < len {
            let (from, to) = (from + done, to + done);
            let part = (len - done).min(left(from)).min(left(to));
            self.memory.as_mut_bytes().copy_within(from as usize..(from + part) as usize, to as usize);
            done += part;
        }
    }

    fn fill(&mut self, to: u64, byte: u8, len: u64) {
        self.memory.as_mut_bytes()[to as usize..][..len as usize].fill(byte);
    }

    fn load(&self, from: u64) -> u64 {
        self.memory[from as usize / size_of::<u64>()]
    }

    fn time_stamp(&self) -> u64 {
        self.ticks * 1000
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        self.logged += line.to_string().len() as u64;
    }

    fn log_program(&mut self, name: &str, text: &[u8]) {
        self.logged += (name.len() + text.len()) as u64;
    }

    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn hz(&self) -> u64 {
        250
    }
}

impl Tables for Computer {
    type Flags = u64;

    fn cpu(&self) -> CpuId {
        self.cpu
    }

    fn clear(&mut self, frame: FrameNumber) {
        let start = (frame.address() / PAGE_SIZE) as usize * WORDS;
        self.memory[start..start + WORDS].fill(0);
    }

    fn copy_frame(&mut self, from: FrameNumber, to: FrameNumber) {
        let [from, to] = [from, to].map(|frame| (frame.address() / PAGE_SIZE) as usize * WORDS);
        self.memory.copy_within(from..from + WORDS, to);
    }

    fn make_root(&mut self, table: FrameNumber) {
        // One entry stands for all of the kernel's half.
        self.set(table, KERNEL_HALF, OF_KERNEL);
    }

    fn below(&self, table: FrameNumber, index: usize) -> Option<FrameNumber> {
        let entry = self.entry(table, index);
        assert!(entry == 0 || entry & (PRESENT | TABLE) == PRESENT | TABLE, "{entry:#x} is no table");
        (entry != 0).then(|| FrameNumber::containing(entry & !(PAGE_SIZE - 1))).flatten()
    }

    fn set_below(&mut self, table: FrameNumber, index: usize, below: Option<FrameNumber>) {
        if let Some(below) = below {
            let empty = self.frame(below.address() / PAGE_SIZE).iter().all(|word| *word == 0);
            assert!(empty, "a new table has been cleared");
        }
        self.set(table, index, below.map_or(0, |below| below.address() | PRESENT | TABLE));
    }

    fn flags(rights: Rights) -> u64 {
        let access = match rights.access {
            Access::Read => 0,
            Access::Write => WRITE,
            Access::Execute => EXECUTE,
        };
        let device = if rights.backing == Backing::Device { IS_DEVICE } else { 0 };
        let withheld = if rights.withheld { WITHHELD } else { 0 };
        PRESENT | access | device | withheld | (rights.cache as u64) << CACHE
    }

    fn is_mapped(&self, table: FrameNumber, index: usize) -> bool {
        self.entry(table, index) != 0
    }

    fn page(&self, table: FrameNumber, index: usize) -> Option<Page> {
        let entry = self.entry(table, index);
        if entry == 0 {
            return None;
        }
        assert!(entry & (PRESENT | TABLE) == PRESENT, "{entry:#x} is no page");
        let access = match entry & (WRITE | EXECUTE) {
            0 => Access::Read,
            WRITE => Access::Write,
            EXECUTE => Access::Execute,
            _ => panic!("{entry:#x}: never both"),
        };
        let cache = match entry >> CACHE & 3 {
            0 => Cache::Normal,
            1 => Cache::Combining,
            _ => Cache::Off,
        };
        let backing = if entry & IS_DEVICE == 0 { Backing::Memory } else { Backing::Device };
        let frame = FrameNumber::containing(entry >> FRAME << FRAME)?;
        Some(Page { frame, rights: Rights { access, withheld: entry & WITHHELD != 0, cache, backing } })
    }

    fn set_page(&mut self, table: FrameNumber, index: usize, frame: FrameNumber, flags: u64) {
        self.set(table, index, frame.address() | flags);
    }

    fn clear_page(&mut self, table: FrameNumber, index: usize) {
        self.set(table, index, 0);
    }

    // Its processors remember nothing: that they are told to forget is shown elsewhere.
    fn flush_page(&mut self, _: u64) {}
    fn flush_all(&mut self) {}
    fn leave(&mut self) {}
    fn leave_others(&mut self, _: u32) {}
}

impl Devices for Computer {
    fn trigger(&self, line: u8) -> Option<Trigger> {
        match line {
            _ if line < LEVELS.start => Some(Trigger::Edge),
            _ => LEVELS.contains(&line).then_some(Trigger::Level),
        }
    }

    fn mask_line(&mut self, _: u8) {}
    fn unmask_line(&mut self, _: u8) {}

    fn is_kernel_port(&self, port: u16) -> bool {
        devices::is_kernel_port(port)
    }

    fn port_in(&mut self, port: u16, width: Width) -> u32 {
        assert!(!devices::is_kernel_port(port), "the kernel's own");
        u32::MAX >> (u32::BITS - 8 * u32::from(width.bytes()))
    }

    fn port_out(&mut self, port: u16, _: Width, _: u32) {
        assert!(!devices::is_kernel_port(port), "the kernel's own");
    }
}
