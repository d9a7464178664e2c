//! Memory that a child has besides its home, and that nobody else sees: so it can be lent, and be a place to borrow into.

use abi::Errno;
use abi::layout::PAGE_SIZE;
use family::{Child, claim, give, is_served, take_away};
use protocol::vm::MapFlags;
use protocol::vmctl::*;
use suite::{Failure, Outcome, check, check_eq};
use sys::vmctl;

/// Where it is in every child: the beginning of what a page table of its own maps.
pub(crate) const FIELD: u64 = 0x100_0000;
/// Words of a page.
pub(crate) const WORDS: usize = 512;

/// The address of one of its pages.
pub(crate) const fn page_at(page: usize) -> u64 {
    FIELD + page as u64 * PAGE_SIZE
}

/// Frames that follow each other: the first, and how many.
type Frames = (u64, u64);

/// The frames of a field; none if the memory server has given it.
#[derive(Debug)]
pub(crate) struct Field {
    tables: Option<Frames>,
    /// Each of them but the last has [`WORDS`] frames, which fill a page table.
    blocks: [Option<Frames>; MOST_BLOCKS],
}

/// As many pages as a field can have.
const MOST_BLOCKS: usize = 3;

impl Field {
    /// Gives a child so many pages.
    pub(crate) fn make(child: &Child, pages: usize) -> Result<Self, Failure> {
        if is_served() {
            give(child.endpoint, FIELD, pages as u64, MapFlags::PREALLOCATED)?;
            return Ok(Self { tables: None, blocks: [None; MOST_BLOCKS] });
        }
        let needed = pages.div_ceil(WORDS) as u64;
        let tables = (claim(needed)?, needed);
        donate(child, tables)?;
        let mut field = Self { tables: Some(tables), blocks: [None; MOST_BLOCKS] };
        for (block, first) in field.blocks.iter_mut().zip((0..pages).step_by(WORDS)) {
            let count = (pages - first).min(WORDS) as u64;
            *block = Some((claim(count)?, count));
        }
        (0..pages).try_for_each(|page| field.map(child, page, Access::Write))?;
        Ok(field)
    }

    /// Maps a page where none is, or the server lets it have one.
    pub(crate) fn map(&self, child: &Child, page: usize, access: Access) -> Outcome {
        if is_served() {
            return give(child.endpoint, page_at(page), 1, MapFlags::PREALLOCATED);
        }
        let (first, count) = self.blocks.get(page / WORDS).copied().flatten().ok_or(Errno::Inval)?;
        let within = (page % WORDS) as u64;
        check!(within < count, "the field has no page {page}");
        let (space, address, frame) = (child.home.space, page_at(page), first + within * PAGE_SIZE);
        let (cache, backing) = (Cache::Normal, Backing::Memory);
        check_eq!(vmctl().map(MapRun { space, address, frame, count: 1, access, cache, backing })?.done, 1);
        Ok(())
    }

    /// Takes a page away until somebody needs it: the server brings another one, with zeros; else the suite has to bring it.
    pub(crate) fn lose(&self, child: &Child, page: usize) -> Outcome {
        if is_served() {
            return give(child.endpoint, page_at(page), 1, MapFlags::empty());
        }
        self.remove(child, page)
    }

    /// Takes a page away: nobody is brought it.
    pub(crate) fn remove(&self, child: &Child, page: usize) -> Outcome {
        if is_served() {
            return take_away(child.endpoint, page_at(page), 1);
        }
        family::unmap(child.home.space, page_at(page), 1)
    }

    /// Gives the frames back, when the space is gone. Each is where it was put: none is lent or set aside any more.
    pub(crate) fn end(self) -> Outcome {
        let free = |frames| in_steps(frames, |first, count| Ok(vmctl().give_back(GiveBack { first, count })?.done));
        for frames in self.blocks.into_iter().flatten() {
            in_steps(frames, |first, count| Ok(vmctl().release(Release { first, count })?.done))?;
            free(frames)?;
        }
        self.tables.map_or(Ok(()), free)
    }
}

/// Gives a child page tables.
fn donate(child: &Child, tables: Frames) -> Outcome {
    let space = child.home.space;
    in_steps(tables, |first, count| Ok(vmctl().donate(Donate { space, first, count })?.done))
}

/// Does something with frames, as many with each call as the kernel likes.
fn in_steps((first, count): Frames, mut step: impl FnMut(u64, u64) -> Result<u64, Errno>) -> Outcome {
    let mut done = 0;
    while done < count {
        let now = step(first + done * PAGE_SIZE, count - done)?;
        check!(now > 0, "frames are in use still");
        done += now;
    }
    Ok(())
}
