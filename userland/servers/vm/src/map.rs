//! The calls by which processes map memory, change it and give it up.

use crate::heap::Heap;
use crate::machine::Rights;
use crate::objects::Objects;
use crate::pages::Pages;
use crate::process::Memory;
use crate::region::{Kind, MOST, Region, USER, Uses};
use crate::{Need, Vm};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::Transport;
use protocol::vm::{Brk, Map, MapFlags, Protect, SetBreak, Unmap};
use protocol::vmctl::Access;

/// The pages that a range of bytes touches, if a program can have them.
///
/// # Errors
/// `EINVAL` for an address that is no multiple of the page size or no user's, and for a length of 0 or beyond all programs' memory.
pub(crate) fn pages_of(address: u64, len: u64) -> Result<Range<u64>, Errno> {
    let pages = page_count(len)?;
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::Inval);
    }
    let start = address / PAGE_SIZE;
    let end = start.checked_add(pages).ok_or(Errno::Inval)?;
    if start >= USER.start && end <= USER.end { Ok(start..end) } else { Err(Errno::Inval) }
}

/// How many pages so many bytes take.
///
/// # Errors
/// `EINVAL` for none.
pub(crate) fn page_count(len: u64) -> Result<u64, Errno> {
    if len == 0 { Err(Errno::Inval) } else { Ok(len.div_ceil(PAGE_SIZE)) }
}

/// Frames below these have room for what is to lie low.
const LIMIT_16M: u32 = (16 << 20) / PAGE_SIZE as u32;
const LIMIT_1M: u32 = (1 << 20) / PAGE_SIZE as u32;
/// Frames in 64 KiB.
const FRAMES_64K: u32 = (64 << 10) / PAGE_SIZE as u32;

/// What a [`Map`] comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pages: u64,
    pub(crate) access: Access,
    pub(crate) flags: MapFlags,
}

impl Plan {
    fn has(&self, flag: MapFlags) -> bool {
        self.flags.contains(flag)
    }

    /// How many frames are needed at once, and for page tables at most.
    fn frames(&self, is_pinned: bool) -> u64 {
        if self.has(MapFlags::PREALLOCATED) || is_pinned { with_tables(self.pages) } else { 0 }
    }
}

/// So many frames, and the page tables that they may take in one place.
pub(crate) fn with_tables(pages: u64) -> u64 {
    /// Pages of a table of the first level and of the second; of each level there is one more at both ends.
    const LEAF: u64 = 512;
    const SECOND: u64 = LEAF * LEAF;
    const AT_ENDS: u64 = 6;
    pages.saturating_add(pages / LEAF).saturating_add(pages / SECOND).saturating_add(AT_ENDS)
}

/// Checks the flags of a [`Map`].
fn check_flags(call: &Map, for_others: bool) -> Result<MapFlags, Errno> {
    use MapFlags as F;
    let flags = F::from_bits(call.flags).ok_or(Errno::Inval)?;
    let placed = flags.intersects(F::LOW_16M | F::LOW_1M | F::ALIGNED_64K);
    let contradicts = flags.contains(F::CONTIGUOUS) && !flags.contains(F::PREALLOCATED)
        || placed && !flags.contains(F::CONTIGUOUS)
        || flags.contains(F::CONTIGUOUS | F::SHARED);
    if contradicts {
        return Err(Errno::Inval);
    }
    if call.fd != -1 || call.offset != 0 {
        return Err(Errno::Inval);
    }
    if flags.contains(F::UNINITIALIZED) && !for_others {
        return Err(Errno::Perm);
    }
    Ok(flags)
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    pub(crate) fn do_mmap(&mut self, caller: Endpoint, call: &Map) -> Result<u64, Errno> {
        let flags = check_flags(call, self.acts_for_others(caller))?;
        let target = self.target(caller, call.process)?;
        let plan = Plan { pages: page_count(call.len)?, access: call.access, flags };
        if !call.address.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::Inval);
        }
        if plan.has(MapFlags::FIXED) {
            return self.map_fixed(target, pages_of(call.address, call.len)?, &plan);
        }
        let memory = &mut self.processes.get_mut(target)?.memory;
        let wish = pages_of(call.address, call.len).ok().filter(|pages| memory.regions.covered(pages) == 0);
        let start = wish.map(|pages| pages.start).or_else(|| memory.regions.find_place(plan.pages));
        let start = start.ok_or(Errno::NoMem)?;
        self.prepare(target, &plan, 0, 0)?;
        self.map_at(target, start, &plan)?;
        Ok(start * PAGE_SIZE)
    }

    /// At this address and nowhere else.
    fn map_fixed(&mut self, target: Endpoint, pages: Range<u64>, plan: &Plan) -> Result<u64, Errno> {
        let memory = &self.processes.get_mut(target)?.memory;
        let replaced = memory.regions.covered(&pages);
        self.prepare(target, plan, replaced, 0)?;
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(target)?.memory;
        // What is there is not taken away before it is known that the new can be put there.
        let contiguous = take_contiguous(machine, plan)?;
        memory.unmap(machine, objects, pages.clone());
        let mapped = fill(memory, machine, objects, pages.start, plan, contiguous);
        machine.give_back();
        mapped?;
        Ok(pages.start * PAGE_SIZE)
    }

    fn map_at(&mut self, target: Endpoint, start: u64, plan: &Plan) -> Result<(), Errno> {
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(target)?.memory;
        let contiguous = take_contiguous(machine, plan)?;
        fill(memory, machine, objects, start, plan, contiguous)
    }

    /// Checks that a process may have what is planned, instead of so many pages that it has, and reserves all that it takes, and so many
    /// bytes.
    pub(crate) fn prepare(&mut self, target: Endpoint, plan: &Plan, replaced: u64, beside: usize) -> Result<(), Errno> {
        let memory = &self.processes.get_mut(target)?.memory;
        let mapped = (memory.mapped - replaced).checked_add(plan.pages).ok_or(Errno::NoMem)?;
        let frames = plan.frames(memory.is_pinned);
        let is_too_much = plan.pages > USER.end - USER.start
            || mapped > memory.limits.mapped
            || memory.regions.len() + 3 > MOST
            || frames > 0 && plan.pages > memory.limits.resident.saturating_sub(memory.pages.len());
        if is_too_much {
            return Err(Errno::NoMem);
        }
        let for_pages = if frames == 0 { 0 } else { memory.pages.bytes_for(plan.pages) };
        let objects = if plan.has(MapFlags::SHARED) {
            Objects::BYTES_FOR_ONE + Pages::default().bytes_for(plan.pages)
        } else {
            0
        };
        let bytes = memory.regions.bytes_for(3) + for_pages + objects + beside;
        self.machine.reserve(bytes)?;
        // What is reserved is used up meanwhile, and the heap grows again.
        let with_heap = frames + bytes.div_ceil(PAGE_SIZE as usize) as u64 + crate::machine::GROWTH;
        if frames > 0 && with_heap > self.machine.frames.available() {
            self.machine.frames.note_lack(with_heap);
            return Err(Errno::NoMem);
        }
        Ok(())
    }

    pub(crate) fn do_munmap(&mut self, caller: Endpoint, call: &Unmap) -> Result<(), Errno> {
        let target = self.target(caller, call.process)?;
        let pages = pages_of(call.address, call.len)?;
        self.take_away(target, pages)
    }

    /// Takes what there is in a range away from a process.
    pub(crate) fn take_away(&mut self, target: Endpoint, pages: Range<u64>) -> Result<(), Errno> {
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(target)?.memory;
        if memory.regions.len() + 1 > MOST {
            return Err(Errno::NoMem);
        }
        machine.reserve_from_last(memory.bytes_to_split())?;
        memory.unmap(machine, objects, pages);
        machine.give_back();
        Ok(())
    }

    pub(crate) fn do_protect(&mut self, caller: Endpoint, call: &Protect) -> Result<(), Errno> {
        let target = self.target(caller, call.process)?;
        let pages = pages_of(call.address, call.len)?;
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(target)?.memory;
        if memory.regions.covered(&pages) != pages.end - pages.start || memory.regions.len() + 2 > MOST {
            return Err(Errno::NoMem);
        }
        if !memory.regions.overlapping(pages.clone()).all(|(_, region)| region.uses.allow(call.access)) {
            return Err(Errno::Perm);
        }
        machine.reserve(memory.bytes_to_split())?;
        memory.protect(machine, objects, pages, call.access);
        Ok(())
    }

    pub(crate) fn do_set_break(&mut self, caller: Endpoint, call: &SetBreak) -> Result<(), Errno> {
        let target = self.target(caller, call.process)?;
        if !(USER.start * PAGE_SIZE..USER.end * PAGE_SIZE).contains(&call.start) {
            return Err(Errno::Inval);
        }
        self.processes.get_mut(target)?.memory.data = Some((call.start, call.start));
        Ok(())
    }

    pub(crate) fn do_brk(&mut self, caller: Endpoint, call: &Brk) -> Result<u64, Errno> {
        let memory = &self.processes.get_mut(caller)?.memory;
        let (start, end) = memory.data.ok_or(Errno::Inval)?;
        if call.end == 0 {
            return Ok(end);
        }
        if call.end < start {
            return Err(Errno::Inval);
        }
        let (now, then) = (end.div_ceil(PAGE_SIZE), call.end.div_ceil(PAGE_SIZE));
        if then > now {
            let added = now..then;
            if then > USER.end || memory.regions.covered(&added) > 0 {
                return Err(Errno::NoMem);
            }
            let flags = MapFlags::ANONYMOUS;
            let plan = Plan { pages: then - now, access: Access::Write, flags };
            self.prepare(caller, &plan, 0, 0)?;
            self.map_at(caller, now, &plan)?;
        } else if then < now {
            self.take_away(caller, then..now)?;
        }
        self.processes.get_mut(caller)?.memory.data = Some((start, call.end));
        Ok(call.end)
    }
}

type Neighbours = Option<crate::frames::Frame>;

/// Takes the frames of memory that has to be contiguous.
fn take_contiguous<T, H>(machine: &mut crate::machine::Machine<T, H>, plan: &Plan) -> Result<Neighbours, Errno> {
    if !plan.has(MapFlags::CONTIGUOUS) {
        return Ok(None);
    }
    let align = if plan.has(MapFlags::ALIGNED_64K) { FRAMES_64K } else { 1 };
    let limit = match () {
        () if plan.has(MapFlags::LOW_1M) => LIMIT_1M,
        () if plan.has(MapFlags::LOW_16M) => LIMIT_16M,
        () => machine.frames.limit(),
    };
    let count = u32::try_from(plan.pages).map_err(|_| Errno::NoMem)?;
    machine.frames.take_contiguous(count, align, limit).map(Some).ok_or(Errno::NoMem)
}

/// Adds a region, and what it has from the beginning.
fn fill<T: Transport + Copy, H: Heap>(
    memory: &mut Memory,
    machine: &mut crate::machine::Machine<T, H>,
    objects: &mut Objects,
    start: u64,
    plan: &Plan,
    contiguous: Neighbours,
) -> Result<(), Errno> {
    let pages = start..start + plan.pages;
    if let Some(first) = contiguous {
        let mapped = machine.map(&mut memory.space, pages.clone(), first.address(), Rights::memory(plan.access));
        // A device gets its address.
        let pinned = mapped.and_then(|()| {
            machine.pin(first, plan.pages as u32).inspect_err(|_| machine.unmap(&memory.space, pages.clone()))
        });
        if let Err(error) = pinned {
            (0..plan.pages as u32).for_each(|skip| machine.frames.unname(first.after(skip)));
            machine.give_back();
            return Err(error);
        }
        memory.pages.set_run(start, first, plan.pages as u32);
        memory.note_resident();
    }
    let kind = match () {
        () if contiguous.is_some() => Kind::Contiguous,
        () if plan.has(MapFlags::SHARED) => {
            Kind::Shared { object: objects.add(Pages::default(), plan.pages), first: 0 }
        }
        () => Kind::Anonymous,
    };
    memory.add_region(start, Region { end: pages.end, access: plan.access, uses: Uses::all(), kind });
    if !plan.has(MapFlags::PREALLOCATED) && !memory.is_pinned {
        return Ok(());
    }
    let supplied = memory.supply(machine, objects, pages.clone(), Need::Read);
    if supplied.is_err() {
        memory.unmap(machine, objects, pages);
        machine.give_back();
    }
    supplied
}
