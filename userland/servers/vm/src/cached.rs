//! The calls of file systems about the page cache.

use crate::Vm;
use crate::cache::{Cache, NO_INODE, Place};
use crate::frames::Frame;
use crate::heap::Heap;
use crate::machine::{Machine, Rights};
use crate::map::{pages_of, with_tables};
use crate::objects::Objects;
use crate::process::Memory;
use crate::region::{Kind, MOST, Region, Uses};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::Transport;
use protocol::vm::{BindDevice, CacheFlags, ForgetCache, MapCache, SetCache};
use protocol::vmctl::Access;

/// Most blocks that one call offers or maps.
const MOST_BLOCKS: u32 = 512;

/// Blocks that a call is about.
#[derive(Clone, Copy)]
struct Run {
    device: u64,
    /// The first page on the device.
    first: u64,
    /// The first page in the file.
    in_file: u64,
    count: u64,
}

impl Run {
    /// # Errors
    /// `EINVAL` for none, too many, or what lies beyond all devices; `EFAULT` for an offset that is no multiple of the page size.
    fn new(device: u64, offset: u64, inode_offset: u64, pages: u32) -> Result<Self, Errno> {
        if !(1..=MOST_BLOCKS).contains(&pages) {
            return Err(Errno::Inval);
        }
        let len = u64::from(pages) * PAGE_SIZE;
        for offset in [offset, inode_offset] {
            if !offset.is_multiple_of(PAGE_SIZE) {
                return Err(Errno::Fault);
            }
            offset.checked_add(len).ok_or(Errno::Inval)?;
        }
        let (first, in_file, count) = (offset / PAGE_SIZE, inode_offset / PAGE_SIZE, pages.into());
        Ok(Self { device, first, in_file, count })
    }

    /// Their places, and which pages of the file they are.
    fn places(self) -> impl Iterator<Item = (Place, u64)> {
        (0..self.count).map(move |on| ((self.device, self.first + on), self.in_file + on))
    }
}

impl<T: Transport + Copy, H: Heap> Machine<T, H> {
    /// Takes a block out of the cache.
    pub(crate) fn drop_block(&mut self, cache: &mut Cache, place: Place) {
        if let Some(frame) = cache.remove(place) {
            self.unpin_alone(frame);
            self.frames.unname(frame);
        }
    }
}

impl Memory {
    /// Whether all pages of a range can become blocks: they are there, its own, and nobody else's; or they are these blocks already.
    fn can_offer<T, H>(&self, machine: &Machine<T, H>, cache: &Cache, pages: &Range<u64>, run: Run) -> bool {
        pages.clone().zip(run.places()).all(|(page, (place, _))| {
            let kind = self.regions.find(page).map(|(_, region)| region.kind);
            let frame = self.pages.get(page);
            let is_block = || cache.get(place).map(|block| block.frame) == frame;
            let count = frame.map_or(0, |frame| machine.frames.count(frame));
            match kind {
                Some(Kind::Anonymous) => count == 1,
                Some(Kind::Cache) => count == 1 || count > 0 && is_block(),
                _ => false,
            }
        })
    }

    /// The frame of a page that is to be a block, if it is not that block already.
    fn new_block(&self, cache: &Cache, page: u64, place: Place) -> Option<Frame> {
        let is_new = |frame: &Frame| cache.get(place).is_none_or(|block| block.frame != *frame);
        self.pages.get(page).filter(is_new)
    }

    /// Pins the frames of pages that are to be blocks: so no grant puts others in their place.
    ///
    /// # Errors
    /// `EFAULT` if that is not possible; none is pinned then.
    fn pin_new_blocks<T: Transport + Copy, H: Heap>(
        &self,
        machine: &mut Machine<T, H>,
        cache: &Cache,
        pages: &Range<u64>,
        run: Run,
    ) -> Result<(), Errno> {
        for (page, (place, _)) in pages.clone().zip(run.places()) {
            let pinned = self.new_block(cache, page, place).map(|frame| machine.pin_alone(&self.space, page, frame));
            if let Some(Err(error)) = pinned {
                let before = (pages.start..page).zip(run.places());
                let pinned = before.filter_map(|(page, (place, _))| self.new_block(cache, page, place));
                pinned.for_each(|frame| machine.unpin_alone(frame));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes blocks of what regions show in a range.
    fn become_cache<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
        pages: &Range<u64>,
    ) {
        self.split_at_ends(objects, pages);
        let mut next = pages.start;
        while let Some((start, region)) = self.regions.find(next).filter(|_| next < pages.end) {
            self.regions.set_kind(start, Kind::Cache);
            // What a child has seen too, once, may not be writable yet.
            machine.protect(&self.space, start..region.end, region.access);
            next = region.end;
            self.regions.join(start);
        }
        self.regions.join(pages.end);
    }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// # Errors
    /// `EPERM` if the caller does not have the device.
    fn check_owner(&self, caller: Endpoint, device: u64) -> Result<(), Errno> {
        if self.objects.files.cache.owner(device) == Some(caller) { Ok(()) } else { Err(Errno::Perm) }
    }

    pub(crate) fn do_bind_device(&mut self, call: &BindDevice) -> Result<(), Errno> {
        let owner = if call.process == Endpoint::NONE { None } else { Some(self.known(call.process)?) };
        if self.objects.files.cache.owner(call.device) == owner {
            return Ok(());
        }
        self.machine.reserve(Cache::BYTES_FOR_OWNER)?;
        self.clear_device(call.device);
        self.objects.files.cache.set_owner(call.device, owner);
        Ok(())
    }

    pub(crate) fn do_set_cache(&mut self, caller: Endpoint, call: &SetCache) -> Result<(), Errno> {
        let SetCache { address, device, offset, inode, inode_offset, pages, flags } = *call;
        let is_once = CacheFlags::from_bits(flags).ok_or(Errno::Inval)?.contains(CacheFlags::ONCE);
        let run = Run::new(device, offset, inode_offset, pages)?;
        let pages = pages_of(address, run.count * PAGE_SIZE)?;
        // Nobody could ever find it.
        if is_once && inode == NO_INODE {
            return Err(Errno::Inval);
        }
        self.check_owner(caller, device)?;
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(caller)?.memory;
        if !memory.can_offer(machine, &objects.files.cache, &pages, run) {
            return Err(Errno::Fault);
        }
        if memory.regions.len() + 2 > MOST {
            return Err(Errno::NoMem);
        }
        machine.reserve(memory.bytes_to_split() + Cache::bytes_for(run.count as usize))?;
        memory.pin_new_blocks(machine, &objects.files.cache, &pages, run)?;
        memory.become_cache(machine, objects, &pages);
        let cache = &mut objects.files.cache;
        for (page, (place, _)) in pages.zip(run.places()) {
            if let Some(frame) = memory.new_block(cache, page, place) {
                machine.drop_block(cache, place);
                cache.insert(&mut machine.frames, place, frame, is_once);
            }
        }
        for (place, in_file) in run.places() {
            cache.set_once(place, is_once);
            cache.set_file(place, inode, in_file);
        }
        machine.give_back();
        Ok(())
    }

    pub(crate) fn do_map_cache(&mut self, caller: Endpoint, call: &MapCache) -> Result<u64, Errno> {
        let MapCache { device, offset, inode, inode_offset, pages, flags } = *call;
        let run = Run::new(device, offset, inode_offset, pages)?;
        if flags != 0 {
            return Err(Errno::Inval);
        }
        self.check_owner(caller, device)?;
        let Self { processes, machine, objects, .. } = self;
        let (memory, cache) = (&mut processes.get_mut(caller)?.memory, &mut objects.files.cache);
        let is_there = |(place, _): (Place, u64)| cache.get(place).is_some_and(|block| !block.is_once);
        if !run.places().all(is_there) {
            return Err(Errno::NoEnt);
        }
        if run.count > memory.may_grow() {
            return Err(Errno::NoMem);
        }
        let bytes =
            memory.regions.bytes_for(1) + memory.pages.bytes_for(run.count) + Cache::bytes_for(run.count as usize);
        machine.reserve(bytes)?;
        let tables = with_tables(run.count) - run.count;
        if tables > machine.frames.available() {
            machine.frames.note_lack(tables);
            return Err(Errno::NoMem);
        }
        let start = memory.place_for(run.count)?;
        let end = start + run.count;
        for (page, (place, _)) in (start..end).zip(run.places()) {
            let Some(frame) = cache.get(place).map(|block| block.frame) else {
                continue;
            };
            let rights = Rights::memory(Access::Write);
            if let Err(error) = machine.map(&mut memory.space, page..page + 1, frame.address(), rights) {
                machine.unmap(&memory.space, start..page);
                memory.pages.take(start..page, |_, frame| machine.frames.unname(frame));
                return Err(error);
            }
            machine.frames.name_again(frame);
            memory.pages.set(page, frame);
        }
        for (place, in_file) in run.places() {
            cache.touch(place);
            cache.set_file(place, inode, in_file);
        }
        memory.add_region(start, Region { end, access: Access::Write, uses: Uses::all(), kind: Kind::Cache });
        memory.note_resident();
        Ok(start * PAGE_SIZE)
    }

    pub(crate) fn do_forget_cache(&mut self, caller: Endpoint, call: &ForgetCache) -> Result<(), Errno> {
        let ForgetCache { device, offset, pages } = *call;
        if pages == 0 {
            return Err(Errno::Inval);
        }
        if !offset.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::Fault);
        }
        let first = offset / PAGE_SIZE;
        let end = first.checked_add(pages).ok_or(Errno::Inval)?;
        self.check_owner(caller, device)?;
        let Self { machine, objects, .. } = self;
        let cache = &mut objects.files.cache;
        while let Some(place) = cache.first_from((device, first)).filter(|(_, page)| *page < end) {
            machine.drop_block(cache, place);
        }
        machine.give_back();
        Ok(())
    }

    pub(crate) fn do_clear_cache(&mut self, caller: Endpoint, device: u64) -> Result<(), Errno> {
        self.check_owner(caller, device)?;
        self.clear_device(device);
        Ok(())
    }

    fn clear_device(&mut self, device: u64) {
        let Self { machine, objects, .. } = self;
        while let Some(place) = objects.files.cache.first_from((device, 0)) {
            machine.drop_block(&mut objects.files.cache, place);
        }
        machine.give_back();
    }

    /// A file system is gone: what it has cached may never have been right.
    pub(crate) fn forget_devices(&mut self, process: Endpoint) {
        while let Some(device) = self.objects.files.cache.device_of(process) {
            self.clear_device(device);
            self.objects.files.cache.set_owner(device, None);
        }
    }

    /// Does something; if it fails for want of frames that the cache alone has, these are given up, and it is done again.
    pub(crate) fn with_cache_for<R>(&mut self, mut act: impl FnMut(&mut Self) -> Result<R, Errno>) -> Result<R, Errno> {
        let mut least = FEWEST_GIVEN_UP;
        self.machine.frames.take_lack();
        loop {
            match act(self) {
                Err(Errno::NoMem) if self.give_up_blocks(&mut least) => {}
                result => return result,
            }
        }
    }

    /// Gives up blocks that only the cache has, if frames are missing and there are enough of them; each time more.
    #[cold]
    pub(crate) fn give_up_blocks(&mut self, least: &mut u64) -> bool {
        let Self { machine, objects, .. } = self;
        let (wanted, cache) = (machine.frames.take_lack(), &mut objects.files.cache);
        let lacks = wanted.saturating_sub(machine.frames.available());
        if wanted == 0 || cache.alone(&machine.frames) < lacks.max(1) {
            return false;
        }
        let (mut left, mut after) = (lacks.max(*least), 0);
        *least = least.saturating_mul(2);
        while left > 0
            && let Some((age, place)) = cache.oldest_alone(&machine.frames, after)
        {
            machine.drop_block(cache, place);
            (left, after) = (left - 1, age);
        }
        machine.give_back();
        true
    }
}

/// So many blocks are given up at once, at least.
pub(crate) const FEWEST_GIVEN_UP: u64 = 16;
