//! The memory server, devices, and how much there can be.

use super::*;

#[test]
fn pages_that_a_device_knows_are_copied_at_once() {
    test(|world| {
        let frame = page(world, A, PLACE + 2 * P).unwrap().frame;
        world.kernel.spaces.pin(frame).unwrap();
        map_all(world, B, A, id(0));
        revoke(world, A, id(0));
        assert!(!page(world, A, PLACE + 2 * P).unwrap().rights.withheld);
        // The device writes.
        world.machine.memory.contents.insert(frame, 5);
        assert_eq!((seen(world, A, 2), seen(world, B, 2)), (5, content(A, 2)));
        let own = page(world, C, PLACE).unwrap().frame;
        world.kernel.spaces.pin(own).unwrap();
        assert_eq!(lend(world, C, map(A, id(1), 0, 1, 1)), Err(Errno::Busy), "a device writes to C's own page");
    });
}

#[test]
fn missing_pages_are_asked_for_on_both_sides() {
    use protocol::vmctl::{AnswerRequest, NextEvent};
    test(|world| {
        let (a, b) = (name_of(world, A), name_of(world, B));
        let taken = |world: &mut World<'_>, space, address| {
            let QueryRun { .. } = QueryRun { space, address };
            let frame = world.call(D, &QueryRun { space, address }).unwrap().frame;
            world.does(D, &UnmapRun { space, address, count: 1, reserved: 0 });
            frame
        };
        let give = |world: &mut World<'_>, space, address, frame, access| {
            let (backing, cache) = (Backing::Memory, Cache::Normal);
            let call = MapRun { space, address, frame, count: 1, access, backing, cache };
            assert_eq!(world.call(D, &call).map(|mapped| mapped.done), Ok(1));
        };
        let told = |world: &mut World<'_>| {
            let words = world.call(D, &NextEvent {}).unwrap().words;
            ((words[0] >> 32) as u32, words[1], words[2])
        };
        let of_a = taken(world, a, PLACE + 3 * P);
        let of_b = taken(world, b, PLACE + P);
        assert_eq!(world.trap(B, kernel_call(&map(A, id(0), 0, PAGES, 0))), Outcome::Blocked);
        assert_eq!(told(world), (A.raw(), PLACE, PAGES * P), "the whole of it, to be read");
        give(world, a, PLACE + 3 * P, of_a, Access::Write);
        world.does(D, &AnswerRequest { process: B, available: 1 });
        world.tick(20);
        assert_eq!(told(world), (B.raw(), PLACE, (1 << 56) | (PAGES * P)), "the place, to be written");
        give(world, b, PLACE + P, of_b, Access::Write);
        world.does(D, &AnswerRequest { process: B, available: 1 });
        world.run(B);
        assert_eq!(all_seen(world, B), own(A));
    });
}

#[test]
fn what_the_memory_server_shares_out_until_somebody_writes_is_asked_for_first() {
    test(|world| {
        // As after a fork: C has A's first page, and both only read it.
        let (a, c) = (name_of(world, A), name_of(world, C));
        let frame = page(world, A, PLACE).unwrap().frame.address();
        world.does(D, &ProtectRun { space: a, address: PLACE, count: 1, access: Access::Read });
        world.does(D, &UnmapRun { space: c, address: PLACE, count: 1, reserved: 0 });
        let (access, backing, cache) = (Access::Read, Backing::Memory, Cache::Normal);
        world.does(D, &MapRun { space: c, address: PLACE, frame, count: 1, access, backing, cache });
        assert_eq!(world.trap(B, kernel_call(&map(A, id(0), 0, 1, 0))), Outcome::Blocked);
        let words = world.call(D, &protocol::vmctl::NextEvent {}).unwrap().words;
        assert_eq!((words[0] >> 32, words[1], words[2]), (u64::from(A.raw()), PLACE, 1 << 56 | P), "to be written");
    });
}

#[test]
fn the_memory_server_parts_what_is_shared_before_it_changes_it() {
    for side in [A, B] {
        test(|world| {
            map_all(world, B, A, id(0));
            write(world, B, 1, 11);
            let space = name_of(world, side);
            let (address, count) = (PLACE + 3 * P, 1);
            let unmap = UnmapRun { space, address, count, reserved: 0 };
            assert_eq!(world.call(D, &unmap), Err(Errno::Busy));
            assert_eq!(world.call(D, &ProtectRun { space, address, count, access: Access::Read }), Err(Errno::Busy));
            assert_eq!(world.call(D, &QueryRun { space, address }).unwrap().found, Found::Memory);
            until_done(|| world.call(D, &Part { space, address, count, reserved: 0 }).unwrap().more);
            is_apart(world);
            assert_eq!(all_seen(world, B), all_seen(world, A));
            world.does(D, &unmap);
        });
    }
    test(|world| {
        let space = name_of(world, A);
        let part = Part { space, address: PLACE, count: 1, reserved: 0 };
        assert_eq!(world.call(D, &part).map(|parted| parted.more), Ok(0), "nothing is to do");
        assert_eq!(world.call(D, &Part { space: 99, ..part }), Err(Errno::Srch));
        assert_eq!(world.call(D, &Part { address: PLACE + 1, ..part }), Err(Errno::Inval));
        assert_eq!(world.call(D, &Part { count: 0, ..part }), Err(Errno::Inval));
        assert_eq!(world.call(D, &Part { address: 0, ..part }), Err(Errno::Fault));
    });
}

#[test]
fn frames_that_are_aside_are_nobodys_to_take() {
    test(|world| {
        let own = page(world, B, PLACE).unwrap().frame.address();
        map_all(world, B, A, id(0));
        let info = world.call(D, &GetFrameInfo { frame: own }).unwrap();
        assert_eq!((info.kind, info.mappings, info.pins), (protocol::vmctl::FrameKind::Aside, 0, 0));
        let release = protocol::vmctl::Release { first: own, count: 1 };
        assert_eq!(world.call(D, &release), Err(Errno::Perm));
        let (access, backing, cache) = (Access::Write, Backing::Memory, Cache::Normal);
        let space = name_of(world, C);
        let call = MapRun { space, address: PLACE - P, frame: own, count: 1, access, backing, cache };
        assert_eq!(world.call(D, &call), Err(Errno::Perm));
    });
}

#[test]
fn long_runs_are_mapped_and_taken_back_in_steps() {
    const MANY: u64 = MAX_LENT as u64 + 40;
    const FAR: u64 = 1 << 35;
    let mut programs = four();
    programs[3].flags = BootFlags::PAGER.bits();
    let mut table = Storage::with(2048);
    let mut world = World::new(&mut table, &programs);
    let world = &mut world;
    world.register_grants();
    for who in [A, B] {
        map_pages(world, who, FAR, MANY);
    }
    world.grant_at(A, 0, direct(B, ALL, FAR, MANY * P));
    let call = SafeMap { granter: A, write: 1, grant: id(0), offset: 0, address: FAR, len: MANY * P };
    let done = world.call(B, &call).unwrap().done;
    assert_eq!(done, u64::from(MAX_LENT) * P);
    let rest = SafeMap { offset: done, address: FAR + done, len: call.len - done, ..call };
    assert_eq!(world.call(B, &rest).unwrap().done, 40 * P);
    // Pages that must be copied take more steps.
    for number in 0..40 {
        let frame = page(world, A, FAR + number * P).unwrap().frame;
        world.kernel.spaces.pin(frame).unwrap();
    }
    let mut steps = 0;
    until_done(|| {
        steps += 1;
        world.call(A, &SafeRevMap { grant: id(0) }).unwrap().more
    });
    assert!(steps > 2, "{steps}");
    for number in 0..MANY {
        let [a, b] = [A, B].map(|who| page(world, who, FAR + number * P).unwrap());
        assert!(number < 40 || a.rights.withheld && b.rights.withheld);
        assert_eq!(a.frame == b.frame, number >= 40);
    }
}

#[test]
fn what_is_not_taken_back_at_once_time_takes_back() {
    /// More pages that must be copied than one step copies.
    const MANY: u64 = 40;
    const FAR: u64 = 1 << 35;
    test(|world| {
        for who in [A, B] {
            map_pages(world, who, FAR, MANY);
        }
        world.grant_at(A, 2, direct(B, ALL, FAR, MANY * P));
        let call = SafeMap { granter: A, write: 1, grant: id(2), offset: 0, address: FAR, len: MANY * P };
        assert_eq!(world.call(B, &call).map(|mapped| mapped.done), Ok(MANY * P));
        let frame = |world: &World<'_>, who, number| page(world, who, FAR + number * P).unwrap().frame;
        for number in 0..MANY {
            let pinned = frame(world, A, number);
            world.kernel.spaces.pin(pinned).unwrap();
        }
        let seen_by_both = |world: &World<'_>| (0..MANY).filter(|&n| frame(world, A, n) == frame(world, B, n)).count();
        assert_eq!(world.call(A, &SafeRevMap { grant: id(2) }).map(|taken| taken.more), Ok(1));
        assert!((1..MANY as usize).contains(&seen_by_both(world)));
        // Whoever takes it back need not call again.
        world.tick(100);
        assert_eq!(seen_by_both(world), 0);
    });
}

#[test]
fn nobody_lends_more_than_his_share() {
    test(|world| {
        let quota = LENDINGS as u64 / 2;
        for number in 0..quota {
            let (who, page) = if number < PAGES { (B, number) } else { (C, number - PAGES) };
            let grant = id(if who == B { 0 } else { 1 });
            world.does(who, &map(A, grant, page, 1, 1));
        }
        unmap(world, B, PLACE);
        assert_eq!(lend(world, B, map(A, id(0), 0, 1, 1)), Ok(P));
        map_pages(world, C, PLACE + PAGES * P, 1);
        let one_more = SafeMap { address: PLACE + PAGES * P, ..map(A, id(1), 0, 1, 1) };
        assert_eq!(world.call(C, &one_more), Err(Errno::NoSpc));
        world.grant_at(B, 0, direct(C, ALL, PLACE, PAGES * P));
        map_pages(world, B, PLACE + PAGES * P, 1);
        world.grant_at(B, 1, direct(C, ALL, PLACE + PAGES * P, P));
        world.does(C, &SafeMap { granter: B, grant: id(1), ..one_more });
        revoke(world, A, id(0));
        revoke(world, A, id(1));
        assert_eq!(all_seen(world, B), own(A));
    });
}

#[test]
fn what_was_taken_back_makes_room_for_what_is_new() {
    test(|world| {
        for round in 0..10 * LENDINGS as u64 {
            let number = round % PAGES;
            assert_eq!(lend(world, B, map(A, id(0), number, 1, 1)), Ok(P));
            write(world, A, number, round);
            assert_eq!(seen(world, B, number), round);
            revoke(world, A, id(0));
            write(world, B, (round + 3) % PAGES, 1);
        }
    });
}

#[test]
fn pages_are_copied_by_sharing_them() {
    const MANY: u64 = 40;
    const FAR: u64 = (1 << 35) + 500 * P;
    for (from, to) in [(FAR, FAR), (FAR + P, FAR), (FAR + 8, FAR + 8)] {
        let mut table = Storage::with(2048);
        let mut world = World::new(&mut table, &four());
        let world = &mut world;
        for who in [A, B] {
            map_pages(world, who, FAR, MANY);
        }
        // What comes before the first whole page is copied as ever; and it is there.
        let mut len = (MANY - 1) * P;
        let (mut source, mut destination) = (from, to);
        while len >= 16 * P {
            let call = VirCopy { source: A, destination: B, from: source, to: destination, len, flags: 0 };
            if !from.is_multiple_of(P) && source == from {
                map_bytes(world, from, to);
            }
            let done = world.call(C, &call).unwrap().done;
            assert!(done > 0 && done <= len);
            (source, destination, len) = (source + done, destination + done, len - done);
        }
        let first = from.next_multiple_of(P);
        let offset = (first - FAR) / P;
        for number in 0..(source - first) / P {
            let b = page(world, B, to.next_multiple_of(P) + number * P).unwrap();
            assert_eq!(world.machine.memory.contents.get(&b.frame), Some(&content(A, number + offset)));
            let a = page(world, A, first + number * P).unwrap();
            assert!(a.frame == b.frame && a.rights.withheld && b.rights.withheld);
        }
    }
}

/// The bytes that stand for the first part of a copy that begins inside of a page.
fn map_bytes(world: &mut World<'_>, from: u64, to: u64) {
    for (who, address) in [(A, from), (B, to)] {
        let root = world.memory_of(who);
        for at in address..address.next_multiple_of(P) {
            world.machine.written.insert((root, at), 0);
        }
    }
}
