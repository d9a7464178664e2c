//! The space of a child, and the frames that it is made of.

use crate::board::{BOARD, Board};
use crate::child::me;
use abi::Errno;
use abi::layout::{PAGE_SIZE, PROGRAM_BASE};
use core::sync::atomic::{AtomicU64, Ordering};
use protocol::vmctl::*;
use suite::{Failure, Outcome, Text, check, check_eq};
use sys::vmctl;

/// Pages of a child that the suite sees too: its board and others for tests.
pub const PAGES: usize = 4;
/// Pages of a child's stack.
pub const STACK_PAGES: u64 = 4;
/// The end of the stack; the page below it is never mapped.
const STACK_END: u64 = BOARD + 0x1_0000;
/// In the middle of the stack: for a child that uses the upper part otherwise.
pub(crate) const SPARE_STACK: u64 = STACK_END - STACK_PAGES / 2 * PAGE_SIZE;
/// Where the suite sees the pages of its children, one after the other.
const VIEW: u64 = 0x80_0000;
/// How many children there can be at a time.
const CHILDREN: u64 = 32;
/// Most pages that each of them has besides page tables.
const MOST_PAGES: u64 = 64;
/// Page tables of a child besides the root: two on the way down, one for its code, one for all else.
const TABLES: u64 = 4;

/// Which places in [`VIEW`] are taken, a bit each.
static PLACES: AtomicU64 = AtomicU64::new(0);

/// A page of a child, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(pub usize);

impl Page {
    /// The board.
    pub const BOARD: Self = Self(0);
    /// One that tests take away.
    pub const TARGET: Self = Self(1);

    /// Where a child sees it.
    #[must_use]
    pub const fn address(self) -> u64 {
        BOARD + self.0 as u64 * PAGE_SIZE
    }
}

/// A space, with the suite's code in it, and data, stack and shared pages of its own.
#[derive(Debug)]
pub struct Home {
    /// Its name.
    pub space: u64,
    place: u64,
    first: u64,
    frames: u64,
}

impl Home {
    /// Makes one.
    ///
    /// # Errors
    /// That the kernel refuses a step, or has no room.
    pub fn make() -> Result<Self, Failure> {
        let place = take_place()?;
        let writable = segments()?.filter(|run| run.access == Access::Write).map(|run| run.count).sum::<u64>();
        let pages = PAGES as u64 + STACK_PAGES + writable;
        check!(pages <= MOST_PAGES, "the suite has too much data: {writable} pages");
        let frames = 1 + TABLES + pages;
        let first = claim(frames)?;
        let space = vmctl().create(CreateSpace { root: first })?.space;
        check_eq!(vmctl().donate(Donate { space, first: first + PAGE_SIZE, count: TABLES })?.done, TABLES);
        let home = Self { space, place, first, frames };
        let mut frame = home.shared();
        home.map_here()?;
        map(space, BOARD, frame, PAGES as u64, Access::Write)?;
        frame += PAGES as u64 * PAGE_SIZE;
        map(space, STACK_END - STACK_PAGES * PAGE_SIZE, frame, STACK_PAGES, Access::Write)?;
        frame += STACK_PAGES * PAGE_SIZE;
        for run in segments()? {
            if run.access == Access::Write {
                map(space, run.address, frame, run.count, run.access)?;
                home.copy(&run, frame);
                frame += run.count * PAGE_SIZE;
            } else {
                map(space, run.address, run.frame, run.count, run.access)?;
            }
        }
        Ok(home)
    }

    /// The stack pointer of a function that is entered as if it was called.
    #[must_use]
    pub fn stack(&self) -> u64 {
        STACK_END - size_of::<u64>() as u64
    }

    /// The lowest address of the stack.
    #[must_use]
    pub fn stack_start(&self) -> u64 {
        STACK_END - STACK_PAGES * PAGE_SIZE
    }

    /// The frame of the lowest page of the stack.
    #[must_use]
    pub fn stack_frame(&self) -> u64 {
        self.frame_of(Page(PAGES))
    }

    /// A shared page, as the suite sees it.
    #[must_use]
    pub fn page(&self, page: Page) -> &'static Board {
        // SAFETY: `make` has mapped it; a home that ends takes its pages away, and its child does not use them any more.
        unsafe { Board::at(self.view() + page.0 as u64 * PAGE_SIZE) }
    }

    /// The frame of a shared page.
    #[must_use]
    pub fn frame_of(&self, page: Page) -> u64 {
        self.shared() + page.0 as u64 * PAGE_SIZE
    }

    /// Maps a shared page in the space, where it was taken away.
    ///
    /// # Errors
    /// That the kernel refuses.
    pub fn map_page(&self, page: Page, access: Access) -> Outcome {
        map(self.space, page.address(), self.frame_of(page), 1, access)
    }

    /// Ends the space, in which nobody lives any more, and gives all frames back.
    ///
    /// # Errors
    /// That the kernel refuses a step.
    pub fn end(self) -> Outcome {
        while vmctl().destroy(DestroySpace { space: self.space })?.more != 0 {}
        let (memory, count) = (self.shared(), self.pages());
        unmap(vmctl().space_of(GetSpaceOf { process: me()? })?.space, self.view(), count as u32)?;
        PLACES.fetch_and(!(1 << self.place), Ordering::Relaxed);
        check_eq!(vmctl().release(Release { first: memory, count })?.done, count);
        check_eq!(vmctl().give_back(GiveBack { first: self.first, count: self.frames })?.done, self.frames);
        Ok(())
    }

    fn view(&self) -> u64 {
        VIEW + self.place * MOST_PAGES * PAGE_SIZE
    }

    /// Pages besides page tables.
    fn pages(&self) -> u64 {
        self.frames - 1 - TABLES
    }

    /// Fills frames, which the suite sees too, with data of the suite's own.
    fn copy(&self, from: &Segment, to: u64) {
        let view = self.view() + (to - self.shared());
        for offset in (0..from.count).map(|page| page * PAGE_SIZE) {
            // SAFETY: both are mapped; nothing else runs in the suite meanwhile.
            let (from, to) = unsafe { (Board::at(from.address + offset), Board::at(view + offset)) };
            to.copy(from);
        }
    }

    fn shared(&self) -> u64 {
        self.first + (1 + TABLES) * PAGE_SIZE
    }

    /// Maps all pages in the suite's own space.
    fn map_here(&self) -> Outcome {
        let own = vmctl().space_of(GetSpaceOf { process: me()? })?.space;
        let RunMapped { done, lacks } =
            vmctl().map(map_call(own, self.view(), self.shared(), self.pages(), Access::Write))?;
        if lacks > 0 {
            // The first child of all in this part of the space: from here on it has the tables.
            let count = lacks.into();
            vmctl().donate(Donate { space: own, first: claim(count)?, count })?;
        }
        let (done, at) = (u64::from(done), u64::from(done) * PAGE_SIZE);
        map(own, self.view() + at, self.shared() + at, self.pages() - done, Access::Write)
    }
}

fn take_place() -> Result<u64, Failure> {
    let place = u64::from(PLACES.load(Ordering::Relaxed).trailing_ones());
    if place == CHILDREN {
        return Err(Failure::Failed(Text::new(format_args!("there are {CHILDREN} children already"))));
    }
    PLACES.fetch_or(1 << place, Ordering::Relaxed);
    Ok(place)
}

fn map_call(space: u64, address: u64, frame: u64, count: u64, access: Access) -> MapRun {
    MapRun { space, address, frame, count: count as u32, access, cache: Cache::Normal, backing: Backing::Memory }
}

/// Maps a run; there are tables for it.
fn map(space: u64, address: u64, frame: u64, count: u64, access: Access) -> Outcome {
    let mut done = 0;
    while done < count {
        let at = done * PAGE_SIZE;
        let mapped = vmctl().map(map_call(space, address + at, frame + at, count - done, access))?;
        check_eq!(mapped.lacks, 0);
        done += u64::from(mapped.done);
    }
    Ok(())
}

/// Unmaps pages.
///
/// # Errors
/// That the kernel refuses, or that one of them was not mapped.
pub fn unmap(space: u64, address: u64, count: u32) -> Outcome {
    let run = UnmapRun { space, address, count, reserved: 0 };
    // SAFETY: it is memory of a child, or what the suite saw of one that it ends.
    check_eq!(unsafe { rt::call_unchecked(&run) }?.unmapped, u64::from(count));
    Ok(())
}

/// Changes what may be done with a page.
///
/// # Errors
/// That the kernel refuses, or that it is not mapped.
pub fn protect(space: u64, address: u64, access: Access) -> Outcome {
    check_eq!(vmctl().protect(ProtectRun { space, address, count: 1, access })?.protected, 1);
    Ok(())
}

/// Pages of the suite that are alike, and follow each other with their frames.
struct Segment {
    address: u64,
    frame: u64,
    count: u64,
    access: Access,
}

/// What the suite is loaded as.
fn segments() -> Result<impl Iterator<Item = Segment>, Errno> {
    let own = vmctl().space_of(GetSpaceOf { process: me()? })?.space;
    let mut at = PROGRAM_BASE;
    Ok(core::iter::from_fn(move || {
        while at < BOARD {
            let address = at;
            let found = vmctl().query(QueryRun { space: own, address }).ok()?;
            at += found.count * PAGE_SIZE;
            if found.found == Found::Memory {
                return Some(Segment { address, frame: found.frame, count: found.count, access: found.access });
            }
        }
        None
    }))
}

/// Pieces of free memory.
struct Pieces {
    all: [(u64, u64); Self::MOST],
    taken: usize,
}

impl Pieces {
    const MOST: usize = 1024;
    const NONE: Self = Self { all: [(0, 0); Self::MOST], taken: 0 };

    /// Takes a piece of the kernel's pool; `None` if there is nothing left.
    fn claim(&mut self, count: u64) -> Result<Option<(u64, u64)>, Failure> {
        let place = self.all.get_mut(self.taken);
        let place =
            place.ok_or_else(|| Failure::Failed(Text::new(format_args!("free memory is in too many pieces"))))?;
        match vmctl().claim(Claim { count }) {
            Ok(Claimed { first, count }) => *place = (first, count),
            Err(Errno::NoMem) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        self.taken += 1;
        Ok(Some(*place))
    }

    /// Gives all back, the last one first: so the pool is in the order that it was in.
    fn give_back(&self) -> Outcome {
        for &(first, count) in self.all[..self.taken].iter().rev() {
            check_eq!(vmctl().give_back(GiveBack { first, count })?.done, count);
        }
        Ok(())
    }
}

/// Claims so many frames that follow each other.
///
/// # Errors
/// The kernel has none.
// Its list takes much of a stack, so it has a frame of its own.
#[inline(never)]
pub fn claim(count: u64) -> Result<u64, Failure> {
    let mut smaller = Pieces::NONE;
    while let Some((first, found)) = smaller.claim(count)? {
        if found == count {
            smaller.taken -= 1;
            smaller.give_back()?;
            return Ok(first);
        }
    }
    smaller.give_back()?;
    Err(Errno::NoMem.into())
}

/// How many frames the kernel's pool has: takes all of them, and gives them back.
///
/// # Errors
/// That the kernel refuses, or has its frames in more pieces than can be remembered.
pub fn free_frames() -> Result<u64, Failure> {
    let mut all = Pieces::NONE;
    let mut sum = 0;
    while let Some((_, count)) = all.claim(MAX_RUN.into())? {
        sum += count;
    }
    all.give_back()?;
    Ok(sum)
}
