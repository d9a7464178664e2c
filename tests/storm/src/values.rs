//! Values for fields and registers: mostly sensible, often at an edge, sometimes anything.

use crate::{Known, Random};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use abi::{Endpoint, PrivilegeFlags, PrivilegeSpec, TrapMask};
use core::ops::Range;

/// Any of some values.
pub(crate) fn any<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

/// Whether something happens that does so often in a hundred times.
pub(crate) fn chance(random: &mut Random, percent: u64) -> bool {
    random.below(100) < percent
}

/// A number of a range.
fn within(random: &mut Random, range: Range<u64>) -> u64 {
    range.start + random.below((range.end - range.start).max(1))
}

/// A number from a small range, or from its edge, or any.
pub(crate) fn number(random: &mut Random, below: u64, edges: &[u64]) -> u64 {
    match random.below(20) {
        0 => random.word(),
        1..=3 => any(random, edges),
        _ => random.below(below),
    }
}

/// Who is named. Nobody that is spared.
pub(crate) fn endpoint(random: &mut Random, known: &Known) -> Endpoint {
    let endpoint = unspared_endpoint(random, known);
    if known.spared.contains(&endpoint) { Endpoint::NONE } else { endpoint }
}

fn unspared_endpoint(random: &mut Random, known: &Known) -> Endpoint {
    const SPECIAL: [Endpoint; 10] = [
        Endpoint::ANY,
        Endpoint::NONE,
        Endpoint::SELF,
        Endpoint::ANY_USR,
        Endpoint::ANY_TSK,
        Endpoint::ANY_SYS,
        Endpoint::HARDWARE,
        Endpoint::SYSTEM,
        Endpoint::CLOCK,
        Endpoint::ASYNCM,
    ];
    let live = known.endpoints.pick(random).map_or(known.me, |raw| Endpoint::from_raw(raw as u32));
    match random.below(24) {
        0 => any(random, &SPECIAL),
        1 => Endpoint::ANY,
        2 => Endpoint::SELF,
        3 => known.me,
        4 => live.next_generation(), // Not yet anybody, or not any more.
        5 => Endpoint::from_raw(random.below(Endpoint::SLOTS as u64) as u32),
        6 => Endpoint::from_raw(random.word() as u32),
        _ => live,
    }
}

/// An address in the program's memory, which may be written over, or one at which there is none.
pub(crate) fn address(random: &mut Random, known: &Known) -> u64 {
    const NOWHERE: [u64; 9] = [
        0,
        USER_START - 1,
        USER_END - 8,
        USER_END,
        1 << 47,
        0xffff_8000_0000_0000,
        0xffff_ffff_8010_0000,
        u64::MAX - 4095,
        u64::MAX,
    ];
    let page = within(random, known.arena.start / PAGE_SIZE..known.arena.end / PAGE_SIZE) * PAGE_SIZE;
    match random.below(16) {
        0..=1 => any(random, &NOWHERE),
        2 => known.arena.end - random.below(64),
        3 => known.window.start + random.below(1 << 20),
        4..=8 => page,
        _ => within(random, known.arena.clone()),
    }
}

/// A page that may be mapped, or at which nothing can be.
pub(crate) fn page(random: &mut Random, known: &Known) -> u64 {
    const OUTSIDE: [u64; 5] = [0, USER_START - PAGE_SIZE, USER_END, 0xffff_8000_0000_0000, u64::MAX - 4095];
    let pages = known.window.start / PAGE_SIZE..known.window.end / PAGE_SIZE;
    match random.below(20) {
        0 => any(random, &OUTSIDE),
        1 => USER_END - PAGE_SIZE * random.below(4),
        2 => known.window.start + random.below(1 << 20),
        3 => random.word() & 0x7fff_ffff_f000,
        _ => within(random, pages) * PAGE_SIZE,
    }
}

/// The physical address of a frame: of one that was claimed, of any, or of none.
pub(crate) fn frame(random: &mut Random, known: &Known) -> u64 {
    let mine = known.frames.pick(random).unwrap_or(0);
    match random.below(20) {
        16 => known.memory_end + PAGE_SIZE * random.below(1 << 20),
        17..=18 => known.device.start + PAGE_SIZE * random.below(4),
        0 => random.word() & if random.below(2) == 0 { u64::MAX } else { !(PAGE_SIZE - 1) },
        1 => any(random, &[0, 1, PAGE_SIZE - 1, known.memory_end, u64::MAX - 4095, u64::MAX, 0xfee0_0000, 0xb_8000]),
        2..=4 => random.below(known.memory_end / PAGE_SIZE) * PAGE_SIZE,
        5 => mine + PAGE_SIZE * random.below(8),
        _ => mine,
    }
}

/// A space that is known, or none.
pub(crate) fn space(random: &mut Random, known: &Known) -> u64 {
    let live = known.spaces.pick(random).unwrap_or(0);
    let space = match random.below(20) {
        0 => random.word(),
        1 => 0,
        2 => live ^ 1 << 32,
        3 => random.below(1 << 10) | 1 << 32,
        _ => live,
    };
    if known.spared_spaces.contains(&space) { 0 } else { space }
}

/// An address of code that a program can have, or not.
pub(crate) fn code(random: &mut Random, known: &Known) -> u64 {
    if chance(random, 85) { within(random, known.arena.clone()) } else { address(random, known) ^ 1 << 47 }
}

/// Any privileges.
pub(crate) fn spec(random: &mut Random, known: &Known) -> PrivilegeSpec {
    let subset = |random: &mut Random, of: u32, percent| {
        if chance(random, percent) { random.word() as u32 & of } else { random.word() as u32 }
    };
    PrivilegeSpec {
        sends: if chance(random, 70) { u64::MAX } else { random.word() },
        calls: if chance(random, 70) { u64::MAX } else { random.word() },
        flags: subset(random, PrivilegeFlags::SETTABLE.difference(PrivilegeFlags::PAGER).bits(), 90),
        init_flags: random.word() as u32,
        traps: if chance(random, 60) { TrapMask::all().bits() } else { subset(random, TrapMask::all().bits(), 85) },
        manager: if chance(random, 40) { known.me } else { endpoint(random, known) },
        backup: if chance(random, 60) { Endpoint::NONE } else { endpoint(random, known) },
        reserved: u32::from(chance(random, 3)),
    }
}
