//! What is fixed or pinned stays as it is, whoever forks.

use crate::bench::{Bench, test};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use kernel_core::{Machine, MemoryAccess};
use protocol::vm::*;
use protocol::vmctl::Access;

const P: u64 = PAGE_SIZE;
const HERE: u64 = 0x40_0000 - 2 * P;

/// Whether a process could write a page without the server.
fn is_writable(bench: &Bench<'_, '_>, process: Endpoint, page: u64) -> bool {
    let root = bench.root(process);
    bench.system.borrow().machine.reach(root, HERE + page * P, 1, MemoryAccess::Write).is_ok()
}

fn owner(bench: &mut Bench<'_, '_>) -> Endpoint {
    let who = bench.child(bench.first);
    bench.map_at(who, HERE, 5, Access::Write).unwrap();
    bench.write(who, HERE + P, 7).unwrap();
    who
}

#[test]
fn what_is_fixed_is_there_and_is_not_shared_with_a_child() {
    test(|bench| {
        let who = owner(bench);
        let (address, len) = (HERE + 5, 2 * P);
        let fix = Fix { process: who, write: 1, address, len };
        let first = bench.first;
        bench.does(first, &fix);
        bench.does(first, &fix);
        assert_eq!([0, 1, 2, 3].map(|page| is_writable(bench, who, page)), [true, true, true, false]);
        let child = bench.child(who);
        assert_eq!([0, 1, 2].map(|page| is_writable(bench, who, page)), [true; 3], "it is written without a fault");
        bench.write(who, HERE + P, 8).unwrap();
        assert_eq!(bench.read(child, HERE + P), Ok(7));
        let unfix = Unfix { process: who, write: 1, address, len };
        bench.does(first, &unfix);
        let second = bench.child(who);
        assert!(is_writable(bench, who, 1), "it was fixed twice");
        bench.does(first, &unfix);
        bench.is_refused(first, &unfix, Errno::Inval);
        let third = bench.child(who);
        assert!(!is_writable(bench, who, 1), "it is copied when it is written");
        [who, child, second, third].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn what_is_pinned_stays_so_and_what_is_mapped_later_is_there() {
    test(|bench| {
        let who = owner(bench);
        let early = bench.child(who);
        bench.does(bench.first, &Pin { process: who, reserved: 0 });
        assert_eq!(bench.resident(who), 5);
        let late = bench.child(who);
        assert_eq!([0, 1, 4].map(|page| is_writable(bench, who, page)), [true; 3]);
        let added = bench.mmap(who, 3, MapFlags::empty()).unwrap();
        assert_eq!(bench.resident(who), 8);
        bench.write(who, added, 1).unwrap();
        bench.write(who, HERE + P, 9).unwrap();
        assert_eq!((bench.read(early, HERE + P), bench.read(late, HERE + P)), (Ok(7), Ok(7)));
        [early, who, late].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn limits_are_kept() {
    test(|bench| {
        let who = owner(bench);
        let first = bench.first;
        let limits = |pages, resident| SetLimits { process: who, reserved: 0, pages, resident };
        bench.does(first, &limits(8, UNLIMITED));
        assert_eq!(bench.mmap(who, 4, MapFlags::empty()), Err(Errno::NoMem));
        let more = bench.mmap(who, 3, MapFlags::empty()).unwrap();
        bench.map_at(who, more, 3, Access::Write).expect("it replaces as many");
        assert_eq!(bench.map_at(who, more, 4, Access::Write), Err(Errno::NoMem));
        bench.does(first, &limits(UNLIMITED, 3));
        assert_eq!(bench.mmap(who, 3, MapFlags::PREALLOCATED), Err(Errno::NoMem));
        bench.write(who, more, 1).unwrap();
        bench.write(who, more + P, 1).unwrap();
        assert_eq!(bench.write(who, more + 2 * P, 1).expect_err("it has three").why, Errno::NoMem);
        bench.munmap(who, HERE, 2).unwrap();
        bench.write(who, more + 2 * P, 1).expect("it has given one up");
        let usage = bench.does(who, &GetUsage { process: who, reserved: 0 });
        assert_eq!((usage.pages, usage.resident, usage.most_resident, usage.regions), (6, 3, 3, 2));
        bench.end(who);
        bench.assert_all_free();
    });
}
