//! Mapping, unmapping and protecting.

use crate::player::{Player, new_memory, server, unused_pages};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use abi::{Endpoint, Errno};
use protocol::vm::{Access, GetRegion, Map, MapFlags, RegionKind, Unmap};
use suite::{Outcome, check, check_eq};
use vm_suite::Do;

/// Where nothing is.
const PLACE: u64 = 0x2000_0000_0000;
const NO_FLAGS: MapFlags = MapFlags::empty();

pub(crate) fn new_memory_is_zero_and_all_frames_come_back() -> Outcome {
    const PAGES: u64 = 64;
    Player::start()?.end()?;
    let before = unused_pages()?;
    for round in 0..20 {
        let mut player = Player::start()?;
        for _ in 0..3 {
            let address = player.map(PAGES, NO_FLAGS)?;
            check_eq!((round, player.sum(address, PAGES)?), (round, 0));
            player.fill(address, PAGES, 1)?;
            check_eq!(player.sum(address, PAGES)?, PAGES * (PAGES + 1) / 2);
            player.unmap(address, PAGES)??;
        }
        player.end()?;
        check_eq!((round, unused_pages()?), (round, before));
    }
    Ok(())
}

pub(crate) fn memory_is_touched_before_it_is_there() -> Outcome {
    let mut player = Player::start()?;
    let before = player.usage()?;
    let address = player.map(1000, NO_FLAGS)?;
    let mapped = player.usage()?;
    check_eq!((mapped.pages - before.pages, mapped.resident - before.resident), (1000, 0));
    player.write(address + 500 * PAGE_SIZE, 1)?;
    let touched = player.usage()?;
    check_eq!((touched.resident - before.resident, touched.minor_faults - before.minor_faults), (1, 1));
    let all = player.map(100, MapFlags::PREALLOCATED)?;
    check_eq!(player.usage()?.resident - touched.resident, 100);
    player.fill(all, 100, 1)?;
    check_eq!(player.usage()?.minor_faults, touched.minor_faults);
    player.end()
}

pub(crate) fn a_wish_is_granted_if_it_can_be() -> Outcome {
    let mut player = Player::start()?;
    check_eq!(player.ask(&new_memory(PLACE, 4, NO_FLAGS))??.address, PLACE);
    let other = player.ask(&new_memory(PLACE + 3 * PAGE_SIZE, 4, NO_FLAGS))??.address;
    check!(other + 4 * PAGE_SIZE <= PLACE || other >= PLACE + 4 * PAGE_SIZE, "{other:#x} is taken");
    player.fill(PLACE, 4, 10)?;
    player.fill(other, 4, 20)?;
    check_eq!(player.read(PLACE + 3 * PAGE_SIZE)?, 13);
    player.end()
}

pub(crate) fn at_an_address_the_old_goes() -> Outcome {
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, 8, NO_FLAGS))??;
    player.fill(PLACE, 8, 1)?;
    player.ask(&new_memory(PLACE + 2 * PAGE_SIZE, 3, MapFlags::FIXED))??;
    check_eq!(player.sum(PLACE + 2 * PAGE_SIZE, 3)?, 0);
    check_eq!([player.read(PLACE + PAGE_SIZE)?, player.read(PLACE + 5 * PAGE_SIZE)?], [2, 6]);
    player.end()
}

pub(crate) fn wrong_maps_are_refused() -> Outcome {
    let mut player = Player::start()?;
    let good = new_memory(PLACE, 1, MapFlags::FIXED);
    let flags = |flags: MapFlags| (MapFlags::ANONYMOUS | flags).bits();
    let before = player.usage()?;
    for (call, error) in [
        (Map { len: 0, ..good }, Errno::Inval),
        (Map { fd: 3, ..good }, Errno::Inval),
        (Map { address: PLACE + 1, ..good }, Errno::Inval),
        (Map { flags: flags(MapFlags::FIXED) | 1 << 31, ..good }, Errno::Inval),
        (Map { flags: flags(MapFlags::CONTIGUOUS), ..good }, Errno::Inval),
        (Map { flags: flags(MapFlags::LOW_16M), ..good }, Errno::Inval),
        (Map { flags: flags(MapFlags::UNINITIALIZED), ..good }, Errno::Perm),
        (Map { address: 0, ..good }, Errno::Inval),
        (Map { address: USER_START - PAGE_SIZE, ..good }, Errno::Inval),
        (Map { address: USER_END, ..good }, Errno::Inval),
        (Map { address: USER_END - PAGE_SIZE, len: 2 * PAGE_SIZE, ..good }, Errno::Inval),
        (Map { address: 0xffff_8000_0000_0000, ..good }, Errno::Inval),
        (Map { len: u64::MAX, ..good }, Errno::Inval),
        (Map { len: u64::MAX - PAGE_SIZE, ..good }, Errno::Inval),
        (Map { address: 0, len: 1 << 47, flags: flags(NO_FLAGS), ..good }, Errno::NoMem),
    ] {
        let refused = player.ask(&call)?.map(drop);
        check!(refused == Err(error), "{call:x?}: {refused:?}, should be {error}");
    }
    for (address, len, error) in
        [(PLACE + 8, PAGE_SIZE, Errno::Inval), (PLACE, 0, Errno::Inval), (USER_END, PAGE_SIZE, Errno::Inval)]
    {
        let call = Unmap { address, len, process: Endpoint::SELF, reserved: 0 };
        check_eq!((address, len, player.ask(&call)?.map(drop)), (address, len, Err(error)));
    }
    let after = player.usage()?;
    check_eq!((after.pages, after.resident, after.regions), (before.pages, before.resident, before.regions));
    player.end()
}

pub(crate) fn a_hole_in_the_middle() -> Outcome {
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, 9, NO_FLAGS))??;
    player.fill(PLACE, 9, 1)?;
    player.unmap(PLACE + 3 * PAGE_SIZE, 3)??;
    check_eq!((player.sum(PLACE, 3)?, player.sum(PLACE + 6 * PAGE_SIZE, 3)?), (6, 24));
    // Holes are passed over.
    player.unmap(PLACE + 2 * PAGE_SIZE, 5)??;
    let process = player.endpoint;
    let region = |address| server().region(GetRegion { process, reserved: 0, address });
    check_eq!((region(PLACE)?.start, region(PLACE)?.len), (PLACE, 2 * PAGE_SIZE));
    let behind = region(PLACE + 2 * PAGE_SIZE)?;
    check_eq!((behind.start, behind.len, behind.resident), (PLACE + 7 * PAGE_SIZE, 2 * PAGE_SIZE, 2));
    player.dies_of(Do::Read, &[PLACE + 3 * PAGE_SIZE])
}

pub(crate) fn access_is_what_was_asked_for() -> Outcome {
    for _ in 0..2 {
        let mut player = Player::start()?;
        player.ask(&new_memory(PLACE, 4, NO_FLAGS))??;
        player.fill(PLACE, 4, 1)?;
        player.protect(PLACE + PAGE_SIZE, 2, Access::Read)??;
        check_eq!(player.sum(PLACE, 4)?, 10);
        player.write(PLACE + 3 * PAGE_SIZE, 5)?;
        check_eq!(player.protect(PLACE + 2 * PAGE_SIZE, 4, Access::Read)?, Err(Errno::NoMem));
        player.write(PLACE + 3 * PAGE_SIZE, 6)?;
        // What was taken can be given again.
        player.protect(PLACE + PAGE_SIZE, 1, Access::Write)??;
        player.write(PLACE + PAGE_SIZE, 7)?;
        player.dies_of(Do::Write, &[PLACE + 2 * PAGE_SIZE, 1])?;
    }
    Ok(())
}

pub(crate) fn contiguous_memory_is_contiguous() -> Outcome {
    let mut player = Player::start()?;
    let flags = MapFlags::CONTIGUOUS | MapFlags::PREALLOCATED;
    let address = player.map(32, flags | MapFlags::ALIGNED_64K)?;
    let process = player.endpoint;
    let region = server().region(GetRegion { process, reserved: 0, address })?;
    check_eq!((region.kind, region.resident), (RegionKind::Contiguous, 32));
    let space = sys::vmctl().space_of(protocol::vmctl::GetSpaceOf { process })?.space;
    let first = sys::vmctl().query(protocol::vmctl::QueryRun { space, address })?;
    check!(first.count >= 32 && first.frame.is_multiple_of(64 << 10), "{first:x?}");
    let low = player.map(4, flags | MapFlags::LOW_16M)?;
    let found = sys::vmctl().query(protocol::vmctl::QueryRun { space, address: low })?;
    check!(found.count >= 4 && found.frame + 4 * PAGE_SIZE <= 16 << 20, "{found:x?}");
    player.fill(address, 32, 5)?;
    // It cannot be in two places: a fork fails, and leaves nothing.
    let before = unused_pages()?;
    check_eq!(player.fork_into(90).map(drop), Err(Errno::NoMem));
    check_eq!(unused_pages()?, before);
    player.end()
}

pub(crate) fn the_data_segment_grows_and_shrinks() -> Outcome {
    let mut player = Player::start()?;
    let start = player.brk(0)??;
    check!(start != 0, "no data segment");
    let page = start.next_multiple_of(PAGE_SIZE);
    check_eq!(player.brk(page + 10 * PAGE_SIZE)?, Ok(page + 10 * PAGE_SIZE));
    player.fill(page, 10, 1)?;
    check_eq!(player.brk(page + 5 * PAGE_SIZE + 1)?, Ok(page + 5 * PAGE_SIZE + 1));
    check_eq!(player.sum(page, 6)?, 21);
    check_eq!(player.brk(page + 10 * PAGE_SIZE)?, Ok(page + 10 * PAGE_SIZE));
    // What was given back comes again as zeros.
    check_eq!(player.sum(page, 10)?, 21);
    check_eq!(player.brk(start - PAGE_SIZE)?, Err(Errno::Inval));
    player.ask(&new_memory(page + 20 * PAGE_SIZE, 1, MapFlags::FIXED))??;
    check_eq!(player.brk(page + 21 * PAGE_SIZE)?, Err(Errno::NoMem));
    check_eq!(player.brk(0)?, Ok(page + 10 * PAGE_SIZE));
    check_eq!(player.brk(page + 20 * PAGE_SIZE)?, Ok(page + 20 * PAGE_SIZE));
    player.end()
}
