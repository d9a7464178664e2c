//! The page tables of programs, as the core asks for them, and programs' memory.
//!
//! Safety rests on the core here: it names page tables of live spaces only, since the frame table says which they are and
//! no step makes a table of a frame that is used for something else.

use crate::layout::direct;
use crate::machine::X86;
use crate::paging::{self, Entry, Flags, Table};
use crate::{cpu, smp};
use abi::layout::{PAGE_SIZE, user_range};
use kernel_core::frames::FrameNumber;
use kernel_core::tables::{Access, Backing, Cache, ENTRIES, KERNEL_HALF, Page, Rights, Tables};
use kernel_core::{CpuId, Fault, MemoryAccess, Stretch};

/// The table in a frame.
#[inline(always)]
fn table(frame: FrameNumber) -> Table {
    // SAFETY: the core passes frames that hold page tables.
    unsafe { Table::at(frame.address()) }
}

/// The frame of a table or page that an entry points to.
fn frame(entry: Entry) -> Option<FrameNumber> {
    entry.has(Flags::PRESENT).then(|| FrameNumber::containing(entry.physical())).flatten()
}

impl Flags {
    fn of(rights: Rights) -> Self {
        let access = match rights.access {
            Access::Read => Self::NO_EXECUTE,
            Access::Write if rights.withheld => Self::NO_EXECUTE | Self::WITHHELD,
            Access::Write => Self::NO_EXECUTE | Self::WRITE,
            Access::Execute => Self::empty(),
        };
        let backing = match rights.backing {
            Backing::Memory => Self::empty(),
            Backing::Device => Self::DEVICE,
        };
        Self::PRESENT | Self::USER | access | backing | Self::of_cache(rights.cache)
    }
}

fn rights(entry: Entry) -> Rights {
    let withheld = entry.has(Flags::WITHHELD);
    Rights {
        withheld,
        access: match (entry.has(Flags::WRITE) || withheld, entry.has(Flags::NO_EXECUTE)) {
            (true, _) => Access::Write,
            (false, true) => Access::Read,
            (false, false) => Access::Execute,
        },
        cache: match (entry.has(Flags::CACHE_DISABLE), entry.has(Flags::WRITE_THROUGH)) {
            (true, _) => Cache::Off,
            (false, true) => Cache::Combining,
            (false, false) => Cache::Normal,
        },
        backing: if entry.has(Flags::DEVICE) { Backing::Device } else { Backing::Memory },
    }
}

impl Tables for X86 {
    type Flags = Flags;

    fn cpu(&self) -> CpuId {
        cpu::this()
    }

    fn clear(&mut self, frame: FrameNumber) {
        paging::clear(frame.address());
    }

    fn copy_frame(&mut self, from: FrameNumber, to: FrameNumber) {
        let (words, from, to) = (PAGE_SIZE / size_of::<u64>() as u64, direct(from.address()), direct(to.address()));
        // No call, since how many bytes these are is known.
        // SAFETY: both are frames of programs' memory, where no kernel object is, in the direct map. The ABI keeps DF clear.
        unsafe {
            core::arch::asm!(
                "rep movsq",
                inout("rcx") words => _, inout("rsi") from => _, inout("rdi") to => _,
                options(nostack, preserves_flags),
            );
        }
    }

    fn make_root(&mut self, root: FrameNumber) {
        for i in KERNEL_HALF..ENTRIES {
            table(root).set(i, self.root.entry(i));
        }
    }

    #[inline(always)]
    fn below(&self, above: FrameNumber, index: usize) -> Option<FrameNumber> {
        frame(table(above).entry(index))
    }

    fn set_below(&mut self, above: FrameNumber, index: usize, below: Option<FrameNumber>) {
        table(above).set(index, below.map_or(Entry::EMPTY, |below| Entry::new(below.address(), Flags::USER_TABLE)));
    }

    #[inline(always)]
    fn page(&self, leaf: FrameNumber, index: usize) -> Option<Page> {
        let entry = table(leaf).entry(index);
        frame(entry).map(|frame| Page { frame, rights: rights(entry) })
    }

    #[inline(always)]
    fn frame_with(&self, leaf: FrameNumber, index: usize, rights: Rights) -> Option<FrameNumber> {
        let entry = table(leaf).entry(index);
        let number = FrameNumber::containing(entry.physical());
        // Not one after the other: so both become one comparison.
        if entry.has_of(Flags::RIGHTS, Flags::of(rights)) & number.is_some() { number } else { None }
    }

    fn flags(rights: Rights) -> Flags {
        Flags::of(rights)
    }

    #[inline(always)]
    fn is_mapped(&self, leaf: FrameNumber, index: usize) -> bool {
        table(leaf).entry(index).has(Flags::PRESENT)
    }

    #[inline(always)]
    fn set_page(&mut self, leaf: FrameNumber, index: usize, frame: FrameNumber, flags: Flags) {
        table(leaf).set(index, Entry::new(frame.address(), flags));
    }

    #[inline(always)]
    fn clear_page(&mut self, leaf: FrameNumber, index: usize) {
        table(leaf).set(index, Entry::EMPTY);
    }

    fn flush_page(&mut self, address: u64) {
        paging::flush_page(address);
    }

    fn flush_all(&mut self) {
        // SAFETY: it is in use already.
        unsafe { paging::load(paging::current()) };
    }

    fn leave(&mut self) {
        // SAFETY: the kernel's own space maps the kernel like every other.
        unsafe { paging::load(self.root) };
    }

    fn leave_others(&mut self, cpus: u32) {
        smp::leave_others(cpus);
    }
}

/// Flags of a page: those that it must have, and those that it must not have.
#[derive(Clone, Copy)]
struct Needed {
    with: Flags,
    without: Flags,
}

impl Needed {
    /// For a program to access it like this; the kernel accesses no device.
    #[inline(always)]
    fn for_access(access: MemoryAccess) -> Self {
        let (with, without) = (Flags::PRESENT | Flags::USER, Flags::DEVICE);
        match access {
            MemoryAccess::Read => Self { with, without },
            MemoryAccess::Write => Self { with: with | Flags::WRITE, without },
            MemoryAccess::Execute => Self { with, without: without | Flags::NO_EXECUTE },
        }
    }

    #[inline(always)]
    fn fits(self, entry: Entry) -> bool {
        entry.has_of(self.with | self.without, self.with)
    }

    /// How many entries of a table continue one that fits, up to a last one: they fit, too, and their frames follow.
    #[inline(always)]
    fn followers(self, leaf: Table, first: usize, entry: Entry, last: usize) -> usize {
        /// So many are compared without a look at the end.
        const TOGETHER: usize = 8;
        // One comparison for frame and flags of each.
        let compared = self.with | self.without;
        let start = entry.frame_and(compared);
        let follows = |at: usize| leaf.entry(at).frame_and(compared) == start + (at - first) as u64 * PAGE_SIZE;
        let end = ENTRIES.min(last + 1);
        let mut next = first + 1;
        while next < end.saturating_sub(TOGETHER - 1) && (next..next + TOGETHER).all(follows) {
            next += TOGETHER;
        }
        while next < end && follows(next) {
            next += 1;
        }
        next - 1 - first
    }
}

/// The table of the last level that maps an address of a program, the index there, and the entry, if it is as needed.
#[inline(always)]
fn find(root: FrameNumber, address: u64, needed: Needed) -> Option<(Table, usize, Entry)> {
    user_range(address, 1)?;
    let (leaf, index) = (table(root).leaf(address)?, (address / PAGE_SIZE) as usize % ENTRIES);
    let entry = leaf.entry(index);
    needed.fits(entry).then_some((leaf, index, entry))
}

/// Finds bytes of a program's memory: those of pages whose frames follow each other, as far as one table maps them. See
/// [`kernel_core::Machine::stretch`].
#[inline(always)]
pub(crate) fn stretch(root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Option<Stretch> {
    /// A function of its own has enough registers for its loop.
    #[inline(never)]
    fn apart(root: FrameNumber, address: u64, len: u64, needed: Needed) -> Option<Stretch> {
        let (leaf, index, entry) = find(root, address, needed)?;
        let offset = address % PAGE_SIZE;
        let end = offset + len;
        // Nothing is ever mapped behind programs' memory, where the last table goes on.
        let others = needed.followers(leaf, index, entry, index + ((end - 1) / PAGE_SIZE) as usize);
        let found = (1 + others) as u64 * PAGE_SIZE;
        Some(Stretch { first: direct(entry.physical()) + offset, len: end.min(found) - offset })
    }
    apart(root, address, len, Needed::for_access(access))
}

/// Finds a byte of a program's memory; see [`kernel_core::Machine::locate_byte`].
#[inline(always)]
pub(crate) fn locate_byte(root: FrameNumber, address: u64, access: MemoryAccess) -> Option<u64> {
    let (_, _, entry) = find(root, address, Needed::for_access(access))?;
    Some(direct(entry.physical()) + address % PAGE_SIZE)
}

/// Copies bytes of located pages. Programs may access them meanwhile on other processors; what they see then is theirs to know.
#[inline(always)]
pub(crate) fn copy(from: u64, to: u64, len: u64) {
    // SAFETY: the core has found all bytes of both in the direct map, in programs' memory, where no kernel object is.
    unsafe {
        if len == size_of::<u64>() as u64 {
            // What is copied most often needs no loop.
            (to as *mut u64).write_unaligned((from as *const u64).read_unaligned());
        } else {
            core::ptr::copy(from as *const u8, to as *mut u8, len as usize);
        }
    }
}

/// Fills bytes of a located stretch.
pub(crate) fn fill(to: u64, byte: u8, len: u64) {
    // SAFETY: as for `copy`.
    unsafe { core::ptr::write_bytes(to as *mut u8, byte, len as usize) };
}

/// Reads an aligned word of a located page, which may change meanwhile.
#[inline(always)]
pub(crate) fn load(from: u64) -> u64 {
    // SAFETY: as for `copy`; the core asks for aligned words.
    unsafe { (from as *const u64).read_volatile() }
}

/// The longest part of `len` bytes at `address` that lies in one page of a program, with its place in the direct map.
fn part(root: FrameNumber, address: u64, len: usize) -> Result<(u64, usize), Fault> {
    part_for(root, address, len, MemoryAccess::Read)
}

/// The same, of a page that the program can access like this.
fn part_for(root: FrameNumber, address: u64, len: usize, wanted: MemoryAccess) -> Result<(u64, usize), Fault> {
    let fault = Fault { address };
    user_range(address, 1).ok_or(fault)?;
    let (entry, _) = table(root).find(address).ok_or(fault)?;
    if !Needed::for_access(wanted).fits(entry) {
        return Err(fault);
    }
    let offset = address % PAGE_SIZE;
    Ok((direct(entry.physical() + offset), len.min((PAGE_SIZE - offset) as usize)))
}

/// Copies from a program's memory.
///
/// # Errors
/// The first address that the program itself could not read, or where a device is.
pub(crate) fn read(root: FrameNumber, mut address: u64, mut into: &mut [u8]) -> Result<(), Fault> {
    while !into.is_empty() {
        let (from, len) = part(root, address, into.len())?;
        let (now, rest) = into.split_at_mut(len);
        // SAFETY: `from` is in the direct map and in one page; kernel objects never share a page with a program.
        unsafe { core::ptr::copy_nonoverlapping(from as *const u8, now.as_mut_ptr(), len) };
        into = rest;
        address += len as u64;
    }
    Ok(())
}

/// Copies to a program's memory.
///
/// # Errors
/// The first address that the program itself could not write, or where a device is. All before it is written.
pub(crate) fn write(root: FrameNumber, mut address: u64, mut bytes: &[u8]) -> Result<(), Fault> {
    while !bytes.is_empty() {
        let (to, len) = part_for(root, address, bytes.len(), MemoryAccess::Write)?;
        let (now, rest) = bytes.split_at(len);
        // SAFETY: `to` is in the direct map, in one page that a program may write, where no kernel object is.
        unsafe { core::ptr::copy_nonoverlapping(now.as_ptr(), to as *mut u8, len) };
        bytes = rest;
        address += len as u64;
    }
    Ok(())
}

/// Whether a program could access all of a range itself.
///
/// # Errors
/// The first address that it could not, or where a device is.
pub(crate) fn reach(root: FrameNumber, mut address: u64, mut len: u64, access: MemoryAccess) -> Result<(), Fault> {
    while len > 0 {
        let (_, part) = part_for(root, address, len as usize, access)?;
        address += part as u64;
        len -= part as u64;
    }
    Ok(())
}

/// Writes to a program's memory, to its read-only pages too: for whoever loads it.
///
/// # Errors
/// The first address where no memory is mapped.
///
/// # Safety
/// `root` is the root table of a space that lives.
pub unsafe fn write_any(root: FrameNumber, mut address: u64, mut bytes: &[u8]) -> Result<(), Fault> {
    while !bytes.is_empty() {
        let (to, len) = part(root, address, bytes.len())?;
        let (now, rest) = bytes.split_at(len);
        // SAFETY: `to` is in the direct map, in one page that a program owns, where no kernel object is.
        unsafe { core::ptr::copy_nonoverlapping(now.as_ptr(), to as *mut u8, len) };
        bytes = rest;
        address += len as u64;
    }
    Ok(())
}
