//! Random steps, most of them such that they get somewhere.

use super::{DEVICE, FAR_DEVICE, P, RAM};
use abi::layout::{USER_END, USER_START};
use proptest::prelude::*;
use proptest::sample::Index;
use protocol::vmctl::{Access, Backing, Cache, MapRun};

/// CPUs that take part.
const CPUS: usize = 3;

/// A space in a call.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Live(Index),
    /// Whatever it may be; of one that has ended, too.
    Raw(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Create(u64),
    CreateOwn,
    Destroy(Name),
    Map {
        space: Name,
        run: MapRun,
        may_use: bool,
    },
    MapNew(Index, u64, Access),
    Unmap(Name, u64, u32),
    Protect(Name, u64, u32, Access),
    Query(Name, u64),
    Claim(u64),
    GiveBack(u64, u64),
    Donate(Name, u64, u64),
    Release(u64, u64),
    FrameInfo(u64),
    Pin(u64),
    Unpin(u64),
    /// Of a frame that is pinned.
    UnpinOne(Index),
    Bind(Index),
    Unbind(Index),
    /// A CPU runs a process of a space, or nobody.
    Enter(usize, Index),
    Idle(usize),
    /// The kernel works on another CPU.
    On(usize),
    /// Programs write into their memory, and the server into its own.
    Write(u64),
}

fn name() -> impl Strategy<Value = Name> {
    let ended = (0_u64..6, 0_u64..3).prop_map(|(index, generation)| generation << 32 | index);
    prop_oneof![30 => any::<Index>().prop_map(Name::Live), 1 => ended.prop_map(Name::Raw), 1 => any::<u64>().prop_map(Name::Raw)]
}

/// Addresses near the borders of tables and of what programs may map, so that runs meet; and a few bad ones.
fn address() -> impl Strategy<Value = u64> {
    let borders = [1 << 21, 1 << 30, 1 << 39, 1 << 40].map(|border| border - 3 * P);
    let near = prop::sample::select(vec![USER_START, borders[0], borders[1], borders[2], borders[3], USER_END - 5 * P]);
    let page = (near, 0_u64..6).prop_map(|(start, page)| start + page * P);
    prop_oneof![40 => page, 1 => (0..USER_START / P).prop_map(|page| page * P), 1 => any::<u64>()]
}

/// Physical addresses of frames.
fn frame() -> impl Strategy<Value = u64> {
    let number = prop_oneof![
        30 => RAM,
        1 => 0..RAM.start,
        1 => RAM.end - 3..RAM.end + 3,
        1 => FAR_DEVICE,
        1 => (1_u64 << 32) - 3..(1 << 32) + 3
    ];
    prop_oneof![20 => number.prop_map(|number| number * P), 1 => any::<u64>()]
}

fn device() -> impl Strategy<Value = u64> {
    prop_oneof![4 => DEVICE, 4 => FAR_DEVICE, 1 => RAM.end - 3..RAM.end + 3].prop_map(|number| number * P)
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 1_u64..8, 3 => 8_u64..40, 1 => 500_u64..514, 1 => Just(0), 1 => any::<u64>()]
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::Read, Access::Write, Access::Execute])
}

fn map_run() -> impl Strategy<Value = MapRun> {
    let cache = prop_oneof![12 => Just(Cache::Normal), 1 => Just(Cache::Combining), 1 => Just(Cache::Off)];
    let memory = (frame(), cache).prop_map(|(frame, cache)| (Backing::Memory, frame, cache));
    let caches = prop::sample::select(vec![Cache::Normal, Cache::Combining, Cache::Off]);
    let device = (device(), caches).prop_map(|(frame, cache)| (Backing::Device, frame, cache));
    let what = prop_oneof![5 => memory, 1 => device];
    (address(), count(), access(), what).prop_map(|(address, count, access, (backing, frame, cache))| MapRun {
        space: 0,
        address,
        frame,
        count: count as u32,
        access,
        cache,
        backing,
    })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        4 => frame().prop_map(Step::Create),
        1 => Just(Step::CreateOwn),
        6 => name().prop_map(Step::Destroy),
        40 => (name(), map_run(), prop::bool::weighted(0.9))
            .prop_map(|(space, run, may_use)| Step::Map { space, run, may_use }),
        6 => (index(), address(), access()).prop_map(|(space, address, access)| Step::MapNew(space, address, access)),
        16 => (name(), address(), count()).prop_map(|(space, page, count)| Step::Unmap(space, page, count as u32)),
        6 => (name(), address(), count(), access())
            .prop_map(|(space, page, count, access)| Step::Protect(space, page, count as u32, access)),
        6 => (name(), address()).prop_map(|(space, address)| Step::Query(space, address)),
        8 => count().prop_map(Step::Claim),
        2 => (frame(), count()).prop_map(|(first, count)| Step::GiveBack(first, count)),
        20 => (name(), frame(), count()).prop_map(|(space, first, count)| Step::Donate(space, first, count)),
        8 => (frame(), count()).prop_map(|(first, count)| Step::Release(first, count)),
        2 => frame().prop_map(Step::FrameInfo),
        8 => frame().prop_map(Step::Pin),
        2 => frame().prop_map(Step::Unpin),
        4 => index().prop_map(Step::UnpinOne),
        3 => index().prop_map(Step::Bind),
        4 => index().prop_map(Step::Unbind),
        12 => (0..CPUS, index()).prop_map(|(cpu, space)| Step::Enter(cpu, space)),
        3 => (0..CPUS).prop_map(Step::Idle),
        5 => (0..CPUS).prop_map(Step::On),
        4 => any::<u64>().prop_map(Step::Write),
    ]
}
