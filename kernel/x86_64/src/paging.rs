//! Page tables: four levels of 512 entries (Intel SDM volume 3, 4.5), reached through the direct map.

use crate::layout::{DIRECT_MAP, direct};
use abi::layout::PAGE_SIZE;
use bitflags::bitflags;
use kernel_core::tables::ENTRIES;
use protocol::vmctl::Cache;

bitflags! {
    /// The flags of an entry.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u64 {
        const PRESENT = 1;
        const WRITE = 1 << 1;
        const USER = 1 << 2;
        /// Selects, with CACHE_DISABLE, one of the memory types of the page attribute table.
        const WRITE_THROUGH = 1 << 3;
        const CACHE_DISABLE = 1 << 4;
        /// In a table above the last: it maps a large page, and points to no table.
        const LARGE = 1 << 7;
        const GLOBAL = 1 << 8;
        /// Ours to use: the page is no RAM, and not in the direct map.
        const DEVICE = 1 << 9;
        /// Ours, too: the program may write to the page, but does not for the time being.
        const WITHHELD = 1 << 10;
        const NO_EXECUTE = 1 << 63;
    }
}

impl Flags {
    /// Kernel memory that is read.
    pub(crate) const KERNEL_READ: Self = Self::PRESENT.union(Self::GLOBAL).union(Self::NO_EXECUTE);
    /// Kernel memory that is read and written.
    pub(crate) const KERNEL_WRITE: Self = Self::KERNEL_READ.union(Self::WRITE);
    /// Kernel memory that is executed.
    pub(crate) const KERNEL_EXECUTE: Self = Self::PRESENT.union(Self::GLOBAL);
    /// A table that maps kernel memory: the last level says what is allowed.
    const KERNEL_TABLE: Self = Self::PRESENT.union(Self::WRITE);
    /// A table that maps programs' memory.
    pub(crate) const USER_TABLE: Self = Self::KERNEL_TABLE.union(Self::USER);

    /// All that say what a program may do with a page, and what it is.
    pub(crate) const RIGHTS: Self = Self::PRESENT
        .union(Self::WRITE)
        .union(Self::USER)
        .union(Self::WRITE_THROUGH)
        .union(Self::CACHE_DISABLE)
        .union(Self::DEVICE)
        .union(Self::WITHHELD)
        .union(Self::NO_EXECUTE);

    /// How memory is cached: see [`init_cache_types`].
    pub(crate) const fn of_cache(cache: Cache) -> Self {
        match cache {
            Cache::Normal => Self::empty(),
            Cache::Combining => Self::WRITE_THROUGH,
            Cache::Off => Self::WRITE_THROUGH.union(Self::CACHE_DISABLE),
        }
    }
}

/// Makes entry 1 of the page attribute table, "write through" after a reset, write combining (Intel SDM volume 3, 12.12).
///
/// # Safety
/// Nothing is mapped write-through.
pub(crate) unsafe fn init_cache_types() {
    const AFTER_RESET: u64 = 0x0007_0406_0007_0406;
    const WRITE_COMBINING: u64 = 0x01;
    let table = AFTER_RESET & !(0xff << 8) | WRITE_COMBINING << 8;
    // SAFETY: by contract.
    unsafe { x86::msr::wrmsr(x86::msr::IA32_PAT, table) };
}

/// Bits of an entry that hold a physical address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// A page table entry.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Entry(u64);

impl Entry {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) fn new(physical: u64, flags: Flags) -> Self {
        Self(physical & ADDRESS | flags.bits())
    }

    pub(crate) fn has(self, flags: Flags) -> bool {
        self.has_of(flags, flags)
    }

    /// Whether it has these flags, and no other ones of a set.
    #[inline(always)]
    pub(crate) fn has_of(self, set: Flags, flags: Flags) -> bool {
        self.0 & set.bits() == flags.bits()
    }

    pub(crate) fn physical(self) -> u64 {
        self.0 & ADDRESS
    }

    /// Where it points to, and which of these flags it has.
    #[inline(always)]
    pub(crate) fn frame_and(self, flags: Flags) -> u64 {
        self.0 & (ADDRESS | flags.bits())
    }
}

/// The size of what an entry maps: the level of the table that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// 4 KiB.
    Page,
    /// 2 MiB.
    Large,
    /// 1 GiB.
    Huge,
}

impl Size {
    pub(crate) const fn bytes(self) -> u64 {
        PAGE_SIZE << self.shift()
    }

    /// Bits of the page number below the index at this level.
    const fn shift(self) -> u32 {
        match self {
            Self::Page => 0,
            Self::Large => 9,
            Self::Huge => 18,
        }
    }
}

/// Bits of the page number below the index in the root table.
const ROOT_SHIFT: u32 = 27;

fn index(address: u64, shift: u32) -> usize {
    ((address / PAGE_SIZE) >> shift) as usize % ENTRIES
}

/// A table, by its physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table(u64);

impl Table {
    /// The table in a frame.
    ///
    /// # Safety
    /// The frame holds a page table as long as this is used, and the direct map reaches it.
    pub(crate) unsafe fn at(physical: u64) -> Self {
        Self(physical)
    }

    pub(crate) fn physical(self) -> u64 {
        self.0
    }

    pub(crate) fn entry(self, index: usize) -> Entry {
        // SAFETY: the frame is a table; the index is masked.
        unsafe { (direct(self.0) as *const Entry).add(index % ENTRIES).read_volatile() }
    }

    pub(crate) fn set(self, index: usize, entry: Entry) {
        // SAFETY: the frame is a table; the index is masked. What the entry may map, the callers decide.
        unsafe { (direct(self.0) as *mut Entry).add(index % ENTRIES).write_volatile(entry) }
    }

    /// The table that an entry points to, made by `take` if the entry is empty; `None` if there is no frame for it.
    fn below(self, index: usize, flags: Flags, take: &mut impl FnMut() -> Option<u64>) -> Option<Self> {
        let entry = self.entry(index);
        if entry.has(Flags::PRESENT) {
            return Some(Self(entry.physical()));
        }
        let physical = take()?;
        clear(physical);
        self.set(index, Entry::new(physical, flags));
        Some(Self(physical))
    }

    /// Sets the entry that maps `address` in pages of `size`; `self` is a root table. `take` gives frames for tables that
    /// are missing on the way. Returns what the entry was, `None` if there are no frames.
    ///
    /// The way must not go through a larger page: the callers never map one where they map smaller ones.
    pub(crate) fn map(
        self,
        address: u64,
        size: Size,
        entry: Entry,
        mut take: impl FnMut() -> Option<u64>,
    ) -> Option<Entry> {
        let user = entry.has(Flags::USER);
        let flags = if user { Flags::USER_TABLE } else { Flags::KERNEL_TABLE };
        let mut table = self;
        for shift in [ROOT_SHIFT, Size::Huge.shift(), Size::Large.shift()] {
            if shift <= size.shift() {
                break;
            }
            table = table.below(index(address, shift), flags, &mut take)?;
        }
        let at = index(address, size.shift());
        let before = table.entry(at);
        table.set(at, entry);
        Some(before)
    }

    /// The table of the last level that maps `address`, which is not in a larger page; `None` if there is none. `self` is a root
    /// table.
    #[inline(always)]
    pub(crate) fn leaf(self, address: u64) -> Option<Self> {
        let mut table = self;
        for shift in [ROOT_SHIFT, Size::Huge.shift(), Size::Large.shift()] {
            let entry = table.entry(index(address, shift));
            if !entry.has(Flags::PRESENT) {
                return None;
            }
            table = Self(entry.physical());
        }
        Some(table)
    }

    /// The entry that maps `address`, and the size of its page; `None` if nothing does. `self` is a root table.
    pub(crate) fn find(self, address: u64) -> Option<(Entry, Size)> {
        let mut entry = self.entry(index(address, ROOT_SHIFT));
        for size in [Size::Huge, Size::Large, Size::Page] {
            if !entry.has(Flags::PRESENT) {
                return None;
            }
            entry = Self(entry.physical()).entry(index(address, size.shift()));
            if size == Size::Page || entry.has(Flags::LARGE) {
                return entry.has(Flags::PRESENT).then_some((entry, size));
            }
        }
        None
    }
}

/// Fills a frame with zeros.
pub(crate) fn clear(physical: u64) {
    // SAFETY: callers have just taken the frame: nobody else uses it, and the direct map reaches it.
    unsafe { core::ptr::write_bytes(direct(physical) as *mut u8, 0, PAGE_SIZE as usize) };
}

/// The root table in use.
pub(crate) fn current() -> Table {
    // SAFETY: reads CR3.
    Table(unsafe { x86::controlregs::cr3() } & ADDRESS)
}

/// Makes a root table the one in use, and drops what the TLB holds of programs' memory.
///
/// # Safety
/// It maps the kernel as the one in use does.
pub(crate) unsafe fn load(root: Table) {
    // SAFETY: by contract.
    unsafe { x86::controlregs::cr3_write(root.0) };
}

/// Drops what the TLB holds of one page, and of all tables, of the space in use.
pub(crate) fn flush_page(address: u64) {
    // SAFETY: the TLB is only a memory of the tables.
    unsafe { x86::tlb::flush(address as usize) };
}

/// Whether the kernel can read `address`: for backtraces, which must not fault.
pub(crate) fn is_readable(address: u64) -> bool {
    address >= DIRECT_MAP && current().find(address).is_some()
}
