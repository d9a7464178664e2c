//! Each call with one wrong field at a time: it has its error, and nothing has changed.

use super::{DEVICE, FAR_DEVICE, KEPT, KERNEL, P, RAM, Server, Storage, done, run};
use crate::support::TestMachine;
use abi::Errno;
use abi::layout::{USER_END, USER_START};
use kernel_core::frames::{FrameInfo, FrameNumber};
use kernel_core::{CpuId, SpaceId};
use protocol::vmctl::{Access, Backing, Cache, MAX_RUN, MapRun};

/// A frame that no frame table can have.
const BEYOND: u64 = 1 << 44;

/// What there is to be spoiled: a space with a page, tables in stock, and idle frames.
struct Scene<'t> {
    server: Server<'t>,
    space: u64,
    /// The name of a space that has ended.
    stale: u64,
    /// A program's frame that is mapped at [`USER_START`].
    mapped: u64,
    /// Idle frames.
    idle: u64,
    /// A page table.
    table: u64,
}

/// All that a call may change.
#[derive(Debug, PartialEq)]
struct All {
    machine: TestMachine,
    frames: Vec<FrameInfo>,
    /// Who they are, how many live there, and their names.
    spaces: Vec<(SpaceId, u16, u64)>,
    free: usize,
}

impl<'t> Scene<'t> {
    fn new(storage: &'t mut Storage) -> Self {
        let mut server = Server::new(storage);
        let stale = server.space(0);
        assert_eq!(server.spaces.destroy(&mut server.machine, stale), Ok(false));
        let space = server.space(8);
        let (mapped, idle) = (server.idle(1), server.idle(40));
        assert_eq!(server.map(&run(space, USER_START, mapped, 1)), done(1));
        // A CPU runs there: what is flushed without need would show.
        let id = server.spaces.find(space).unwrap();
        let home = server.spaces.bind(id).unwrap();
        server.spaces.enter(CpuId::BOOT, home);
        Self { table: RAM.start * P + P, server, space, stale, mapped, idle }
    }

    fn all(&self) -> All {
        let spaces = &self.server.spaces;
        let frame = |number: u64| spaces.frames().info(FrameNumber::containing(number * P).unwrap()).unwrap();
        let space = |id| (id, spaces.bound(id), spaces.name(id));
        let frames = (0..RAM.end).map(frame).collect();
        All {
            machine: self.server.machine.clone(),
            frames,
            spaces: spaces.live().map(space).collect(),
            free: spaces.frames().free_count(),
        }
    }
}

/// Checks that a call fails and changes nothing.
fn refused<T: std::fmt::Debug + PartialEq>(errno: Errno, call: impl FnOnce(&mut Scene<'_>) -> Result<T, Errno>) {
    let mut storage = Storage::new();
    let mut scene = Scene::new(&mut storage);
    let before = scene.all();
    assert_eq!(call(&mut scene), Err(errno));
    assert_eq!(scene.all(), before);
}

/// Checks that it succeeds as it stands, so that each refusal has the one reason.
fn granted<T: std::fmt::Debug>(call: impl FnOnce(&mut Scene<'_>) -> Result<T, Errno>) {
    let mut storage = Storage::new();
    call(&mut Scene::new(&mut storage)).unwrap();
}

/// Names that no space has.
fn bad_names(scene: &Scene<'_>) -> [u64; 6] {
    [scene.stale, 0, scene.space + 1, scene.space | 1 << 10, scene.space + (1 << 32), u64::MAX]
}

/// Addresses where no page of a program may be, and their errors. The last leaves no room for a second page.
const BAD_PAGES: [(u64, Errno); 8] = [
    (USER_START + P + 1, Errno::Inval),
    (USER_START + P + P / 2, Errno::Inval),
    (0, Errno::Fault),
    (USER_START - P, Errno::Fault),
    (USER_END, Errno::Fault),
    (0xffff_8000_0000_0000, Errno::Fault),
    (u64::MAX - P + 1, Errno::Fault),
    (USER_END - P, Errno::Fault),
];

/// Counts that no run has.
const BAD_COUNTS: [u64; 4] = [0, MAX_RUN as u64 + 1, 1 << 31, u32::MAX as u64];

const NEXT: u64 = USER_START + P;

fn good(scene: &Scene<'_>) -> MapRun {
    run(scene.space, NEXT, scene.idle, 2)
}

/// The good call with something changed.
fn map(scene: &mut Scene<'_>, change: impl FnOnce(&Scene<'_>, &mut MapRun)) -> Result<u32, Errno> {
    let mut call = good(scene);
    change(scene, &mut call);
    scene.server.map(&call).map(|mapped| mapped.done)
}

#[test]
fn map_refuses_every_bad_field() {
    granted(|scene| map(scene, |_, _| {}));
    for i in 0..6 {
        refused(Errno::Srch, |scene| map(scene, |scene, call| call.space = bad_names(scene)[i]));
    }
    for (address, errno) in BAD_PAGES {
        refused(errno, |scene| map(scene, |_, call| call.address = address));
    }
    for count in BAD_COUNTS {
        refused(Errno::Inval, |scene| map(scene, |_, call| call.count = count as u32));
    }
    for cache in [Cache::Combining, Cache::Off] {
        refused(Errno::Inval, |scene| map(scene, |_, call| call.cache = cache));
    }
    refused(Errno::Inval, |scene| map(scene, |_, call| call.frame += 1));
    refused(Errno::Exist, |scene| map(scene, |_, call| call.address = USER_START));
}

#[test]
fn map_refuses_every_frame_that_is_not_a_programs() {
    let table = |scene: &Scene<'_>| scene.table;
    refused(Errno::Perm, |scene| map(scene, |scene, call| call.frame = table(scene)));
    for frame in KERNEL.chain(DEVICE) {
        refused(Errno::Perm, |scene| map(scene, |_, call| call.frame = frame * P));
    }
    let free = |scene: &mut Scene<'_>| {
        scene.server.spaces.give_back(scene.idle, 1).unwrap();
        let before = scene.all();
        assert_eq!(map(scene, |_, _| {}), Err(Errno::Perm), "a free frame");
        assert_eq!(scene.all(), before);
        Ok(())
    };
    granted(free);
    for frame in [RAM.end * P, FAR_DEVICE.start * P, BEYOND - 2 * P, BEYOND - P, BEYOND, u64::MAX - P + 1] {
        refused(Errno::Dom, |scene| map(scene, |_, call| call.frame = frame));
    }
}

#[test]
fn map_refuses_every_device_that_is_none_or_not_the_callers() {
    let device = |scene: &mut Scene<'_>, frame: u64| {
        map(scene, |_, call| {
            (call.frame, call.count, call.backing, call.cache) = (frame * P, 1, Backing::Device, Cache::Off)
        })
    };
    granted(|scene| device(scene, DEVICE.start));
    granted(|scene| device(scene, FAR_DEVICE.start));
    for frame in KEPT.into_iter().chain(KERNEL).chain(RAM) {
        refused(Errno::Perm, |scene| device(scene, frame));
    }
    for frame in DEVICE {
        refused(Errno::Perm, |scene| {
            let call = MapRun { frame: frame * P, backing: Backing::Device, ..good(scene) };
            let asked = |range| {
                assert_eq!(range, frame * P..(frame + 2) * P, "the caller needs a right to all of it");
                false
            };
            scene.server.spaces.map(&mut scene.server.machine, &call, asked)
        });
    }
}

#[test]
fn a_lack_of_tables_is_told_and_changes_nothing() {
    let mut storage = Storage::new();
    let mut scene = Scene::new(&mut storage);
    let space = scene.server.space(2);
    let before = scene.all();
    let mapped = scene.server.map(&run(space, NEXT, scene.idle, 2)).unwrap();
    assert_eq!((mapped.done, mapped.lacks), (0, 1));
    assert_eq!(scene.all(), before);
}

#[test]
fn unmap_protect_and_query_refuse_every_bad_field() {
    type Call = fn(&mut Scene<'_>, u64, u64, u64) -> Result<u64, Errno>;
    let unmap: Call = |scene, space, address, count| scene.server.unmap(space, address, count as u32);
    let protect: Call = |scene, space, address, count| {
        let Server { spaces, machine, .. } = &mut scene.server;
        spaces.protect(machine, space, address, count as u32, Access::Read)
    };
    let query: Call = |scene, space, address, _| {
        scene.server.spaces.query(&scene.server.machine, space, address).map(|found| found.count)
    };
    for call in [unmap, protect, query] {
        granted(|scene| call(scene, scene.space, USER_START, 2));
        for i in 0..6 {
            refused(Errno::Srch, |scene| call(scene, bad_names(scene)[i], USER_START, 2));
        }
        for (address, errno) in &BAD_PAGES[..BAD_PAGES.len() - 1] {
            refused(*errno, |scene| call(scene, scene.space, *address, 2));
        }
    }
    for call in [unmap, protect] {
        refused(Errno::Fault, |scene| call(scene, scene.space, USER_END - P, 2));
        for count in BAD_COUNTS {
            refused(Errno::Inval, |scene| call(scene, scene.space, USER_START, count));
        }
        // Where nothing is mapped there is nothing to do, or to forget.
        granted(|scene| {
            let before = scene.all();
            assert_eq!(call(scene, scene.space, NEXT, 512), Ok(0));
            assert_eq!(scene.all(), before);
            Ok(())
        });
    }
}

#[test]
fn create_and_destroy_refuse_every_bad_field() {
    fn create(scene: &mut Scene<'_>, root: u64) -> Result<u64, Errno> {
        scene.server.spaces.create(&mut scene.server.machine, root)
    }
    granted(|scene| create(scene, scene.idle));
    refused(Errno::Inval, |scene| create(scene, scene.idle + 1));
    refused(Errno::Perm, |scene| create(scene, scene.table));
    refused(Errno::Perm, |scene| create(scene, scene.mapped));
    refused(Errno::Perm, |scene| create(scene, KERNEL.start * P));
    refused(Errno::Perm, |scene| create(scene, DEVICE.start * P));
    for beyond in [RAM.end * P, BEYOND] {
        refused(Errno::Dom, |scene| create(scene, beyond));
    }
    fn destroy(scene: &mut Scene<'_>, space: u64) -> Result<bool, Errno> {
        scene.server.spaces.destroy(&mut scene.server.machine, space)
    }
    for i in 0..6 {
        refused(Errno::Srch, |scene| destroy(scene, bad_names(scene)[i]));
    }
    refused(Errno::Busy, |scene| destroy(scene, scene.space));
}

#[test]
fn calls_about_frames_refuse_every_bad_field() {
    type Call = fn(&mut Scene<'_>, u64, u64) -> Result<u64, Errno>;
    let give_back: Call = |scene, first, count| scene.server.spaces.give_back(first, count);
    let donate: Call = |scene, first, count| {
        let space = scene.space;
        scene.server.spaces.donate(&mut scene.server.machine, space, first, count)
    };
    let release: Call = |scene, first, count| scene.server.spaces.release(first, count);
    for call in [give_back, donate] {
        granted(|scene| call(scene, scene.idle, 2));
        refused(Errno::Perm, |scene| call(scene, scene.mapped, 2));
    }
    granted(|scene| {
        scene.server.unmap(scene.space, USER_START, 1).unwrap();
        release(scene, scene.mapped, 1)
    });
    refused(Errno::Busy, |scene| release(scene, scene.mapped, 1));
    granted(|scene| {
        let frame = FrameNumber::containing(scene.mapped).unwrap();
        scene.server.spaces.pin(frame).unwrap();
        scene.server.unmap(scene.space, USER_START, 1).unwrap();
        let before = scene.all();
        assert_eq!(release(scene, scene.mapped, 1), Err(Errno::Busy), "a pinned frame");
        assert_eq!(scene.all(), before);
        scene.server.spaces.unpin(frame)
    });
    refused(Errno::Perm, |scene| release(scene, scene.idle, 2));
    for call in [give_back, donate, release] {
        for frame in [KERNEL.start, DEVICE.start] {
            refused(Errno::Perm, |scene| call(scene, frame * P, 2));
        }
        refused(Errno::Perm, |scene| call(scene, scene.table, 2));
        for frame in [RAM.end * P, BEYOND - P, BEYOND] {
            refused(Errno::Dom, |scene| call(scene, frame, 2));
        }
        refused(Errno::Inval, |scene| call(scene, scene.idle + P / 2, 2));
        for count in BAD_COUNTS.into_iter().chain([u64::MAX]) {
            refused(Errno::Inval, |scene| call(scene, scene.idle, count));
        }
    }
    for i in 0..6 {
        refused(Errno::Srch, |scene| {
            let name = bad_names(scene)[i];
            scene.server.spaces.donate(&mut scene.server.machine, name, scene.idle, 1)
        });
    }
    for count in BAD_COUNTS.into_iter().chain([u64::MAX]) {
        refused(Errno::Inval, |scene| scene.server.spaces.claim(count));
    }
    refused(Errno::NoMem, |scene| scene.server.spaces.claim(1));
    refused(Errno::Inval, |scene| scene.server.spaces.frame_info(scene.idle + 1));
    for frame in [RAM.end * P, BEYOND] {
        refused(Errno::Dom, |scene| scene.server.spaces.frame_info(frame));
    }
}
