//! Mapping files: for whoever has one open, and for programs that are loaded.

use crate::Vm;
use crate::asks::{Ask, LookUp, MOST_OF_ONE};
use crate::heap::Heap;
use crate::map::{Plan, page_count, pages_of};
use crate::region::{Kind, Region, Uses};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::vm::{FileAnswer, Map, MapFile, MapFlags, Mapped};
use protocol::vmctl::Access;
use protocol::{Caller, Transport};

/// What of a file is mapped, and how.
struct FileMap {
    /// Where, at a multiple of the page size; 0 for anywhere.
    address: u64,
    plan: Plan,
    uses: Uses,
    /// The first page of the file.
    first: u64,
    /// Where what is shown of it ends, in bytes: zeros follow in that page, and nothing behind that.
    end: u64,
}

/// What the file server says a file is.
#[derive(Clone, Copy)]
struct Identity {
    device: u64,
    inode: u64,
    fd: i32,
}

/// What a [`Map`] says of a file, but for how long that is, and by how many bytes the answer is behind the beginning of the region.
///
/// # Errors
/// `EINVAL` for an impossible range and flags that are for memory, `ENOTSUP` for what would write the file.
fn file_map(call: &Map) -> Result<(FileMap, u64), Errno> {
    let flags = MapFlags::from_bits(call.flags).ok_or(Errno::Inval)?;
    if !(MapFlags::SHARED | MapFlags::FIXED).contains(flags) || !call.address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::Inval);
    }
    let skip = call.offset % PAGE_SIZE;
    let is_fixed = flags.contains(MapFlags::FIXED);
    let len = page_count(call.len).and_then(|_| call.len.checked_add(skip).ok_or(Errno::Inval))?;
    // The program wants its bytes there, and not that behind them.
    if is_fixed && skip > 0 || call.offset.checked_add(call.len).is_none_or(|end| end > i64::MAX as u64) {
        return Err(Errno::Inval);
    }
    if is_fixed {
        pages_of(call.address, len)?;
    }
    let is_shared = flags.contains(MapFlags::SHARED);
    if is_shared && call.access == Access::Write {
        return Err(Errno::NotSup);
    }
    let plan = Plan { pages: page_count(len)?, access: call.access, flags: flags & MapFlags::FIXED };
    let uses = if is_shared { Uses::EXECUTE } else { Uses::all() };
    Ok((FileMap { address: call.address, plan, uses, first: call.offset / PAGE_SIZE, end: 0 }, skip))
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// A file is to be mapped: the file server is asked which it is. The caller is answered later.
    pub(crate) fn do_mmap_file(&mut self, caller: Caller, call: &Map) -> Result<(), Errno> {
        file_map(call)?;
        let target = self.target(caller.endpoint, call.process)?;
        let asks = &self.objects.files.asks;
        let server = asks.server.ok_or(Errno::NoSys)?;
        if call.fd < 0 {
            return Err(Errno::BadF);
        }
        if server == caller.endpoint || !self.can_wait(target) {
            return Err(Errno::Locked);
        }
        if asks.calls_of(caller.endpoint) >= MOST_OF_ONE {
            return Err(Errno::NoMem);
        }
        self.make_room_to_ask()?;
        self.objects.files.asks.push(Ask::LookUp(LookUp { caller, target, call: *call }));
        Ok(())
    }

    /// The file server has said which file it is.
    pub(crate) fn looked_up(&mut self, ask: &LookUp, status: Result<(), Errno>, answer: &FileAnswer) {
        let result = status.and_then(|()| self.map_looked_up(ask, answer));
        if self.is_alive(ask.caller.endpoint) {
            self.answer_later(ask.caller, result.map(|address| Mapped { address }));
        }
    }

    fn map_looked_up(&mut self, ask: &LookUp, answer: &FileAnswer) -> Result<u64, Errno> {
        let FileAnswer { device, inode, fd, size, .. } = *answer;
        if fd < 0 {
            return Err(Errno::Proto);
        }
        let identity = Identity { device, inode, fd };
        if self.objects.files.by_fd(fd).is_some() {
            // It is not another's to be closed.
            return Err(Errno::Proto);
        }
        let known = self.objects.files.by_inode(device, inode);
        let mapped = self.check_alive(ask).and_then(|()| {
            let (map, skip) = file_map(&ask.call)?;
            let map = FileMap { end: size, ..map };
            Ok(self.with_cache_for(|vm| vm.map_file(ask.target, &map, identity, known))? + skip)
        });
        if known.is_some() || mapped.is_err() {
            self.objects.files.asks.push(Ask::Close(fd));
        }
        mapped
    }

    fn check_alive(&self, ask: &LookUp) -> Result<(), Errno> {
        let both = self.is_alive(ask.target) && self.is_alive(ask.caller.endpoint);
        if both { Ok(()) } else { Err(Errno::Srch) }
    }

    /// Maps a file whose descriptor is the server's already.
    pub(crate) fn do_map_file(&mut self, caller: Endpoint, call: &MapFile) -> Result<(), Errno> {
        let MapFile { process, access, address, len, offset, device, inode, fd, clear_end } = *call;
        let target = self.target(caller, process)?;
        if self.file_server() != Some(caller) {
            return Err(Errno::Perm);
        }
        let pages = pages_of(address, len)?;
        let count = pages.end - pages.start;
        let end = offset.checked_add(count * PAGE_SIZE).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::Inval)?;
        let clear = u64::from(clear_end);
        if !offset.is_multiple_of(PAGE_SIZE) || clear >= PAGE_SIZE {
            return Err(Errno::Inval);
        }
        if fd < 0 {
            return Err(Errno::BadF);
        }
        let known = match self.objects.files.by_fd(fd) {
            Some((_, file)) if (file.device, file.inode) != (device, inode) => return Err(Errno::Inval),
            found => found.map(|(number, _)| number),
        };
        let plan = Plan { pages: count, access, flags: MapFlags::FIXED };
        let (first, end) = (offset / PAGE_SIZE, end - clear);
        let map = FileMap { address, plan, uses: Uses::all(), first, end };
        self.map_file(target, &map, Identity { device, inode, fd }, known).map(drop)
    }

    /// Maps a part of a file that is known already, or of a new one. Returns where.
    fn map_file(
        &mut self,
        target: Endpoint,
        map: &FileMap,
        Identity { device, inode, fd }: Identity,
        known: Option<u32>,
    ) -> Result<u64, Errno> {
        let FileMap { address, plan, uses, first, end } = map;
        let memory = &mut self.processes.get_mut(target)?.memory;
        if memory.is_pinned {
            return Err(Errno::Again);
        }
        let wish = pages_of(*address, plan.pages * PAGE_SIZE).ok();
        let (start, replaced) = if plan.flags.contains(MapFlags::FIXED) {
            let pages = wish.ok_or(Errno::Inval)?;
            (pages.start, memory.regions.covered(&pages))
        } else {
            let free = wish.filter(|pages| memory.regions.covered(pages) == 0);
            let found = free.map(|pages| pages.start).or_else(|| memory.regions.find_place(plan.pages));
            (found.ok_or(Errno::NoMem)?, 0)
        };
        self.prepare(target, plan, replaced, self.objects.files.bytes_for_one())?;
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(target)?.memory;
        // Before it is taken away that may be the last to show it.
        let file = match known {
            Some(file) => {
                objects.files.show(file);
                file
            }
            None => objects.files.add(device, inode, fd),
        };
        memory.unmap(machine, objects, start..start + plan.pages);
        let kind = Kind::File { file, first: *first, end: *end };
        let region = Region { end: start + plan.pages, access: plan.access, uses: *uses, kind };
        memory.add_region(start, region);
        machine.give_back();
        Ok(start * PAGE_SIZE)
    }
}
