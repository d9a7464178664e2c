//! What happens to the pages of one leaf table: mapping, unmapping, protecting and finding them.

use super::walk::{Reached, index, pages_in, window};
use super::{SpaceId, Spaces};
use crate::Tables;
use crate::frames::{FrameError, FrameKind, FrameNumber};
use crate::tables::{ENTRIES, Page, Rights};
use abi::Errno;
use abi::layout::{PAGE_SIZE, USER_END};
use core::ops::Range;
use protocol::vmctl::{Access, Backing, MAX_CLEARED};

/// Why a run of mappings does not go on.
pub(super) enum Stop {
    /// The next page is refused.
    Refused(Errno),
    /// So many page tables are missing for it.
    Lacks(u32),
    /// Enough frames were cleared for one call.
    Tired,
}

impl From<FrameError> for Stop {
    fn from(error: FrameError) -> Self {
        Self::Refused(error.into())
    }
}

/// Mapping that is under way: what comes next, and how many idle frames may still be cleared.
pub(super) struct Mapping {
    /// The space and its root table.
    pub(super) id: SpaceId,
    pub(super) root: FrameNumber,
    /// Pages that are still to be mapped.
    pub(super) pages: Range<u64>,
    /// The frame of the next one.
    pub(super) frame: FrameNumber,
    pub(super) rights: Rights,
    pub(super) may_clear: u32,
}

impl Mapping {
    /// Mapping frames from `frame` at `pages`.
    pub(super) fn new(id: SpaceId, root: FrameNumber, pages: Range<u64>, frame: FrameNumber, rights: Rights) -> Self {
        Self { id, root, pages, frame, rights, may_clear: MAX_CLEARED }
    }
}

impl Spaces<'_> {
    /// Maps what one leaf table takes of a run.
    ///
    /// # Errors
    /// Why the next page cannot be mapped; those before it are.
    pub(super) fn map_window(&mut self, tables: &mut impl Tables, run: &mut Mapping) -> Result<(), Stop> {
        self.check_frame(run)?; // No table is made for a page that is refused.
        let leaf = self.make_leaf(tables, run.id, run.root, run.pages.start).map_err(Stop::Lacks)?;
        let window = window(&run.pages, 1);
        let first = index(window.start, 0);
        let count = pages_in(&window) as usize;
        let (mut done, mut stop) = (0, Ok(()));
        while done < count {
            stop = self.map_page(tables, leaf, first + done, run);
            if stop.is_err() {
                break;
            }
            done += 1;
        }
        self.frames.use_entries(leaf, done as u32);
        run.pages.start += done as u64 * PAGE_SIZE;
        stop
    }

    #[inline(always)]
    fn map_page(
        &mut self,
        tables: &mut impl Tables,
        leaf: FrameNumber,
        at: usize,
        run: &mut Mapping,
    ) -> Result<(), Stop> {
        if tables.page(leaf, at).is_some() {
            return Err(Stop::Refused(Errno::Exist));
        }
        match run.rights.backing {
            Backing::Device => self.frames.check_device(run.frame)?,
            Backing::Memory => match self.frames.map(run.frame) {
                Err(FrameError::WrongKind(FrameKind::Idle)) => self.map_idle(tables, run)?,
                counted => counted?,
            },
        }
        tables.set_page(leaf, at, Some(Page { frame: run.frame, rights: run.rights }));
        // The last frame that a number can name has no next one, and is the last of its run.
        run.frame = run.frame.checked_add(1).unwrap_or(run.frame);
        Ok(())
    }

    #[cold]
    fn map_idle(&mut self, tables: &mut impl Tables, run: &mut Mapping) -> Result<(), Stop> {
        run.may_clear = run.may_clear.checked_sub(1).ok_or(Stop::Tired)?;
        tables.clear(run.frame);
        self.frames.make_user(run.frame)?;
        Ok(self.frames.map(run.frame)?)
    }

    /// Whether the next frame of a run could be mapped.
    fn check_frame(&self, run: &Mapping) -> Result<(), Stop> {
        if run.rights.backing == Backing::Device {
            return Ok(self.frames.check_device(run.frame)?);
        }
        match self.frames.info(run.frame)? {
            info if info.kind() == FrameKind::Idle && run.may_clear == 0 => Err(Stop::Tired),
            info if [FrameKind::Idle, FrameKind::User].contains(&info.kind()) => match info.mappings() {
                u32::MAX => Err(FrameError::Count.into()),
                _ => Ok(()),
            },
            info => Err(FrameError::WrongKind(info.kind()).into()),
        }
    }

    /// Unmaps the pages of one leaf table; returns how many there were. CPUs still remember them.
    pub(super) fn unmap_window(
        &mut self,
        tables: &mut impl Tables,
        id: SpaceId,
        root: FrameNumber,
        window: &Range<u64>,
    ) -> u32 {
        let Some(leaf) = self.leaf(tables, root, window.start) else {
            return 0;
        };
        let first = index(window.start, 0);
        let mut unmapped = 0;
        for at in first..first + pages_in(window) as usize {
            let Some(page) = tables.page(leaf, at) else {
                continue;
            };
            tables.set_page(leaf, at, None);
            if page.rights.backing == Backing::Memory {
                let counted = self.frames.unmap(page.frame);
                debug_assert_eq!(counted, Ok(()));
            }
            unmapped += 1;
        }
        if unmapped > 0 {
            self.drop_pages(tables, id, root, window.start, unmapped);
        }
        unmapped
    }

    /// Gives the pages of one leaf table an access; returns how many there are. CPUs still remember the old one.
    pub(super) fn protect_window(
        &mut self,
        tables: &mut impl Tables,
        root: FrameNumber,
        window: &Range<u64>,
        access: Access,
    ) -> u32 {
        let Some(leaf) = self.leaf(tables, root, window.start) else {
            return 0;
        };
        let first = index(window.start, 0);
        let mut protected = 0;
        for at in first..first + pages_in(window) as usize {
            if let Some(page) = tables.page(leaf, at) {
                tables.set_page(leaf, at, Some(Page { rights: Rights { access, ..page.rights }, ..page }));
                protected += 1;
            }
        }
        protected
    }

    /// What is mapped at an address, and how many pages from there on are alike, as far as one table tells.
    pub(super) fn find_run(&self, tables: &impl Tables, root: FrameNumber, address: u64) -> (Option<Page>, u64) {
        let Reached { table, level } = self.reach(tables, root, address);
        if level > 0 {
            return (None, pages_in(&window(&(address..USER_END), level)));
        }
        let first = index(address, 0);
        let page = tables.page(table, first);
        // The last page below the end of programs' memory ends a table but for one entry, which is always empty.
        let limit = ENTRIES.min(first + ((USER_END - address) / PAGE_SIZE) as usize);
        let alike = (first..limit).take_while(|&at| match (page, tables.page(table, at)) {
            (None, other) => other.is_none(),
            (Some(page), other) => {
                let frame = page.frame.checked_add((at - first) as u32);
                other.is_some_and(|other| Some(other.frame) == frame && other.rights == page.rights)
            }
        });
        (page, alike.count() as u64)
    }
}
