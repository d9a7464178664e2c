//! Compares all that the server has noted, with itself and with the kernel. It is slow: for tests, and for a build of the server
//! that does it after each request.

use crate::Vm;
use crate::frames::Frame;
use crate::heap::Heap;
use crate::machine::Refusal;
use crate::process::{Memory, Process};
use crate::region::{Kind, Region, USER};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use alloc::vec;
use core::fmt;
use protocol::Transport;
use protocol::vmctl::{Access, Found, FrameKind, FrameUse, GetFrameInfo, QueryRun, RunFound};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inconsistency {
    /// What should be so.
    pub rule: &'static str,
    /// Whose memory is concerned; [`Endpoint::NONE`] if nobody's.
    pub process: Endpoint,
    /// The page, frame or object, by its number.
    pub at: u64,
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {:#x}, at {:#x})", self.rule, self.process.raw(), self.at)
    }
}

/// Whether all is as it should be.
pub type Checked = Result<(), Inconsistency>;

fn rule(holds: bool, rule: &'static str, process: Endpoint, at: u64) -> Checked {
    if holds { Ok(()) } else { Err(Inconsistency { rule, process, at }) }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// [`check`](Self::check) after the memory for it has been reserved.
    ///
    /// # Errors
    /// `ENOMEM`: nothing was compared.
    pub fn checked(&mut self) -> Result<Checked, Errno> {
        // Two counts and two marks for each frame.
        let per_frame = 2 * size_of::<u32>() + 2 * size_of::<bool>();
        self.machine.reserve((self.machine.frames.limit() as usize + PAGE_SIZE as usize) * per_frame)?;
        Ok(self.check())
    }

    /// Compares what some processes have with the kernel's page tables: `most` at a time, others each `turn`. The frames, which takes
    /// longer, are not looked at.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn check_processes(&self, turn: u64, most: u64) -> Checked {
        let first = (turn * most).checked_rem(self.processes.len()).unwrap_or(0);
        for process in self.processes.iter().skip(first as usize).take(most as usize) {
            check_regions(process)?;
            self.check_space(process)?;
        }
        self.check_objects()
    }

    /// What the kernel has refused since this was asked last.
    pub fn take_refusal(&mut self) -> Option<Refusal> {
        self.machine.refusal.take()
    }

    /// Compares everything.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn check(&self) -> Checked {
        rule(self.machine.refusal.is_none(), "the kernel does what is asked", Endpoint::NONE, 0)?;
        let limit = self.machine.frames.limit() as usize;
        // By frame: how many pages name it, and in how many places it is mapped.
        let (mut named, mut mapped) = (vec![0_u32; limit], vec![0_u32; limit]);
        for (_, frame) in self.objects.iter().flat_map(|(_, object)| object.pages.all()) {
            named[frame.number() as usize] += 1;
        }
        for (_, block) in self.objects.files.cache.iter() {
            named[block.frame.number() as usize] += 1;
        }
        self.check_processes(0, u64::MAX)?;
        for (_, frame) in self.processes.iter().flat_map(|process| process.memory.pages.all()) {
            named[frame.number() as usize] += 1;
            mapped[frame.number() as usize] += 1;
        }
        self.check_frames(&named, &mapped)
    }

    fn check_objects(&self) -> Checked {
        for (number, object) in self.objects.iter() {
            let shows = |region: &Region| matches!(region.kind, Kind::Shared { object, .. } if object == number);
            let regions = self.processes.iter().flat_map(|process| process.memory.regions.iter());
            let count = regions.filter(|(_, region)| shows(region)).count() as u64;
            rule(count == object.regions, "an object counts the regions that show it", Endpoint::NONE, number)?;
            rule(count > 0, "an object is shown by some region", Endpoint::NONE, number)?;
        }
        for (number, file) in self.objects.files.iter() {
            let shows = |region: &Region| matches!(region.kind, Kind::File { file, .. } if file == number);
            let regions = self.processes.iter().flat_map(|process| process.memory.regions.iter());
            let count = regions.filter(|(_, region)| shows(region)).count() as u64;
            rule(
                count == file.regions && count > 0,
                "a file counts the regions that show it",
                Endpoint::NONE,
                number.into(),
            )?;
        }
        rule(self.objects.files.cache.is_sound(), "the cache finds each block by all ways", Endpoint::NONE, 0)
    }

    /// Compares a process's pages with the kernel's tables.
    fn check_space(&self, process: &Process) -> Checked {
        let memory = &process.memory;
        let mut seen = 0;
        let mut page = USER.start;
        while page < USER.end {
            let query = QueryRun { space: memory.space.name, address: page * PAGE_SIZE };
            let Ok(found) = self.machine.vmctl().query(query) else {
                return rule(false, "the kernel knows the space of a process", process.endpoint, memory.space.name);
            };
            let end = page + found.count;
            if found.found != Found::Nothing {
                for (skip, page) in (page..end).enumerate() {
                    seen += u64::from(found.found == Found::Memory);
                    self.check_page(process, page, found.frame / PAGE_SIZE + skip as u64, &found)?;
                }
            }
            page = end;
        }
        rule(seen == memory.pages.len(), "the kernel maps every page", process.endpoint, seen)
    }

    fn check_page(&self, process: &Process, page: u64, number: u64, found: &RunFound) -> Checked {
        let who = process.endpoint;
        let Some((start, region)) = process.memory.regions.find(page) else {
            return rule(false, "what is mapped belongs to a region", who, page);
        };
        if let Kind::Physical { first, cache } = region.kind {
            let is_right = found.found == Found::Device && number == first + page - start && found.cache == cache;
            return rule(is_right, "a device is mapped as its region says", who, page);
        }
        let Some(frame) = process.memory.pages.get(page) else {
            return rule(false, "what is mapped is noted", who, page);
        };
        // While a page is borrowed, the kernel keeps its frame aside.
        if self.use_of(frame).is_some_and(|of| of.kind == FrameKind::Aside) {
            return Ok(());
        }
        rule(u64::from(frame.number()) == number, "a page has the frame that is noted", who, page)?;
        let count = self.machine.frames.count(frame);
        let may_wait = region.kind.is_own() && region.access == Access::Write && found.access == Access::Read;
        rule(found.access == region.access || may_wait, "a page may be used as its region says", who, page)?;
        let is_own = count == 1 || !region.kind.is_own() || found.access != Access::Write;
        rule(is_own, "what is written is seen by nobody else", who, page)
    }

    fn use_of(&self, frame: Frame) -> Option<FrameUse> {
        self.machine.vmctl().frame_info(GetFrameInfo { frame: frame.address() }).ok()
    }

    fn check_frames(&self, named: &[u32], mapped: &[u32]) -> Checked {
        let frames = &self.machine.frames;
        let spaces = self.processes.iter().map(|process| &process.memory.space).chain([&self.machine.own]);
        let mut is_table = vec![false; named.len()];
        for frame in spaces.flat_map(|space| frames.chained(&space.tables)) {
            is_table[frame.number() as usize] = true;
        }
        let mut is_block = vec![false; named.len()];
        for (_, block) in self.objects.files.cache.iter() {
            is_block[block.frame.number() as usize] = true;
        }
        for number in 0..frames.limit() {
            let Some(frame) = Frame::new(number) else {
                continue;
            };
            let at = number as usize;
            let kind = self.use_of(frame);
            let is = |kinds: &[FrameKind]| kind.is_some_and(|of| kinds.contains(&of.kind));
            let check = |holds, what| rule(holds, what, Endpoint::NONE, number.into());
            if is_table[at] {
                check(is(&[FrameKind::PageTable]) && named[at] == 0, "a chained frame is a page table")?;
                continue;
            }
            let pins = kind.map_or(0, |of| of.pins);
            let noted = u32::from(frames.pinned().contains(number)) + u32::from(is_block[at]);
            check(pins == noted, "the kernel pins what is noted as pinned")?;
            let is_known = frames.free().contains(number) || frames.used().contains(number);
            check(!is(&[FrameKind::Idle]) || is_known, "what is idle is known to be free")?;
            if frames.free().contains(number) {
                check(is(&[FrameKind::Idle]) && named[at] == 0, "a free frame is idle and named by nothing")?;
                check(!frames.used().contains(number), "a free frame need not be given back")?;
            }
            if frames.used().contains(number) {
                check(named[at] == 0, "a used frame is named by nothing")?;
            }
            if named[at] > 0 {
                check(frames.count(frame) == named[at], "a frame counts what names it")?;
                check(is(&[FrameKind::User, FrameKind::Aside]), "what is named is a program's")?;
                let borrowed = kind.is_some_and(|of| of.kind == FrameKind::Aside || of.mappings != mapped[at]);
                check(!borrowed || self.is_lent(), "a frame is mapped where it is noted")?;
            } else {
                check(frames.count(frame) == 0, "what is named by nothing counts nothing")?;
            }
        }
        Ok(())
    }

    /// Whether grants may have changed what is mapped where.
    fn is_lent(&self) -> bool {
        (0..self.machine.frames.limit())
            .filter_map(Frame::new)
            .any(|frame| self.use_of(frame).is_some_and(|of| of.kind == FrameKind::Aside))
    }
}

/// Regions lie one behind the other, and have all pages.
fn check_regions(process: &Process) -> Checked {
    let who = process.endpoint;
    let Memory { regions, pages, mapped, home, .. } = &process.memory;
    rule(*home == who, "memory knows whose it is", who, 0)?;
    let (mut end, mut sum, mut inside) = (USER.start, 0, 0);
    for (start, region) in regions.iter() {
        rule(start >= end && region.end > start && region.end <= USER.end, "regions do not overlap", who, start)?;
        let there = pages.in_range(start..region.end).count() as u64;
        inside += there;
        let is_whole = matches!(region.kind, Kind::Contiguous | Kind::Cache);
        rule(
            !is_whole || there == region.end - start,
            "contiguous memory, and what is of the cache, is there",
            who,
            start,
        )?;
        rule(region.uses.allow(region.access), "a region is used as it may be", who, start)?;
        end = region.end;
        sum += region.end - start;
    }
    rule(sum == *mapped, "the pages of regions are counted", who, sum)?;
    rule(inside == pages.len(), "every page is in a region", who, inside)
}
