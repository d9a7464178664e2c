//! Boot programs that the memory server loads.

use crate::support::*;
use abi::boot::{BootEntry, BootFlags};
use abi::layout::{PAGE_SIZE, STACK_TOP, USER_START};
use abi::{Endpoint, Errno, PrivilegeId};
use kernel_core::Rts;
use kernel_core::boot::BootMemory;
use kernel_core::frames::FrameNumber;
use protocol::getinfo::{GetBootPolicy, GetProcess};
use protocol::kernel::{Exec, GetBootEntry};
use protocol::privctl::{AddMemory, SetSys};
use protocol::vmctl::{Access, Backing, BootFile, Cache, Claim, Donate, GetBootFile, GetSpaceOf, MapRun, Settle};

#[test]
fn a_served_program_waits_for_memory_and_its_file_is_told() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    let entry = BootEntry { size: 5000, ..program("late") };
    let first = FrameNumber::containing(7 * PAGE_SIZE).unwrap();
    let slot = world.kernel.add_boot_program(&entry, Regs::default(), BootMemory::File(first)).unwrap();
    let late = Endpoint::new(slot.index(), 0).unwrap();
    assert_eq!(world.rts(late), Rts::NO_PRIV | Rts::NO_SPACE);
    world.kernel.check_invariants().unwrap();
    let file = |world: &mut World<'_>, index| world.as_root(&GetBootFile { index });
    let place = slot.index() as u64;
    assert_eq!(file(&mut world, place), Ok(BootFile { first: 7 * PAGE_SIZE, len: 5000 }));
    assert_eq!(file(&mut world, 0), Err(Errno::NoEnt));
    for index in [place + 1, 1 << 32, u64::MAX] {
        assert_eq!(file(&mut world, index), Err(Errno::Dom));
    }
    // As the memory server does it, in a space that it has made.
    let space = new_space(&mut world.kernel, &mut world.machine, slot.index());
    let space = world.kernel.spaces.name(space);
    world.as_root(&Settle { process: late, reserved: 0, space }).unwrap();
    world.as_root(&Exec { name: entry.name, stack: STACK_TOP, entry: USER_START, process: late, reserved: 0 }).unwrap();
    assert_eq!(world.rts(late), Rts::NO_PRIV);
    assert_eq!((world.regs(late).rip, world.regs(late).rsp), (USER_START, STACK_TOP));
    world.kernel.check_invariants().unwrap();
}

#[test]
fn devices_are_for_those_who_have_a_right_to_them() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    const DEVICE: u64 = 0xf000_0000;
    let (start, len) = (DEVICE, 2 * PAGE_SIZE);
    world.as_root(&AddMemory { process: A, reserved: 0, start, len }).unwrap();
    let space_of = |world: &mut World<'_>, process| world.as_root(&GetSpaceOf { process }).unwrap().space;
    let (a, b) = (space_of(&mut world, A), space_of(&mut world, B));
    let first = world.as_root(&Claim { count: 3 }).unwrap().first;
    assert_eq!(world.as_root(&Donate { space: a, first, count: 3 }).unwrap().done, 3);
    let (access, cache, backing) = (Access::Write, Cache::Off, Backing::Device);
    let call = MapRun { space: a, address: 1 << 30, frame: DEVICE, count: 3, access, cache, backing };
    // C is the memory server, which has no right itself.
    let map = |world: &mut World<'_>, call: MapRun| world.call(C, &call).map(|mapped| mapped.done);
    assert_eq!(map(&mut world, call), Err(Errno::Perm), "the third page is nobody's");
    assert_eq!(map(&mut world, MapRun { count: 2, ..call }), Ok(2));
    assert_eq!(map(&mut world, MapRun { space: b, count: 2, ..call }), Err(Errno::Perm));
}

#[test]
fn a_file_is_no_program_and_is_told() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    let entry = BootEntry { size: 9000, flags: BootFlags::FILE.bits(), ..program("later") };
    let first = FrameNumber::containing(9 * PAGE_SIZE).unwrap();
    let place = (0..).find(|index| world.as_root(&GetBootEntry { index: *index }).is_err()).unwrap();
    assert!(world.kernel.add_boot_file(&entry, first));
    world.kernel.check_invariants().unwrap();
    let told = world.as_root(&GetBootEntry { index: place }).unwrap();
    assert_eq!((told.name, told.endpoint), (entry.name, Endpoint::NONE));
    let policy = world.as_root(&GetBootPolicy { index: place }).unwrap();
    assert_eq!((policy.flags, policy.endpoint), (entry.flags, Endpoint::NONE));
    assert_eq!(world.as_root(&GetBootFile { index: place }), Ok(BootFile { first: 9 * PAGE_SIZE, len: 9000 }));
    assert_eq!(world.as_root(&GetProcess { slot: place }).map(drop), Err(Errno::Srch), "nobody is in its slot");
    // Its place gives no static id: whoever gets privileges gets a dynamic one there.
    world.trap(D, receive(Endpoint::ANY));
    let child = world.child(D, Endpoint::new(place as usize, 1).unwrap());
    let id = PrivilegeId::of_boot_program(place as usize).unwrap().index() as u32;
    let spec = world.spec();
    assert_eq!(world.as_root(&SetSys { spec, process: child, id }).map(drop), Err(Errno::Inval));
    while world.kernel.add_boot_file(&entry, first) {}
    world.kernel.check_invariants().unwrap();
}
