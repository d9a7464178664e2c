//! One process and its children: what each call does.

use crate::bench::{FRAMES, test};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use kernel_core::MemoryAccess;
use protocol::vm::*;
use protocol::vmctl::Access;
use vm::Need;

const P: u64 = PAGE_SIZE;
const HERE: u64 = 0x40_0000 - 2 * P;

#[test]
fn memory_is_zero_when_it_is_touched_and_comes_back_in_the_end() {
    test(|bench| {
        let first = bench.first;
        for _ in 0..50 {
            let child = bench.child(first);
            let address = bench.mmap(child, 10, MapFlags::empty()).unwrap();
            assert_eq!(bench.resident(child), 0, "nothing is there before it is touched");
            for page in [0, 9, 3] {
                assert_eq!(bench.read(child, address + page * P + 77), Ok(0));
                bench.write(child, address + page * P, 0xaa).unwrap();
                assert_eq!(bench.read(child, address + page * P), Ok(0xaa));
            }
            assert_eq!(bench.resident(child), 3);
            bench.end(child);
            bench.assert_all_free();
        }
    });
}

#[test]
fn parent_and_child_do_not_see_what_the_other_writes() {
    test(|bench| {
        let first = bench.first;
        let parent = bench.child(first);
        let address = bench.mmap(parent, 4, MapFlags::empty()).unwrap();
        (0..3).for_each(|page| bench.write(parent, address + page * P, 1).unwrap());
        let free = bench.free();
        let child = bench.child(parent);
        assert_eq!(bench.read(child, address), Ok(1));
        assert_eq!(bench.read(parent, address), Ok(1));
        assert!(free - bench.free() < 8, "what is read by both is there once");
        bench.write(child, address, 2).unwrap();
        bench.write(parent, address + P, 3).unwrap();
        bench.write(child, address + 3 * P, 4).unwrap();
        for (page, of_parent, of_child) in [(0, 1, 2), (1, 3, 1), (2, 1, 1), (3, 0, 4)] {
            assert_eq!(bench.read(parent, address + page * P), Ok(of_parent));
            assert_eq!(bench.read(child, address + page * P), Ok(of_child));
        }
        let grandchild = bench.child(child);
        bench.end(parent);
        bench.write(child, address, 9).unwrap();
        assert_eq!(bench.read(grandchild, address), Ok(2));
        bench.end(child);
        bench.write(grandchild, address, 8).unwrap();
        bench.end(grandchild);
        bench.assert_all_free();
    });
}

#[test]
fn what_is_not_allowed_is_a_signal() {
    test(|bench| {
        let who = bench.first;
        bench.map_at(who, HERE, 4, Access::Write).unwrap();
        bench.map_at(who, HERE + 4 * P, 1, Access::Read).unwrap();
        bench.map_at(who, HERE + 5 * P, 1, Access::Execute).unwrap();
        for (address, access) in [(0, 0), (HERE - 1, 0), (HERE + 6 * P, 0), (u64::MAX, 0), (HERE + 4 * P, 1)] {
            let need = if access == 0 { Need::Read } else { Need::Write };
            let result = if access == 0 { bench.read(who, address).map(drop) } else { bench.write(who, address, 1) };
            let segv = result.expect_err("it may not");
            assert_eq!((segv.address, segv.need, segv.why), (address, need, Errno::Fault));
        }
        assert_eq!(bench.run(who, HERE).expect_err("it is data").why, Errno::Fault);
        assert_eq!(bench.run(who, HERE + 5 * P), Ok(()));
        assert_eq!(bench.write(who, HERE + 5 * P, 1).expect_err("it is text").why, Errno::Fault);
        assert_eq!(bench.read(who, HERE + 5 * P), Ok(0));
    });
}

#[test]
fn unmapping_the_middle_leaves_a_hole() {
    test(|bench| {
        let first = bench.first;
        let who = bench.child(first);
        bench.map_at(who, HERE, 6, Access::Write).unwrap();
        (0..6).for_each(|page| bench.write(who, HERE + page * P, 1 + page as u8).unwrap());
        bench.munmap(who, HERE + 2 * P, 2).unwrap();
        bench.check();
        for page in 0..6 {
            let result = bench.read(who, HERE + page * P).map_err(|segv| segv.why);
            let expected = if (2..4).contains(&page) { Err(Errno::Fault) } else { Ok(1 + page as u8) };
            assert_eq!(result, expected, "{page}");
        }
        bench.munmap(who, HERE - 8 * P, 100).unwrap();
        bench.check();
        bench.end(who);
        bench.assert_all_free();
    });
}

#[test]
fn fixed_memory_replaces_what_is_there() {
    test(|bench| {
        let who = bench.first;
        bench.map_at(who, HERE, 4, Access::Write).unwrap();
        (0..4).for_each(|page| bench.write(who, HERE + page * P, 7).unwrap());
        bench.map_at(who, HERE + P, 2, Access::Write).unwrap();
        bench.check();
        let bytes = [0, 1, 2, 3].map(|page| bench.read(who, HERE + page * P).unwrap());
        assert_eq!(bytes, [7, 0, 0, 7]);
    });
}

#[test]
fn protection_is_what_it_says() {
    test(|bench| {
        let first = bench.first;
        let who = bench.child(first);
        bench.map_at(who, HERE, 6, Access::Write).unwrap();
        (0..6).for_each(|page| bench.write(who, HERE + page * P, 1).unwrap());
        let child = bench.child(who);
        let protect = |address, pages, access| Protect { address, len: pages * P, process: who, access };
        bench.does(who, &protect(HERE + P, 2, Access::Read));
        bench.does(who, &protect(HERE + 2 * P, 1, Access::Execute));
        assert!(bench.write(who, HERE + P, 2).is_err());
        assert_eq!(bench.run(who, HERE + 2 * P), Ok(()));
        bench.does(who, &protect(HERE, 6, Access::Write));
        (0..6).for_each(|page| bench.write(who, HERE + page * P, 3).unwrap());
        assert_eq!(bench.read(child, HERE + P), Ok(1), "the child has kept its own");
        bench.is_refused(who, &protect(HERE, 7, Access::Read), Errno::NoMem);
    });
}

#[test]
fn the_data_segment_grows_and_shrinks() {
    test(|bench| {
        let who = bench.first;
        bench.is_refused(who, &Brk { end: 0 }, Errno::Inval);
        bench.does(who, &SetBreak { process: who, reserved: 0, start: HERE + 100 });
        assert_eq!(bench.does(who, &Brk { end: 0 }).end, HERE + 100);
        bench.does(who, &Brk { end: HERE + 3 * P + 1 });
        assert!(bench.read(who, HERE).is_err(), "the page in which it begins is not its own");
        bench.write(who, HERE + 3 * P, 5).unwrap();
        bench.write(who, HERE + P, 6).unwrap();
        bench.does(who, &Brk { end: HERE + 2 * P });
        assert!(bench.read(who, HERE + 3 * P).is_err());
        bench.does(who, &Brk { end: HERE + 10 * P });
        assert_eq!((bench.read(who, HERE + 3 * P), bench.read(who, HERE + P)), (Ok(0), Ok(6)));
        bench.map_at(who, HERE + 12 * P, 1, Access::Read).unwrap();
        bench.is_refused(who, &Brk { end: HERE + 13 * P }, Errno::NoMem);
        bench.is_refused(who, &Brk { end: HERE + 99 }, Errno::Inval);
        bench.is_refused(who, &Brk { end: u64::MAX }, Errno::NoMem);
    });
}

#[test]
fn memory_for_calls_is_brought_in_one_go() {
    test(|bench| {
        let who = bench.first;
        bench.map_at(who, HERE, 40, Access::Write).unwrap();
        bench.map_at(who, HERE + 40 * P, 1, Access::Read).unwrap();
        bench.write(who, HERE + 3 * P, 1).unwrap();
        assert!(bench.request(who, HERE + 5, 39 * P, MemoryAccess::Write));
        assert!(bench.request(who, HERE + 39 * P, 2 * P, MemoryAccess::Read));
        assert!(!bench.request(who, HERE + 39 * P, 2 * P, MemoryAccess::Write));
        assert!(!bench.request(who, HERE + 41 * P - 1, 2, MemoryAccess::Read));
        assert!(!bench.request(who, u64::MAX, 2, MemoryAccess::Read));
    });
}

#[test]
fn a_new_program_begins_with_nothing() {
    test(|bench| {
        let first = bench.first;
        let who = bench.child(first);
        bench.map_at(who, HERE, 40, Access::Write).unwrap();
        bench.write(who, HERE, 1).unwrap();
        bench.does(first, &Clear { process: who, reserved: 0 });
        assert_eq!(bench.resident(who), 0);
        assert!(bench.read(who, HERE).is_err());
        bench.end(who);
        bench.assert_all_free();
    });
}

#[test]
fn shared_memory_is_seen_by_both_until_the_last_is_gone() {
    test(|bench| {
        let first = bench.first;
        let (a, b) = (bench.child(first), bench.child(first));
        bench.map_at(a, HERE, 4, Access::Write).unwrap();
        bench.write(a, HERE, 1).unwrap();
        let sibling = bench.child(a);
        let remap =
            |access| Remap { source: a, process: b, source_address: HERE, address: 0, len: 4 * P, access, reserved: 0 };
        let written = bench.does(first, &remap(Access::Write)).address;
        let read = bench.does(first, &remap(Access::Read)).address;
        bench.write(b, written, 2).unwrap();
        bench.write(b, written + 3 * P, 3).unwrap();
        bench.write(a, HERE + P, 4).unwrap();
        assert_eq!([0, 1, 3].map(|page| bench.read(a, HERE + page * P)), [Ok(2), Ok(4), Ok(3)]);
        assert_eq!([0, 1, 3].map(|page| bench.read(b, read + page * P)), [Ok(2), Ok(4), Ok(3)]);
        assert_eq!(bench.read(sibling, HERE), Ok(1), "a child from before has its own");
        assert!(bench.write(b, read, 9).is_err());
        bench.is_refused(b, &Protect { address: read, len: P, process: b, access: Access::Write }, Errno::Perm);
        assert_eq!(bench.does(first, &Sharers { process: a, reserved: 0, address: HERE }).count, 3);
        let child = bench.child(b);
        bench.end(a);
        bench.write(child, written, 5).unwrap();
        assert_eq!(bench.read(b, read), Ok(5));
        [b, child, sibling].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn what_is_shared_from_the_beginning_is_shared_with_children() {
    test(|bench| {
        let first = bench.first;
        let parent = bench.child(first);
        let address = bench.mmap(parent, 3, MapFlags::SHARED).unwrap();
        let child = bench.child(parent);
        bench.write(child, address, 5).unwrap();
        assert_eq!(bench.read(parent, address), Ok(5));
        bench.munmap(parent, address + P, 1).unwrap();
        bench.end(parent);
        bench.write(child, address + P, 6).unwrap();
        bench.end(child);
        bench.assert_all_free();
    });
}

#[test]
fn contiguous_memory_is_that_and_stays_with_its_process() {
    test(|bench| {
        let first = bench.first;
        let who = bench.child(first);
        let flags = MapFlags::CONTIGUOUS | MapFlags::PREALLOCATED;
        let address = bench.mmap(who, 20, flags | MapFlags::ALIGNED_64K).unwrap();
        bench.check();
        assert_eq!(bench.resident(who), 20);
        let system = bench.system;
        let space = system.borrow_mut().by(crate::system::VM, &protocol::vmctl::GetSpaceOf { process: who }).unwrap();
        let query = protocol::vmctl::QueryRun { space: space.space, address };
        let found = system.borrow_mut().by(crate::system::VM, &query).unwrap();
        assert!(found.frame.is_multiple_of(0x1_0000) && found.count >= 20);
        let pins = |page: u64| {
            let info = protocol::vmctl::GetFrameInfo { frame: found.frame + page * P };
            system.borrow_mut().by(crate::system::VM, &info).unwrap().pins
        };
        assert_eq!([0, 19, 20].map(pins), [1, 1, 0], "a device may know its address");
        let fork = Fork { parent: who, slot: 200 };
        bench.is_refused(first, &fork, Errno::NoMem);
        bench.munmap(who, address + 5 * P, 2).unwrap();
        assert_eq!([4, 5, 6, 7].map(pins), [1, 0, 0, 1]);
        bench.munmap(who, address, 20).unwrap();
        bench.check();
        assert_eq!([0, 19].map(pins), [0, 0]);
        let child = bench.child(who);
        bench.mmap(child, 3, flags).unwrap();
        [who, child].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn memory_that_is_used_up_is_an_error_and_comes_back() {
    test(|bench| {
        let first = bench.first;
        let hog = bench.child(first);
        let other = bench.child(first);
        bench.map_at(other, HERE, 1, Access::Write).unwrap();
        bench.write(other, HERE, 1).unwrap();
        assert_eq!(bench.mmap(hog, FRAMES, MapFlags::PREALLOCATED), Err(Errno::NoMem));
        bench.check();
        let address = bench.mmap(hog, FRAMES, MapFlags::empty()).expect("it is not there before it is touched");
        let touched = (0..FRAMES).take_while(|page| bench.write(hog, address + page * P, 1).is_ok()).count() as u64;
        assert!(touched < FRAMES && touched > FRAMES / 2);
        bench.write(other, HERE, 2).unwrap();
        bench.end(hog);
        bench.end(other);
        bench.assert_all_free();
    });
}

#[test]
fn many_pages_are_unmapped_at_once() {
    test(|bench| {
        let first = bench.first;
        for pages in [16, 256, 700] {
            let who = bench.child(first);
            let address = bench.mmap(who, pages, MapFlags::empty()).unwrap();
            (0..pages).for_each(|page| bench.write(who, address + page * P, 1).unwrap());
            bench.munmap(who, address, pages).unwrap();
            bench.check();
            assert_eq!((bench.resident(who), bench.vm.memory_info().cached), (0, 0));
            bench.end(who);
            bench.assert_all_free();
        }
    });
}
