//! Pages that two spaces show.

use super::{FAR_DEVICE, P, Server, Storage, done, run};
use abi::Errno;
use kernel_core::frames::FrameNumber;
use kernel_core::spaces::Mapped;
use protocol::vmctl::{Access, Backing, CopyPage, MapRun, Share, Sharing};

/// Two pages before the border of a leaf table.
const PLACE: u64 = (1 << 21) - 2 * P;

fn share(from: u64, to: u64, count: u32, sharing: Sharing) -> Share {
    Share { from, to, address: PLACE, count, sharing }
}

/// What a space shows at a page of the place: the frame, and what may be done.
fn shows(server: &Server<'_>, space: u64, page: u64) -> Option<(u64, Access)> {
    let found = server.spaces.query(&server.machine, space, PLACE + page * P).unwrap();
    (found.frame != 0).then_some((found.frame, found.access))
}

fn mappings(server: &Server<'_>, physical: u64) -> u32 {
    server.spaces.frames().info(FrameNumber::containing(physical).unwrap()).unwrap().mappings()
}

/// A space with a page that may be written, one that may be executed, a hole, and one that may be read; and one with as many page
/// tables.
fn scene<'a>(storage: &'a mut Storage, stock: u32) -> (Server<'a>, u64, u64, u64) {
    let mut server = Server::new(storage);
    let (from, to, frames) = (server.space(4), server.space(stock.into()), server.idle(3));
    for (page, frame, access) in [(0, 0, Access::Write), (1, 1, Access::Execute), (3, 2, Access::Read)] {
        let call = MapRun { access, ..run(from, PLACE + page * P, frames + frame * P, 1) };
        assert_eq!(server.map(&call), done(1));
    }
    (server, from, to, frames)
}

#[test]
fn a_copy_on_write_takes_the_right_to_write_from_both() {
    let mut storage = Storage::new();
    let (mut server, from, to, frames) = scene(&mut storage, 4);
    let call = share(from, to, 5, Sharing::CopyOnWrite);
    assert_eq!(server.spaces.share(&mut server.machine, &call), Ok(Mapped { done: 5, lacks: 0 }));
    let expected = [
        Some((frames, Access::Read)),
        Some((frames + P, Access::Execute)),
        None,
        Some((frames + 2 * P, Access::Read)),
        None,
    ];
    for space in [from, to] {
        assert_eq!([0, 1, 2, 3, 4].map(|page| shows(&server, space, page)), expected);
    }
    assert_eq!([0, 1, 2].map(|i| mappings(&server, frames + i * P)), [2, 2, 2]);
    // The tables of the second know how many pages they have: they go with the last.
    assert_eq!(server.unmap(to, PLACE, 5), Ok(3));
    assert_eq!(server.unmap(from, PLACE, 5), Ok(3));
    for space in [to, from] {
        while server.spaces.destroy(&mut server.machine, space).unwrap() {}
    }
}

#[test]
fn the_same_is_the_same_for_devices_too() {
    let mut storage = Storage::new();
    let (mut server, from, to, frames) = scene(&mut storage, 4);
    let device = MapRun { backing: Backing::Device, ..run(from, PLACE + 2 * P, FAR_DEVICE.start * P, 1) };
    assert_eq!(server.map(&device), done(1));
    assert_eq!(
        server.spaces.share(&mut server.machine, &share(from, to, 4, Sharing::Same)),
        Ok(Mapped { done: 4, lacks: 0 })
    );
    assert_eq!(shows(&server, from, 0), Some((frames, Access::Write)));
    for page in 0..4 {
        assert_eq!(shows(&server, to, page), shows(&server, from, page));
    }
}

#[test]
fn it_stops_where_page_tables_are_missing_and_says_how_many() {
    for stock in 0..3 {
        let mut storage = Storage::new();
        let (mut server, from, to, _) = scene(&mut storage, stock);
        let call = share(from, to, 4, Sharing::Same);
        assert_eq!(server.spaces.share(&mut server.machine, &call), Ok(Mapped { done: 0, lacks: 3 - stock }));
        assert_eq!([0, 1, 3].map(|page| shows(&server, to, page)), [None; 3]);
        assert_eq!(shows(&server, from, 0).map(|(_, access)| access), Some(Access::Write));
    }
    let mut storage = Storage::new();
    let (mut server, from, to, _) = scene(&mut storage, 3);
    let call = share(from, to, 4, Sharing::Same);
    // The hole behind the border needs no table, the page behind it does.
    assert_eq!(server.spaces.share(&mut server.machine, &call), Ok(Mapped { done: 3, lacks: 1 }));
}

#[test]
fn a_page_that_is_taken_stops_it() {
    let mut storage = Storage::new();
    let (mut server, from, to, frames) = scene(&mut storage, 4);
    let taken = server.idle(1);
    assert_eq!(server.map(&run(to, PLACE + P, taken, 1)), done(1));
    let call = share(from, to, 4, Sharing::CopyOnWrite);
    assert_eq!(server.spaces.share(&mut server.machine, &call), Ok(Mapped { done: 1, lacks: 0 }));
    assert_eq!((shows(&server, to, 0), mappings(&server, frames + P)), (Some((frames, Access::Read)), 1));
    let rest = Share { address: PLACE + P, count: 3, ..call };
    assert_eq!(server.spaces.share(&mut server.machine, &rest), Err(Errno::Exist));
    assert_eq!(shows(&server, to, 1), Some((taken, Access::Write)));
    assert_eq!(shows(&server, to, 3), None);
}

#[test]
fn wrong_arguments_change_nothing() {
    let mut storage = Storage::new();
    let (mut server, from, to, frames) = scene(&mut storage, 4);
    let good = share(from, to, 4, Sharing::CopyOnWrite);
    for (call, error) in [
        (Share { to: from, ..good }, Errno::Inval),
        (Share { from: to ^ 1 << 32, ..good }, Errno::Srch),
        (Share { to: to ^ 1 << 32, ..good }, Errno::Srch),
        (Share { count: 0, ..good }, Errno::Inval),
        (Share { count: 513, ..good }, Errno::Inval),
        (Share { address: PLACE + 1, ..good }, Errno::Inval),
        (Share { address: 0, ..good }, Errno::Fault),
        (Share { address: abi::layout::USER_END - P, ..good }, Errno::Fault),
    ] {
        assert_eq!(server.spaces.share(&mut server.machine, &call), Err(error), "{call:?}");
        assert_eq!((shows(&server, from, 0), shows(&server, to, 0)), (Some((frames, Access::Write)), None));
    }
}

#[test]
fn pinned_frames_stay_until_they_are_unpinned() {
    let mut storage = Storage::new();
    let (mut server, from, _, frames) = scene(&mut storage, 0);
    assert_eq!(server.spaces.pin_run(frames, 4), Ok(3), "the fourth is idle");
    assert_eq!(server.spaces.pin_run(frames + 3 * P, 1), Err(Errno::Perm));
    assert_eq!(server.unmap(from, PLACE, 4), Ok(3));
    assert_eq!(server.spaces.release(frames, 3), Err(Errno::Busy));
    assert_eq!(server.spaces.unpin_run(frames, 2), Ok(2));
    assert_eq!(server.spaces.unpin_run(frames, 2), Err(Errno::NoSpc));
    assert_eq!(server.spaces.release(frames, 3), Ok(2));
    for (first, count, error) in [(1, 1, Errno::Inval), (0, 0, Errno::Inval), (1 << 60, 1, Errno::Dom)] {
        assert_eq!(server.spaces.pin_run(first, count), Err(error));
        assert_eq!(server.spaces.unpin_run(first, count), Err(error));
    }
}

#[test]
fn a_page_gets_a_frame_of_its_own() {
    let mut storage = Storage::new();
    let (mut server, from, to, frames) = scene(&mut storage, 4);
    let call = share(from, to, 2, Sharing::CopyOnWrite);
    assert_eq!(server.spaces.share(&mut server.machine, &call), Ok(Mapped { done: 2, lacks: 0 }));
    let own = server.idle(1);
    let cleared = server.machine.memory.cleared;
    let copy = CopyPage { space: to, address: PLACE, frame: own, access: Access::Write, reserved: 0 };
    assert_eq!(server.spaces.copy_page(&mut server.machine, &copy), Ok(frames));
    assert_eq!(server.machine.memory.cleared, cleared, "copied, not cleared");
    assert_eq!(
        (shows(&server, to, 0), shows(&server, from, 0)),
        (Some((own, Access::Write)), Some((frames, Access::Read)))
    );
    assert_eq!((mappings(&server, own), mappings(&server, frames)), (1, 1));
    let idle = server.idle(1);
    let good = CopyPage { address: PLACE + P, frame: idle, ..copy };
    for (call, error) in [
        (CopyPage { space: to ^ 1 << 32, ..good }, Errno::Srch),
        (CopyPage { address: PLACE + 1, ..good }, Errno::Inval),
        (CopyPage { address: 0, ..good }, Errno::Fault),
        (CopyPage { address: PLACE + 4 * P, ..good }, Errno::Inval),
        (CopyPage { address: 1 << 40, ..good }, Errno::Inval),
        (CopyPage { frame: own, ..good }, Errno::Perm),
        (CopyPage { frame: idle + 1, ..good }, Errno::Inval),
        (CopyPage { frame: 1 << 60, ..good }, Errno::Dom),
    ] {
        assert_eq!(server.spaces.copy_page(&mut server.machine, &call), Err(error), "{call:?}");
        assert_eq!(shows(&server, to, 1), Some((frames + P, Access::Execute)));
    }
}
