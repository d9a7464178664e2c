//! The reference: spaces as maps from addresses to frames, and what is counted is counted anew each time.

use super::{DEVICE, KEPT, KERNEL, P, RAM};
use abi::Errno;
use abi::layout::{USER_END, USER_START};
use kernel_core::frames::FrameKind;
use kernel_core::spaces::Mapped;
use protocol::vmctl::{Access, Backing, Cache, MapRun};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Bytes that a leaf table maps.
const LEAF: u64 = 512 * P;
const MAX_CLEARED: usize = 16;
/// Pages that a step to the end of a space goes over.
const MOST_DROPPED: u64 = 128;

/// A frame of the frame table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// It goes back to the kernel's pool.
    pub(super) of_pool: bool,
    pub(super) pins: u16,
    /// What stands in it.
    pub(super) content: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The number of its frame.
    pub(super) frame: u64,
    pub(super) access: Access,
    pub(super) cache: Cache,
    pub(super) backing: Backing,
}

#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) pages: BTreeMap<u64, Page>,
    /// Frames of its page tables, the root among them, whether they are needed or not.
    pub(super) tables: BTreeSet<u64>,
    pub(super) bound: u16,
    /// It ends with its last process.
    pub(super) own: bool,
}

impl Space {
    /// How many tables below the root such a set of pages needs.
    fn needed<'a>(pages: impl Iterator<Item = &'a u64>) -> usize {
        let tables: BTreeSet<_> =
            pages.flat_map(|page| (1..=3).map(move |level| (level, page / (P << (9 * level))))).collect();
        tables.len()
    }

    /// How many tables are missing before a page can be mapped.
    pub(super) fn lacks(&self, page: u64) -> u32 {
        let stock = self.tables.len() - 1 - Self::needed(self.pages.keys());
        let more = Self::needed(self.pages.keys().chain([&page])) - Self::needed(self.pages.keys());
        more.saturating_sub(stock) as u32
    }
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) frames: Vec<Frame>,
    pub(super) spaces: BTreeMap<u64, Space>,
}

/// A count that a call takes.
fn check_count(count: u64) -> Result<u64, Errno> {
    if (1..=512).contains(&count) { Ok(count) } else { Err(Errno::Inval) }
}

/// The numbers of the frames of a run.
fn frames(physical: u64, count: u64) -> Result<Range<u64>, Errno> {
    if !physical.is_multiple_of(P) {
        return Err(Errno::Inval);
    }
    let first = physical / P;
    if first + count > 1 << 32 { Err(Errno::Dom) } else { Ok(first..first + count) }
}

fn pages(address: u64, count: u64) -> Result<Vec<u64>, Errno> {
    if !address.is_multiple_of(P) {
        return Err(Errno::Inval);
    }
    let end = u128::from(address) + u128::from(count * P);
    if address < USER_START || end > u128::from(USER_END) {
        return Err(Errno::Fault);
    }
    Ok((0..count).map(|i| address + i * P).collect())
}

impl Model {
    pub(super) fn new() -> Self {
        let kind = |frame| match frame {
            frame if KERNEL.contains(&frame) => FrameKind::Kernel,
            frame if DEVICE.contains(&frame) => FrameKind::Reserved,
            _ => FrameKind::Free,
        };
        let frame = |frame| Frame { kind: kind(frame), of_pool: true, pins: 0, content: 0 };
        Self { frames: (0..RAM.end).map(frame).collect(), spaces: BTreeMap::new() }
    }

    pub(super) fn space(&mut self, name: u64) -> Result<&mut Space, Errno> {
        self.spaces.get_mut(&name).ok_or(Errno::Srch)
    }

    fn frame(&mut self, frame: u64, kind: FrameKind) -> Result<&mut Frame, Errno> {
        let found = self.frames.get_mut(frame as usize).ok_or(Errno::Dom)?;
        if found.kind == kind { Ok(found) } else { Err(Errno::Perm) }
    }

    /// In how many places a frame is mapped.
    pub(super) fn mappings(&self, frame: u64) -> usize {
        let pages = self.spaces.values().flat_map(|space| space.pages.values());
        pages.filter(|page| page.backing == Backing::Memory && page.frame == frame).count()
    }

    /// Frames of the pool that nobody needs any more become free.
    fn settle(&mut self) {
        for frame in 0..RAM.end {
            let unused = self.mappings(frame) == 0;
            let found = &mut self.frames[frame as usize];
            if unused && found.kind == FrameKind::User && found.of_pool && found.pins == 0 {
                found.kind = FrameKind::Free;
            }
        }
    }

    /// Frames are taken out of the pool, which may choose; `false` if they were not all free.
    pub(super) fn take(&mut self, frames: Range<u64>, kind: FrameKind, of_pool: bool) -> bool {
        frames.into_iter().all(|frame| {
            let found = &mut self.frames[frame as usize];
            let was = std::mem::replace(&mut found.kind, kind);
            found.of_pool = of_pool;
            was == FrameKind::Free
        })
    }

    pub(super) fn create(&mut self, name: u64, root: u64) -> Result<(), Errno> {
        let root = frames(root, 1)?.start;
        *self.frame(root, FrameKind::Idle)? = Frame { kind: FrameKind::PageTable, of_pool: false, pins: 0, content: 0 };
        self.spaces.insert(name, Space { tables: BTreeSet::from([root]), ..Space::default() });
        Ok(())
    }

    /// A step: a part of the lowest leaf table goes, or all that is left.
    pub(super) fn destroy(&mut self, name: u64) -> Result<bool, Errno> {
        let space = self.space(name)?;
        if space.bound > 0 {
            return Err(Errno::Busy);
        }
        let lowest = space.pages.keys().next().copied();
        if let Some(lowest) = lowest {
            let step = lowest..lowest + MOST_DROPPED * P;
            space.pages.retain(|page, _| page / LEAF != lowest / LEAF || !step.contains(page));
        } else {
            self.end(name);
        }
        self.settle();
        Ok(lowest.is_some())
    }

    fn end(&mut self, name: u64) {
        let space = self.spaces.remove(&name).expect("it lives");
        for table in space.tables {
            let found = &mut self.frames[table as usize];
            found.kind = if found.of_pool { FrameKind::Free } else { FrameKind::Idle };
        }
    }

    pub(super) fn unbind(&mut self, name: u64) {
        let space = self.space(name).expect("it lives");
        space.bound -= 1;
        if space.bound == 0 && space.own {
            self.end(name);
            self.settle();
        }
    }

    pub(super) fn map(&mut self, call: &MapRun, may_use: bool) -> Result<Mapped, Errno> {
        self.space(call.space)?;
        let count = check_count(call.count.into())?;
        let pages = pages(call.address, count)?;
        let frames = frames(call.frame, count)?;
        if call.backing == Backing::Memory && call.cache != Cache::Normal {
            return Err(Errno::Inval);
        }
        if call.backing == Backing::Device && !may_use {
            return Err(Errno::Perm);
        }
        let mut cleared = 0;
        for (done, (page, frame)) in pages.into_iter().zip(frames).enumerate() {
            let stopped = |lacks| Ok(Mapped { done: done as u32, lacks });
            let kind = self.kind_to_map(frame, call.backing);
            let space = self.space(call.space)?;
            let taken = if space.pages.contains_key(&page) { Err(Errno::Exist) } else { Ok(()) };
            match taken.and(kind) {
                Err(errno) if done == 0 => return Err(errno),
                Ok(Some(FrameKind::Idle)) if cleared == MAX_CLEARED => return stopped(0),
                Err(_) => return stopped(0),
                Ok(_) if space.lacks(page) > 0 => return stopped(space.lacks(page)),
                Ok(_) => {}
            }
            let new = Page { frame, access: call.access, cache: call.cache, backing: call.backing };
            space.pages.insert(page, new);
            if kind == Ok(Some(FrameKind::Idle)) {
                cleared += 1;
                self.frames[frame as usize] = Frame { kind: FrameKind::User, of_pool: false, pins: 0, content: 0 };
            }
        }
        Ok(Mapped { done: count as u32, lacks: 0 })
    }

    /// What a frame is before it is mapped; `None` for a device.
    fn kind_to_map(&self, frame: u64, backing: Backing) -> Result<Option<FrameKind>, Errno> {
        let kind = self.frames.get(frame as usize).map(|found| found.kind);
        match (backing, kind) {
            (Backing::Device, None | Some(FrameKind::Reserved)) if !KEPT.contains(&frame) => Ok(None),
            (Backing::Memory, Some(FrameKind::Idle | FrameKind::User)) => Ok(kind),
            (Backing::Memory, None) => Err(Errno::Dom),
            _ => Err(Errno::Perm),
        }
    }

    /// Does something to the pages of a run that are mapped; returns how many there are.
    fn change(
        &mut self,
        name: u64,
        address: u64,
        count: u32,
        change: impl Fn(&mut BTreeMap<u64, Page>, u64),
    ) -> Result<u64, Errno> {
        let space = self.space(name)?;
        let run = pages(address, check_count(count.into())?)?;
        let mapped: Vec<_> = run.into_iter().filter(|page| space.pages.contains_key(page)).collect();
        mapped.iter().for_each(|&page| change(&mut space.pages, page));
        self.settle();
        Ok(mapped.len() as u64)
    }

    pub(super) fn unmap(&mut self, name: u64, address: u64, count: u32) -> Result<u64, Errno> {
        self.change(name, address, count, |pages, page| _ = pages.remove(&page))
    }

    pub(super) fn protect(&mut self, name: u64, address: u64, count: u32, access: Access) -> Result<u64, Errno> {
        self.change(name, address, count, |pages, page| {
            pages.entry(page).and_modify(|page| page.access = access);
        })
    }

    /// The page at an address.
    pub(super) fn query(&mut self, name: u64, address: u64) -> Result<Option<Page>, Errno> {
        let space = self.space(name)?;
        Ok(space.pages.get(&pages(address, 1)?[0]).copied())
    }

    /// Does something to the frames of a run, up to the first that is refused.
    fn each(
        &mut self,
        first: u64,
        count: u64,
        most: usize,
        change: impl Fn(&mut Self, u64) -> Result<(), Errno>,
    ) -> Result<u64, Errno> {
        let run = frames(first, check_count(count)?)?;
        for (done, frame) in run.into_iter().enumerate() {
            match change(self, frame) {
                _ if done == most => return Ok(done as u64),
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => return Ok(done as u64),
                Ok(()) => {}
            }
        }
        Ok(count)
    }

    pub(super) fn give_back(&mut self, first: u64, count: u64) -> Result<u64, Errno> {
        self.each(first, count, usize::MAX, |model, frame| {
            model.frame(frame, FrameKind::Idle)?.kind = FrameKind::Free;
            Ok(())
        })
    }

    pub(super) fn donate(&mut self, name: u64, first: u64, count: u64) -> Result<u64, Errno> {
        self.space(name)?;
        let run = check_count(count).and_then(|_| frames(first, count))?;
        self.each(first, count.min(MAX_CLEARED as u64), usize::MAX, |model, frame| {
            let found = model.frame(frame, FrameKind::Idle)?;
            (found.kind, found.content) = (FrameKind::PageTable, 0);
            model.space(name)?.tables.insert(frame);
            Ok(())
        })
        .inspect(|&done| assert!(done <= run.end - run.start))
    }

    pub(super) fn release(&mut self, first: u64, count: u64) -> Result<u64, Errno> {
        self.each(first, count, usize::MAX, |model, frame| {
            let mapped = model.mappings(frame) > 0;
            let found = model.frame(frame, FrameKind::User)?;
            if mapped || found.pins > 0 {
                return Err(Errno::Busy);
            }
            found.kind = FrameKind::Idle;
            Ok(())
        })
    }

    pub(super) fn pin(&mut self, frame: u64) -> Result<(), Errno> {
        self.frame(frame, FrameKind::User)?.pins += 1;
        Ok(())
    }

    pub(super) fn unpin(&mut self, frame: u64) -> Result<(), Errno> {
        let found = self.frame(frame, FrameKind::User)?;
        found.pins = found.pins.checked_sub(1).ok_or(Errno::NoSpc)?;
        self.settle();
        Ok(())
    }
}
