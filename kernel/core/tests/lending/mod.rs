//! Memory that one program sees of another.

mod ends;
mod found;
mod limits;
mod rules;

use crate::support::*;
use abi::boot::{BootEntry, BootFlags};
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::layout::{PAGE_SIZE, USER_END};
use abi::{Endpoint, Errno};
use kernel_core::frames::{FrameKind, FrameNumber};
use kernel_core::tables::{Access, Backing, Cache, ENTRIES, Page};
use kernel_core::{Action, CpuId, MemoryAccess, Rts, Tables};
use protocol::kernel::{
    Clear, MAX_LENT, SafeMap, SafeRevMap, SafeRevMapAt, SafeUnmap, Update, UpdateDirection, VirCopy,
};
use protocol::vmctl::{Found, GetFrameInfo, MapRun, Part, ProtectRun, QueryRun, UnmapRun};

pub(super) const P: u64 = PAGE_SIZE;
/// Where everybody has pages of his own: across the border of two tables.
pub(super) const PLACE: u64 = (1 << 30) + (ENTRIES as u64 - 4) * P;
/// How many.
pub(super) const PAGES: u64 = 8;
pub(super) const MAP: GrantFlags = GrantFlags::MAP;
pub(super) const ALL: GrantFlags = READ.union(WRITE).union(MAP);

/// What stands in a page of somebody at first.
pub(super) fn content(who: Endpoint, page: u64) -> u64 {
    1000 * (who.slot() as u64 + 1) + page
}

pub(super) fn name_of(world: &World<'_>, who: Endpoint) -> u64 {
    world.kernel.spaces.name(world.process(who).space.expect("it lives").id())
}

/// Maps pages for somebody, each with its content.
pub(super) fn map_pages(world: &mut World<'_>, who: Endpoint, address: u64, count: u64) {
    let space = name_of(world, who);
    let spaces = &mut world.kernel.spaces;
    let mut done = 0;
    while done < count {
        let (frame, _) = spaces.claim(1).expect("there are frames");
        let call = MapRun {
            space,
            address: address + done * P,
            frame,
            count: 1,
            access: Access::Write,
            backing: Backing::Memory,
            cache: Cache::Normal,
        };
        let mapped = spaces.map(&mut world.machine, &call, |_| false).expect("nothing is there");
        for _ in 0..mapped.lacks {
            let (table, _) = spaces.claim(1).expect("there are frames");
            spaces.donate(&mut world.machine, space, table, 1).expect("it is idle");
        }
        if mapped.done == 0 {
            spaces.give_back(frame, 1).expect("it is idle");
            continue;
        }
        world.machine.memory.contents.insert(FrameNumber::containing(frame).unwrap(), content(who, done));
        done += 1;
    }
}

/// A world in which D is the memory server and everybody has pages; A has granted all of its to B, and to C.
pub(super) fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut programs = four();
    programs[3].flags = BootFlags::PAGER.bits();
    test_with(&programs, run);
}

pub(super) fn test_with(programs: &[BootEntry], run: impl FnOnce(&mut World<'_>)) {
    let mut table = Storage::with(1024);
    let mut world = World::new(&mut table, programs);
    scene(&mut world);
    run(&mut world);
}

pub(super) fn scene(world: &mut World<'_>) {
    world.register_grants();
    for who in [A, B, C] {
        map_pages(world, who, PLACE, PAGES);
    }
    world.grant_at(A, 0, direct(B, ALL, PLACE, PAGES * P));
    world.grant_at(A, 1, direct(C, ALL, PLACE, PAGES * P));
}

/// The page of somebody at an address.
pub(super) fn page(world: &World<'_>, who: Endpoint, address: u64) -> Option<Page> {
    let root = world.process(who).space?.root();
    let index = |level: u32| (address >> (12 + 9 * level)) as usize % ENTRIES;
    let leaf = (1..=3).rev().try_fold(root, |table, level| world.machine.below(table, index(level)))?;
    world.machine.page(leaf, index(0))
}

/// What somebody sees in a page of his.
pub(super) fn seen(world: &World<'_>, who: Endpoint, number: u64) -> u64 {
    let page = page(world, who, PLACE + number * P).expect("it is mapped");
    world.machine.memory.contents.get(&page.frame).copied().unwrap_or(0)
}

pub(super) fn all_seen(world: &World<'_>, who: Endpoint) -> [u64; PAGES as usize] {
    core::array::from_fn(|number| seen(world, who, number as u64))
}

pub(super) fn own(who: Endpoint) -> [u64; PAGES as usize] {
    core::array::from_fn(|number| content(who, number as u64))
}

/// Somebody writes to a page of his, with a page fault if it is to be; whether he may.
pub(super) fn write(world: &mut World<'_>, who: Endpoint, number: u64, value: u64) -> bool {
    let address = PLACE + number * P;
    for _ in 0..2 {
        let page = page(world, who, address).expect("it is mapped");
        if page.rights.access == Access::Write && !page.rights.withheld {
            world.machine.memory.contents.insert(page.frame, value);
            return true;
        }
        world.run(who);
        let why = format_args!("write");
        let access = MemoryAccess::Write;
        let action = world.kernel.memory_fault(&mut world.machine, CpuId::BOOT, address + 5, access, why);
        assert_eq!(action, Action::Resume);
        world.schedule();
        if world.rts(who) != Rts::empty() {
            return false;
        }
    }
    panic!("the page is neither writable nor not");
}

pub(super) fn map(granter: Endpoint, grant: GrantId, first: u64, count: u64, write: u32) -> SafeMap {
    SafeMap { granter, write, grant, offset: first * P, address: PLACE + first * P, len: count * P }
}

/// Repeats a call until it has done all.
pub(super) fn until_done(mut step: impl FnMut() -> u64) {
    for _ in 0..1000 {
        if step() == 0 {
            return;
        }
    }
    panic!("it never ends");
}

/// Calls again as long as something else has to be done first; returns how many bytes are mapped.
pub(super) fn lend(world: &mut World<'_>, who: Endpoint, call: SafeMap) -> Result<u64, Errno> {
    loop {
        let done = world.call(who, &call)?.done;
        if done > 0 {
            return Ok(done);
        }
    }
}

pub(super) fn map_all(world: &mut World<'_>, who: Endpoint, granter: Endpoint, grant: GrantId) {
    assert_eq!(world.call(who, &map(granter, grant, 0, PAGES, 1)).map(|mapped| mapped.done), Ok(PAGES * P));
}

pub(super) fn revoke(world: &mut World<'_>, who: Endpoint, grant: GrantId) {
    until_done(|| world.call(who, &SafeRevMap { grant }).unwrap().more);
}

pub(super) fn unmap(world: &mut World<'_>, who: Endpoint, address: u64) {
    until_done(|| world.call(who, &SafeUnmap { address }).unwrap().more);
}

/// How many frames there are of each kind that can come of a lending.
pub(super) fn frames(world: &World<'_>) -> [usize; 2] {
    let all = (0..1024).filter_map(|number| FrameNumber::containing(number * P));
    let kinds: Vec<_> = all.filter_map(|frame| world.kernel.spaces.frames().kind(frame).ok()).collect();
    [FrameKind::User, FrameKind::Aside].map(|kind| kinds.iter().filter(|k| **k == kind).count())
}

/// How often each page of somebody is mapped.
pub(super) fn mappings(world: &World<'_>, who: Endpoint) -> Vec<u32> {
    let frames = (0..PAGES).map(|number| page(world, who, PLACE + number * P).unwrap().frame);
    frames.map(|frame| world.kernel.spaces.frames().info(frame).unwrap().mappings()).collect()
}

/// Nothing is shared any more: everybody has frames of his own, which he can write.
pub(super) fn is_apart(world: &mut World<'_>) {
    for who in [A, B, C] {
        if world.kernel.lookup(who).is_none() {
            continue;
        }
        assert_eq!(mappings(world, who), [1; PAGES as usize]);
        for number in 0..PAGES {
            let rights = page(world, who, PLACE + number * P).unwrap().rights;
            assert!(rights.access == Access::Write && !rights.withheld);
        }
        let space = name_of(world, who);
        assert!(
            world.call(D, &ProtectRun { space, address: PLACE, count: PAGES as u32, access: Access::Write }).is_ok()
        );
    }
    assert_eq!(frames(world)[1], 0);
}
