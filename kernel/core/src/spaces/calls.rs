//! The memory server's calls. See [`protocol::vmctl`] for what each does and how it fails.

use super::runs::{Mapping, Stop};
use super::walk::Pages;
use super::{Home, SpaceId, Spaces};
use crate::Tables;
use crate::frames::{FrameError, FrameKind, FrameNumber};
use crate::tables::{ENTRIES, Rights};
use abi::Errno;
use abi::layout::{PAGE_SIZE, user_range};
use core::ops::Range;
use protocol::vmctl::{self, Access, Backing, Cache, MAX_CLEARED, MAX_RUN, MapRun};

/// How far a [`Spaces::map`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Pages that are mapped now.
    pub done: u32,
    /// How many page tables are missing for the next.
    pub lacks: u32,
}

// A run has pages of two leaf tables at most: what is done to those of the first is done to the rest.
const _: () = assert!(MAX_RUN as usize <= ENTRIES);

/// A count of pages or frames that a call can take.
#[inline(always)]
fn check_count(count: u64) -> Result<u32, Errno> {
    if (1..=MAX_RUN.into()).contains(&count) { Ok(count as u32) } else { Err(Errno::Inval) }
}

/// A run of pages that programs may have.
#[inline(always)]
pub(super) fn user_pages(address: u64, count: u64) -> Result<Pages, Errno> {
    let count = check_count(count)?;
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::Inval);
    }
    user_range(address, u64::from(count) * PAGE_SIZE).ok_or(Errno::Fault)?;
    Ok(Pages { start: address, count })
}

/// The first frame of a run, all of which can be named.
#[inline(always)]
pub(super) fn frames_at(physical: u64, count: u32) -> Result<FrameNumber, Errno> {
    if !physical.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::Inval);
    }
    FrameNumber::first_of(count, physical).ok_or(Errno::Dom)
}

impl From<Stop> for Errno {
    /// What is the matter if not one page could be mapped.
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(errno) => errno,
            Stop::Lacks(_) | Stop::Tired => Self::NoMem,
        }
    }
}

impl From<FrameKind> for vmctl::FrameKind {
    fn from(kind: FrameKind) -> Self {
        match kind {
            FrameKind::Reserved => Self::Reserved,
            FrameKind::Free => Self::Free,
            FrameKind::Idle => Self::Idle,
            FrameKind::Kernel => Self::Kernel,
            FrameKind::PageTable => Self::PageTable,
            FrameKind::User => Self::User,
            FrameKind::Aside => Self::Aside,
        }
    }
}

/// Spaces.
impl Spaces<'_> {
    /// [`vmctl::CreateSpace`]: returns the name of a space whose root is an idle frame.
    ///
    /// # Errors
    /// See there.
    pub fn create(&mut self, tables: &mut impl Tables, root: u64) -> Result<u64, Errno> {
        let root = frames_at(root, 1)?;
        let id = self.vacant().ok_or(Errno::NoSpc)?;
        self.make_table(tables, root)?;
        self.found(tables, id, root);
        Ok(self.name(id))
    }

    /// [`vmctl::DestroySpace`]: a step of it; whether more are needed.
    ///
    /// # Errors
    /// See there.
    pub fn destroy(&mut self, tables: &mut impl Tables, space: u64) -> Result<bool, Errno> {
        let id = self.find(space)?;
        if self.bound(id) > 0 { Err(Errno::Busy) } else { Ok(self.shrink(tables, id)) }
    }

    /// [`vmctl::MapRun`]. Whether the caller has a right to a range of physical addresses of devices, `may_use` says.
    ///
    /// # Errors
    /// See there.
    pub fn map(
        &mut self,
        tables: &mut impl Tables,
        call: &MapRun,
        may_use: impl FnOnce(Range<u64>) -> bool,
    ) -> Result<Mapped, Errno> {
        let (id, root) = self.find_root(call.space)?;
        let pages = user_pages(call.address, call.count.into())?;
        let frame = frames_at(call.frame, pages.count)?;
        match call.backing {
            // Another cache type than that of the kernel's own view of RAM is undefined (Intel SDM volume 3, 12.12.4).
            Backing::Memory if call.cache != Cache::Normal => return Err(Errno::Inval),
            Backing::Device if !may_use(call.frame..call.frame + u64::from(pages.count) * PAGE_SIZE) => {
                return Err(Errno::Perm);
            }
            _ => {}
        }
        let rights = Rights { access: call.access, withheld: false, cache: call.cache, backing: call.backing };
        let mut run = Mapping::new(id, root, pages, frame, rights);
        let mut stop = self.map_window(tables, &mut run);
        let mut left = run.pages.count;
        if left > 0 && stop.is_ok() {
            (left, stop) = self.map_rest(tables, run);
        }
        let done = pages.count - left;
        match stop {
            Err(Stop::Refused(errno)) if done == 0 => Err(errno),
            Err(Stop::Lacks(lacks)) => Ok(Mapped { done, lacks }),
            _ => Ok(Mapped { done, lacks: 0 }),
        }
    }

    /// Maps a page of memory where somebody lives, see [`vmctl::SupplyPage`]: returns how many page tables are missing for it.
    ///
    /// # Errors
    /// See there.
    pub(crate) fn map_page(
        &mut self,
        tables: &mut impl Tables,
        Home { id, root }: Home,
        address: u64,
        frame: u64,
        access: Access,
    ) -> Result<u32, Errno> {
        let pages = user_pages(address, 1)?;
        let frame = frames_at(frame, 1)?;
        let rights = Rights { access, withheld: false, cache: Cache::Normal, backing: Backing::Memory };
        match self.map_window(tables, &mut Mapping::new(id, root, pages, frame, rights)) {
            Ok(()) => Ok(0),
            Err(Stop::Lacks(lacks)) => Ok(lacks),
            Err(stop) => Err(stop.into()),
        }
    }

    /// [`vmctl::UnmapRun`]: returns how many pages were mapped.
    ///
    /// # Errors
    /// See there.
    pub fn unmap(&mut self, tables: &mut impl Tables, space: u64, address: u64, count: u32) -> Result<u64, Errno> {
        let (id, root) = self.find_root(space)?;
        let pages = user_pages(address, count.into())?;
        self.check_private(id, pages)?;
        let window = pages.window();
        let mut unmapped = self.unmap_window(tables, id, root, window);
        if window.count < pages.count {
            unmapped += self.unmap_rest(tables, id, root, pages.after(window.count));
        }
        if unmapped > 0 {
            self.forget(tables, root, pages);
        }
        Ok(unmapped.into())
    }

    /// [`vmctl::ProtectRun`]: returns how many pages are mapped.
    ///
    /// # Errors
    /// See there.
    pub fn protect(
        &mut self,
        tables: &mut impl Tables,
        space: u64,
        address: u64,
        count: u32,
        access: Access,
    ) -> Result<u64, Errno> {
        let (id, root) = self.find_root(space)?;
        let pages = user_pages(address, count.into())?;
        self.check_private(id, pages)?;
        let window = pages.window();
        let mut protected = self.protect_window(tables, root, window, access);
        if window.count < pages.count {
            protected += self.protect_window(tables, root, pages.after(window.count), access);
        }
        if protected > 0 {
            self.forget(tables, root, pages);
        }
        Ok(protected.into())
    }

    /// [`vmctl::QueryRun`].
    ///
    /// # Errors
    /// See there.
    pub fn query(&self, tables: &impl Tables, space: u64, address: u64) -> Result<vmctl::RunFound, Errno> {
        let (_, root) = self.find_root(space)?;
        let pages = user_pages(address, 1)?;
        let (page, count) = self.find_run(tables, root, pages.start);
        let nothing = vmctl::RunFound {
            frame: 0,
            count,
            found: vmctl::Found::Nothing,
            access: Access::Read,
            cache: Cache::Normal,
            reserved: 0,
        };
        Ok(page.map_or(nothing, |page| vmctl::RunFound {
            frame: page.frame.address(),
            found: match page.rights.backing {
                Backing::Memory => vmctl::Found::Memory,
                Backing::Device => vmctl::Found::Device,
            },
            access: page.rights.access,
            cache: page.rights.cache,
            ..nothing
        }))
    }

    /// [`vmctl::Part`]: a step of it; whether more are needed.
    ///
    /// # Errors
    /// See there.
    pub fn part_run(&mut self, tables: &mut impl Tables, space: u64, address: u64, count: u32) -> Result<bool, Errno> {
        let id = self.find(space)?;
        let pages = user_pages(address, count.into())?;
        Ok(self.part(tables, id, pages.start, pages.count))
    }

    pub(super) fn check_private(&self, id: SpaceId, pages: Pages) -> Result<(), Errno> {
        if self.is_shared(id, pages.start, pages.count) { Err(Errno::Busy) } else { Ok(()) }
    }

    pub(super) fn find_root(&self, space: u64) -> Result<(SpaceId, FrameNumber), Errno> {
        let id = self.find(space)?;
        Ok((id, self.root(id).ok_or(Errno::Srch)?))
    }
}

/// Frames.
impl Spaces<'_> {
    /// [`vmctl::Claim`]: returns the physical address of the first frame, and how many there are.
    ///
    /// # Errors
    /// See there.
    pub fn claim(&mut self, count: u64) -> Result<(u64, u64), Errno> {
        let (first, count) = self.frames.claim(check_count(count)?).ok_or(Errno::NoMem)?;
        Ok((first.address(), count.into()))
    }

    /// [`vmctl::GiveBack`]: returns how many frames are free now.
    ///
    /// # Errors
    /// See there.
    pub fn give_back(&mut self, first: u64, count: u64) -> Result<u64, Errno> {
        let count = check_count(count)?;
        Ok(self.frames.give_back(frames_at(first, count)?, count)?.into())
    }

    /// [`vmctl::Donate`]: returns how many frames are page tables now.
    ///
    /// # Errors
    /// See there.
    pub fn donate(&mut self, tables: &mut impl Tables, space: u64, first: u64, count: u64) -> Result<u64, Errno> {
        let id = self.find(space)?;
        each_frame(first, check_count(count)?, MAX_CLEARED, |frame| {
            self.make_table(tables, frame)?;
            self.stock(id, frame);
            Ok(())
        })
    }

    /// [`vmctl::Release`]: returns how many frames are idle now.
    ///
    /// # Errors
    /// See there.
    pub fn release(&mut self, first: u64, count: u64) -> Result<u64, Errno> {
        let count = check_count(count)?;
        each_frame(first, count, count, |frame| self.frames.release(frame))
    }

    /// [`vmctl::Pin`]: returns how many frames are pinned.
    ///
    /// # Errors
    /// See there.
    pub fn pin_run(&mut self, first: u64, count: u64) -> Result<u64, Errno> {
        let count = check_count(count)?;
        each_frame(first, count, count, |frame| self.frames.pin(frame))
    }

    /// [`vmctl::Unpin`]: returns how many frames are pinned once less.
    ///
    /// # Errors
    /// See there.
    pub fn unpin_run(&mut self, first: u64, count: u64) -> Result<u64, Errno> {
        let count = check_count(count)?;
        each_frame(first, count, count, |frame| self.frames.unpin(frame))
    }

    /// [`vmctl::GetFrameInfo`].
    ///
    /// # Errors
    /// See there.
    pub fn frame_info(&self, frame: u64) -> Result<vmctl::FrameUse, Errno> {
        let info = self.frames.info(frames_at(frame, 1)?)?;
        let (mappings, pins) = (info.mappings(), info.pins().into());
        Ok(vmctl::FrameUse { kind: info.kind().into(), mappings, pins, reserved: 0 })
    }

    /// Turns an idle frame into a cleared page table.
    fn make_table(&mut self, tables: &mut impl Tables, frame: FrameNumber) -> Result<(), FrameError> {
        self.frames.make_table(frame)?;
        tables.clear(frame);
        Ok(())
    }
}

/// Does something to frames of a run, at most `most` of them, up to the first that is refused; returns how many were done.
fn each_frame(
    first: u64,
    count: u32,
    most: u32,
    mut each: impl FnMut(FrameNumber) -> Result<(), FrameError>,
) -> Result<u64, Errno> {
    let first = frames_at(first, count)?;
    for done in 0..count.min(most) {
        match each(first.offset(done)) {
            Ok(()) => {}
            Err(error) if done == 0 => return Err(error.into()),
            Err(_) => return Ok(done.into()),
        }
    }
    Ok(count.min(most).into())
}
