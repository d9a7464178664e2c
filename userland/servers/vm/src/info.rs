//! What the server tells about memory.

use crate::Vm;
use crate::heap::Heap;
use crate::region::Kind;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::Transport;
use protocol::vm::{GetRegion, MemoryInfo, RegionInfo, Usage};

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Memory as a whole.
    pub fn memory_info(&self) -> MemoryInfo {
        let frames = &self.machine.frames;
        MemoryInfo {
            total: frames.total(),
            free: frames.free().len(),
            largest_run: frames.free().runs(u32::MAX).map(|run| u64::from(run.end - run.start)).max().unwrap_or(0),
            cached: self.objects.files.cache.alone(frames),
            overhead: frames.overhead(),
            processes: self.processes.len(),
        }
    }

    /// All that processes and objects have, as text: equal if and only if nothing has changed.
    pub fn describe(&self) -> alloc::string::String {
        let processes = self.processes.iter().map(|process| {
            let memory = &process.memory;
            let what =
                (&memory.space.name, &memory.regions, &memory.pages, &memory.data, &memory.limits, &memory.fixes);
            alloc::format!("{:?} {:?} {:?} {what:?}", process.endpoint, process.exits, process.authority)
        });
        let objects = alloc::format!("{:?}", self.objects);
        processes.chain([objects]).collect()
    }

    /// How long the memory is that a page shows part of, if that is shared: in pages.
    pub fn object_len(&self, process: Endpoint, page: u64) -> u64 {
        let region = self.processes.get(process).and_then(|process| process.memory.regions.find(page));
        let object = region.and_then(|(_, region)| match region.kind {
            Kind::Shared { object, .. } => self.objects.get(object),
            _ => None,
        });
        object.map_or(0, |object| object.len)
    }

    pub(crate) fn usage_of(&self, process: Endpoint) -> Result<Usage, Errno> {
        let memory = &self.processes.get(process).ok_or(Errno::Srch)?.memory;
        Ok(Usage {
            pages: memory.mapped,
            resident: memory.pages.len(),
            most_resident: memory.counters.most_resident,
            minor_faults: memory.counters.minor_faults,
            major_faults: memory.counters.major_faults,
            regions: memory.regions.len() as u64,
        })
    }

    pub(crate) fn region_of(&self, process: Endpoint, call: &GetRegion) -> Result<RegionInfo, Errno> {
        let memory = &self.processes.get(process).ok_or(Errno::Srch)?.memory;
        let (start, region) = memory.regions.next(call.address / PAGE_SIZE).ok_or(Errno::NoEnt)?;
        Ok(RegionInfo {
            start: start * PAGE_SIZE,
            len: (region.end - start) * PAGE_SIZE,
            access: region.access,
            kind: region.kind.into(),
            resident: memory.pages.in_range(start..region.end).count() as u64,
        })
    }
}
