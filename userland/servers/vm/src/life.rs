//! Processes begin, begin anew, change places and end.

use crate::Vm;
use crate::heap::Heap;
use crate::machine::Machine;
use crate::objects::Objects;
use crate::process::{Authority, Fix, Memory, Process, Processes};
use crate::region::{Kind, Region, USER, Uses};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::Transport;
use protocol::kernel;
use protocol::vm::{Fork, Spawn, Update};
use protocol::vmctl::{Access, Found, GetSpaceOf, QueryRun, Settle, Sharing};

impl Memory {
    /// The most bytes that a copy allocates.
    fn bytes_to_copy(&self) -> usize {
        self.regions.bytes() + self.pages.bytes() + Processes::BYTES_FOR_ONE
    }

    /// Whether some of a range must stay where it is, so that a child gets copies at once.
    fn stays(&self, pages: &Range<u64>) -> bool {
        let overlaps = |(start, end, _): &Fix| *start < pages.end && pages.start < *end;
        self.is_pinned || self.fixes.keys().any(overlaps)
    }

    /// Puts into an empty memory what this one has. What is written, by either, is copied then.
    ///
    /// # Errors
    /// `ENOMEM`, also for contiguous memory, which cannot be in two places; the child may have some of it then.
    fn copy_to<T: Transport + Copy, H: Heap>(
        &self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
        child: &mut Memory,
    ) -> Result<(), Errno> {
        for (start, region) in self.regions.iter() {
            if region.kind == Kind::Contiguous {
                return Err(Errno::NoMem);
            }
            objects.show_kind(region.kind);
            // What is in the cache changes with the file system's memory only.
            let kind = if region.kind == Kind::Cache { Kind::Anonymous } else { region.kind };
            child.add_region(start, Region { kind, ..*region });
            let pages = start..region.end;
            match region.kind {
                Kind::Cache => self.copy_now(machine, child, pages, region.access)?,
                kind if kind.is_own() && self.stays(&pages) => self.copy_now(machine, child, pages, region.access)?,
                Kind::Anonymous | Kind::File { .. } => {
                    self.share_with(machine, child, pages, Sharing::CopyOnWrite)?;
                }
                Kind::Shared { .. } => self.share_with(machine, child, pages, Sharing::Same)?,
                Kind::Physical { .. } => machine.share(&self.space, &mut child.space, pages, Sharing::Same)?,
                Kind::Contiguous => {}
            }
        }
        child.note_resident();
        Ok(())
    }

    /// Lets a child see the pages of a region.
    fn share_with<T: Transport + Copy, H: Heap>(
        &self,
        machine: &mut Machine<T, H>,
        child: &mut Memory,
        pages: Range<u64>,
        sharing: Sharing,
    ) -> Result<(), Errno> {
        for span in self.pages.spans(pages) {
            machine.share(&self.space, &mut child.space, span.clone(), sharing)?;
            self.pages.copy_to(span, &mut child.pages, |frame| machine.frames.name_again(frame));
        }
        Ok(())
    }

    /// Gives a child copies of the pages of a region, since these must stay as they are.
    fn copy_now<T: Transport + Copy, H: Heap>(
        &self,
        machine: &mut Machine<T, H>,
        child: &mut Memory,
        pages: Range<u64>,
        access: Access,
    ) -> Result<(), Errno> {
        for (page, _) in self.pages.in_range(pages) {
            let new = machine.frames.take().ok_or(Errno::NoMem)?;
            if let Err(error) = machine.share(&self.space, &mut child.space, page..page + 1, Sharing::Same) {
                machine.frames.unname(new);
                return Err(error);
            }
            machine.replace(&child.space, page, new, access);
            child.pages.set(page, new);
        }
        Ok(())
    }

    /// Takes over what the kernel has mapped in a space.
    fn take_over<T: Transport + Copy, H: Heap>(&mut self, machine: &mut Machine<T, H>) -> Result<(), Errno> {
        let mut page = USER.start;
        while page < USER.end {
            let query = QueryRun { space: self.space.name, address: page * PAGE_SIZE };
            let found = machine.vmctl().query(query)?;
            let end = page + found.count;
            if found.found == Found::Memory {
                machine.reserve(self.regions.bytes_for(1) + self.pages.bytes_for(found.count))?;
                for (page, number) in (page..end).zip(found.frame / PAGE_SIZE..) {
                    let frame = crate::frames::Frame::at(number * PAGE_SIZE).ok_or(Errno::Dom)?;
                    machine.frames.adopt(frame);
                    self.pages.set(page, frame);
                }
                self.add_region(page, Region { end, access: found.access, uses: Uses::all(), kind: Kind::Anonymous });
            }
            page = end;
        }
        Ok(())
    }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Makes a process known that the kernel has made. It gets an empty space if it lives in none.
    ///
    /// # Errors
    /// `EINVAL` if its slot is taken, `ENOMEM`, and those of the kernel.
    pub fn adopt(&mut self, endpoint: Endpoint, authority: Authority) -> Result<(), Errno> {
        if self.processes.is_taken(endpoint.slot()) {
            return Err(Errno::Inval);
        }
        let machine = &mut self.machine;
        machine.reserve(Processes::BYTES_FOR_ONE)?;
        let lives_in = machine.vmctl().space_of(GetSpaceOf { process: endpoint })?.space;
        let mut memory = Memory::new(endpoint, crate::machine::Space::named(lives_in), self.limits);
        if lives_in == 0 {
            memory.space = machine.create()?;
            if let Err(error) = settle(machine, endpoint, memory.space.name) {
                machine.destroy(&mut memory.space)?;
                return Err(error);
            }
        } else {
            memory.take_over(machine)?;
        }
        self.processes.add(Process::new(endpoint, authority, memory));
        Ok(())
    }

    pub(crate) fn do_fork(&mut self, call: &Fork) -> Result<Endpoint, Errno> {
        let Self { processes, machine, objects, limits, .. } = self;
        let parent = processes.get(call.parent).ok_or(Errno::Srch)?;
        if processes.is_taken(call.slot as usize) {
            return Err(Errno::Inval);
        }
        machine.reserve(parent.memory.bytes_to_copy())?;
        let mut memory = Memory::new(Endpoint::NONE, machine.create()?, *limits);
        memory.limits = parent.memory.limits;
        memory.data = parent.memory.data;
        let forked = machine.kernel().fork(kernel::Fork { parent: call.parent, slot: call.slot });
        let child = match forked {
            Ok(forked) => forked.child,
            Err(error) => {
                machine.destroy(&mut memory.space)?;
                return Err(error);
            }
        };
        memory.home = child;
        let copied = parent.memory.copy_to(machine, objects, &mut memory);
        if let Err(error) = copied.and_then(|()| settle(machine, child, memory.space.name)) {
            machine.kernel().clear(kernel::Clear { process: child })?;
            memory.end(machine, objects)?;
            return Err(error);
        }
        let authority = if parent.authority == Authority::User { Authority::User } else { Authority::Nothing };
        self.processes.add(Process::new(child, authority, memory));
        Ok(child)
    }

    /// Makes a process that has nothing yet.
    pub(crate) fn do_spawn(&mut self, call: &Spawn) -> Result<Endpoint, Errno> {
        let Self { processes, machine, limits, .. } = self;
        processes.get(call.parent).ok_or(Errno::Srch)?;
        if processes.is_taken(call.slot as usize) {
            return Err(Errno::Inval);
        }
        machine.reserve(Processes::BYTES_FOR_ONE)?;
        let mut memory = Memory::new(Endpoint::NONE, machine.create()?, *limits);
        let child = match machine.kernel().fork(kernel::Fork { parent: call.parent, slot: call.slot }) {
            Ok(forked) => forked.child,
            Err(error) => {
                machine.destroy(&mut memory.space)?;
                return Err(error);
            }
        };
        memory.home = child;
        if let Err(error) = settle(machine, child, memory.space.name) {
            machine.kernel().clear(kernel::Clear { process: child })?;
            machine.destroy(&mut memory.space)?;
            return Err(error);
        }
        self.processes.add(Process::new(child, Authority::Nothing, memory));
        Ok(child)
    }

    pub(crate) fn do_will_exit(&mut self, process: Endpoint) -> Result<(), Errno> {
        self.processes.get_mut(process)?.exits = true;
        Ok(())
    }

    pub(crate) fn do_exit(&mut self, endpoint: Endpoint) -> Result<(), Errno> {
        let Self { processes, machine, objects, .. } = self;
        let process = processes.get_mut(endpoint)?;
        if !process.exits {
            return Err(Errno::Inval);
        }
        match settle(machine, endpoint, 0) {
            // The kernel knows it no more.
            Ok(()) | Err(Errno::Inval) => {}
            Err(error) => return Err(error),
        }
        process.memory.end(machine, objects)?;
        processes.remove(endpoint);
        self.forget_waits(endpoint);
        self.forget_file_server(endpoint);
        self.forget_devices(endpoint);
        Ok(())
    }

    pub(crate) fn do_clear(&mut self, endpoint: Endpoint) -> Result<(), Errno> {
        let Self { processes, machine, objects, .. } = self;
        let process = processes.get_mut(endpoint)?;
        let mut memory = Memory::new(endpoint, machine.create()?, process.memory.limits);
        if let Err(error) = settle(machine, endpoint, memory.space.name) {
            machine.destroy(&mut memory.space)?;
            return Err(error);
        }
        memory.counters = process.memory.counters;
        let mut old = core::mem::replace(&mut process.memory, memory);
        old.end(machine, objects)?;
        self.forget_waits(endpoint);
        Ok(())
    }

    pub(crate) fn do_update(&mut self, call: &Update) -> Result<(), Errno> {
        let Update { source, destination, direction, flags } = *call;
        let [a, b] = self.processes.two(source, destination)?;
        if flags != 0 || a.exits || b.exits {
            return Err(Errno::Inval);
        }
        let asks = &self.objects.files.asks;
        if asks.concern(source) || asks.concern(destination) {
            return Err(Errno::Busy);
        }
        self.machine.kernel().update(kernel::Update { source, destination, direction })?;
        // A program keeps what it has, and what it may do, under the other name.
        core::mem::swap(&mut a.memory, &mut b.memory);
        core::mem::swap(&mut a.memory.home, &mut b.memory.home);
        core::mem::swap(&mut a.authority, &mut b.authority);
        Ok(())
    }
}

fn settle<T: Transport + Copy, H: Heap>(machine: &Machine<T, H>, process: Endpoint, space: u64) -> Result<(), Errno> {
    machine.vmctl().settle(Settle { process, reserved: 0, space }).map(drop)
}
