//! Memory of the measuring program itself.

use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use bench::{PASSES, Trouble, report, timed};
use protocol::vm::{Access, Client, GetUsage, Map, MapFlags, Unmap};
use sys::Ipc;

/// The memory server, asked by this program about itself.
pub(crate) struct Memory {
    server: Client<Ipc>,
}

/// Memory that was mapped.
#[derive(Clone, Copy, Default)]
pub(crate) struct Area {
    pub(crate) start: u64,
    pub(crate) pages: u64,
}

impl Memory {
    pub(crate) fn find() -> Result<Self, Errno> {
        let to = sys::lookup("vm").ok_or(Errno::Srch)?;
        Ok(Self { server: Client { to, transport: Ipc::default() } })
    }

    pub(crate) fn server(&self) -> Endpoint {
        self.server.to
    }

    /// Maps new memory anywhere.
    pub(crate) fn map(&mut self, pages: u64) -> Result<Area, Errno> {
        let flags = MapFlags::ANONYMOUS.bits();
        let (len, process) = (pages * PAGE_SIZE, Endpoint::SELF);
        let call = Map { address: 0, len, offset: 0, flags, access: Access::Write, fd: -1, process };
        Ok(Area { start: self.server.mmap(call)?.address, pages })
    }

    pub(crate) fn unmap(&mut self, area: Area) -> Result<(), Errno> {
        let call = Unmap { address: area.start, len: area.pages * PAGE_SIZE, process: Endpoint::SELF, reserved: 0 };
        self.server.munmap(call).map(drop)
    }

    /// How many pages of this program are there.
    pub(crate) fn resident(&mut self) -> Result<u64, Errno> {
        self.server.usage(GetUsage { process: Endpoint::SELF, reserved: 0 }).map(|usage| usage.resident)
    }
}

impl Area {
    /// Writes the first word of a page; returns what it cost.
    pub(crate) fn touch(self, page: u64) -> u32 {
        assert!(page < self.pages, "the page is one of the area");
        // SAFETY: the area was mapped for this, and to be written.
        unsafe { timed::store(self.start + page * PAGE_SIZE, page + 1) }
    }

    /// Writes all pages.
    pub(crate) fn fill(self) {
        for page in 0..self.pages {
            let word = (self.start + page * PAGE_SIZE) as *mut u64;
            // SAFETY: as above.
            unsafe { word.write_volatile(page + 1) };
        }
    }
}

/// Measures first touches of pages, and mapping a page that is not touched.
pub(crate) fn measure(memory: &mut Memory) -> Result<(), Trouble> {
    let area = memory.map(PASSES)?;
    report("fault.anon", |page| Ok(area.touch(page)))?;
    memory.unmap(area)?;
    report("mmap.page", |_| {
        let before = timed::now();
        let mapped = memory.map(1)?;
        memory.unmap(mapped)?;
        Ok(timed::now().wrapping_sub(before) as u32)
    })
}
