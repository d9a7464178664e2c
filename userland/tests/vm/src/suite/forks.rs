//! Forks, and what they cost.

use crate::player::{Player, new_memory, seed, server, unused_pages};
use abi::Endpoint;
use abi::layout::PAGE_SIZE;
use protocol::vm::{Clear, GetMemory, GetRegion, MapFlags};
use suite::{Outcome, check, check_eq};

const PLACE: u64 = 0x2000_0000_0000;
/// Whether all is done as often as it should be.
const LONG: bool = option_env!("SELIX_SOAK").is_some();

/// A player with so many pages that have been written.
fn rich(pages: u64) -> Result<Player, suite::Failure> {
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, pages, MapFlags::empty()))??;
    player.fill(PLACE, pages, 1)?;
    Ok(player)
}

pub(crate) fn what_one_writes_the_other_does_not_see() -> Outcome {
    let mut parent = rich(16)?;
    let mut child = parent.fork()?;
    check_eq!(child.sum(PLACE, 16)?, 136);
    child.write(PLACE, 1000)?;
    parent.write(PLACE + PAGE_SIZE, 2000)?;
    check_eq!((parent.read(PLACE)?, child.read(PLACE)?), (1, 1000));
    check_eq!((parent.read(PLACE + PAGE_SIZE)?, child.read(PLACE + PAGE_SIZE)?), (2000, 2));
    // What only one has mapped is its own, too.
    let more = child.map(1, MapFlags::empty())?;
    child.write(more, 3)?;
    child.unmap(PLACE + 2 * PAGE_SIZE, 1)??;
    check_eq!(parent.read(PLACE + 2 * PAGE_SIZE)?, 3);
    parent.end()?;
    check_eq!(child.sum(PLACE + 3 * PAGE_SIZE, 13)?, 130);
    child.fill(PLACE + 3 * PAGE_SIZE, 13, 1)?;
    child.end()
}

pub(crate) fn reading_takes_no_memory() -> Outcome {
    const PAGES: u64 = 200;
    let mut parent = rich(PAGES)?;
    let mut child = parent.fork()?;
    // Whoever runs writes its stack.
    child.read(PLACE)?;
    parent.read(PLACE)?;
    let before = unused_pages()?;
    check_eq!(child.sum(PLACE, PAGES)?, parent.sum(PLACE, PAGES)?);
    check_eq!(unused_pages()?, before);
    child.fill(PLACE, 50, 7)?;
    check_eq!(before - unused_pages()?, 50);
    // The last one writes in place.
    child.end()?;
    parent.write(PLACE, 1)?;
    let before = unused_pages()?;
    parent.fill(PLACE, PAGES, 7)?;
    check_eq!(unused_pages()?, before);
    parent.end()
}

pub(crate) fn children_of_children_have_their_own() -> Outcome {
    let before = unused_pages()?;
    let first = rich(8)?;
    let mut all = [None, None, None, None, None, None];
    for i in 0..all.len() {
        let mut child = all[..i].iter().rev().flatten().next().unwrap_or(&first).fork()?;
        child.write(PLACE + i as u64 * PAGE_SIZE, 100 + i as u64)?;
        all[i] = Some(child);
    }
    first.end()?;
    for (i, child) in all.iter_mut().enumerate() {
        let child = child.as_mut().expect("made above");
        for page in 0..8_u64 {
            let expected = if page <= i as u64 { 100 + page } else { page + 1 };
            check_eq!((i, page, child.read(PLACE + page * PAGE_SIZE)?), (i, page, expected));
        }
    }
    all.into_iter().flatten().try_for_each(Player::end)?;
    check_eq!(unused_pages()?, before);
    Ok(())
}

pub(crate) fn many_forks_leave_everything_as_it_was() -> Outcome {
    let rounds = if LONG { 10_000 } else { 100 };
    let parent = rich(16)?;
    parent.fork()?.end()?;
    let before = server().memory(GetMemory {})?;
    for round in 0..rounds {
        let mut child = parent.fork()?;
        child.write(PLACE + round % 16 * PAGE_SIZE, round)?;
        child.end()?;
    }
    let after = server().memory(GetMemory {})?;
    check_eq!((after.free, after.overhead, after.processes), (before.free, before.overhead, before.processes));
    check!(after.largest_run + 64 >= before.largest_run, "{} of {}", after.largest_run, before.largest_run);
    parent.end()
}

pub(crate) fn two_hundred_at_once() -> Outcome {
    const COUNT: u32 = 200;
    let mut before = 0;
    let seed = seed()?;
    for round in 0..2 {
        for slot in 0..COUNT {
            // They are not asked for anything: nobody needs privileges.
            server().fork(protocol::vm::Fork { parent: seed.endpoint, slot: 700 + slot })?;
        }
        for slot in 0..COUNT as usize {
            let name = sys::getinfo().process(protocol::getinfo::GetProcess { slot: 700 + slot as u64 })?;
            let process = name.endpoint;
            server().will_exit(protocol::vm::WillExit { process, reserved: 0 })?;
            sys::kernel().clear(protocol::kernel::Clear { process })?;
            server().exit(protocol::vm::Exit { process, reserved: 0 })?;
        }
        // The first time the server's own memory grows.
        let free = unused_pages()?;
        check!(round == 0 || free == before, "round {round}: {free} free, {before} before");
        before = free;
    }
    Ok(())
}

pub(crate) fn a_process_begins_anew() -> Outcome {
    let player = rich(30)?;
    let process = player.endpoint;
    let before = unused_pages()?;
    server().clear(Clear { process, reserved: 0 })?;
    check!(unused_pages()? >= before + 30, "its memory has not come back");
    let usage = player.usage()?;
    check_eq!((usage.pages, usage.resident, usage.regions), (0, 0, 0));
    let region = server().region(GetRegion { process, reserved: 0, address: 0 });
    check_eq!(region.map(drop), Err(abi::Errno::NoEnt));
    check!(process != Endpoint::NONE, "nobody");
    player.end()
}
