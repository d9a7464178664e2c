//! The space of a child, and the frames that it is made of.

use crate::board::{BOARD, Board};
use crate::child::me;
use crate::server;
use abi::layout::{PAGE_SIZE, PROGRAM_BASE};
use abi::{Endpoint, Errno};
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
    keeper: Keeper,
}

/// Who has given it what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// The suite: these frames that follow each other, of which the first are page tables.
    Suite { first: u64, frames: u64 },
    /// The memory server, which knows the child by this name.
    Server(Endpoint),
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
        let home = Self { space, place, keeper: Keeper::Suite { first, frames } };
        let mut frame = memory_of(first);
        home.map_here(frame, pages)?;
        map(space, BOARD, frame, PAGES as u64, Access::Write)?;
        frame += PAGES as u64 * PAGE_SIZE;
        map(space, STACK_END - STACK_PAGES * PAGE_SIZE, frame, STACK_PAGES, Access::Write)?;
        frame += STACK_PAGES * PAGE_SIZE;
        for run in segments()? {
            if run.access == Access::Write {
                map(space, run.address, frame, run.count, run.access)?;
                home.copy(&run, frame - memory_of(first));
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

    /// The same that the memory server makes: it has the child, a copy of the suite in this slot, which it tells the name of.
    ///
    /// # Errors
    /// That the server refuses a step, or there is no room.
    pub(crate) fn served(slot: u32) -> Result<(Endpoint, Self), Failure> {
        let place = take_place()?;
        let process = server::vm().fork(protocol::vm::Fork { parent: me()?, slot })?.child;
        let space = vmctl().space_of(GetSpaceOf { process })?.space;
        let home = Self { space, place, keeper: Keeper::Server(process) };
        // What the suite sees of its other children is not for this one.
        server::take_away(process, VIEW, CHILDREN * MOST_PAGES)?;
        server::furnish(process, home.view(), PAGES as u64, home.stack_start())?;
        Ok((process, home))
    }

    /// The child that lives here has another name now.
    pub(crate) fn rename(&mut self, process: Endpoint) {
        if let Keeper::Server(name) = &mut self.keeper {
            *name = process;
        }
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
        unsafe { Board::at(self.view_of(page)) }
    }

    /// The frame of a shared page, in a home that the suite has made.
    #[must_use]
    pub fn frame_of(&self, page: Page) -> u64 {
        match self.keeper {
            Keeper::Suite { first, .. } => memory_of(first) + page.0 as u64 * PAGE_SIZE,
            Keeper::Server(_) => 0,
        }
    }

    /// Maps a shared page in the space, where it was taken away.
    ///
    /// # Errors
    /// That the kernel or the server refuses.
    pub fn map_page(&self, page: Page, access: Access) -> Outcome {
        match self.keeper {
            Keeper::Suite { .. } => map(self.space, page.address(), self.frame_of(page), 1, access),
            Keeper::Server(process) => {
                server::take_away(process, page.address(), 1)?;
                self.show(page, page.address(), access)?;
                server::touch(process, page.address()..page.address() + PAGE_SIZE, access)
            }
        }
    }

    /// Takes a shared page away until somebody needs it. With a memory server, that brings it; else the suite has to.
    ///
    /// # Errors
    /// That the kernel or the server refuses.
    pub fn lose(&self, page: Page) -> Outcome {
        self.remove(page)?;
        if matches!(self.keeper, Keeper::Server(_)) { self.show(page, page.address(), Access::Write) } else { Ok(()) }
    }

    /// Takes a shared page away for good: nobody is brought it.
    ///
    /// # Errors
    /// That the kernel or the server refuses.
    pub fn remove(&self, page: Page) -> Outcome {
        match self.keeper {
            Keeper::Suite { .. } => unmap(self.space, page.address(), 1),
            Keeper::Server(process) => server::take_away(process, page.address(), 1),
        }
    }

    /// Shows a shared page at another address of the space, too, where nothing is.
    ///
    /// # Errors
    /// That the kernel or the server refuses.
    pub fn show(&self, page: Page, address: u64, access: Access) -> Outcome {
        match self.keeper {
            Keeper::Suite { .. } => map(self.space, address, self.frame_of(page), 1, access),
            Keeper::Server(process) => server::show((me()?, self.view_of(page)), (process, address), access),
        }
    }

    /// Ends the space, in which nobody lives any more, and gives all frames back.
    ///
    /// # Errors
    /// That the kernel or the server refuses a step.
    pub fn end(self) -> Outcome {
        match self.keeper {
            Keeper::Suite { first, frames } => {
                while vmctl().destroy(DestroySpace { space: self.space })?.more != 0 {}
                let (memory, count) = (memory_of(first), frames - 1 - TABLES);
                unmap(vmctl().space_of(GetSpaceOf { process: me()? })?.space, self.view(), count as u32)?;
                check_eq!(vmctl().release(Release { first: memory, count })?.done, count);
                check_eq!(vmctl().give_back(GiveBack { first, count: frames })?.done, frames);
            }
            Keeper::Server(process) => {
                server::vm().will_exit(protocol::vm::WillExit { process, reserved: 0 })?;
                server::vm().exit(protocol::vm::Exit { process, reserved: 0 })?;
                server::take_away(me()?, self.view(), PAGES as u64)?;
            }
        }
        PLACES.fetch_and(!(1 << self.place), Ordering::Relaxed);
        Ok(())
    }

    fn view(&self) -> u64 {
        VIEW + self.place * MOST_PAGES * PAGE_SIZE
    }

    fn view_of(&self, page: Page) -> u64 {
        self.view() + page.0 as u64 * PAGE_SIZE
    }

    /// Fills frames, which the suite sees too, with data of the suite's own, from some byte of them on.
    fn copy(&self, from: &Segment, at: u64) {
        let view = self.view() + at;
        for offset in (0..from.count).map(|page| page * PAGE_SIZE) {
            // SAFETY: both are mapped; nothing else runs in the suite meanwhile.
            let (from, to) = unsafe { (Board::at(from.address + offset), Board::at(view + offset)) };
            to.copy(from);
        }
    }

    /// Maps all pages, whose frames follow each other, in the suite's own space.
    fn map_here(&self, memory: u64, pages: u64) -> Outcome {
        let own = vmctl().space_of(GetSpaceOf { process: me()? })?.space;
        let RunMapped { done, lacks } = vmctl().map(map_call(own, self.view(), memory, pages, Access::Write))?;
        if lacks > 0 {
            // The first child of all in this part of the space: from here on it has the tables.
            let count = lacks.into();
            vmctl().donate(Donate { space: own, first: claim(count)?, count })?;
        }
        let (done, at) = (u64::from(done), u64::from(done) * PAGE_SIZE);
        map(own, self.view() + at, memory + at, pages - done, Access::Write)
    }
}

/// The first frame behind the page tables of a home that the suite has made.
const fn memory_of(first: u64) -> u64 {
    first + (1 + TABLES) * PAGE_SIZE
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

/// Takes a page of the suite's own away, while something is done with it: nobody is asked for it, and then it is there again, with
/// zeros or anything.
///
/// # Errors
/// That the kernel or the server refuses.
pub fn without_own<R>(page: u64, act: impl FnOnce() -> R) -> Result<R, Failure> {
    if server::is_served() {
        server::lose_own(page)?;
        return Ok(act());
    }
    let space = vmctl().space_of(GetSpaceOf { process: me()? })?.space;
    unmap(space, page, 1)?;
    let result = act();
    let frame = vmctl().claim(Claim { count: 1 })?.first;
    map(space, page, frame, 1, Access::Write)?;
    Ok(result)
}

/// How many frames there are for programs: takes all of the kernel's pool, and gives them back, or asks the memory server.
///
/// # Errors
/// That the kernel refuses, or has its frames in more pieces than can be remembered.
pub fn free_frames() -> Result<u64, Failure> {
    if server::is_served() {
        return server::free_pages();
    }
    let mut all = Pieces::NONE;
    let mut sum = 0;
    while let Some((_, count)) = all.claim(MAX_RUN.into())? {
        sum += count;
    }
    all.give_back()?;
    Ok(sum)
}
