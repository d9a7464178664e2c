//! The memory server: which pages there are, and which frame it has put where. It knows nothing of grants.

use crate::machine::Computer;
use crate::system::{System, VM};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use kernel_core::frames::FrameNumber;
use protocol::vmctl::{
    Access, Backing, Cache, Claim, CreateSpace, DestroySpace, Donate, GiveBack, MapRun, Part, ProtectRun, QueryRun,
    Release, UnmapRun,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// A program's memory: on both sides of a border between leaf tables.
pub(crate) const ARENA: Range<u64> = 0x40_0000 - 20 * PAGE_SIZE..0x40_0000 + 24 * PAGE_SIZE;

/// Where it is that may only be read.
const TEXT: u64 = ARENA.end - 4 * PAGE_SIZE;

/// Whether there is memory at a page, and whether it is to be written.
pub(crate) fn region(page: u64) -> Option<Access> {
    let access = if page < TEXT { Access::Write } else { Access::Read };
    ARENA.contains(&page).then_some(access)
}

type PageName = (u64, u64);

#[derive(Default)]
pub(crate) struct Server {
    /// The frame of each page that is mapped.
    mapped: BTreeMap<PageName, u64>,
    /// Those of pages that it has taken away, which keep what stood there.
    stored: BTreeMap<PageName, u64>,
}

impl Server {
    /// Takes a frame out of the kernel's pool.
    fn claim(system: &mut System<'_>) -> u64 {
        system.by(VM, &Claim { count: 1 }).expect("there is memory").first
    }

    /// Makes a space without pages.
    pub(crate) fn create(&mut self, system: &mut System<'_>) -> u64 {
        let root = Self::claim(system);
        system.by(VM, &CreateSpace { root }).expect("there is room").space
    }

    /// Brings a page that is missing. Returns whether it holds what was there before, and not zeros.
    pub(crate) fn bring(&mut self, system: &mut System<'_>, space: u64, address: u64, access: Access) -> bool {
        let stored = self.stored.remove(&(space, address));
        let frame = stored.unwrap_or_else(|| Self::claim(system));
        let (backing, cache) = (Backing::Memory, Cache::Normal);
        let call = MapRun { space, address, frame, count: 1, access, backing, cache };
        loop {
            let mapped = system.by(VM, &call).expect("nothing is there");
            if mapped.done == 1 {
                break;
            }
            for _ in 0..mapped.lacks {
                let first = Self::claim(system);
                system.by(VM, &Donate { space, first, count: 1 }).expect("it is idle");
            }
        }
        self.mapped.insert((space, address), frame);
        stored.is_some()
    }

    /// Brings pages that are missing, in frames that follow each other in this order.
    pub(crate) fn bring_together(&mut self, system: &mut System<'_>, space: u64, pages: &[u64]) {
        let count = pages.len() as u64;
        let mut shorter = Vec::new();
        let first = loop {
            let claimed = system.by(VM, &Claim { count }).expect("there is memory");
            if claimed.count == count {
                break claimed.first;
            }
            shorter.push(claimed);
        };
        for run in shorter {
            system.by(VM, &GiveBack { first: run.first, count: run.count }).expect("it is idle");
        }
        for (page, frame) in pages.iter().zip((first..).step_by(PAGE_SIZE as usize)) {
            self.stored.insert((space, *page), frame);
            self.bring(system, space, *page, Access::Write);
        }
    }

    /// Takes a page away, and keeps its frame or not. The error is the kernel's.
    pub(crate) fn take(&mut self, system: &mut System<'_>, space: u64, address: u64, keep: bool) -> Result<(), Errno> {
        system.by(VM, &UnmapRun { space, address, count: 1, reserved: 0 })?;
        let frame = self.mapped.remove(&(space, address)).expect("it is mapped");
        if keep {
            self.stored.insert((space, address), frame);
        } else {
            Self::give_back(system, frame);
        }
        Ok(())
    }

    fn give_back(system: &mut System<'_>, first: u64) {
        system.by(VM, &Release { first, count: 1 }).expect("it is mapped nowhere");
        system.by(VM, &GiveBack { first, count: 1 }).expect("it is idle");
    }

    pub(crate) fn protect(
        &self,
        system: &mut System<'_>,
        space: u64,
        address: u64,
        access: Access,
    ) -> Result<(), Errno> {
        system.by(VM, &ProtectRun { space, address, count: 1, access }).map(drop)
    }

    /// Makes pages private; each has its own frame then.
    pub(crate) fn part(&self, system: &mut System<'_>, space: u64, address: u64, count: u32) {
        while system.by(VM, &Part { space, address, count, reserved: 0 }).expect("it is a space").more != 0 {}
        for page in (address..).step_by(PAGE_SIZE as usize).take(count as usize) {
            if let Some(frame) = self.mapped.get(&(space, page)) {
                let found = system.by(VM, &QueryRun { space, address: page }).expect("it is a space");
                assert_eq!(found.frame, *frame, "{page:#x} has another frame than it was given");
            }
        }
    }

    /// Ends a space in which nobody lives, with all that it has.
    pub(crate) fn destroy(&mut self, system: &mut System<'_>, space: u64) {
        while system.by(VM, &DestroySpace { space }).expect("nobody lives there").more != 0 {}
        for pages in [&mut self.mapped, &mut self.stored] {
            let all = pages.extract_if((space, 0)..(space + 1, 0), |_, _| true).map(|(_, frame)| frame);
            all.for_each(|frame| Self::give_back(system, frame));
        }
        // The tables of the space are idle now: all frames that the server has not mapped or stored are.
        self.give_back_idle(system);
    }

    fn give_back_idle(&self, system: &mut System<'_>) {
        use kernel_core::frames::FrameKind;
        for number in crate::machine::RAM {
            let first = number * PAGE_SIZE;
            let frame = FrameNumber::containing(first).expect("it is low");
            if system.kernel.spaces.frames().kind(frame) == Ok(FrameKind::Idle) {
                system.by(VM, &GiveBack { first, count: 1 }).expect("it is idle");
            }
        }
    }
}

/// Puts bytes where a page is, whatever its program may do with it.
pub(crate) fn fill(machine: &mut Computer, root: FrameNumber, address: u64, bytes: &[u8]) {
    machine.load(root, address, bytes);
}
