//! Who may not do what.

use crate::player::{Player, me, new_memory, server};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::privctl::AddMemory;
use protocol::vm::*;
use suite::{Outcome, check, check_eq};

const PLACE: u64 = 0x2000_0000_0000;

pub(crate) fn calls_that_are_not_in_the_mask_are_unknown() -> Outcome {
    let mut player = Player::start()?;
    let other = Player::start()?;
    let process = other.endpoint;
    let before = other.usage()?;
    check_eq!(player.ask(&WillExit { process, reserved: 0 })?.map(drop), Err(Errno::NoSys));
    check_eq!(player.ask(&Exit { process, reserved: 0 })?.map(drop), Err(Errno::NoSys));
    check_eq!(player.ask(&Fork { parent: process, slot: 95 })?.map(drop), Err(Errno::NoSys));
    check_eq!(player.ask(&Spawn { parent: process, slot: 95 })?.map(drop), Err(Errno::NoSys));
    check_eq!(player.ask(&Clear { process, reserved: 0 })?.map(drop), Err(Errno::NoSys));
    check_eq!(player.ask(&Pin { process, reserved: 0 })?.map(drop), Err(Errno::NoSys));
    let all = SetCalls { process: player.endpoint, is_user: 0, calls: u64::MAX };
    check_eq!(player.ask(&all)?.map(drop), Err(Errno::NoSys));
    let fix = Fix { process, write: 1, address: PLACE, len: PAGE_SIZE };
    check_eq!(player.ask(&fix)?.map(drop), Err(Errno::NoSys));
    let limits = SetLimits { process: player.endpoint, reserved: 0, pages: UNLIMITED, resident: UNLIMITED };
    check_eq!(player.ask(&limits)?.map(drop), Err(Errno::NoSys));
    check_eq!(other.usage()?, before);
    player.end()?;
    other.end()
}

pub(crate) fn nobody_acts_for_others_without_the_right() -> Outcome {
    let (mut player, mut other) = (Player::start()?, Player::start()?);
    other.ask(&new_memory(PLACE, 2, MapFlags::empty()))??;
    other.fill(PLACE, 2, 1)?;
    for process in [other.endpoint, me()?, Endpoint::from_raw(0)] {
        let map = Map { process, ..new_memory(PLACE + 8 * PAGE_SIZE, 1, MapFlags::FIXED) };
        check_eq!(player.ask(&map)?.map(drop), Err(Errno::Perm));
        let unmap = Unmap { address: PLACE, len: PAGE_SIZE, process, reserved: 0 };
        check_eq!(player.ask(&unmap)?.map(drop), Err(Errno::Perm));
        let protect = Protect { address: PLACE, len: PAGE_SIZE, process, access: Access::Read };
        check_eq!(player.ask(&protect)?.map(drop), Err(Errno::Perm));
    }
    check_eq!(other.sum(PLACE, 2)?, 3);
    other.write(PLACE, 5)?;
    // The suite may.
    let process = other.endpoint;
    server().mmap(Map { process, ..new_memory(PLACE + 8 * PAGE_SIZE, 1, MapFlags::FIXED) })?;
    check_eq!(other.read(PLACE + 8 * PAGE_SIZE)?, 0);
    let gone = Map { process: process.next_generation(), ..new_memory(0, 1, MapFlags::empty()) };
    check_eq!(server().mmap(gone).map(drop), Err(Errno::Srch));
    player.end()?;
    other.end()
}

pub(crate) fn devices_are_for_those_who_have_them() -> Outcome {
    /// The registers of the HPET, which the kernel does not use. The first word says what it is.
    const HPET: u64 = 0xfed0_0000;
    let mut player = Player::start()?;
    let process = player.endpoint;
    let call = MapPhysical { physical: HPET, len: 8, process, access: Access::Read, cache: Cache::Off, reserved: 0 };
    check_eq!(server().map_physical(call).map(drop), Err(Errno::Perm));
    sys::privctl().add_memory(AddMemory { process, reserved: 0, start: HPET, len: PAGE_SIZE })?;
    for wrong in [
        MapPhysical { physical: 0x10_0000, ..call },
        MapPhysical { physical: HPET + PAGE_SIZE, ..call },
        MapPhysical { len: 2 * PAGE_SIZE, ..call },
    ] {
        check_eq!((wrong, server().map_physical(wrong).map(drop)), (wrong, Err(Errno::Perm)));
    }
    check_eq!(server().map_physical(MapPhysical { len: 0, ..call }).map(drop), Err(Errno::Inval));
    let at = server().map_physical(MapPhysical { physical: HPET + 4, ..call })?.address;
    check_eq!(at % PAGE_SIZE, 4);
    // The period of the counter, in femtoseconds: at most 100 ns (IA-PC HPET specification 1.0a, 2.3.4).
    let period = player.read(at - 4)? >> 32;
    check!(period > 0 && period <= 100_000_000, "the period is {period}");
    let end = UnmapPhysical { address: at, process, reserved: 0 };
    server().unmap_physical(end)?;
    check_eq!(server().unmap_physical(end).map(drop), Err(Errno::Inval));
    player.dies_of(vm_suite::Do::Read, &[at - 4])
}

pub(crate) fn limits_are_kept() -> Outcome {
    let mut player = Player::start()?;
    let process = player.endpoint;
    let usage = player.usage()?;
    let limits = SetLimits { process, reserved: 0, pages: usage.pages + 10, resident: usage.resident + 8 };
    server().set_limits(limits)?;
    check_eq!(player.ask(&new_memory(0, 11, MapFlags::empty()))?.map(drop), Err(Errno::NoMem));
    check_eq!(player.ask(&new_memory(0, 9, MapFlags::PREALLOCATED))?.map(drop), Err(Errno::NoMem));
    let address = player.map(10, MapFlags::empty())?;
    check_eq!(player.ask(&new_memory(0, 1, MapFlags::empty()))?.map(drop), Err(Errno::NoMem));
    player.fill(address, 4, 1)?;
    player.unmap(address, 1)??;
    player.map(1, MapFlags::empty())?;
    player.dies_of(vm_suite::Do::Fill, &[address + PAGE_SIZE, 9, 1])
}
