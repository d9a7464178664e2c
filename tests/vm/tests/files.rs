//! Files in memory, when everybody does what he should.

use crate::bench::{Bench, test};
use crate::vfs::{self, DEVICE, Question, Vfs, byte, bytes};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use kernel_core::MemoryAccess;
use protocol::vm::*;
use protocol::vmctl::Access;

const P: u64 = PAGE_SIZE;

/// A call that maps so many bytes of a file from an offset on.
pub(crate) fn map(process: Endpoint, inode: u64, offset: u64, len: u64) -> Map {
    Map { address: 0, len, offset, flags: 0, access: Access::Write, fd: inode as i32, process }
}

/// A test with somebody who answers for files.
fn with_files(run: impl FnOnce(&mut Bench<'_, '_>, Endpoint)) {
    test(|bench| {
        let vfs = vfs::start(bench);
        bench.vfs = Some(vfs);
        let who = bench.child(bench.first);
        run(bench, who);
        end(bench, &[who]);
    });
}

/// They end, and all that has to do with files: nothing is left.
fn end(bench: &mut Bench<'_, '_>, processes: &[Endpoint]) {
    for process in processes {
        if bench.call(bench.first, &GetUsage { process: *process, reserved: 0 }).is_ok() {
            bench.end(*process);
        }
    }
    let mut vfs = bench.vfs.take().expect("there is one");
    vfs.serve(bench);
    assert!(vfs.open.is_empty(), "descriptors are left: {:?}", vfs.open);
    vfs.end(bench);
    bench.assert_all_free();
}

fn vfs<'a>(bench: &'a mut Bench<'_, '_>) -> &'a mut Vfs {
    bench.vfs.as_mut().expect("there is one")
}

/// All bytes of a page as its program reads them.
fn page(bench: &mut Bench<'_, '_>, process: Endpoint, address: u64) -> Vec<u8> {
    bench.read(process, address).expect("it may");
    bench.peek(process, address, P).expect("it is there")
}

#[test]
fn contents_are_those_of_the_file() {
    with_files(|bench, who| {
        let at = bench.does(who, &map(who, 3, 0, 3 * P)).address;
        assert_eq!(bench.resident(who), 0, "nothing is read before it is touched");
        for number in [1, 0, 2] {
            assert_eq!(page(bench, who, at + number * P), bytes(3, number * P, P));
        }
        let usage = bench.does(who, &GetUsage { process: who, reserved: 0 });
        assert_eq!((usage.major_faults, usage.minor_faults), (3, 0));
        // What has been read is not read again.
        let again = bench.does(who, &map(who, 3, 0, 3 * P)).address;
        assert_eq!(page(bench, who, again + P), bytes(3, P, P));
        let usage = bench.does(who, &GetUsage { process: who, reserved: 0 });
        assert_eq!((usage.major_faults, usage.minor_faults), (3, 1));
        let region = bench.does(who, &GetRegion { process: who, reserved: 0, address: at });
        assert_eq!((region.kind, region.start, region.len, region.resident), (RegionKind::File, at, 3 * P, 3));
        assert_eq!(bench.vm.memory_info().cached, 0, "a program has them, too");
        bench.munmap(who, at, 3).unwrap();
        bench.munmap(who, again, 3).unwrap();
        assert_eq!(bench.vm.memory_info().cached, 3);
    });
}

#[test]
fn what_is_written_is_a_copy() {
    with_files(|bench, who| {
        let at = bench.does(who, &map(who, 3, 0, 3 * P)).address;
        let other = bench.child(bench.first);
        let seen = bench.does(other, &map(other, 3, 0, 3 * P)).address;
        // One that was read before, and one that was not.
        bench.read(who, at).unwrap();
        bench.write(who, at + 5, 0xee).unwrap();
        bench.write(who, at + P + 5, 0xee).unwrap();
        bench.check();
        for number in [0, 1] {
            let mut expected = bytes(3, number * P, P);
            assert_eq!(page(bench, other, seen + number * P), expected);
            expected[5] = 0xee;
            assert_eq!(page(bench, who, at + number * P), expected);
        }
        bench.end(other);
    });
}

#[test]
fn the_rest_of_the_last_page_is_zero_and_behind_it_is_nothing() {
    with_files(|bench, who| {
        let at = bench.does(who, &map(who, 4, 0, 5 * P)).address;
        assert_eq!(page(bench, who, at), bytes(4, 0, P));
        let mut expected = bytes(4, P, 100);
        expected.resize(P as usize, 0);
        assert_eq!(page(bench, who, at + P), expected);
        for number in [2, 3, 4] {
            assert_eq!(bench.read(who, at + number * P).map_err(|segv| segv.why), Err(Errno::Fault));
        }
        let asked = &vfs(bench).asked;
        let reads = asked.iter().filter(|question| matches!(question, Question::Read { .. })).count();
        assert_eq!(reads, 2, "the file server is not asked for what cannot be: {asked:?}");
        let empty = bench.does(who, &map(who, 6, 0, P)).address;
        assert!(bench.read(who, empty).is_err());
    });
}

#[test]
fn an_offset_may_be_anywhere_in_the_file() {
    with_files(|bench, who| {
        let at = bench.does(who, &map(who, 5, 7 * P, 2 * P)).address;
        assert_eq!(page(bench, who, at), bytes(5, 7 * P, P));
        let at = bench.does(who, &map(who, 5, 9 * P + 33, P)).address;
        assert_eq!(at % P, 33);
        assert_eq!(bench.read(who, at), Ok(byte(5, 9 * P + 33)));
        assert_eq!(bench.read(who, at + P - 1), Ok(byte(5, 10 * P + 32)));
        let behind = bench.does(who, &map(who, 3, 3 * P, P)).address;
        assert!(bench.read(who, behind).is_err());
    });
}

#[test]
fn a_child_sees_the_same_until_one_writes() {
    with_files(|bench, who| {
        let at = bench.does(who, &map(who, 3, 0, 3 * P)).address;
        bench.write(who, at, 0x10).unwrap();
        bench.read(who, at + P).unwrap();
        let free = bench.free();
        let child = bench.child(who);
        bench.read(child, at + P).unwrap();
        assert!(free - bench.free() < 8, "what both read is there once");
        assert_eq!(bench.read(child, at), Ok(0x10));
        bench.write(child, at, 0x12).unwrap();
        bench.write(child, at + P, 0x14).unwrap();
        assert_eq!((bench.read(who, at), bench.read(who, at + P)), (Ok(0x10), Ok(byte(3, P))));
        // What neither has touched.
        assert_eq!(page(bench, child, at + 2 * P), bytes(3, 2 * P, P));
        bench.end(who);
        assert!(!vfs(bench).open.is_empty(), "the child shows the file");
        assert_eq!((bench.read(child, at), bench.read(child, at + P)), (Ok(0x12), Ok(0x14)));
        bench.end(child);
    });
}

#[test]
fn a_file_is_closed_with_the_last_region() {
    with_files(|bench, who| {
        let first = bench.does(who, &map(who, 3, 0, 3 * P)).address;
        let second = bench.does(who, &map(who, 3, P, P)).address;
        bench.call(who, &map(who, 4, 0, P)).unwrap();
        let open = |bench: &mut Bench<'_, '_>| vfs(bench).open.values().copied().collect::<Vec<_>>();
        assert_eq!(open(bench), [3, 4], "one descriptor for a file is enough");
        // A hole leaves two regions.
        bench.munmap(who, first + P, 1).unwrap();
        bench.munmap(who, second, 1).unwrap();
        bench.munmap(who, first, 1).unwrap();
        bench.read(who, first + 2 * P).unwrap();
        assert_eq!(open(bench), [3, 4]);
        bench.munmap(who, first + 2 * P, 1).unwrap();
        bench.vfs = bench.vfs.take().map(|mut vfs| {
            vfs.serve(bench);
            vfs
        });
        assert_eq!(open(bench), [4]);
        // Memory in its place.
        let fixed = Map { address: first, flags: MapFlags::FIXED.bits(), ..map(who, 5, 0, P) };
        bench.does(who, &fixed);
        let instead = Map { address: first, flags: MapFlags::FIXED.bits(), ..map(who, 5, 3 * P, P) };
        bench.does(who, &instead);
        assert_eq!(open(bench), [4, 5]);
        assert_eq!(page(bench, who, first), bytes(5, 3 * P, P));
        bench.does(bench.first, &Clear { process: who, reserved: 0 });
    });
}

#[test]
fn shared_files_are_read_only() {
    with_files(|bench, who| {
        let shared = Map { flags: MapFlags::SHARED.bits(), access: Access::Read, ..map(who, 3, 0, P) };
        bench.is_refused(who, &Map { access: Access::Write, ..shared }, Errno::NotSup);
        let at = bench.does(who, &shared).address;
        assert_eq!(page(bench, who, at), bytes(3, 0, P));
        let protect = |access| Protect { address: at, len: P, process: who, access };
        bench.is_refused(who, &protect(Access::Write), Errno::Perm);
        bench.does(who, &protect(Access::Execute));
        assert_eq!(bench.run(who, at), Ok(()));
        assert!(bench.write(who, at, 1).is_err());
        // A private one can become writable.
        let private = bench.does(who, &Map { access: Access::Read, flags: 0, ..shared }).address;
        bench.read(who, private).unwrap();
        assert!(bench.write(who, private, 1).is_err());
        bench.does(who, &Protect { address: private, len: P, process: who, access: Access::Write });
        bench.write(who, private, 1).unwrap();
        assert_eq!(bench.read(who, at), Ok(byte(3, 0)));
    });
}

#[test]
fn memory_for_calls_is_read_page_by_page() {
    with_files(|bench, who| {
        let at = bench.does(who, &map(who, 5, 0, 20 * P)).address;
        bench.read(who, at + 3 * P).unwrap();
        assert!(bench.request(who, at + 100, 5 * P, MemoryAccess::Read));
        assert!(bench.request(who, at + 10 * P, 3 * P, MemoryAccess::Write));
        for number in [0, 5, 10, 12] {
            assert_eq!(page(bench, who, at + number * P), bytes(5, number * P, P));
        }
        let reads = |bench: &mut Bench<'_, '_>| {
            vfs(bench).asked.iter().filter(|question| matches!(question, Question::Read { .. })).count()
        };
        assert_eq!(reads(bench), 9);
        // Over two regions, and over the end of the file.
        let second = Map { address: at + 20 * P, flags: MapFlags::FIXED.bits(), ..map(who, 4, 0, 3 * P) };
        bench.does(who, &second);
        assert!(bench.request(who, at + 18 * P, 3 * P, MemoryAccess::Read));
        assert!(!bench.request(who, at + 21 * P, 2 * P, MemoryAccess::Read));
    });
}

#[test]
fn a_program_is_loaded_from_a_file() {
    with_files(|bench, who| {
        const TEXT: u64 = 0x40_0000;
        let server = vfs(bench).server;
        let fd = vfs(bench).open(5);
        let (process, device, inode, access) = (who, DEVICE, 5, Access::Execute);
        let text = MapFile { process, access, address: TEXT, len: 3 * P, offset: P, device, inode, fd, clear_end: 0 };
        bench.does(server, &text);
        let access = Access::Write;
        let data = MapFile { access, address: TEXT + 3 * P, len: P + 10, offset: 4 * P, clear_end: 4000, ..text };
        bench.does(server, &data);
        assert_eq!(bench.run(who, TEXT), Ok(()));
        assert_eq!(page(bench, who, TEXT + 2 * P), bytes(5, 3 * P, P));
        assert!(bench.write(who, TEXT, 1).is_err());
        let mut expected = bytes(5, 5 * P, 96);
        expected.resize(P as usize, 0);
        assert_eq!(page(bench, who, TEXT + 4 * P), expected);
        bench.write(who, TEXT + 3 * P, 7).unwrap();
        assert_eq!(bench.read(who, TEXT + 3 * P), Ok(7));
        // The descriptor is closed with the last region, and not before.
        bench.munmap(who, TEXT, 3).unwrap();
        assert_eq!(vfs(bench).open.len(), 1);
        // In the place of what is there.
        bench.does(server, &MapFile { address: TEXT + 3 * P, len: P, offset: 9 * P, ..text });
        assert_eq!(page(bench, who, TEXT + 3 * P), bytes(5, 9 * P, P));
        for (wrong, error) in [
            (MapFile { offset: 7, ..text }, Errno::Inval),
            (MapFile { offset: !0 << 12, ..text }, Errno::Inval),
            (MapFile { address: TEXT + 1, ..text }, Errno::Inval),
            (MapFile { len: 0, ..text }, Errno::Inval),
            (MapFile { clear_end: P as u32, ..text }, Errno::Inval),
            (MapFile { inode: 4, ..text }, Errno::Inval),
            (MapFile { fd: -1, ..text }, Errno::BadF),
            (MapFile { process: Endpoint::NONE, ..text }, Errno::Srch),
        ] {
            bench.is_refused(server, &wrong, error);
        }
        bench.is_refused(bench.first, &text, Errno::Perm);
        bench.does(bench.first, &SetCalls { process: server, is_user: 0, calls: !FOR_OTHERS });
        bench.is_refused(server, &text, Errno::Perm);
    });
}

#[test]
fn what_is_fixed_is_read_first() {
    with_files(|bench, who| {
        let at = bench.does(who, &map(who, 5, 0, 8 * P)).address;
        let fix = Fix { process: who, write: 0, address: at + P, len: 3 * P };
        bench.does(bench.first, &fix);
        assert_eq!(bench.resident(who), 3);
        bench.does(bench.first, &Fix { write: 1, address: at + 4 * P, ..fix });
        assert_eq!(bench.resident(who), 6);
        let child = bench.child(who);
        bench.write(who, at + 4 * P, 9).unwrap();
        assert_eq!(bench.read(child, at + 4 * P), Ok(byte(5, 4 * P)));
        bench.does(bench.first, &Unfix { process: who, write: 0, address: at + P, len: 3 * P });
        bench.is_refused(bench.first, &Fix { address: at + 8 * P, ..fix }, Errno::Fault);
        bench.end(child);
    });
}

#[test]
fn blocks_that_are_shown_once_are_read_again() {
    with_files(|bench, who| {
        vfs(bench).flags = CacheFlags::ONCE;
        let at = bench.does(who, &map(who, 5, 0, 8 * P)).address;
        let other = bench.does(who, &map(who, 5, 0, 8 * P)).address;
        for number in [0, 1] {
            assert_eq!(page(bench, who, at + number * P), bytes(5, number * P, P));
            assert_eq!(page(bench, who, other + number * P), bytes(5, number * P, P));
        }
        let usage = bench.does(who, &GetUsage { process: who, reserved: 0 });
        assert_eq!((usage.major_faults, usage.resident), (4, 4));
        // It is nobody else's: it is written in its place.
        let free = bench.free();
        bench.write(who, at, 3).unwrap();
        assert_eq!((bench.free(), bench.read(who, other)), (free, Ok(byte(5, 0))));
        bench.munmap(who, at, 8).unwrap();
        bench.munmap(who, other, 8).unwrap();
        assert_eq!(bench.vm.memory_info().cached, 0);
    });
}

#[test]
fn what_cannot_be_mapped() {
    with_files(|bench, who| {
        let good = map(who, 3, 0, P);
        for (wrong, error) in [
            (Map { len: 0, ..good }, Errno::Inval),
            (Map { address: 8, ..good }, Errno::Inval),
            (Map { offset: i64::MAX as u64, ..good }, Errno::Inval),
            (Map { offset: u64::MAX, ..good }, Errno::Inval),
            (Map { len: u64::MAX, offset: P, ..good }, Errno::Inval),
            (Map { flags: MapFlags::PREALLOCATED.bits(), ..good }, Errno::Inval),
            (Map { flags: MapFlags::UNINITIALIZED.bits(), ..good }, Errno::Inval),
            (Map { flags: MapFlags::FIXED.bits(), ..good }, Errno::Inval),
            (Map { flags: MapFlags::FIXED.bits(), address: 0x40_0000, offset: 5, ..good }, Errno::Inval),
            (Map { flags: 1 << 31, ..good }, Errno::Inval),
            (Map { fd: -1, ..good }, Errno::BadF),
            (Map { fd: i32::MIN, ..good }, Errno::BadF),
            (Map { process: Endpoint::NONE, ..good }, Errno::Srch),
        ] {
            bench.is_refused(who, &wrong, error);
        }
        // What the file server says, and what there is no room for.
        assert_eq!(bench.call(who, &Map { fd: 77, ..good }).map(drop), Err(Errno::BadF));
        assert_eq!(bench.call(who, &Map { len: 1 << 46, ..good }).map(drop), Err(Errno::NoMem));
        bench.does(bench.first, &SetLimits { process: who, reserved: 0, pages: 2, resident: UNLIMITED });
        assert_eq!(bench.call(who, &Map { len: 3 * P, ..good }).map(drop), Err(Errno::NoMem));
        bench.does(who, &Map { len: 2 * P, ..good });
        bench.does(bench.first, &SetLimits { process: who, reserved: 0, pages: UNLIMITED, resident: UNLIMITED });
        assert_eq!(bench.call(bench.first, &Pin { process: who, reserved: 0 }).map(drop), Err(Errno::Again));
        let (server, fs) = (vfs(bench).server, vfs(bench).fs);
        bench.is_refused(server, &map(server, 3, 0, P), Errno::Locked);
        bench.is_refused(fs, &map(fs, 3, 0, P), Errno::Locked);
        bench.does(bench.first, &Clear { process: who, reserved: 0 });
        bench.does(bench.first, &Pin { process: who, reserved: 0 });
        assert_eq!(bench.call(who, &good).map(drop), Err(Errno::Again));
    });
}
