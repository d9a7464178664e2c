//! What the core asks of the machine's page tables: four levels of 512 entries.

use crate::CpuId;
use crate::frames::FrameNumber;

pub use protocol::vmctl::{Access, Backing, Cache};

/// Entries of a page table.
pub const ENTRIES: usize = 512;

/// The first entry of a root table that maps the kernel's half.
pub const KERNEL_HALF: usize = ENTRIES / 2;

/// How a page may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What the program may do.
    pub access: Access,
    /// It does not write for the time being, although it may.
    pub withheld: bool,
    /// How it is cached.
    pub cache: Cache,
    /// What it is. The kernel itself never reads or writes a device.
    pub backing: Backing,
}

/// A page of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it lies.
    pub frame: FrameNumber,
    /// How it may be used.
    pub rights: Rights,
}

/// The page tables of programs, and what the CPUs remember of them.
///
/// `table` is always a page table of a live space, and the level fits the method. A CPU remembers pages of the one space
/// that it has loaded, and forgets them all when it loads another.
pub trait Tables {
    /// Rights, as an entry has them.
    type Flags: Copy;

    /// The CPU that the kernel runs on now.
    fn cpu(&self) -> CpuId;
    /// Fills a frame with zeros; as a table it has only empty entries then.
    fn clear(&mut self, frame: FrameNumber);
    /// Copies a frame of a program's memory.
    fn copy_frame(&mut self, from: FrameNumber, to: FrameNumber);
    /// Makes a cleared table the root of a space: maps the kernel in its upper half.
    fn make_root(&mut self, table: FrameNumber);
    /// The table that an entry of a table above the last level points to.
    fn below(&self, table: FrameNumber, index: usize) -> Option<FrameNumber>;
    /// Makes such an entry point to a table, or to none.
    fn set_below(&mut self, table: FrameNumber, index: usize, below: Option<FrameNumber>);
    /// What entries with these rights have in common.
    fn flags(rights: Rights) -> Self::Flags;
    /// Whether an entry of a table of the last level maps a page.
    fn is_mapped(&self, table: FrameNumber, index: usize) -> bool;
    /// The page that an entry of a table of the last level maps.
    fn page(&self, table: FrameNumber, index: usize) -> Option<Page>;
    /// The frame of such a page, if it has just these rights.
    fn frame_with(&self, table: FrameNumber, index: usize, rights: Rights) -> Option<FrameNumber> {
        self.page(table, index).filter(|page| page.rights == rights).map(|page| page.frame)
    }
    /// Makes such an entry map a frame.
    fn set_page(&mut self, table: FrameNumber, index: usize, frame: FrameNumber, flags: Self::Flags);
    /// Makes such an entry map nothing.
    fn clear_page(&mut self, table: FrameNumber, index: usize);
    /// Makes this CPU forget one page, and all tables, of the space that it has loaded.
    fn flush_page(&mut self, address: u64);
    /// Makes it forget all of them.
    fn flush_all(&mut self);
    /// Makes this CPU load the kernel's own space.
    fn leave(&mut self);
    /// Makes other CPUs, a bit each, load the kernel's own space; returns when all have. A program that ran there loads its
    /// space again before it goes on.
    fn leave_others(&mut self, cpus: u32);
}
