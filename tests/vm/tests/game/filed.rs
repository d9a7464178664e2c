//! Processes map files, and the file system does what it likes with its cache.

use super::Game;
use crate::bench::Bench;
use crate::model::{Bytes, PLACES, Page, Shows};
use crate::vfs::{DEVICE, PAGES_OF_FILE, Vfs, byte, set_cache};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use protocol::vm::{CacheFlags, ForgetCache, Map, MapCache, MapFlags, SetCache, Unmap};
use protocol::vmctl::Access;

/// What a page of a file shows.
fn page_of(inode: u64, page: u64, size: u64) -> Shows {
    let shown = |place: u64| {
        let offset = page * PAGE_SIZE + place;
        if offset < size { byte(inode, offset) } else { 0 }
    };
    if page * PAGE_SIZE >= size { Shows::Nothing } else { Shows::File(Bytes::from(PLACES.map(shown)), false) }
}

impl Game<'_, '_, '_, '_> {
    pub(super) fn map_file(&mut self, who: usize) {
        let (inode, first, len, access) =
            (3 + self.random.below(3), self.random.below(5), 1 + self.random.below(8), self.access());
        let is_shared = self.random.below(4) == 0;
        let mut flags = if is_shared { MapFlags::SHARED } else { MapFlags::empty() };
        let start = match self.random.below(3) {
            0 => 0,
            1 => self.arena(),
            _ => {
                flags |= MapFlags::FIXED;
                self.arena()
            }
        };
        let replaced = if flags.contains(MapFlags::FIXED) { start..start + len } else { 0..0 };
        let process = &self.model.processes[who];
        let too_much = process.is_too_much(len, process.covered(&replaced));
        let expected = match () {
            () if is_shared && access == Access::Write => Err(Errno::NotSup),
            () if process.is_pinned => Err(Errno::Again),
            () if too_much => Err(Errno::NoMem),
            () if self.is_full(who, len) => return,
            () => Ok(()),
        };
        let (target, caller) = (process.endpoint, self.caller(who));
        let call = Map {
            address: start * PAGE_SIZE,
            len: len * PAGE_SIZE,
            offset: first * PAGE_SIZE,
            flags: flags.bits(),
            access,
            fd: inode as i32,
            process: target,
        };
        let mapped = self.call(caller, &call, expected);
        self.count("a file", mapped.as_ref().map_or_else(|error| format!("{error:?}"), |_| "Ok".to_owned()));
        let Ok(mapped) = mapped else {
            return;
        };
        let size = self.bench.vfs.as_ref().expect("there is one").sizes[&inode];
        let process = &mut self.model.processes[who];
        process.unmap(replaced);
        let page = |page| {
            let shown = Page::new(access, page_of(inode, page, size));
            if is_shared { Page { any: false, most: Access::Execute, ..shown } } else { shown }
        };
        process.map(mapped.address / PAGE_SIZE, (first..first + len).map(page));
    }

    /// It reads something beforehand, maps some of its cache, or forgets it.
    pub(super) fn file_system(&mut self) {
        let vfs = self.bench.vfs.take().expect("there is one");
        let (inode, page, count) = (3 + self.random.below(3), self.random.below(30), 1 + self.random.below(30));
        let fs = vfs.fs;
        let SetCache { offset, inode_offset, pages, .. } = set_cache(inode, page, count, CacheFlags::empty());
        self.bench.vfs = Some(vfs);
        match self.random.below(3) {
            0 => {
                let flags = if self.random.below(4) == 0 { CacheFlags::ONCE } else { CacheFlags::empty() };
                let vfs = self.bench.vfs.take().expect("there is one");
                vfs.fill(self.bench, inode, page, count);
                let call = set_cache(inode, page, count, flags);
                self.bench.vfs = Some(vfs);
                let _ = self.call(fs, &call, Ok(()));
                let _ = self.bench.munmap(fs, call.address, count);
            }
            1 => {
                let call = MapCache { device: DEVICE, offset, inode, inode_offset, pages, flags: 0 };
                let mapped = self.bench.call(fs, &call);
                self.count(
                    "vm.map_cache",
                    mapped.as_ref().map_or_else(|error| format!("{error:?}"), |_| "Ok".to_owned()),
                );
                if let Ok(mapped) = mapped {
                    let (address, len) = (mapped.address, count * PAGE_SIZE);
                    for on in 0..count {
                        let read = self.bench.read(fs, address + on * PAGE_SIZE).expect("it is there");
                        assert_eq!(read, byte(inode, (page + on) * PAGE_SIZE));
                    }
                    let _ = self.call(fs, &Unmap { address, len, process: fs, reserved: 0 }, Ok(()));
                }
            }
            _ => {
                let offset = (inode * PAGES_OF_FILE + page) * PAGE_SIZE;
                let _ = self.call(fs, &ForgetCache { device: DEVICE, offset, pages: count }, Ok(()));
            }
        }
    }
}

/// Files are closed, and those who answer for them end.
pub(super) fn end(mut vfs: Vfs, bench: &mut Bench<'_, '_>) {
    vfs.serve(bench);
    assert!(vfs.open.is_empty(), "descriptors are left: {:?}", vfs.open);
    vfs.end(bench);
}
