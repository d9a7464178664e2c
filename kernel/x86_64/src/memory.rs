//! Physical memory at boot: the kernel's own address space and the frame table.

use crate::boot_info::BootInfo;
use crate::cpu::{Features, is_guard_page};
use crate::layout::{DEVICE_MAP, DEVICE_MAP_SIZE, DIRECT_MAP, EARLY_LIMIT, IMAGE_MAP, Image, LOW_MEMORY, direct};
use crate::paging::{self, Entry, Flags, Size, Table};
use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;
use core::ops::Range;
use kernel_core::boot::MAX_MODULES;
use kernel_core::frames::{FrameInfo, Frames};
use kernel_core::regions::{find_gap, first_overlap, merged, overlap};
use kernel_core::spaces::lending::{Lending, Lendings};
pub use protocol::vmctl::Cache;

/// The kernel image, the boot information, the first MiB, every module, and what [`Early`] itself took.
const MAX_IN_USE: usize = MAX_MODULES + 4;
/// Pages for tables beside those that the amount of memory asks for: unaligned ends of ranges, the image, the devices.
const SPARE_TABLES: u64 = 32;

/// How many lendings of pages there can be: one for so many frames, within limits.
const FRAMES_PER_LENDING: usize = 16;
const FEWEST_LENDINGS: usize = 256;
const MOST_LENDINGS: usize = 2048;

/// Writes here are interrupts (Intel SDM volume 3, 11.11.1), and the local APICs' registers begin it: for no program.
const INTERRUPT_MESSAGES: Range<u64> = 0xfee0_0000..0xfef0_0000;

/// Memory that is in use before there is a frame table.
struct Early {
    in_use: ArrayVec<Range<u64>, MAX_IN_USE>,
}

impl Early {
    fn new(boot: &BootInfo<'_>) -> Self {
        let mut in_use = ArrayVec::new();
        in_use.push(0..LOW_MEMORY);
        in_use.push(Image::physical());
        in_use.push(boot.range.clone());
        in_use.extend(boot.modules.iter().map(|m| m.range.clone()));
        Self { in_use }
    }

    /// Takes the lowest `size` bytes that are usable and reached by the early tables.
    fn take(&mut self, usable: &[Range<u64>], size: u64) -> Option<Range<u64>> {
        let range = find_gap(usable, &self.in_use, size, EARLY_LIMIT)?;
        self.in_use.push(range.clone());
        Some(range)
    }
}

/// The memory of the machine, set up.
pub struct Memory {
    /// What each frame is used for.
    pub frames: Frames<'static>,
    /// Pages that programs see of each other.
    pub lendings: Lendings<'static>,
    /// The root table of the kernel's own address space; every other has the same upper half.
    pub(crate) root: Table,
    /// Bytes of usable memory that the boot loader told of.
    pub total: u64,
}

impl Memory {
    /// Builds the kernel's address space and switches to it, then the frame table. Modules and boot information stay
    /// kernel memory until [`Frames::reclaim`].
    ///
    /// # Errors
    /// What is wrong with the memory of the machine.
    ///
    /// # Safety
    /// Called once, on the tables of the boot code; `boot` tells the truth.
    pub unsafe fn init(boot: &BootInfo<'_>, features: &Features) -> Result<Self, &'static str> {
        let top = boot.usable.iter().map(|r| r.end).max().ok_or("the boot loader told of no usable memory")?;
        if top > DEVICE_MAP - DIRECT_MAP {
            return Err("the machine has more memory than the direct map has room for");
        }
        let mut early = Early::new(boot);
        // The first of them is low memory, where some of the others may well be.
        if first_overlap(&early.in_use[1..]).is_some() {
            return Err("the boot loader put two of kernel, modules and boot information in the same place");
        }
        let table_len = (top / PAGE_SIZE) as usize;
        let lendings_len = (table_len / FRAMES_PER_LENDING).clamp(FEWEST_LENDINGS, MOST_LENDINGS);
        let table_size = size_of_pages::<FrameInfo>(table_len);
        let tables_size = table_size + size_of_pages::<Lending>(lendings_len);
        // A page directory for each GiB, should there be no huge pages, and tables at both ends of each range.
        let tables = top / Size::Huge.bytes() + 2 * boot.usable.len() as u64 + SPARE_TABLES;
        let range = early
            .take(&boot.usable, tables_size + tables * PAGE_SIZE)
            .ok_or("no free memory below 4 GiB is large enough for the kernel's tables")?;
        let mut pool = Pool { next: range.start + tables_size, end: range.end };
        let root = kernel_space(boot, features, &mut pool).ok_or("the kernel's page tables need more memory")?;
        // SAFETY: it maps the kernel's image and all memory, as the boot code's tables did where we are.
        unsafe { paging::load(root) };
        // SAFETY: the range is ours, mapped, and large enough for both.
        let (table, lendings) = unsafe {
            let table = table_at(range.start, table_len, &FrameInfo::RESERVED);
            (table, table_at(range.start + table_size, lendings_len, &Lending::UNUSED))
        };
        let mut frames = Frames::new(table);
        if !frames.keep_device(INTERRUPT_MESSAGES) {
            return Err("the kernel keeps too many devices for itself");
        }
        frames.add_kernel(range.start..pool.next);
        for used in &early.in_use[..early.in_use.len() - 1] {
            let pages = used.start / PAGE_SIZE * PAGE_SIZE..used.end.next_multiple_of(PAGE_SIZE);
            frames.add_kernel(pages);
        }
        for usable in &boot.usable {
            frames.add_free(usable.clone());
        }
        let total = boot.usable.iter().map(|r| r.end - r.start).sum();
        Ok(Self { frames, lendings: Lendings::new(lendings), root, total })
    }

    /// Maps a device's registers, or memory of the firmware, into the kernel; returns the virtual address of `physical`.
    /// Registers, which are not cached, are the kernel's alone from then on. `None` if it lies beyond what the kernel maps,
    /// or there are no frames for page tables.
    pub fn map_device(&mut self, physical: u64, len: u64, cache: Cache) -> Option<u64> {
        let end = physical.checked_add(len)?.checked_next_multiple_of(PAGE_SIZE)?;
        if end > DEVICE_MAP_SIZE {
            return None;
        }
        if cache == Cache::Off && !self.frames.keep_device(physical..end) {
            return None;
        }
        let flags = Flags::KERNEL_WRITE | Flags::of_cache(cache);
        let frames = &mut self.frames;
        for page in (physical / PAGE_SIZE * PAGE_SIZE..end).step_by(PAGE_SIZE as usize) {
            let take = || frames.take_for_table().map(|frame| frame.address());
            self.root.map(DEVICE_MAP + page, Size::Page, Entry::new(page, flags), take)?;
        }
        Some(DEVICE_MAP + physical)
    }
}

/// Bytes of the pages that hold a table.
fn size_of_pages<T>(len: usize) -> u64 {
    ((len * size_of::<T>()) as u64).next_multiple_of(PAGE_SIZE)
}

/// Makes a table of equal entries at a physical address.
///
/// # Safety
/// The memory is nobody else's for ever, mapped, aligned to a page and large enough.
unsafe fn table_at<T: Clone>(physical: u64, len: usize, entry: &T) -> &'static mut [T] {
    let first = direct(physical) as *mut T;
    // SAFETY: by contract; each entry is written before anybody reads it.
    unsafe {
        for i in 0..len {
            first.add(i).write(entry.clone());
        }
        core::slice::from_raw_parts_mut(first, len)
    }
}

/// Pages for tables, in a row.
struct Pool {
    next: u64,
    end: u64,
}

impl Pool {
    fn take(&mut self) -> Option<u64> {
        let page = self.next;
        (page < self.end).then(|| self.next += PAGE_SIZE)?;
        Some(page)
    }
}

/// The kernel's half: the direct map, the image with W^X, and an empty part for devices. The lower half is empty.
fn kernel_space(boot: &BootInfo<'_>, features: &Features, pool: &mut Pool) -> Option<Table> {
    let root = pool.take()?;
    paging::clear(root);
    // SAFETY: the page was cleared just now, and stays a table.
    let root = unsafe { Table::at(root) };
    let image = Image::get();
    // All of the image's aliases in the direct map keep writable what is writable and nothing else.
    let read_only = image.text.start - IMAGE_MAP..image.rodata.end - IMAGE_MAP;
    for range in merged(&boot.usable) {
        let mut at = range.start.next_multiple_of(PAGE_SIZE);
        let end = range.end / PAGE_SIZE * PAGE_SIZE;
        while at < end {
            let fits = |size: Size| {
                let large = at..at + size.bytes();
                at % size.bytes() == 0 && large.end <= end && !overlap(&large, &read_only)
            };
            let size = if features.huge_pages && fits(Size::Huge) {
                Size::Huge
            } else if fits(Size::Large) {
                Size::Large
            } else {
                Size::Page
            };
            let access = if read_only.contains(&at) { Flags::KERNEL_READ } else { Flags::KERNEL_WRITE };
            let large = if size == Size::Page { Flags::empty() } else { Flags::LARGE };
            root.map(direct(at), size, Entry::new(at, access | large), || pool.take())?;
            at += size.bytes();
        }
    }
    for (part, flags) in
        [(image.text, Flags::KERNEL_EXECUTE), (image.rodata, Flags::KERNEL_READ), (image.data, Flags::KERNEL_WRITE)]
    {
        for page in part.step_by(PAGE_SIZE as usize).filter(|page| !is_guard_page(*page)) {
            root.map(page, Size::Page, Entry::new(page - IMAGE_MAP, flags), || pool.take())?;
        }
    }
    // Every address space copies the root's upper half, so the devices' entry must be there from the start.
    root.map(DEVICE_MAP, Size::Huge, Entry::EMPTY, || pool.take())?;
    Some(root)
}
