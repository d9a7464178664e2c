//! What happens to the pages of one leaf table: mapping, unmapping, protecting and finding them.

use super::walk::{Pages, Reached, index, pages_left};
use super::{SpaceId, Spaces};
use crate::Tables;
use crate::frames::{FrameError, FrameKind, FrameNumber};
use crate::tables::{ENTRIES, Page, Rights};
use abi::Errno;
use abi::layout::{PAGE_SIZE, USER_END};
use protocol::vmctl::{Access, Backing, MAX_CLEARED};

/// Most pages that a search compares.
const MOST_COMPARED: u64 = 256;

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
    pub(super) pages: Pages,
    /// The frame of the next one.
    pub(super) frame: FrameNumber,
    pub(super) rights: Rights,
    pub(super) may_clear: u32,
}

impl Mapping {
    /// Mapping frames from `frame` at `pages`.
    pub(super) fn new(id: SpaceId, root: FrameNumber, pages: Pages, frame: FrameNumber, rights: Rights) -> Self {
        Self { id, root, pages, frame, rights, may_clear: MAX_CLEARED }
    }
}

impl Spaces<'_> {
    /// Maps what one leaf table takes of a run.
    ///
    /// # Errors
    /// Why the next page cannot be mapped; those before it are.
    #[inline(always)]
    pub(super) fn map_window<T: Tables>(&mut self, tables: &mut T, run: &mut Mapping) -> Result<(), Stop> {
        // No table is made for a page that is refused.
        let leaf = self.leaf_for(tables, run.id, run.root, run.pages.start, |spaces| spaces.check_frame(run))?;
        let Mapping { pages, frame, may_clear, .. } = run;
        let (window, flags) = (pages.window(), T::flags(run.rights));
        let (done, result) = match run.rights.backing {
            Backing::Memory => {
                self.fill(tables, leaf, window, *frame, flags, |spaces, tables, frame| match spaces.frames.map(frame) {
                    Err(FrameError::WrongKind(FrameKind::Idle)) => spaces.map_idle(tables, may_clear, frame),
                    counted => Ok(counted?),
                })
            }
            Backing::Device => self
                .fill(tables, leaf, window, *frame, flags, |spaces, _, frame| Ok(spaces.frames.check_device(frame)?)),
        };
        *pages = pages.after(done);
        *frame = frame.offset(done);
        result
    }

    /// Fills a leaf table with pages of its own, as long as `take` grants the frames: returns how many it has got, and why
    /// the next one is refused.
    #[inline(always)]
    fn fill<T: Tables>(
        &mut self,
        tables: &mut T,
        leaf: FrameNumber,
        window: Pages,
        frame: FrameNumber,
        flags: T::Flags,
        mut take: impl FnMut(&mut Self, &mut T, FrameNumber) -> Result<(), Stop>,
    ) -> (u32, Result<(), Stop>) {
        let first = index(window.start, 0);
        let (mut done, mut result) = (0, Ok(()));
        while done < window.count {
            let (at, frame) = (first + done as usize, frame.offset(done));
            if tables.is_mapped(leaf, at) {
                result = Err(Stop::Refused(Errno::Exist));
                break;
            }
            if let Err(why) = take(self, tables, frame) {
                result = Err(why);
                break;
            }
            tables.set_page(leaf, at, frame, flags);
            done += 1;
        }
        self.frames.use_entries(leaf, done);
        (done, result)
    }

    #[cold]
    fn map_idle(&mut self, tables: &mut impl Tables, may_clear: &mut u32, frame: FrameNumber) -> Result<(), Stop> {
        *may_clear = may_clear.checked_sub(1).ok_or(Stop::Tired)?;
        tables.clear(frame);
        self.frames.make_user(frame)?;
        Ok(self.frames.map(frame)?)
    }

    /// Whether the next frame of a run could be mapped.
    #[inline(always)]
    fn check_frame(&self, run: &Mapping) -> Result<(), Stop> {
        if run.rights.backing == Backing::Device {
            return Ok(self.frames.check_device(run.frame)?);
        }
        let info = self.frames.info(run.frame)?;
        match info.kind() {
            FrameKind::User if info.mappings() == u32::MAX => Err(FrameError::Count.into()),
            FrameKind::Idle if run.may_clear == 0 => Err(Stop::Tired),
            FrameKind::User | FrameKind::Idle => Ok(()),
            kind => Err(FrameError::WrongKind(kind).into()),
        }
    }

    /// Unmaps the pages of one leaf table; returns how many there were. CPUs still remember them.
    #[inline(always)]
    pub(super) fn unmap_window(
        &mut self,
        tables: &mut impl Tables,
        id: SpaceId,
        root: FrameNumber,
        window: Pages,
    ) -> u32 {
        let Some(way) = self.way(tables, root, window.start) else {
            return 0;
        };
        let (leaf, first) = (way[0], index(window.start, 0));
        let mut unmapped = 0;
        for at in first..first + window.count as usize {
            let Some(page) = tables.page(leaf, at) else {
                continue;
            };
            tables.clear_page(leaf, at);
            if page.rights.backing == Backing::Memory {
                let counted = self.frames.unmap(page.frame);
                debug_assert_eq!(counted, Ok(()));
            }
            unmapped += 1;
        }
        if unmapped > 0 && self.frames.drop_entries(leaf, unmapped) == 0 {
            self.prune(tables, id, &way, window.start);
        }
        unmapped
    }

    /// Gives the pages of one leaf table an access; returns how many there are. CPUs still remember the old one.
    pub(super) fn protect_window<T: Tables>(
        &mut self,
        tables: &mut T,
        root: FrameNumber,
        window: Pages,
        access: Access,
    ) -> u32 {
        let Some([leaf, ..]) = self.way(tables, root, window.start) else {
            return 0;
        };
        let first = index(window.start, 0);
        let mut protected = 0;
        for at in first..first + window.count as usize {
            if let Some(page) = tables.page(leaf, at) {
                tables.set_page(leaf, at, page.frame, T::flags(Rights { access, ..page.rights }));
                protected += 1;
            }
        }
        protected
    }

    /// What is mapped at an address, and how many pages from there on are alike, as far as one table tells.
    pub(super) fn find_run(&self, tables: &impl Tables, root: FrameNumber, address: u64) -> (Option<Page>, u64) {
        let Reached { table, level } = self.reach(tables, root, address);
        let to_end = (USER_END - address) / PAGE_SIZE;
        if level > 0 {
            return (None, pages_left(address, level).min(to_end));
        }
        let first = index(address, 0);
        let page = tables.page(table, first);
        // The last page below the end of programs' memory ends a table but for one entry, which is always empty.
        let limit = ENTRIES.min(first + to_end.min(MOST_COMPARED) as usize);
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
