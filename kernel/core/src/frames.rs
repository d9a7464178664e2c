//! The frame table: what each frame of physical memory is used for.
//!
//! A frame has one type at a time, and only the steps below change it: so no sequence of calls can map a page table or
//! kernel frame into a program, or hand out a frame that somebody still sees. Whoever takes a frame clears it first.

use abi::layout::PAGE_SIZE;
use core::fmt;
use core::ops::Range;

/// The number of a frame: its physical address divided by [`PAGE_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameNumber(u32);

impl FrameNumber {
    /// The frame that holds a physical address; `None` beyond 16 TiB.
    pub fn containing(address: u64) -> Option<Self> {
        u32::try_from(address / PAGE_SIZE).ok().map(Self)
    }

    /// Its physical address.
    pub const fn address(self) -> u64 {
        self.0 as u64 * PAGE_SIZE
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a frame is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// No memory of ours: a hole, a device, or the firmware's.
    Reserved,
    /// Can be taken.
    Free,
    /// The kernel's text, data, stacks and tables.
    Kernel,
    /// A page table.
    PageTable,
    /// A program's memory.
    User,
}

/// An entry of the frame table.
#[derive(Clone, Copy, Debug)]
pub struct FrameInfo {
    kind: FrameKind,
    /// User: in how many places it is mapped. Free: the next free frame plus one, 0 for none.
    value: u32,
}

impl FrameInfo {
    /// A frame that is no memory of ours.
    pub const RESERVED: Self = Self { kind: FrameKind::Reserved, value: 0 };
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
    /// It is mapped nowhere, or in as many places as can be counted.
    Count,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("there is no such frame"),
            Self::WrongKind(kind) => write!(f, "the frame is {kind:?}"),
            Self::Mapped => f.write_str("the frame is still mapped"),
            Self::Count => f.write_str("the mapping count of the frame is at its end"),
        }
    }
}

/// The table, and the list of free frames that goes through it.
pub struct Frames<'t> {
    table: &'t mut [FrameInfo],
    /// The first free frame plus one, 0 for none.
    first_free: u32,
    free: usize,
}

impl<'t> Frames<'t> {
    /// A table in which nothing is free yet: every entry is [`FrameInfo::RESERVED`]. Entry 0 is the frame at physical
    /// address 0.
    pub fn new(table: &'t mut [FrameInfo]) -> Self {
        Self { table, first_free: 0, free: 0 }
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

    /// The indices of the frames that lie wholly in a range; those outside the table are left out.
    fn whole_frames(&self, range: Range<u64>) -> Range<usize> {
        let limit = self.table.len() as u64;
        let first = range.start.div_ceil(PAGE_SIZE).min(limit);
        let end = (range.end / PAGE_SIZE).clamp(first, limit);
        first as usize..end as usize
    }

    fn push_free(&mut self, index: usize) {
        self.table[index] = FrameInfo { kind: FrameKind::Free, value: self.first_free };
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

    /// What a frame is used for.
    ///
    /// # Errors
    /// [`FrameError::OutOfRange`].
    pub fn kind(&self, frame: FrameNumber) -> Result<FrameKind, FrameError> {
        self.table.get(frame.index()).map(|info| info.kind).ok_or(FrameError::OutOfRange)
    }

    fn take(&mut self, kind: FrameKind) -> Option<FrameNumber> {
        let number = self.first_free.checked_sub(1)?;
        let info = &mut self.table[number as usize];
        self.first_free = info.value;
        *info = FrameInfo { kind, value: 0 };
        self.free -= 1;
        Some(FrameNumber(number))
    }

    /// Takes a free frame for a page table; `None` if none is left. The caller clears it.
    pub fn take_for_table(&mut self) -> Option<FrameNumber> {
        self.take(FrameKind::PageTable)
    }

    /// Takes a free frame for a program; `None` if none is left. The caller clears it, before it is mapped anywhere.
    pub fn take_for_user(&mut self) -> Option<FrameNumber> {
        self.take(FrameKind::User)
    }

    /// Counts one more mapping of a program's frame.
    ///
    /// # Errors
    /// If it is none, or is mapped in 2^32 - 1 places.
    pub fn map(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        let info = self.get(frame, FrameKind::User)?;
        info.value = info.value.checked_add(1).ok_or(FrameError::Count)?;
        Ok(())
    }

    /// Counts one mapping less, and frees the frame with the last.
    ///
    /// # Errors
    /// If it is no program's frame, or is mapped nowhere.
    pub fn unmap(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        let info = self.get(frame, FrameKind::User)?;
        info.value = info.value.checked_sub(1).ok_or(FrameError::Count)?;
        if info.value == 0 {
            self.push_free(frame.index());
        }
        Ok(())
    }

    /// Frees a program's frame that never got mapped.
    ///
    /// # Errors
    /// If it is none, or is mapped.
    pub fn free_user(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        if self.get(frame, FrameKind::User)?.value != 0 {
            return Err(FrameError::Mapped);
        }
        self.push_free(frame.index());
        Ok(())
    }

    /// Frees a page table, to which no other table and no CPU refers any more.
    ///
    /// # Errors
    /// If it is none.
    pub fn free_table(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        self.get(frame, FrameKind::PageTable)?;
        self.push_free(frame.index());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const P: u64 = PAGE_SIZE;

    fn table(frames: usize) -> Vec<FrameInfo> {
        std::vec![FrameInfo::RESERVED; frames]
    }

    #[test]
    fn only_whole_frames_inside_the_table_become_free() {
        let mut t = table(8);
        let mut f = Frames::new(&mut t);
        f.add_free(P - 1..3 * P + 5);
        assert_eq!(f.free_count(), 2);
        f.add_free(6 * P..100 * P);
        assert_eq!(f.free_count(), 4);
        f.add_free(u64::MAX - P..u64::MAX);
        f.add_free(5 * P + 1..5 * P + 2);
        assert_eq!(f.free_count(), 4);
        f.add_free(0..8 * P);
        assert_eq!(f.free_count(), 8, "frames that are free already are not counted twice");
    }

    #[test]
    fn every_frame_is_handed_out_once_lowest_first() {
        let mut t = table(16);
        let mut f = Frames::new(&mut t);
        f.add_free(0..16 * P);
        let taken: Vec<_> = core::iter::from_fn(|| f.take_for_user()).map(FrameNumber::address).collect();
        assert_eq!(taken, (0..16).map(|i| i * P).collect::<Vec<_>>());
        assert_eq!(f.take_for_table(), None);
    }

    #[test]
    fn a_frame_comes_back_with_its_last_mapping() {
        let mut t = table(1);
        let mut f = Frames::new(&mut t);
        f.add_free(0..P);
        let frame = f.take_for_user().unwrap();
        f.map(frame).unwrap();
        f.map(frame).unwrap();
        assert_eq!(f.free_user(frame), Err(FrameError::Mapped));
        f.unmap(frame).unwrap();
        assert_eq!(f.free_count(), 0);
        f.unmap(frame).unwrap();
        assert_eq!((f.free_count(), f.kind(frame)), (1, Ok(FrameKind::Free)));
    }

    #[test]
    fn no_step_fits_a_frame_of_another_kind() {
        let mut t = table(4);
        let mut f = Frames::new(&mut t);
        f.add_free(0..2 * P);
        f.add_kernel(2 * P..3 * P);
        let (user, page_table) = (f.take_for_user().unwrap(), f.take_for_table().unwrap());
        let (kernel, hole, outside) = (FrameNumber(2), FrameNumber(3), FrameNumber(4));
        for (frame, kind) in
            [(page_table, FrameKind::PageTable), (kernel, FrameKind::Kernel), (hole, FrameKind::Reserved)]
        {
            let wrong = Err(FrameError::WrongKind(kind));
            assert_eq!((f.map(frame), f.unmap(frame), f.free_user(frame)), (wrong, wrong, wrong));
        }
        for (frame, kind) in [(user, FrameKind::User), (kernel, FrameKind::Kernel), (hole, FrameKind::Reserved)] {
            assert_eq!(f.free_table(frame), Err(FrameError::WrongKind(kind)));
        }
        assert_eq!(f.map(outside), Err(FrameError::OutOfRange));
        assert_eq!(f.unmap(user), Err(FrameError::Count));
        f.free_user(user).unwrap();
        assert_eq!(f.free_user(user), Err(FrameError::WrongKind(FrameKind::Free)));
        f.free_table(page_table).unwrap();
        assert_eq!(f.free_table(page_table), Err(FrameError::WrongKind(FrameKind::Free)));
        assert_eq!(f.free_count(), 2);
    }

    #[test]
    fn boot_memory_can_be_reclaimed_once() {
        let mut t = table(4);
        let mut f = Frames::new(&mut t);
        f.add_kernel(0..4 * P);
        f.reclaim(P..3 * P);
        f.reclaim(P..3 * P);
        assert_eq!(f.free_count(), 2);
    }
}
