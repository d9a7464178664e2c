//! Changing what a process has where: unmapping, protecting, and adding regions. Whoever calls has checked everything, and
//! reserved what may be allocated.

use crate::heap::Heap;
use crate::machine::Machine;
use crate::objects::Objects;
use crate::process::Memory;
use crate::region::{Kind, Region, USER};
use abi::Errno;
use core::ops::Range;
use protocol::Transport;
use protocol::vmctl::{Access, MAX_RUN};

impl Memory {
    /// The most bytes that splitting regions at both ends of a range allocates.
    pub(crate) fn bytes_to_split(&self) -> usize {
        self.regions.bytes_for(2)
    }

    /// Adds a region where there is none.
    pub(crate) fn add_region(&mut self, start: u64, region: Region) {
        self.mapped += region.end - start;
        self.regions.insert(start, region);
    }

    /// Makes regions begin and end at both ends of a range.
    pub(crate) fn split_at_ends(&mut self, objects: &mut Objects, pages: &Range<u64>) {
        for page in [pages.start, pages.end] {
            if let Some(second) = self.regions.split(page) {
                objects.show_kind(second.kind);
            }
        }
    }

    /// Takes everything in a range away. Frames that nothing names then are to be given back.
    pub(crate) fn unmap<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
        pages: Range<u64>,
    ) {
        self.split_at_ends(objects, &pages);
        while let Some((start, region)) = self.regions.next(pages.start).filter(|(start, _)| *start < pages.end) {
            self.unmap_region(machine, start, &region);
            self.regions.remove(start);
            self.mapped -= region.end - start;
            objects.hide_kind(&mut machine.frames, region.kind);
        }
    }

    fn unmap_region<T: Transport + Copy, H: Heap>(&mut self, machine: &mut Machine<T, H>, start: u64, region: &Region) {
        if let Kind::Physical { .. } = region.kind {
            machine.unmap(&self.space, start..region.end);
            return;
        }
        let mut next = start;
        while let Some((first, _)) = self.pages.next(next..region.end) {
            // Pages are sparse: the kernel passes over holes, but not over empty tables without end.
            let end = (first + u64::from(MAX_RUN)).min(region.end);
            machine.unmap(&self.space, first..end);
            next = end;
        }
        self.pages.take(start..region.end, |_, frame| machine.frames.unname(frame));
    }

    /// Gives all of a range, which regions cover, an access that they may have.
    pub(crate) fn protect<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
        pages: Range<u64>,
        access: Access,
    ) {
        self.split_at_ends(objects, &pages);
        let mut next = pages.start;
        while let Some((start, region)) = self.regions.find(next).filter(|_| next < pages.end) {
            if region.access != access {
                self.regions.set_access(start, access);
                self.show_access(machine, start, &Region { access, ..region });
            }
            next = region.end;
            self.regions.join(start);
        }
        self.regions.join(pages.end);
    }

    /// Makes the pages of a region have its access. Those of which a copy is made when they are written must not be, yet.
    fn show_access<T: Transport + Copy, H: Heap>(&self, machine: &mut Machine<T, H>, start: u64, region: &Region) {
        if let Kind::Physical { .. } = region.kind {
            machine.protect(&self.space, start..region.end, region.access);
            return;
        }
        let mut run: Option<(Range<u64>, Access)> = None;
        for (page, frame) in self.pages.in_range(start..region.end) {
            let is_copied = region.kind.is_own() && machine.frames.count(frame) > 1;
            let access = if is_copied && region.access == Access::Write { Access::Read } else { region.access };
            match &mut run {
                Some((pages, same)) if *same == access && pages.end == page => pages.end += 1,
                _ => {
                    if let Some((pages, access)) = run.replace((page..page + 1, access)) {
                        machine.protect(&self.space, pages, access);
                    }
                }
            }
        }
        if let Some((pages, access)) = run {
            machine.protect(&self.space, pages, access);
        }
    }

    /// Ends the space, in which nobody lives any more, and gives up everything.
    ///
    /// # Errors
    /// `EBUSY` if somebody lives there.
    pub(crate) fn end<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
    ) -> Result<(), Errno> {
        // The kernel would have to look for the pages.
        self.pages.spans(USER).for_each(|span| machine.unmap(&self.space, span));
        machine.destroy(&mut self.space)?;
        self.pages.for_each(|frame| machine.frames.unname(frame));
        for (_, region) in self.regions.iter() {
            objects.hide_kind(&mut machine.frames, region.kind);
        }
        machine.give_back();
        Ok(())
    }
}
