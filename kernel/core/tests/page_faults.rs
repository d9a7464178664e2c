//! Page faults that are told by the fast path, and the calls that end one together with the page that it was about.

use crate::lending::{MAP, P, PAGES, PLACE, map_pages, name_of, page};
use crate::support::*;
use abi::boot::{BootEntry, BootFlags};
use abi::layout::USER_END;
use abi::{Endpoint, Errno};
use kernel_core::frames::{FrameKind, FrameNumber};
use kernel_core::tables::Access;
use kernel_core::{CpuId, MemoryAccess, Rts};
use protocol::kernel::SafeMap;
use protocol::privctl::{Allow, Disallow, SetUser};
use protocol::vmctl::{
    Claim, ClearPageFault, Donate, GetFrameInfo, NextEvent, ProtectRun, Settle, SupplyCopy, SupplyPage,
};

const ANY: Endpoint = Endpoint::ANY;
/// Where A has no page, but the tables for one.
const HOLE: u64 = PLACE - P;
/// Where there are no tables either.
const FAR: u64 = PLACE << 8;

/// D is the memory server, and more urgent than the others.
fn programs() -> [BootEntry; 4] {
    let mut programs = four();
    (programs[3].flags, programs[3].priority) = (BootFlags::PAGER.bits(), PRIORITY - 2);
    programs
}

/// C runs, and D waits.
fn scene(world: &mut World<'_>) {
    world.trap(D, receive(ANY));
    world.register_grants_of(A);
    map_pages(world, A, PLACE, PAGES);
    map_pages(world, C, PLACE, PAGES);
    world.run(C);
}

fn fault_ordinary(world: &mut World<'_>, address: u64, access: MemoryAccess) {
    let why = format_args!("test");
    let _ = world.kernel.memory_fault(&mut world.machine, CpuId::BOOT, address, access, why);
    world.schedule();
}

fn fault_fast(world: &mut World<'_>, address: u64, access: MemoryAccess) -> bool {
    world.kernel.fast_page_fault(&world.machine, CpuId::BOOT, address, access).is_some()
}

#[test]
fn a_fast_page_fault_does_what_an_ordinary_one_does() {
    for access in [MemoryAccess::Read, MemoryAccess::Write, MemoryAccess::Execute] {
        let (mut fast, mut ordinary) = (table(), table());
        let mut fast = World::new(&mut fast, &programs());
        let mut ordinary = World::new(&mut ordinary, &programs());
        for world in [&mut fast, &mut ordinary] {
            scene(world);
            world.tick(1);
            world.machine.cycles += 100;
        }
        assert!(fault_fast(&mut fast, HOLE + 5, access));
        fault_ordinary(&mut ordinary, HOLE + 5, access);
        fast.kernel.check_invariants().expect("invariants hold after a fast step");
        assert_eq!((fast.running(), fast.rts(C), fast.regs(D).body[5]), (Some(D), Rts::PAGE_FAULT, HOLE + 5));
        assert_eq!((fast.regs(D), fast.rts(D)), (ordinary.regs(D), ordinary.rts(D)));
        for world in [&mut fast, &mut ordinary] {
            assert_eq!(world.call(D, &NextEvent {}), Err(Errno::NoEnt), "it has been told");
            assert!(world.call(D, &ClearPageFault { process: C }).is_ok());
        }
        assert_eq!(fast.aftermath(), ordinary.aftermath(), "{access:?}");
    }
}

/// Whether a page fault of C, a write, is fast with something in its way.
fn is_fast(programs: &[BootEntry], in_the_way: impl FnOnce(&mut World<'_>)) -> bool {
    let mut table = table();
    let mut world = World::new(&mut table, programs);
    scene(&mut world);
    in_the_way(&mut world);
    world.run(C);
    let before = world.snapshot();
    let fast = fault_fast(&mut world, HOLE, MemoryAccess::Write);
    assert!(fast || world.snapshot() == before, "declining changes nothing");
    fast
}

#[test]
fn a_page_fault_with_something_in_its_way_is_not_fast() {
    type Obstacle<'a> = (&'a str, &'a dyn Fn(&mut World<'_>));
    assert!(is_fast(&programs(), |_| {}));
    let refused: [Obstacle<'_>; 4] = [
        ("the server does something else", &|world| {
            world.trap(C, notify(D));
            world.trap(D, sendrec(A, 1));
        }),
        ("it waits for somebody else", &|world| {
            world.trap(C, notify(D));
            world.trap(D, receive(A));
        }),
        ("it has become a user", &|world| {
            world.as_root(&Disallow { process: D }).unwrap();
            world.as_root(&SetUser { process: D }).unwrap();
            world.as_root(&Allow { process: D }).unwrap();
        }),
        ("a write may be withheld", &|world| {
            world.grant_at(A, 0, direct(C, READ | MAP, PLACE, P));
            let call = SafeMap { granter: A, write: 0, grant: id(0), offset: 0, address: PLACE, len: P };
            world.call(C, &call).unwrap();
        }),
    ];
    for (what, in_the_way) in refused {
        assert!(!is_fast(&programs(), in_the_way), "{what}");
    }
    let mut peer = programs();
    peer[3].priority = PRIORITY;
    assert!(!is_fast(&peer, |_| {}), "others as urgent as the server are ready");
    let mut without = programs();
    without[3].flags = 0;
    assert!(!is_fast(&without, |_| {}), "there is no memory server");
}

#[test]
fn a_page_fault_is_not_fast_if_the_server_runs_elsewhere() {
    let second = CpuId::new(1).unwrap();
    let mut table = table();
    let mut programs = programs();
    programs[3].cpu = 1;
    let mut world = World::on(&mut table, &programs, 2);
    world.choose(second);
    world.trap_on(second, receive(ANY));
    world.choose(second);
    world.run(C);
    assert!(!fault_fast(&mut world, HOLE, MemoryAccess::Read));
}

/// A has a page fault, and D is told of it.
fn faulted(world: &mut World<'_>) {
    scene(world);
    fault_of_a(world);
}

fn fault_of_a(world: &mut World<'_>) {
    world.run(A);
    fault_ordinary(world, HOLE, MemoryAccess::Write);
    assert_eq!((world.rts(A), world.running()), (Rts::PAGE_FAULT, Some(D)));
}

/// The frame that D claims first then.
fn claim(world: &mut World<'_>) -> u64 {
    world.call(D, &Claim { count: 1 }).unwrap().first
}

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &programs());
    faulted(&mut world);
    run(&mut world);
}

fn supply(address: u64, frame: u64) -> SupplyPage {
    SupplyPage { process: A, access: Access::Write, address, frame }
}

fn kind(world: &mut World<'_>, frame: u64) -> (u32, u32) {
    let found = world.call(D, &GetFrameInfo { frame }).unwrap();
    (found.kind as u32, found.mappings)
}

#[test]
fn a_page_that_is_supplied_is_cleared_and_mapped_and_its_process_goes_on() {
    test(|world| {
        let before = world.regs(A);
        let frame = claim(world);
        world.machine.memory.contents.insert(FrameNumber::containing(frame).unwrap(), 77);
        assert_eq!(world.call(D, &supply(HOLE, frame)).unwrap().lacks, 0);
        let mapped = page(world, A, HOLE).expect("it is mapped");
        assert_eq!((mapped.frame.address(), mapped.rights.access), (frame, Access::Write));
        assert_eq!(kind(world, frame), (FrameKind::User as u32, 1));
        assert!(!world.machine.memory.contents.contains_key(&mapped.frame), "what it held is gone");
        assert_eq!((world.rts(A), world.regs(A)), (Rts::empty(), before));
        world.kernel.check_invariants().unwrap();
        assert_eq!(world.call(D, &supply(HOLE - P, frame)), Err(Errno::Inval), "once");
        assert_eq!(world.trap(D, receive(ANY)), Outcome::Blocked, "nothing is left to tell");
    });
}

#[test]
fn without_page_tables_it_says_how_many_and_the_process_waits() {
    test(|world| {
        let frame = claim(world);
        let before = kind(world, frame);
        assert_eq!(world.call(D, &supply(FAR, frame)).unwrap().lacks, 2);
        assert_eq!((world.rts(A), kind(world, frame), page(world, A, FAR)), (Rts::PAGE_FAULT, before, None));
        let space = name_of(world, A);
        for _ in 0..2 {
            let first = claim(world);
            world.call(D, &Donate { space, first, count: 1 }).unwrap();
        }
        assert_eq!(world.call(D, &supply(FAR, frame)).unwrap().lacks, 0);
        assert_eq!((world.rts(A), page(world, A, FAR).is_some()), (Rts::empty(), true));
    });
}

#[test]
fn a_page_that_is_copied_gets_a_frame_of_its_own_and_its_process_goes_on() {
    test(|world| {
        let space = name_of(world, A);
        world.call(D, &ProtectRun { space, address: PLACE, count: 1, access: Access::Read }).unwrap();
        let there = page(world, A, PLACE).unwrap().frame;
        let content = world.machine.memory.contents[&there];
        let frame = claim(world);
        let call = SupplyCopy { process: A, access: Access::Write, address: PLACE, frame };
        assert_eq!(world.call(D, &call).unwrap().before, there.address());
        let now = page(world, A, PLACE).unwrap();
        assert_eq!((now.frame.address(), now.rights.access), (frame, Access::Write));
        assert_eq!(world.machine.memory.contents[&now.frame], content);
        assert_eq!(kind(world, there.address()).1, 0);
        assert_eq!(world.rts(A), Rts::empty());
        world.kernel.check_invariants().unwrap();
        assert_eq!(world.call(D, &call), Err(Errno::Inval), "once");
    });
}

/// Frames as they are in the scene: an idle one, one that A shows, and its root table.
fn frames() -> [u64; 3] {
    let mut found = [0; 3];
    test(|world| {
        let (idle, shown) = (claim(world), page(world, A, PLACE).unwrap().frame.address());
        found = [idle, shown, world.process(A).space.unwrap().root().address()];
    });
    found
}

#[test]
fn what_cannot_be_supplied_changes_nothing() {
    let [idle, shown, root] = frames();
    let setup = |world: &mut World<'_>| {
        faulted(world);
        claim(world);
    };
    let good = supply(HOLE, idle);
    for (call, errno) in [
        (SupplyPage { process: B, ..good }, Errno::Inval),
        (SupplyPage { process: D, ..good }, Errno::Inval),
        (SupplyPage { process: Endpoint::NONE, ..good }, Errno::Inval),
        (SupplyPage { process: Endpoint::SELF, ..good }, Errno::Inval),
        (SupplyPage { process: A.next_generation(), ..good }, Errno::Inval),
        (SupplyPage { address: HOLE + 1, ..good }, Errno::Inval),
        (SupplyPage { frame: idle + 8, ..good }, Errno::Inval),
        (SupplyPage { address: 0, ..good }, Errno::Fault),
        (SupplyPage { address: USER_END, ..good }, Errno::Fault),
        (SupplyPage { address: u64::MAX - 4095, ..good }, Errno::Fault),
        (SupplyPage { address: PLACE, ..good }, Errno::Exist),
        (SupplyPage { frame: root, ..good }, Errno::Perm),
        (SupplyPage { frame: idle + P, ..good }, Errno::Perm),
        (SupplyPage { address: FAR, frame: root, ..good }, Errno::Perm),
        (SupplyPage { frame: 1 << 40, ..good }, Errno::Dom),
        (SupplyPage { frame: u64::MAX - 4095, ..good }, Errno::Dom),
    ] {
        denied(&programs(), setup, D, kernel_call(&call), errno);
    }
    let good = SupplyCopy { process: A, access: Access::Write, address: PLACE, frame: idle };
    for (call, errno) in [
        (SupplyCopy { process: B, ..good }, Errno::Inval),
        (SupplyCopy { process: Endpoint::ANY, ..good }, Errno::Inval),
        (SupplyCopy { address: HOLE, ..good }, Errno::Inval),
        (SupplyCopy { address: FAR, ..good }, Errno::Inval),
        (SupplyCopy { address: PLACE + 8, ..good }, Errno::Inval),
        (SupplyCopy { frame: idle + 1, ..good }, Errno::Inval),
        (SupplyCopy { address: USER_END, ..good }, Errno::Fault),
        (SupplyCopy { frame: shown, ..good }, Errno::Perm),
        (SupplyCopy { frame: root, ..good }, Errno::Perm),
        (SupplyCopy { frame: 1 << 40, ..good }, Errno::Dom),
    ] {
        denied(&programs(), setup, D, kernel_call(&call), errno);
    }
}

#[test]
fn values_that_are_none_are_refused() {
    let [idle, ..] = frames();
    let message = protocol::encode(<SupplyPage as protocol::Call>::KIND, &supply(HOLE, idle));
    let setup = |world: &mut World<'_>| {
        faulted(world);
        claim(world);
    };
    for access in [3, 4, 1 << 31, u64::from(u32::MAX)] {
        let mut wrong = message;
        wrong.body[0] = u64::from(A.raw()) | access << 32;
        denied(&programs(), setup, D, kernel_call_raw(&wrong), Errno::Inval);
    }
}

#[test]
fn whoever_lives_nowhere_is_supplied_with_nothing() {
    let [idle, ..] = frames();
    let setup = |world: &mut World<'_>| {
        faulted(world);
        claim(world);
        world.call(D, &Settle { process: A, reserved: 0, space: 0 }).unwrap();
    };
    denied(&programs(), setup, D, kernel_call(&supply(HOLE, idle)), Errno::Inval);
}

#[test]
fn a_page_that_is_shared_through_a_grant_is_not_copied() {
    let [idle, ..] = frames();
    let setup = |world: &mut World<'_>| {
        scene(world);
        world.grant_at(A, 0, direct(C, READ | MAP, PLACE, P));
        let call = SafeMap { granter: A, write: 0, grant: id(0), offset: 0, address: PLACE, len: P };
        world.call(C, &call).unwrap();
        fault_of_a(world);
        claim(world);
    };
    let call = SupplyCopy { process: A, access: Access::Write, address: PLACE, frame: idle };
    denied(&programs(), setup, D, kernel_call(&call), Errno::Busy);
}
