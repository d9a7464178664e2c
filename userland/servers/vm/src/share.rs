//! Memory that two processes show, and devices.

use crate::Vm;
use crate::heap::Heap;
use crate::machine::{Machine, Rights};
use crate::map::{page_count, pages_of};
use crate::objects::Objects;
use crate::pages::Pages;
use crate::process::Memory;
use crate::region::{Kind, MOST, Region, Uses};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::Transport;
use protocol::vm::{MapPhysical, Remap, Sharers};
use protocol::vmctl::{Access, Backing};

impl Memory {
    /// Checks that one more region may be in a range; returns its first page.
    ///
    /// # Errors
    /// `EEXIST` if something is there, `ENOMEM` if it is too much.
    pub(crate) fn check_place(&self, pages: &Range<u64>) -> Result<u64, Errno> {
        if self.regions.covered(pages) > 0 {
            return Err(Errno::Exist);
        }
        let mapped = self.mapped.checked_add(pages.end - pages.start);
        let fits = mapped.is_some_and(|mapped| mapped <= self.limits.mapped) && self.regions.len() < MOST;
        if fits { Ok(pages.start) } else { Err(Errno::NoMem) }
    }

    /// A place for one more region.
    pub(crate) fn place_for(&mut self, len: u64) -> Result<u64, Errno> {
        let start = self.regions.find_place(len).ok_or(Errno::NoMem)?;
        self.check_place(&(start..start + len))
    }

    /// Makes a region one that can be shown by others: an object has its pages. Returns the object.
    ///
    /// # Errors
    /// `ENOMEM`: the region is what it was. `EINVAL` for one that is neither anonymous nor all of an object.
    fn make_shared<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
        start: u64,
        region: &Region,
    ) -> Result<u64, Errno> {
        let len = region.end - start;
        match region.kind {
            Kind::Shared { object, first: 0 } if objects.get(object).is_some_and(|shown| shown.len == len) => {
                return Ok(object);
            }
            Kind::Anonymous => {}
            _ => return Err(Errno::Inval),
        }
        // What a child or parent sees too is written by one of them from now on: it gets a copy.
        let mut next = start;
        while let Some((page, frame)) = self.pages.next(next..region.end) {
            next = page + 1;
            if machine.frames.count(frame) > 1 {
                self.copy_page(machine, page, frame, region.access)?;
            } else if region.access == Access::Write {
                machine.protect(&self.space, page..page + 1, Access::Write);
            }
        }
        let mut pages = Pages::default();
        for (page, frame) in self.pages.in_range(start..region.end) {
            machine.frames.name_again(frame);
            pages.set(page - start, frame);
        }
        let object = objects.add(pages, len);
        self.regions.set_kind(start, Kind::Shared { object, first: 0 });
        Ok(object)
    }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    pub(crate) fn do_remap(&mut self, caller: Endpoint, call: &Remap) -> Result<u64, Errno> {
        let (source, target) = (self.target(caller, call.source)?, self.target(caller, call.process)?);
        let pages = pages_of(call.source_address, call.len)?;
        let len = pages.end - pages.start;
        let from = &self.processes.get_mut(source)?.memory;
        let region = *from.regions.at(pages.start).ok_or(Errno::Inval)?;
        if region.end != pages.end {
            return Err(Errno::Fault);
        }
        if call.access != Access::Read && region.access != call.access {
            return Err(Errno::Perm);
        }
        let bytes = Objects::BYTES_FOR_ONE + from.pages.bytes() + Pages::default().bytes_for(len);
        let to = &mut self.processes.get_mut(target)?.memory;
        let start = match call.address {
            0 => to.place_for(len)?,
            address => to.check_place(&pages_of(address, call.len)?)?,
        };
        self.machine.reserve(bytes + to.regions.bytes_for(1))?;
        let Self { processes, machine, objects, .. } = self;
        let from = &mut processes.get_mut(source)?.memory;
        let object = from.make_shared(machine, objects, pages.start, &region);
        machine.give_back();
        let object = object?;
        objects.show(object);
        let uses = match call.access {
            Access::Read => Uses::empty(),
            Access::Write => Uses::WRITE,
            Access::Execute => Uses::EXECUTE,
        };
        let kind = Kind::Shared { object, first: 0 };
        let to = &mut processes.get_mut(target)?.memory;
        to.add_region(start, Region { end: start + len, access: call.access, uses, kind });
        Ok(start * PAGE_SIZE)
    }

    /// How many regions show the memory at an address, and which it is.
    pub(crate) fn do_sharers(&mut self, caller: Endpoint, call: &Sharers) -> Result<(u64, u64), Errno> {
        let target = self.target(caller, call.process)?;
        let memory = &self.processes.get_mut(target)?.memory;
        let (_, region) = memory.regions.find(call.address / PAGE_SIZE).ok_or(Errno::Inval)?;
        Ok(match region.kind {
            Kind::Shared { object, .. } => (self.objects.get(object).map_or(0, |shown| shown.regions), object),
            _ => (1, 0),
        })
    }

    /// Ends the mapping of a device, which begins at an address.
    pub(crate) fn do_unmap_physical(&mut self, caller: Endpoint, process: Endpoint, address: u64) -> Result<(), Errno> {
        let target = self.target(caller, process)?;
        let start = address / PAGE_SIZE;
        let region = self.processes.get_mut(target)?.memory.regions.at(start).copied();
        match region {
            Some(Region { end, kind: Kind::Physical { .. }, .. }) => self.take_away(target, start..end),
            _ => Err(Errno::Inval),
        }
    }

    /// Maps a device for a process that the kernel gives it to.
    pub(crate) fn do_map_physical(&mut self, caller: Endpoint, call: &MapPhysical) -> Result<u64, Errno> {
        let target = self.target(caller, call.process)?;
        let last = call.physical.checked_add(page_count(call.len).map(|_| call.len - 1)?).ok_or(Errno::Inval)?;
        let (first, offset) = (call.physical / PAGE_SIZE, call.physical % PAGE_SIZE);
        let len = last / PAGE_SIZE - first + 1;
        if call.access == Access::Execute {
            return Err(Errno::Inval);
        }
        let Self { processes, machine, .. } = self;
        let memory = &mut processes.get_mut(target)?.memory;
        machine.reserve(memory.regions.bytes_for(1))?;
        let start = memory.place_for(len)?;
        let rights = Rights { access: call.access, cache: call.cache, backing: Backing::Device };
        machine.map(&mut memory.space, start..start + len, first * PAGE_SIZE, rights)?;
        let kind = Kind::Physical { first, cache: call.cache };
        memory.add_region(start, Region { end: start + len, access: call.access, uses: Uses::WRITE, kind });
        Ok(start * PAGE_SIZE + offset)
    }
}
