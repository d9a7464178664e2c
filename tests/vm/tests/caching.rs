//! The page cache as file systems see it.

use crate::bench::{Bench, FRAMES, test};
use crate::files::map;
use crate::vfs::{self, DEVICE, PAGES_OF_FILE, Vfs, bytes, set_cache};
use abi::layout::{PAGE_SIZE, USER_END};
use abi::{Endpoint, Errno};
use protocol::vm::*;
use protocol::vmctl::Access;

const P: u64 = PAGE_SIZE;
const HERE: u64 = 0x5000_0000;

/// A test with a file system.
fn with_fs(run: impl FnOnce(&mut Bench<'_, '_>, &mut Vfs)) {
    test(|bench| {
        let mut vfs = vfs::start(bench);
        run(bench, &mut vfs);
        vfs.serve(bench);
        vfs.end(bench);
        bench.assert_all_free();
    });
}

fn map_cache(inode: u64, page: u64, count: u64) -> MapCache {
    let SetCache { device, offset, inode, inode_offset, pages, .. } =
        set_cache(inode, page, count, CacheFlags::empty());
    MapCache { device, offset, inode, inode_offset, pages, flags: 0 }
}

fn cached(bench: &Bench<'_, '_>) -> u64 {
    bench.vm.memory_info().cached
}

#[test]
fn what_is_set_is_mapped_until_it_is_forgotten() {
    with_fs(|bench, vfs| {
        let fs = vfs.fs;
        vfs.cache(bench, 3, 0, 4);
        assert_eq!((cached(bench), bench.resident(fs)), (4, 0));
        let at = bench.does(fs, &map_cache(3, 0, 4)).address;
        for page in 0..4 {
            assert_eq!(bench.peek(fs, at + page * P, P), Some(bytes(3, page * P, P)), "it is there");
        }
        let region = bench.does(fs, &GetRegion { process: fs, reserved: 0, address: at });
        assert_eq!((region.kind, region.access, region.len), (RegionKind::Cache, Access::Write, 4 * P));
        // Both mappings are of the same memory.
        let again = bench.does(fs, &map_cache(3, 1, 2)).address;
        bench.poke(fs, at + P, &[0xaa]);
        assert_eq!(bench.read(fs, again), Ok(0xaa));
        bench.is_refused(fs, &map_cache(3, 1, 4), Errno::NoEnt);
        let forget = ForgetCache { device: DEVICE, offset: (3 * PAGES_OF_FILE + 1) * P, pages: 2 };
        bench.does(fs, &forget);
        bench.is_refused(fs, &map_cache(3, 1, 1), Errno::NoEnt);
        bench.does(fs, &map_cache(3, 3, 1));
        assert_eq!(bench.read(fs, again), Ok(0xaa), "what is mapped stays");
        bench.does(fs, &ClearCache { device: DEVICE });
        bench.is_refused(fs, &map_cache(3, 0, 1), Errno::NoEnt);
        assert_eq!(cached(bench), 0);
    });
}

#[test]
fn offered_pages_stay_where_they_are() {
    with_fs(|bench, vfs| {
        let fs = vfs.fs;
        vfs.fill(bench, 3, 0, 6);
        bench.does(fs, &set_cache(3, 0, 2, CacheFlags::empty()));
        let middle = SetCache { address: HERE + 3 * P, ..set_cache(3, 3, 2, CacheFlags::empty()) };
        bench.does(fs, &middle);
        // A file system writes what is in the cache.
        bench.write(fs, HERE + 3 * P, 0xbb).unwrap();
        let at = bench.does(fs, &map_cache(3, 3, 1)).address;
        assert_eq!(bench.read(fs, at), Ok(0xbb));
        bench.munmap(fs, at, 1).unwrap();
        // The same once more, which is nothing new; as another block it would be in two places.
        bench.does(fs, &middle);
        bench.is_refused(fs, &SetCache { offset: 0, ..middle }, Errno::Fault);
        // Another page for the same block.
        bench.does(fs, &SetCache { address: HERE + 2 * P, pages: 1, ..middle });
        let at = bench.does(fs, &map_cache(3, 3, 1)).address;
        assert_eq!(bench.read(fs, at), Ok(bytes(3, 2 * P, 1)[0]));
        // The old one is nobody's block any more, and can become another.
        bench.does(fs, &SetCache { offset: 0, pages: 1, ..middle });
        assert_eq!(bench.resident(fs), 7);
    });
}

#[test]
fn others_show_it_too() {
    with_fs(|bench, vfs| {
        let fs = vfs.fs;
        let who = bench.child(bench.first);
        let call = map(who, 3, 0, 3 * P);
        bench.begins(who, 1, &call);
        vfs.serve(bench);
        let at = bench.late(who, 1, &call).unwrap().unwrap().address;
        vfs.fill(bench, 3, 0, 3);
        bench.does(fs, &set_cache(3, 0, 3, CacheFlags::empty()));
        let free = bench.free();
        (0..3).for_each(|page| assert_eq!(bench.read(who, at + page * P), Ok(bytes(3, page * P, 1)[0])));
        assert!(free - bench.free() <= 3, "page tables, and no copy");
        // What the file system writes is seen; what the program writes is its own.
        bench.write(fs, HERE, 0xcc).unwrap();
        assert_eq!(bench.read(who, at), Ok(0xcc));
        bench.write(who, at, 0xdd).unwrap();
        assert_eq!(bench.read(fs, HERE), Ok(0xcc));
        bench.write(fs, HERE + 1, 0xee).unwrap();
        assert_eq!((bench.read(who, at), bench.read(who, at + 1)), (Ok(0xdd), Ok(bytes(3, 1, 1)[0])));
        // A child of the file system has copies.
        let child = bench.child(fs);
        bench.write(child, HERE + P, 1).unwrap();
        assert_eq!(bench.read(who, at + P), Ok(bytes(3, P, 1)[0]));
        bench.end(child);
        bench.end(who);
    });
}

#[test]
fn a_device_is_read_as_a_whole() {
    with_fs(|bench, vfs| {
        let who = bench.child(bench.first);
        vfs.cache(bench, 3, 0, 3);
        let fd = vfs.open(3);
        let offset = 3 * PAGES_OF_FILE * P;
        let (process, device, access) = (who, DEVICE, Access::Read);
        let (address, len) = (0x40_0000, 3 * P);
        let file = MapFile { process, access, address, len, offset, device, inode: 0, fd, clear_end: 0 };
        bench.does(vfs.server, &file);
        assert_eq!(bench.read(who, 0x40_0000 + P), Ok(bytes(3, P, 1)[0]), "the blocks of the file are in the device");
        bench.end(who);
    });
}

#[test]
fn a_block_that_belongs_to_another_file_now() {
    with_fs(|bench, vfs| {
        let fs = vfs.fs;
        vfs.cache(bench, 3, 0, 1);
        // The block is mapped as a page of another file: from now on it is that.
        let at = bench.does(fs, &MapCache { inode: 4, inode_offset: P, ..map_cache(3, 0, 1) }).address;
        let who = bench.child(bench.first);
        let fd = vfs.open(4);
        let (process, device, inode, access) = (who, DEVICE, 4, Access::Read);
        let address = 0x40_0000;
        let file = MapFile { process, access, address, len: P, offset: P, device, inode, fd, clear_end: 0 };
        bench.does(vfs.server, &file);
        assert_eq!(bench.read(who, address), Ok(bytes(3, 0, 1)[0]));
        bench.munmap(fs, at, 1).unwrap();
        bench.end(who);
    });
}

#[test]
fn a_device_is_its_file_system_s_alone() {
    with_fs(|bench, vfs| {
        let (fs, other, first) = (vfs.fs, bench.child(bench.first), bench.first);
        vfs.cache(bench, 3, 0, 2);
        bench.map_at(other, HERE, 1, Access::Write).unwrap();
        bench.write(other, HERE, 1).unwrap();
        bench.is_refused(other, &set_cache(3, 0, 1, CacheFlags::empty()), Errno::Perm);
        bench.is_refused(other, &map_cache(3, 0, 1), Errno::Perm);
        bench.is_refused(other, &ClearCache { device: DEVICE }, Errno::Perm);
        let forget = ForgetCache { device: DEVICE, offset: 0, pages: u64::MAX >> 12 };
        bench.is_refused(other, &forget, Errno::Perm);
        let foreign = SetCache { device: DEVICE + 1, ..set_cache(3, 0, 1, CacheFlags::empty()) };
        bench.is_refused(other, &foreign, Errno::Perm);
        // Another file system gets the device: it does not see what the first one has read.
        let bind = |process| BindDevice { process, reserved: 0, device: DEVICE };
        bench.does(first, &bind(fs));
        assert_eq!(cached(bench), 2, "it is the same");
        bench.does(first, &bind(other));
        assert_eq!(cached(bench), 0);
        bench.is_refused(fs, &map_cache(3, 0, 1), Errno::Perm);
        bench.does(other, &set_cache(3, 0, 1, CacheFlags::empty()));
        bench.does(first, &bind(Endpoint::NONE));
        bench.is_refused(other, &map_cache(3, 0, 1), Errno::Perm);
        bench.is_refused(first, &bind(Endpoint::new(999, 7).unwrap()), Errno::Srch);
        // What a file system has cached goes with it.
        bench.does(first, &bind(other));
        bench.does(other, &set_cache(3, 0, 1, CacheFlags::empty()));
        bench.end(other);
        assert_eq!(cached(bench), 0);
    });
}

#[test]
fn blocks_and_pages_that_cannot_be() {
    with_fs(|bench, vfs| {
        let fs = vfs.fs;
        vfs.fill(bench, 3, 0, 4);
        bench.map_at(fs, HERE + 4 * P, 2, Access::Write).unwrap();
        let good = set_cache(3, 0, 1, CacheFlags::empty());
        for (wrong, error) in [
            (SetCache { pages: 0, ..good }, Errno::Inval),
            (SetCache { pages: 513, ..good }, Errno::Inval),
            (SetCache { pages: u32::MAX, ..good }, Errno::Inval),
            (SetCache { flags: 2, ..good }, Errno::Inval),
            (SetCache { flags: CacheFlags::ONCE.bits(), inode: 0, ..good }, Errno::Inval),
            (SetCache { offset: 1, ..good }, Errno::Fault),
            (SetCache { inode_offset: P - 1, ..good }, Errno::Fault),
            (SetCache { offset: !0 << 12, ..good }, Errno::Inval),
            (SetCache { inode_offset: !0 << 12, ..good }, Errno::Inval),
            (SetCache { address: HERE + 1, ..good }, Errno::Inval),
            (SetCache { address: USER_END, ..good }, Errno::Inval),
            (SetCache { address: HERE - P, ..good }, Errno::Fault),
            (SetCache { address: HERE + 4 * P, ..good }, Errno::Fault),
            (SetCache { address: HERE + 3 * P, pages: 2, ..good }, Errno::Fault),
        ] {
            bench.is_refused(fs, &wrong, error);
        }
        let there = map_cache(3, 0, 1);
        bench.does(fs, &good);
        for (wrong, error) in [
            (MapCache { pages: 0, ..there }, Errno::Inval),
            (MapCache { pages: 513, ..there }, Errno::Inval),
            (MapCache { flags: 1, ..there }, Errno::Inval),
            (MapCache { offset: there.offset + 8, ..there }, Errno::Fault),
            (MapCache { inode_offset: 8, ..there }, Errno::Fault),
            (MapCache { offset: !0 << 12, ..there }, Errno::Inval),
            (MapCache { offset: there.offset + P, ..there }, Errno::NoEnt),
            (MapCache { pages: 2, ..there }, Errno::NoEnt),
        ] {
            bench.is_refused(fs, &wrong, error);
        }
        for (offset, pages, error) in [(0, 0, Errno::Inval), (5, 1, Errno::Fault), (P, u64::MAX, Errno::Inval)] {
            bench.is_refused(fs, &ForgetCache { device: DEVICE, offset, pages }, error);
        }
        // Memory that others show, or that a child sees too.
        let shared = bench.mmap(fs, 1, MapFlags::SHARED).unwrap();
        bench.write(fs, shared, 1).unwrap();
        bench.is_refused(fs, &SetCache { address: shared, ..good }, Errno::Fault);
        let child = bench.child(fs);
        bench.is_refused(fs, &SetCache { address: HERE + P, ..good }, Errno::Fault);
        bench.end(child);
        // It is its alone again, though it cannot be written yet.
        bench.does(fs, &SetCache { address: HERE + P, ..good });
        bench.does(bench.first, &SetLimits { process: fs, reserved: 0, pages: UNLIMITED, resident: 4 });
        bench.is_refused(fs, &there, Errno::NoMem);
        bench.does(bench.first, &SetLimits { process: fs, reserved: 0, pages: 4, resident: UNLIMITED });
        bench.is_refused(fs, &there, Errno::NoMem);
    });
}

#[test]
fn blocks_that_are_shown_once_are_not_mapped_by_their_file_system() {
    with_fs(|bench, vfs| {
        vfs.flags = CacheFlags::ONCE;
        vfs.cache(bench, 3, 0, 2);
        bench.is_refused(vfs.fs, &map_cache(3, 0, 1), Errno::NoEnt);
        vfs.flags = CacheFlags::empty();
        vfs.cache(bench, 3, 0, 1);
        bench.does(vfs.fs, &map_cache(3, 0, 1));
    });
}

#[test]
fn what_only_the_cache_has_is_given_up_for_others() {
    with_fs(|bench, vfs| {
        let fs = vfs.fs;
        for page in 0..60 {
            vfs.cache(bench, 3, page, 1);
        }
        // The file system works with some of it: it may not be on the disk yet.
        let dirty = bench.does(fs, &map_cache(3, 10, 4)).address;
        bench.poke(fs, dirty, &[0x99]);
        // These are the ones that were used last.
        let used = bench.does(fs, &map_cache(3, 0, 2)).address;
        bench.munmap(fs, used, 2).unwrap();
        assert_eq!(cached(bench), 56);
        let who = bench.child(bench.first);
        let first = bench.mmap(who, FRAMES, MapFlags::empty()).unwrap();
        let mut touched = 0;
        while cached(bench) > 8 {
            bench.write(who, first + touched * P, 1).expect("the cache has some");
            touched += 1;
        }
        bench.check();
        assert!(touched > FRAMES / 2, "nothing is given up before it is needed");
        let at = bench.does(fs, &map_cache(3, 0, 2)).address;
        assert_eq!(bench.read(fs, at), Ok(bytes(3, 0, 1)[0]), "what was used last is given up last");
        while bench.write(who, first + touched * P, 1).is_ok() {
            touched += 1;
        }
        assert_eq!(cached(bench), 0);
        assert_eq!((bench.read(fs, dirty), bench.read(fs, dirty + P)), (Ok(0x99), Ok(bytes(3, 11 * P, 1)[0])));
        bench.end(who);
    });
}

#[test]
fn it_is_not_given_up_for_what_cannot_be() {
    with_fs(|bench, vfs| {
        vfs.cache(bench, 3, 0, 30);
        let who = bench.child(bench.first);
        bench.does(bench.first, &SetLimits { process: who, reserved: 0, pages: 5, resident: UNLIMITED });
        assert_eq!(bench.mmap(who, 6, MapFlags::PREALLOCATED), Err(Errno::NoMem), "its own limit");
        bench.does(bench.first, &SetLimits { process: who, reserved: 0, pages: UNLIMITED, resident: UNLIMITED });
        assert_eq!(bench.mmap(who, 2 * FRAMES, MapFlags::PREALLOCATED), Err(Errno::NoMem), "more than there is");
        assert_eq!(cached(bench), 30);
        // What needs all that there is gets it.
        let available = bench.vm.memory_info().free;
        bench.mmap(who, available - 60, MapFlags::PREALLOCATED).expect("the cache has the rest");
        assert!(cached(bench) < 30);
        bench.end(who);
    });
}
