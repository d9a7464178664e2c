//! Mapping and unmapping, in the address space of the measuring program itself.

use crate::timed::{Sample, trap};
use crate::{Trouble, report};
use abi::layout::PAGE_SIZE;
use abi::{BODY_WORDS, Endpoint, Errno, Trap};
use protocol::Call;
use protocol::vmctl::{Access, Backing, Cache, Claim, Donate, GetSpaceOf, MAX_RUN, MapRun, RunMapped, UnmapRun};

/// Where nothing is mapped: the beginning of what one table of the last level maps.
const PLACE: u64 = 0x10_0000_0000;
/// Where the single page goes: what another table of the last level maps, in which a neighbour keeps the table.
const SINGLE: u64 = PLACE + MAX_RUN as u64 * PAGE_SIZE;
/// Tables for both: one on each level below the root, and another of the last.
const TABLES: u64 = 4;

/// What is mapped and unmapped.
struct Run {
    space: u64,
    place: u64,
    frame: u64,
}

/// Measures single pages, and the longest run there is, whose cost is that of one of its pages.
pub(crate) fn measure(me: Endpoint) -> Result<(), Trouble> {
    let vmctl = &mut sys::vmctl();
    let space = vmctl.space_of(GetSpaceOf { process: me })?.space;
    for _ in 0..TABLES {
        let table = vmctl.claim(Claim { count: 1 })?;
        vmctl.donate(Donate { space, first: table.first, count: table.count })?;
    }
    // What is left over in front of a long run is not needed.
    let frame = loop {
        let frames = vmctl.claim(Claim { count: MAX_RUN.into() })?;
        if frames.count == MAX_RUN.into() {
            break frames.first;
        }
    };
    let run = Run { space, place: PLACE, frame };
    let single = Run { place: SINGLE, ..run };
    let neighbour = Run { place: SINGLE + PAGE_SIZE, ..run };
    // Frames that are new are cleared, a few with each call: that is not what is measured.
    let mut done = 0;
    while done < MAX_RUN {
        let RunMapped { done: now, .. } = vmctl.map(run.map(done, MAX_RUN - done))?;
        done += now;
    }
    run.unmap(MAX_RUN)?;
    neighbour.map_all(1)?;
    report("map.page", |_| {
        let cost = single.map_all(1)?;
        single.unmap(1)?;
        Ok(cost)
    })?;
    report("unmap.page", |_| {
        single.map_all(1)?;
        single.unmap(1)
    })?;
    report("map.run512", |_| {
        let cost = run.map_all(MAX_RUN)?;
        run.unmap(MAX_RUN)?;
        Ok(cost.div_ceil(MAX_RUN))
    })
}

impl Run {
    fn map(&self, skip: u32, count: u32) -> MapRun {
        let skipped = u64::from(skip) * PAGE_SIZE;
        MapRun {
            space: self.space,
            address: self.place + skipped,
            frame: self.frame + skipped,
            count,
            access: Access::Write,
            cache: Cache::Normal,
            backing: Backing::Memory,
        }
    }

    /// Maps pages; returns what it cost.
    fn map_all(&self, count: u32) -> Result<u32, Trouble> {
        let (cost, answer) = call(&self.map(0, count))?;
        if answer[0] == count.into() { Ok(cost) } else { Err(Trouble::WrongAnswer) }
    }

    fn unmap(&self, count: u32) -> Result<u32, Trouble> {
        let (cost, answer) = call(&UnmapRun { space: self.space, address: self.place, count, reserved: 0 })?;
        if answer[0] == count.into() { Ok(cost) } else { Err(Trouble::WrongAnswer) }
    }
}

/// Makes a kernel call; returns what it cost, and its answer.
pub(crate) fn call<C: Call>(request: &C) -> Result<(u32, [u64; BODY_WORDS]), Trouble> {
    let message = protocol::encode(C::KIND, request);
    let Sample { registers, instructions } = trap(Trap::KernelCall, Endpoint::NONE, message.header(), message.body);
    Errno::from_result(registers.rax as i64)?;
    Ok((instructions, registers.body))
}
