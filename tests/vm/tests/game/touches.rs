//! Programs touch memory, and somebody needs it.

use super::Game;
use crate::model::{PLACES, Shows};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use kernel_core::MemoryAccess;
use protocol::vm::{Fix, GetRegion, Unfix};
use protocol::vmctl::Access;

impl Game<'_, '_, '_, '_> {
    pub(super) fn write(&mut self, who: usize) {
        let (page, place, byte) = (self.page(who), self.random.below(4) as usize, self.random.word() as u8);
        let process = &self.model.processes[who];
        let (endpoint, may) = (process.endpoint, process.permits(page..page + 1, Access::Write));
        self.what += &format!("{:#x} writes {byte} at {page:#x} ", endpoint.raw());
        let written = self.bench.write(endpoint, page * PAGE_SIZE + PLACES[place], byte);
        assert_eq!(written.is_ok(), may, "{written:?}");
        if may {
            self.model.write(who, page, place, byte);
        }
        self.count("write", if may { "Ok" } else { "refused" });
    }

    pub(super) fn read(&mut self, who: usize) {
        let (page, place) = (self.page(who), self.random.below(4) as usize);
        let process = &self.model.processes[who];
        let found = process.pages.get(&page).filter(|page| page.shows != Shows::Nothing);
        let expected = found.map(|page| self.model.bytes(page)[place]).ok_or(Errno::Fault);
        let endpoint = process.endpoint;
        self.what += &format!("{:#x} reads {page:#x} ", endpoint.raw());
        let read = self.bench.read(endpoint, page * PAGE_SIZE + PLACES[place]).map_err(|segv| segv.why);
        assert_eq!(read, expected);
        self.count("read", if read.is_ok() { "Ok" } else { "refused" });
    }

    pub(super) fn execute(&mut self, who: usize) {
        let page = self.page(who);
        let process = &self.model.processes[who];
        let (endpoint, may) = (process.endpoint, process.permits(page..page + 1, Access::Execute));
        self.what += &format!("{:#x} executes {page:#x} ", endpoint.raw());
        assert_eq!(self.bench.run(endpoint, page * PAGE_SIZE).is_ok(), may);
        self.count("execute", if may { "Ok" } else { "refused" });
    }

    pub(super) fn request(&mut self, who: usize) {
        let (range, address, len) = self.range(who);
        let process = &self.model.processes[who];
        let (access, kind) =
            [(Access::Read, MemoryAccess::Read), (Access::Write, MemoryAccess::Write)][self.random.below(2) as usize];
        let (endpoint, may) = (process.endpoint, process.permits(range, access));
        self.what += &format!("{:#x} needs {len:#x} at {address:#x} ", endpoint.raw());
        assert_eq!(self.bench.request(endpoint, address, len, kind), may);
        self.count("request", if may { "Ok" } else { "refused" });
    }

    pub(super) fn fix(&mut self, who: usize) {
        let caller = self.bench.first;
        let process = self.model.processes[who].endpoint;
        if self.random.below(2) == 0
            && let Some((address, len, write)) = self.model.processes[who].fixes.pop()
        {
            let _ = self.call(caller, &Unfix { process, write, address, len }, Ok(()));
            return;
        }
        let (range, address, len) = self.range(who);
        let write = self.random.below(2) as u32;
        let access = [Access::Read, Access::Write][write as usize];
        let may = self.model.processes[who].permits(range, access);
        let expected = if may { Ok(()) } else { Err(Errno::Fault) };
        if self.call(caller, &Fix { process, write, address, len }, expected).is_ok() {
            self.model.processes[who].fixes.push((address, len, write));
        }
    }

    /// Compares what each page shows, if it is there, and where pages may be.
    pub(super) fn compare(&mut self) {
        for who in 0..self.model.processes.len() {
            let process = &self.model.processes[who];
            for (number, page) in &process.pages {
                let bytes = self.model.bytes(page);
                let shown = self.bench.shown(process.endpoint, *number);
                let is_own = !matches!(page.shows, Shows::Shared { .. } | Shows::File(_, false));
                match shown {
                    Some(shown) => assert_eq!(shown, bytes, "{:#x} shows at {number:#x}", process.endpoint.raw()),
                    None => assert!(!is_own || bytes == [0; 4], "{number:#x} was written and is not there"),
                }
            }
            self.compare_regions(who);
        }
    }

    fn compare_regions(&mut self, who: usize) {
        let process = self.model.processes[who].endpoint;
        let (mut address, mut seen) = (0, 0);
        while let Ok(region) = self.bench.call(self.bench.first, &GetRegion { process, reserved: 0, address }) {
            for number in region.start / PAGE_SIZE..(region.start + region.len) / PAGE_SIZE {
                let page = self.model.processes[who].pages.get(&number);
                assert_eq!(page.map(|page| page.access), Some(region.access), "{number:#x}");
                seen += 1;
            }
            address = region.start + region.len;
        }
        assert_eq!(seen, self.model.processes[who].pages.len());
    }
}
