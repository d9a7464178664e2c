//! Files that came with the boot and are no program's: kept until the root system process wants them.

use crate::Vm;
use crate::frames::Frame;
use crate::heap::{Heap, bytes_for_entry};
use crate::machine::Rights;
use crate::region::{Kind, Region, Uses};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::Transport;
use protocol::vmctl::Access;

/// A file in whole frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// The physical address of its first byte, at the beginning of a frame.
    first: u64,
    /// Bytes.
    len: u64,
}

impl File {
    /// Its frames, by number.
    fn frames(&self) -> Range<u64> {
        self.first / PAGE_SIZE..self.first.saturating_add(self.len).div_ceil(PAGE_SIZE)
    }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Keeps the file at a place of the boot table, whose frames are programs' memory for the kernel and mapped nowhere.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn keep_file(&mut self, place: u64, first: u64, len: u64) -> Result<(), Errno> {
        self.machine.reserve(bytes_for_entry::<u64, File>())?;
        self.kept.insert(place, File { first, len });
        Ok(())
    }

    /// Frees the frames of a file that nobody wants any more.
    pub fn free_file(&mut self, first: u64, len: u64) {
        let frames = File { first, len }.frames();
        self.machine.frames.take_back(frames.start as u32, (frames.end - frames.start) as u32);
        self.machine.give_back();
    }

    /// Gives a kept file to the caller: where it is from now on, and its length.
    pub(crate) fn do_boot_file(&mut self, caller: Endpoint, place: u64) -> Result<(u64, u64), Errno> {
        let Self { processes, machine, kept, .. } = self;
        let file = *kept.get(&place).ok_or(Errno::NoEnt)?;
        let frames = file.frames();
        let count = frames.end - frames.start;
        let memory = &mut processes.get_mut(caller)?.memory;
        machine.reserve(memory.regions.bytes_for(1) + memory.pages.bytes_for(count))?;
        let start = memory.place_for(count)?;
        machine.map(&mut memory.space, start..start + count, file.first, Rights::memory(Access::Read))?;
        for (page, number) in (start..).zip(frames) {
            // The kernel has just mapped it, so there is such a frame.
            if let Some(frame) = Frame::at(number * PAGE_SIZE) {
                machine.frames.adopt(frame);
                memory.pages.set(page, frame);
            }
        }
        let region = Region { end: start + count, access: Access::Read, uses: Uses::empty(), kind: Kind::Anonymous };
        memory.add_region(start, region);
        memory.note_resident();
        kept.remove(&place);
        Ok((start * PAGE_SIZE, file.len))
    }
}
