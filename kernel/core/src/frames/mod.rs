//! The frame table: what each frame of physical memory is used for.
//!
//! A frame has one kind at a time, and only the steps below change it: so no sequence of calls can map a page table or
//! kernel frame into a program, or hand out a frame that somebody still sees. A frame goes back to whom it came from: one
//! that the kernel took from its own pool becomes free, one that the memory server claimed becomes idle and the server's
//! again. Whoever turns a frame into a page table or a program's memory clears it first.

mod aside;
mod uses;

#[cfg(test)]
mod tests;

pub(crate) use aside::Aside;

use abi::Errno;
use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;
use core::fmt;
use core::ops::Range;

/// The number of a frame: its physical address divided by [`PAGE_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameNumber(u32);

impl FrameNumber {
    /// The last one, which is in no frame table: a list could not link it.
    pub(crate) const LAST: Self = Self(u32::MAX);

    /// The frame that holds a physical address; `None` beyond 16 TiB.
    pub fn containing(address: u64) -> Option<Self> {
        u32::try_from(address / PAGE_SIZE).ok().map(Self)
    }

    /// The first of so many frames, at least one, that begin at a physical address; `None` if one of them lies beyond 16 TiB.
    pub(crate) fn first_of(count: u32, address: u64) -> Option<Self> {
        let first = address / PAGE_SIZE;
        u32::try_from(first + u64::from(count) - 1).ok().map(|_| Self(first as u32))
    }

    /// Its physical address.
    pub const fn address(self) -> u64 {
        self.0 as u64 * PAGE_SIZE
    }

    /// The frame so many frames behind; `None` beyond 16 TiB.
    pub fn checked_add(self, frames: u32) -> Option<Self> {
        self.0.checked_add(frames).map(Self)
    }

    /// The frame so many frames behind, in a run that is known to exist.
    pub(crate) const fn offset(self, frames: u32) -> Self {
        Self(self.0.wrapping_add(frames))
    }

    const fn index(self) -> usize {
        self.0 as usize
    }

    /// As it stands in a list: plus one, so that 0 ends it.
    const fn link(self) -> u32 {
        self.0 + 1
    }

    fn from_link(link: u32) -> Option<Self> {
        link.checked_sub(1).map(Self)
    }
}

/// What a frame is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// No memory of ours: a hole, a device, or the firmware's.
    Reserved,
    /// In the kernel's pool: can be taken or claimed.
    Free,
    /// Claimed by the memory server; holds anything, and is mapped nowhere.
    Idle,
    /// The kernel's text, data, stacks and tables.
    Kernel,
    /// A page table.
    PageTable,
    /// A program's memory.
    User,
    /// A program's memory that it does not see while it has borrowed another page in its place.
    Aside,
}

/// To whom a frame goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The kernel took it from its pool.
    Pool,
    /// The memory server claimed it.
    Claimed,
}

/// An entry of the frame table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    kind: FrameKind,
    origin: Origin,
    /// User: how many reasons there are to keep it besides mappings. Aside: which page of a lending it is.
    pins: u16,
    /// User: in how many places it is mapped. Free, aside, and page tables in a stock: link to the next. Page tables in use:
    /// how many of their entries are.
    value: u32,
}

const _: () = assert!(size_of::<FrameInfo>() == 8);

impl FrameInfo {
    /// A frame that is no memory of ours.
    pub const RESERVED: Self = Self { kind: FrameKind::Reserved, origin: Origin::Pool, pins: 0, value: 0 };

    /// What the frame is used for.
    pub fn kind(&self) -> FrameKind {
        self.kind
    }

    /// In how many places it is mapped.
    pub fn mappings(&self) -> u32 {
        if self.kind == FrameKind::User { self.value } else { 0 }
    }

    /// How many reasons there are to keep it besides mappings.
    pub fn pins(&self) -> u16 {
        if self.kind == FrameKind::User { self.pins } else { 0 }
    }
}

/// Why a step is refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No such frame.
    OutOfRange,
    /// The frame is used for something else.
    WrongKind(FrameKind),
    /// It is still mapped somewhere.
    Mapped,
    /// It is pinned.
    Pinned,
    /// It is mapped nowhere or not pinned, or in as many places or as often as can be counted.
    Count,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("there is no such frame"),
            Self::WrongKind(kind) => write!(f, "the frame is {kind:?}"),
            Self::Mapped => f.write_str("the frame is still mapped"),
            Self::Pinned => f.write_str("the frame is pinned"),
            Self::Count => f.write_str("the mapping or pin count of the frame is at its end"),
        }
    }
}

impl From<FrameError> for Errno {
    /// As the calls of the memory server are answered.
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::OutOfRange => Self::Dom,
            FrameError::WrongKind(_) => Self::Perm,
            FrameError::Mapped | FrameError::Pinned => Self::Busy,
            FrameError::Count => Self::NoSpc,
        }
    }
}

/// Cleared page tables that a space does not use yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stock {
    first: u32,
    len: u32,
}

impl Stock {
    pub(crate) const EMPTY: Self = Self { first: 0, len: 0 };

    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

/// Ranges of device registers that the kernel keeps for itself.
const MAX_KEPT: usize = 16;

/// The table, and the list of free frames that goes through it.
pub struct Frames<'t> {
    table: &'t mut [FrameInfo],
    /// Link to the first free frame.
    first_free: u32,
    free: usize,
    kept: ArrayVec<Range<u64>, MAX_KEPT>,
}

/// How the table comes to be, while the system boots.
impl<'t> Frames<'t> {
    /// A table in which nothing is free yet: every entry is [`FrameInfo::RESERVED`]. Entry 0 is the frame at physical
    /// address 0.
    pub fn new(table: &'t mut [FrameInfo]) -> Self {
        Self { table, first_free: 0, free: 0, kept: ArrayVec::new() }
    }

    /// Marks the whole reserved frames inside a range of physical addresses as used by the kernel for ever. What is to be
    /// the kernel's is marked before the memory around it is made free: a frame that is free already stays that.
    pub fn add_kernel(&mut self, range: Range<u64>) {
        for number in self.whole_frames(range) {
            let info = &mut self.table[number];
            if info.kind == FrameKind::Reserved {
                info.kind = FrameKind::Kernel;
            }
        }
    }

    /// Makes the whole reserved frames inside a range of physical addresses free. The lowest are taken first.
    pub fn add_free(&mut self, range: Range<u64>) {
        for number in self.whole_frames(range).rev() {
            if self.table[number].kind == FrameKind::Reserved {
                self.push_free(number);
            }
        }
    }

    /// Turns whole kernel frames inside a range into free ones: memory that was needed only to boot.
    pub fn reclaim(&mut self, range: Range<u64>) {
        for number in self.whole_frames(range).rev() {
            if self.table[number].kind == FrameKind::Kernel {
                self.push_free(number);
            }
        }
    }

    /// Turns the kernel frames that a range touches into programs' memory that the memory server has claimed: a file that it will
    /// read. Returns the first.
    ///
    /// # Errors
    /// If one of them is none of the kernel's, or there are none; nothing has changed then.
    pub fn hand_over(&mut self, range: Range<u64>) -> Result<FrameNumber, FrameError> {
        let first = FrameNumber::containing(range.start).ok_or(FrameError::OutOfRange)?;
        let end = range.end.div_ceil(PAGE_SIZE) as usize;
        let run = self.table.get_mut(first.index()..end).filter(|run| !run.is_empty()).ok_or(FrameError::OutOfRange)?;
        if let Some(other) = run.iter().find(|info| info.kind != FrameKind::Kernel) {
            return Err(FrameError::WrongKind(other.kind));
        }
        run.fill(FrameInfo { kind: FrameKind::User, origin: Origin::Claimed, pins: 0, value: 0 });
        Ok(first)
    }

    /// Keeps the registers of a device for the kernel alone: nobody can map them. `false` if no more can be kept.
    #[must_use]
    pub fn keep_device(&mut self, range: Range<u64>) -> bool {
        self.kept.try_push(range).is_ok()
    }

    /// The indices of the frames that lie wholly in a range; those outside the table are left out.
    fn whole_frames(&self, range: Range<u64>) -> Range<usize> {
        let limit = self.table.len() as u64;
        let first = range.start.div_ceil(PAGE_SIZE).min(limit);
        let end = (range.end / PAGE_SIZE).clamp(first, limit);
        first as usize..end as usize
    }
}

/// The kernel's pool, and what the memory server claims of it.
impl Frames<'_> {
    fn push_free(&mut self, index: usize) {
        self.table[index] = FrameInfo { kind: FrameKind::Free, value: self.first_free, ..FrameInfo::RESERVED };
        self.first_free = index as u32 + 1;
        self.free += 1;
    }

    fn get(&mut self, frame: FrameNumber, kind: FrameKind) -> Result<&mut FrameInfo, FrameError> {
        let info = self.table.get_mut(frame.index()).ok_or(FrameError::OutOfRange)?;
        if info.kind == kind { Ok(info) } else { Err(FrameError::WrongKind(info.kind)) }
    }

    /// How many frames are free.
    pub fn free_count(&self) -> usize {
        self.free
    }

    /// What is known of a frame.
    ///
    /// # Errors
    /// [`FrameError::OutOfRange`].
    pub fn info(&self, frame: FrameNumber) -> Result<FrameInfo, FrameError> {
        self.table.get(frame.index()).copied().ok_or(FrameError::OutOfRange)
    }

    /// What a frame is used for.
    ///
    /// # Errors
    /// [`FrameError::OutOfRange`].
    pub fn kind(&self, frame: FrameNumber) -> Result<FrameKind, FrameError> {
        self.info(frame).map(|info| info.kind)
    }

    fn take(&mut self, kind: FrameKind, origin: Origin) -> Option<FrameNumber> {
        let frame = FrameNumber::from_link(self.first_free)?;
        let info = &mut self.table[frame.index()];
        self.first_free = info.value;
        *info = FrameInfo { kind, origin, pins: 0, value: 0 };
        self.free -= 1;
        Some(frame)
    }

    /// Takes a free frame for a page table; `None` if none is left. The caller clears it.
    pub fn take_for_table(&mut self) -> Option<FrameNumber> {
        self.take(FrameKind::PageTable, Origin::Pool)
    }

    /// Takes a free frame for a program; `None` if none is left. The caller clears it, before it is mapped anywhere.
    pub fn take_for_user(&mut self) -> Option<FrameNumber> {
        self.take(FrameKind::User, Origin::Pool)
    }

    /// Makes a run of free frames idle: neighbours, as many as the pool gives in a row, at most `most`. Returns the first
    /// and how many; `None` if no frame is free.
    pub fn claim(&mut self, most: u32) -> Option<(FrameNumber, u32)> {
        let first = self.take(FrameKind::Idle, Origin::Claimed)?;
        let mut count = 1;
        while count < most && first.checked_add(count).is_some_and(|next| next.link() == self.first_free) {
            self.take(FrameKind::Idle, Origin::Claimed);
            count += 1;
        }
        Some((first, count))
    }

    /// Frees idle frames of a run, up to the first that is none; returns how many. The lowest are taken first, so that they
    /// can be claimed as a run again.
    ///
    /// # Errors
    /// If the first one is not idle.
    pub fn give_back(&mut self, first: FrameNumber, count: u32) -> Result<u32, FrameError> {
        self.get(first, FrameKind::Idle)?;
        let run = self.table.get(first.index()..).unwrap_or_default().iter().take(count as usize);
        let idle = run.take_while(|info| info.kind == FrameKind::Idle).count();
        for index in (first.index()..first.index() + idle).rev() {
            self.push_free(index);
        }
        Ok(idle as u32)
    }

    /// Gives a frame that nobody uses any more back to whom it came from.
    fn drop_unused(&mut self, frame: FrameNumber) {
        let info = &mut self.table[frame.index()];
        match info.origin {
            Origin::Pool => self.push_free(frame.index()),
            Origin::Claimed => *info = FrameInfo { kind: FrameKind::Idle, pins: 0, value: 0, ..*info },
        }
    }
}
