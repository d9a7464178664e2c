//! Address spaces of programs.

use crate::layout::direct;
use crate::memory::Memory;
use crate::paging::{self, ENTRIES, Entry, Flags, KERNEL_HALF, Size, Table};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use kernel_core::Fault;
use kernel_core::frames::{FrameNumber, Frames};

/// What a program may do with a page, besides reading it. Never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Read,
    /// Write it.
    Write,
    /// Execute it.
    Execute,
}

/// An address space: its root table, which it owns with everything below it in the lower half.
pub struct Space {
    root: Table,
}

/// A page cannot be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No frames are left.
    NoMemory,
    /// The address is not for programs, or not on a page border.
    BadAddress,
    /// A page is mapped there.
    Taken,
}

impl Space {
    /// A space in which nothing is mapped but the kernel; `None` if no frame is left.
    pub fn new(memory: &mut Memory) -> Option<Self> {
        let frame = memory.frames.take_for_table()?;
        paging::clear(frame.address());
        // SAFETY: the frame was taken for a table, cleared, and is ours until `release`.
        let root = unsafe { Table::at(frame.address()) };
        for i in KERNEL_HALF..ENTRIES {
            root.set(i, memory.root.entry(i));
        }
        Some(Self { root })
    }

    pub(crate) fn root(&self) -> Table {
        self.root
    }

    /// Maps a new page, filled with zeros, at `address`.
    ///
    /// # Errors
    /// See [`MapError`]; nothing is mapped then.
    pub fn map_new(&mut self, memory: &mut Memory, address: u64, access: Access) -> Result<(), MapError> {
        let user = (USER_START..USER_END).contains(&address) && address.is_multiple_of(PAGE_SIZE);
        if !user {
            return Err(MapError::BadAddress);
        }
        if self.root.find(address).is_some() {
            return Err(MapError::Taken);
        }
        let frames = &mut memory.frames;
        let frame = frames.take_for_user().ok_or(MapError::NoMemory)?;
        paging::clear(frame.address());
        let flags = Flags::PRESENT
            | Flags::USER
            | match access {
                Access::Read => Flags::NO_EXECUTE,
                Access::Write => Flags::NO_EXECUTE | Flags::WRITE,
                Access::Execute => Flags::empty(),
            };
        let take = || frames.take_for_table().map(FrameNumber::address);
        let mapped = self.root.map(address, Size::Page, Entry::new(frame.address(), flags), take).is_some();
        let counted = if mapped { frames.map(frame) } else { frames.free_user(frame) };
        debug_assert!(counted.is_ok());
        if mapped { Ok(()) } else { Err(MapError::NoMemory) }
    }

    /// The longest part of `len` bytes at `address` that lies in one page of the program, with its place in the direct map.
    fn part(&self, address: u64, len: usize) -> Result<(u64, usize), Fault> {
        let fault = Fault { address };
        if !(USER_START..USER_END).contains(&address) {
            return Err(fault);
        }
        let (entry, _) = self.root.find(address).ok_or(fault)?;
        if !entry.has(Flags::PRESENT | Flags::USER) {
            return Err(fault);
        }
        let offset = address % PAGE_SIZE;
        Ok((direct(entry.physical() + offset), len.min((PAGE_SIZE - offset) as usize)))
    }

    /// Copies from the program's memory.
    ///
    /// # Errors
    /// The first address that the program itself could not read.
    pub fn read(&self, mut address: u64, mut into: &mut [u8]) -> Result<(), Fault> {
        while !into.is_empty() {
            let (from, len) = self.part(address, into.len())?;
            let (now, rest) = into.split_at_mut(len);
            // SAFETY: `from` is in the direct map and in one page; kernel objects never share a page with a program.
            unsafe { core::ptr::copy_nonoverlapping(from as *const u8, now.as_mut_ptr(), len) };
            into = rest;
            address += len as u64;
        }
        Ok(())
    }

    /// Writes to the program's memory, to its read-only pages too: for whoever loads it.
    ///
    /// # Errors
    /// The first address where nothing is mapped.
    pub fn write_any(&mut self, mut address: u64, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let (to, len) = self.part(address, bytes.len())?;
            let (now, rest) = bytes.split_at(len);
            // SAFETY: `to` is in the direct map, in one page that a program owns, where no kernel object is.
            unsafe { core::ptr::copy_nonoverlapping(now.as_ptr(), to as *mut u8, len) };
            bytes = rest;
            address += len as u64;
        }
        Ok(())
    }

    /// Gives back all memory of the space. No processor may have it loaded.
    pub(crate) fn release(self, frames: &mut Frames<'_>) {
        release_below(self.root, 0..KERNEL_HALF, LEVELS, frames);
    }
}

const LEVELS: u32 = 4;

/// Frees a table and all that the given entries of it map; `level` 1 is the last.
fn release_below(table: Table, entries: core::ops::Range<usize>, level: u32, frames: &mut Frames<'_>) {
    for i in entries {
        let entry = table.entry(i);
        if !entry.has(Flags::PRESENT) {
            continue;
        }
        if level > 1 {
            // SAFETY: an entry above the last level of a program's space points to a table of that space.
            let below = unsafe { Table::at(entry.physical()) };
            release_below(below, 0..ENTRIES, level - 1, frames);
        } else {
            let unmapped = FrameNumber::containing(entry.physical()).map(|frame| frames.unmap(frame));
            debug_assert_eq!(unmapped, Some(Ok(())));
        }
    }
    let freed = FrameNumber::containing(table.physical()).map(|frame| frames.free_table(frame));
    debug_assert_eq!(freed, Some(Ok(())));
}
