//! The new space, as its owner lets a loader fill it.

use crate::segment::Access;
use core::future::Future;
use core::ops::Range;

/// A space that a program is loaded into. The caller decides what each step means: kernel, memory server and file server
/// each have their own ways to memory.
///
/// [`crate::exec`] calls [`Target::clear`] first and once. Then come the segments in ascending order, each reserved, filled
/// and protected; the relocations; the stack and its frame; and last [`Target::set_entry`]. After the first call that
/// fails comes no other.
///
/// What may be relied on: all ranges of pages are page-aligned, not empty, and in user space; no page is reserved twice;
/// [`Target::copy_in`], [`Target::write`] and [`Target::zero`] stay within pages that are reserved, readable and writable
/// at that time, and may cross from page to page; nothing is ever writable and executable, nor executable before it is
/// whole.
///
/// The steps are asynchronous for the reason that [`crate::Source`] gives.
pub trait Target {
    /// Why a step failed.
    type Error;

    /// Gives up all memory of the old program. Whether this succeeds or not, there is no way back.
    ///
    /// # Errors
    /// The space may be anything then.
    fn clear(&mut self) -> impl Future<Output = Result<(), Self::Error>>;

    /// Makes pages belong to the program.
    ///
    /// # Errors
    /// Usually that there is no memory.
    fn reserve(&mut self, reservation: Reservation) -> impl Future<Output = Result<(), Self::Error>>;

    /// Makes pages belong to the program as its stack: zero, readable and writable. The frame is written to the last of
    /// them next; the others are best had on demand.
    ///
    /// # Errors
    /// Usually that there is no memory.
    fn reserve_stack(&mut self, pages: Range<u64>) -> impl Future<Output = Result<(), Self::Error>>;

    /// Copies a section of the file to its place. Each byte that a segment has in the file comes once, in one section for
    /// each segment, unless the segment is mapped.
    ///
    /// # Errors
    /// The file cannot be read, or the memory not written.
    fn copy_in(&mut self, section: Section) -> impl Future<Output = Result<(), Self::Error>>;

    /// Maps pages of the file instead of reserving memory and copying. Asked first for each segment that has bytes in the
    /// file. Who cannot do it leaves this to the default.
    ///
    /// # Errors
    /// The mapping was possible and failed. Where it is not possible, the answer is [`Mapped::Unsupported`].
    fn map_file(&mut self, mapping: FileMapping) -> impl Future<Output = Result<Mapped, Self::Error>> {
        let _ = mapping;
        async { Ok(Mapped::Unsupported) }
    }

    /// Writes bytes: relocated words and the stack frame. No more than [`crate::WRITE_MAX`] at once.
    ///
    /// # Errors
    /// The memory cannot be written.
    fn write(&mut self, address: u64, bytes: &[u8]) -> impl Future<Output = Result<(), Self::Error>>;

    /// Sets bytes to zero: what is left of the first and last page of a section. Always less than a page, never nothing.
    ///
    /// # Errors
    /// The memory cannot be written.
    fn zero(&mut self, range: Range<u64>) -> impl Future<Output = Result<(), Self::Error>>;

    /// Gives pages that are filled their final access. Only for pages that were reserved with [`Fill::Whole`] and have
    /// another access than they need.
    ///
    /// # Errors
    /// Usually that the target is no more.
    fn protect(&mut self, pages: Range<u64>, access: Access) -> impl Future<Output = Result<(), Self::Error>>;

    /// Says where the program begins. The last step: the program may run from now on.
    ///
    /// # Errors
    /// Usually that the target is no more.
    fn set_entry(&mut self, start: Start) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Pages that a program needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// First address of the first page to first address behind the last.
    pub pages: Range<u64>,
    /// What may be done there from now on: for pages to fill always reading and writing, for others the final access.
    pub access: Access,
    /// What they hold.
    pub fill: Fill,
}

/// What reserved pages hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// All of their bytes are copied in or set to zero before the program runs: they may hold anything at first, and are
    /// best had at once.
    Whole,
    /// Zeros, and nothing comes before the program runs but maybe some relocated words. Best had on demand: there may be
    /// very many of them.
    Zero,
}

/// A section of the file and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Where it begins in the file.
    pub offset: u64,
    /// Where it begins in memory: the same place within a page.
    pub address: u64,
    /// Bytes, not 0.
    pub len: u64,
}

/// Pages of a file and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMapping {
    /// Where the first page begins in the file, a multiple of the page size.
    pub offset: u64,
    /// The pages of memory. The last one may reach beyond the end of the file.
    pub pages: Range<u64>,
    /// How many of the last bytes must be zero instead of what the file has there. Less than a page.
    pub clear_end: u64,
    /// What may be done there. If it is writing, changes are the program's own and do not get to the file.
    pub access: Access,
}

/// Whether pages of a file were mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// They are.
    Done,
    /// Nothing was done; the contents have to be copied.
    Unsupported,
}

/// Where a program begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Address of the first instruction.
    pub entry: u64,
    /// Address of the stack frame, a multiple of 16.
    pub stack_pointer: u64,
}
