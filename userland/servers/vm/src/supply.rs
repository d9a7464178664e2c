//! Making pages available: zeros at first, copies of what somebody else sees too, and what others have put into shared memory.

use crate::Need;
use crate::cache::Cache;
use crate::frames::Frame;
use crate::from_file::FilePage;
use crate::heap::Heap;
use crate::machine::Machine;
use crate::objects::Objects;
use crate::process::Memory;
use crate::region::{Kind, Region};
use abi::Errno;
use core::ops::Range;
use protocol::Transport;
use protocol::vmctl::{Access, MAX_CLEARED};

impl Need {
    /// Whether an access is enough for it.
    pub(crate) fn is_met_by(self, access: Access) -> bool {
        match self {
            Self::Read => true,
            Self::Write => access == Access::Write,
            Self::Execute => access == Access::Execute,
        }
    }
}

impl Memory {
    /// Whether a process may do something with all pages of a range.
    pub(crate) fn permits(&self, pages: Range<u64>, need: Need) -> bool {
        let mut next = pages.start;
        while next < pages.end {
            match self.regions.find(next) {
                Some((_, region)) if need.is_met_by(region.access) => next = region.end,
                _ => return false,
            }
        }
        true
    }

    /// Makes all pages of a range available that a process may use so.
    ///
    /// # Errors
    /// `EFAULT` if it may not, and `ENOMEM`; `EAGAIN` if the page of a file must be read first, which is noted. Some of them may be there then.
    pub(crate) fn supply<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
        pages: Range<u64>,
        need: Need,
    ) -> Result<(), Errno> {
        let mut next = pages.start;
        while next < pages.end {
            let (start, region) = self.regions.find(next).ok_or(Errno::Fault)?;
            if !need.is_met_by(region.access) {
                return Err(Errno::Fault);
            }
            let beside = match region.kind {
                Kind::Shared { object, .. } => objects.bytes_for_page(object),
                Kind::File { .. } => Cache::BYTES_TO_USE,
                _ => 0,
            };
            machine.reserve(self.pages.bytes_for(1) + beside)?;
            let rest = next..pages.end.min(region.end);
            next = match region.kind {
                Kind::Anonymous => self.supply_own(machine, rest, region.access, need)?,
                Kind::Shared { object, first } => {
                    self.supply_shared(machine, objects, next, &region, (object, first + next - start))?
                }
                Kind::File { file, first, end } => {
                    let shown = FilePage::new(file, first + next - start, end);
                    self.supply_from_file(machine, &mut objects.files, next, &region, need, shown)?
                }
                // All of it has been there from the beginning.
                Kind::Contiguous | Kind::Cache | Kind::Physical { .. } => rest.end,
            };
        }
        self.note_resident();
        Ok(())
    }

    /// As many frames as may become resident.
    pub(crate) fn may_grow(&self) -> u64 {
        self.limits.resident.saturating_sub(self.pages.len())
    }

    /// The first page of a range, and neighbours that are missing. Returns the first that has not been looked at.
    #[inline]
    fn supply_own<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        pages: Range<u64>,
        access: Access,
        need: Need,
    ) -> Result<u64, Errno> {
        let page = pages.start;
        let missing = match self.pages.first_or_missing(pages) {
            Ok(frame) => {
                if need == Need::Write {
                    self.make_writable(machine, page, frame)?;
                }
                return Ok(page + 1);
            }
            Err(missing) => missing,
        };
        let most = missing.min(MAX_CLEARED.into()).min(self.may_grow()) as u32;
        let (first, count) = machine.frames.take_run(most).ok_or(Errno::NoMem)?;
        let end = page + u64::from(count);
        if let Err(error) = machine.map_memory(&mut self.space, page..end, first, access) {
            (0..count).for_each(|skip| machine.frames.unname(first.after(skip)));
            machine.give_back();
            return Err(error);
        }
        self.pages.set_run(page, first, count);
        Ok(end)
    }

    /// A page that is there gets a frame of its own, unless it has one.
    pub(crate) fn make_writable<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        page: u64,
        frame: Frame,
    ) -> Result<(), Errno> {
        if machine.frames.count(frame) == 1 {
            machine.protect(&self.space, page..page + 1, Access::Write);
            return Ok(());
        }
        self.copy_page(machine, page, frame, Access::Write)
    }

    /// Gives a page a frame of its own with the same contents.
    pub(crate) fn copy_page<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        page: u64,
        frame: Frame,
        access: Access,
    ) -> Result<(), Errno> {
        let new = machine.frames.take().ok_or(Errno::NoMem)?;
        machine.replace(&self.space, page, new, access);
        machine.frames.unname(frame);
        self.pages.set(page, new);
        Ok(())
    }

    /// A page of memory that others may show too: which one, of which object.
    fn supply_shared<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        objects: &mut Objects,
        page: u64,
        region: &Region,
        (object, at): (u64, u64),
    ) -> Result<u64, Errno> {
        if self.pages.get(page).is_some() {
            return Ok(page + 1);
        }
        if self.may_grow() == 0 {
            return Err(Errno::NoMem);
        }
        let there = objects.frame(object, at);
        let frame = match there {
            Some(frame) => {
                machine.frames.name_again(frame);
                frame
            }
            None => machine.frames.take().ok_or(Errno::NoMem)?,
        };
        if let Err(error) = machine.map_memory(&mut self.space, page..page + 1, frame, region.access) {
            machine.take_back(frame);
            return Err(error);
        }
        if there.is_none() {
            machine.frames.name_again(frame);
            objects.set_frame(object, at, frame);
        }
        self.pages.set(page, frame);
        Ok(page + 1)
    }
}
