//! What the calls promise beside what the model compares: bounded work, and what comes back.

use super::{FAR_DEVICE, P, RAM, Server, Storage, done, run};
use crate::support::TestMachine;
use abi::Errno;
use abi::layout::{USER_END, USER_START};
use kernel_core::Spaces;
use kernel_core::frames::{FrameInfo, FrameKind, FrameNumber, Frames};
use kernel_core::spaces::lending::Lendings;
use kernel_core::spaces::{Mapped, SPACES, Space};
use protocol::vmctl::{Access, Backing, Cache, MAX_CLEARED, MAX_RUN, MapRun};

fn frame(physical: u64) -> FrameNumber {
    FrameNumber::containing(physical).unwrap()
}

#[test]
fn a_run_over_the_border_of_all_tables_asks_for_each_of_them() {
    let mut storage = Storage::new();
    let mut server = Server::new(&mut storage);
    let (space, frames) = (server.space(0), server.idle(4));
    let border = 1 << 39;
    let mut call = run(space, border - 2 * P, frames, 4);
    for (done, stock) in [(0, 3), (2, 3)] {
        assert_eq!(server.map(&call), Ok(Mapped { done, lacks: stock }));
        let first = server.idle(stock.into());
        assert_eq!(server.spaces.donate(&mut server.machine, space, first, stock.into()), Ok(stock.into()));
        call = MapRun {
            address: call.address + u64::from(done) * P,
            frame: call.frame + u64::from(done) * P,
            count: 4 - done,
            ..call
        };
    }
    assert_eq!(server.map(&call), done(2));
}

#[test]
fn a_call_clears_only_so_many_frames() {
    let mut storage = Storage::new();
    let mut server = Server::new(&mut storage);
    let (space, frames) = (server.space(3), server.idle(40));
    let before = server.machine.memory.cleared;
    assert_eq!(server.map(&run(space, USER_START, frames, 40)), done(MAX_CLEARED));
    let donated = server.spaces.donate(&mut server.machine, space, frames + 16 * P, 24);
    assert_eq!(donated, Ok(MAX_CLEARED.into()));
    assert_eq!(server.machine.memory.cleared - before, 2 * MAX_CLEARED as usize);
    // What is mapped already is not cleared again: it costs less, and goes on.
    assert_eq!(server.map(&run(space, USER_START + (1 << 20), frames, 16)), done(16));
    assert_eq!(server.machine.memory.cleared - before, 2 * MAX_CLEARED as usize);
}

#[test]
fn a_whole_run_is_mapped_found_and_unmapped_in_one_call_each() {
    let mut storage = Storage::new();
    let mut server = Server::new(&mut storage);
    let space = server.space(4);
    let (access, cache, backing) = (Access::Read, Cache::Off, Backing::Device);
    let (address, frame) = ((1 << 21) - 5 * P, 2 * FAR_DEVICE.start * P);
    let call = MapRun { space, address, frame, count: MAX_RUN, access, cache, backing };
    assert_eq!(server.map(&call), done(MAX_RUN));
    let found = server.spaces.query(&server.machine, space, address + P).unwrap();
    assert_eq!((found.frame, found.count, found.cache), (frame + P, 4, Cache::Off), "up to the end of the table");
    assert_eq!(server.unmap(space, address, MAX_RUN), Ok(MAX_RUN.into()));
    // The two leaf tables are empty, and so are those above them: all four are in stock again.
    let elsewhere = MapRun { address: USER_END - 2 * P, count: 2, ..call };
    assert_eq!(server.map(&elsewhere), done(2));
}

#[test]
fn holes_are_as_long_as_the_table_that_is_missing() {
    let mut storage = Storage::new();
    let mut server = Server::new(&mut storage);
    let (space, frames) = (server.space(3), server.idle(1));
    let hole = |server: &Server<'_>, address| {
        let found = server.spaces.query(&server.machine, space, address).unwrap();
        assert_eq!(found.frame, 0);
        found.count
    };
    assert_eq!(hole(&server, USER_START), (1 << 27) - USER_START / P);
    assert_eq!(hole(&server, USER_END - P), 1);
    assert_eq!(hole(&server, USER_END - 4 * P), 4);
    server.map(&run(space, USER_END - P, frames, 1)).unwrap();
    assert_eq!(hole(&server, USER_END - 4 * P), 3);
}

#[test]
fn a_frame_keeps_what_it_holds_until_it_is_released() {
    let mut storage = Storage::new();
    let mut server = Server::new(&mut storage);
    let (one, other, memory) = (server.space(3), server.space(3), server.idle(1));
    server.map(&run(one, USER_START, memory, 1)).unwrap();
    server.machine.memory.contents.insert(frame(memory), 5);
    assert_eq!(server.unmap(one, USER_START, 1), Ok(1));
    assert_eq!(server.map(&run(other, USER_START, memory, 1)), done(1));
    assert_eq!(server.machine.memory.contents.get(&frame(memory)), Some(&5));
    assert_eq!(server.unmap(other, USER_START, 1), Ok(1));
    assert_eq!(server.spaces.release(memory, 1), Ok(1));
    assert_eq!(server.map(&run(one, USER_START, memory, 1)), done(1));
    assert_eq!(server.machine.memory.contents.get(&frame(memory)), None, "it was idle meanwhile");
}

#[test]
fn a_space_that_ends_gives_all_frames_back_and_its_name_is_stale() {
    let mut storage = Storage::new();
    let mut server = Server::new(&mut storage);
    let (space, memory) = (server.space(10), server.idle(3));
    let frames = RAM.start * P;
    for (page, memory) in [(USER_START, memory), (1 << 30, memory + P), (1 << 40, memory + 2 * P)] {
        assert_eq!(server.map(&run(space, page, memory, 1)), done(1));
    }
    let steps: Vec<_> = (0..4).map(|_| server.spaces.destroy(&mut server.machine, space)).collect();
    assert_eq!(steps, [Ok(true), Ok(true), Ok(true), Ok(false)]);
    assert_eq!(server.spaces.destroy(&mut server.machine, space), Err(Errno::Srch));
    assert_eq!(server.spaces.give_back(frames, 11), Ok(11), "root and tables");
    assert_eq!(server.spaces.release(memory, 3), Ok(3));
}

#[test]
fn there_are_so_many_spaces_and_no_name_comes_twice() {
    let mut table = [Space::FREE; SPACES];
    let mut frames = vec![FrameInfo::RESERVED; SPACES + 1];
    let mut frames = Frames::new(&mut frames);
    frames.add_free(0..u64::MAX);
    let (mut spaces, mut machine) = (Spaces::new(&mut table, frames, Lendings::new(&mut [])), TestMachine::default());
    while spaces.claim(512).is_ok() {}
    let create = |spaces: &mut Spaces<'_>, machine: &mut TestMachine, i: usize| spaces.create(machine, i as u64 * P);
    let mut names: Vec<_> = (0..SPACES).map(|i| create(&mut spaces, &mut machine, i).unwrap()).collect();
    assert_eq!(create(&mut spaces, &mut machine, SPACES), Err(Errno::NoSpc));
    assert_eq!(spaces.frames().kind(frame(SPACES as u64 * P)), Ok(FrameKind::Idle));
    for again in 0..10 {
        assert_eq!(spaces.destroy(&mut machine, names[again]), Ok(false));
        assert_eq!(spaces.find(names[again]), Err(Errno::Srch));
        names.push(create(&mut spaces, &mut machine, again).unwrap());
        assert_eq!(spaces.find(names[again]), Err(Errno::Srch), "the entry is used again, the name is not");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SPACES + 10);
}

#[test]
fn what_the_kernel_made_goes_back_to_its_pool() {
    let mut storage = Storage::new();
    let (mut spaces, mut machine) = (storage.spaces(), TestMachine::default());
    let free = spaces.frames().free_count();
    let id = spaces.create_own(&mut machine).unwrap();
    for page in [USER_START, USER_START + P, 1 << 39, USER_END - P] {
        spaces.map_new(&mut machine, id, page, Access::Write).unwrap();
    }
    assert_eq!(spaces.bind(id), spaces.bind(id));
    spaces.unbind(&mut machine, id);
    while spaces.sweep(&mut machine) {}
    assert!(spaces.root(id).is_some(), "somebody lives there");
    spaces.unbind(&mut machine, id);
    while spaces.sweep(&mut machine) {}
    assert_eq!((spaces.root(id), spaces.frames().free_count()), (None, free));
    assert_eq!(spaces.bind(id), None, "it has ended");
}

#[test]
fn a_frame_of_the_pool_that_the_server_mapped_lives_as_long_as_any_mapping() {
    let mut storage = Storage::new();
    let (mut spaces, mut machine) = (storage.spaces(), TestMachine::default());
    let id = spaces.create_own(&mut machine).unwrap();
    spaces.map_new(&mut machine, id, USER_START, Access::Write).unwrap();
    spaces.bind(id).unwrap();
    let memory = spaces.query(&machine, spaces.name(id), USER_START).unwrap().frame;
    let (first, count) = spaces.claim(4).unwrap();
    assert_eq!(count, 4);
    let space = spaces.create(&mut machine, first).unwrap();
    spaces.donate(&mut machine, space, first + P, 3).unwrap();
    assert_eq!(spaces.map(&mut machine, &run(space, USER_START, memory, 1), |_| false), done(1));
    spaces.unbind(&mut machine, id);
    while spaces.sweep(&mut machine) {}
    assert_eq!(spaces.frame_info(memory).unwrap().mappings, 1);
    let free = spaces.frames().free_count();
    assert_eq!(spaces.unmap(&mut machine, space, USER_START, 1), Ok(1));
    assert_eq!(spaces.frames().free_count(), free + 1);
}
