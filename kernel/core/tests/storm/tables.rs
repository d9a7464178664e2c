//! The tables that a kernel works on, over the frames of a [`Computer`].

use crate::machine::{Computer, DEVICE, KERNEL, RAM};
use crate::regs::Regs;
use abi::PRIVILEGES;
use abi::layout::PAGE_SIZE;
use kernel_core::filters::Filters;
use kernel_core::frames::{FrameInfo, Frames};
use kernel_core::rights::Refusals;
use kernel_core::spaces::lending::{Lending, Lendings};
use kernel_core::spaces::{SPACES, Space, SpaceTable};
use kernel_core::{PrivilegeTable, Privileges, Process, Slot, Spaces, Storage, Table};

/// The tables of the core.
pub(crate) struct Tables {
    procs: Box<Table<Computer>>,
    privileges: Box<PrivilegeTable>,
    filters: Box<Filters>,
    refusals: Box<Refusals>,
    spaces: Box<SpaceTable>,
    frames: Vec<FrameInfo>,
    lendings: Vec<Lending>,
}

impl Tables {
    /// With nothing in them, and room for so many lendings of pages.
    pub(crate) fn new(lendings: usize) -> Self {
        let free: Vec<_> = Slot::all().map(|slot| Process::free(slot, Regs::default())).collect();
        let privileges = vec![Privileges::FREE; PRIVILEGES].into_boxed_slice();
        Self {
            procs: free.into_boxed_slice().try_into().ok().expect("Slot::all has as many as the table"),
            privileges: privileges.try_into().expect("as many"),
            filters: Box::new(Filters::new()),
            refusals: Box::new(Refusals::NONE),
            spaces: vec![Space::FREE; SPACES].into_boxed_slice().try_into().expect("as many"),
            frames: vec![FrameInfo::RESERVED; RAM.end as usize],
            lendings: vec![Lending::UNUSED; lendings],
        }
    }

    /// What a kernel is made of: all RAM is free, and the first device the kernel's own.
    pub(crate) fn storage(&mut self) -> Storage<'_, Computer> {
        let mut frames = Frames::new(&mut self.frames);
        frames.add_kernel(KERNEL.start * PAGE_SIZE..KERNEL.end * PAGE_SIZE);
        frames.add_free(RAM.start * PAGE_SIZE..RAM.end * PAGE_SIZE);
        assert!(frames.keep_device(DEVICE.start * PAGE_SIZE..(DEVICE.start + 1) * PAGE_SIZE));
        Storage {
            procs: &mut self.procs,
            privileges: &mut self.privileges,
            filters: &mut self.filters,
            refusals: &mut self.refusals,
            spaces: Spaces::new(&mut self.spaces, frames, Lendings::new(&mut self.lendings)),
        }
    }
}
