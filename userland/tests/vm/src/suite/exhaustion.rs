//! Nothing is left.

use crate::player::{Player, free_pages, new_memory, server};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use protocol::vm::{GetMemory, MapFlags};
use suite::{Outcome, check, check_eq};
use vm_suite::Do;

pub(crate) fn too_much_at_once_is_refused() -> Outcome {
    let mut player = Player::start()?;
    let free = free_pages()?;
    for pages in [free + 1, free, 1 << 34] {
        check_eq!(
            (pages, player.ask(&new_memory(0, pages, MapFlags::PREALLOCATED))?.map(drop)),
            (pages, Err(Errno::NoMem))
        );
        check!(free_pages()? + 64 >= free, "{} of {free}", free_pages()?);
    }
    let contiguous = MapFlags::PREALLOCATED | MapFlags::CONTIGUOUS;
    check_eq!(player.ask(&new_memory(0, free, contiguous))?.map(drop), Err(Errno::NoMem));
    // Half of it can be had.
    let address = player.map(free / 2, MapFlags::PREALLOCATED)?;
    player.fill(address, free / 2, 1)?;
    player.end()?;
    check!(free_pages()? + 64 >= free, "{} of {free}", free_pages()?);
    Ok(())
}

pub(crate) fn who_touches_too_much_ends_alone() -> Outcome {
    let mut witness = Player::start()?;
    let kept = witness.map(4, MapFlags::empty())?;
    witness.fill(kept, 4, 1)?;
    let before = free_pages()?;
    for _ in 0..2 {
        let mut guilty = Player::start()?;
        let address = guilty.map(2 * before, MapFlags::empty())?;
        guilty.dies_of(Do::Fill, &[address, 2 * before, 1])?;
        check!(free_pages()? + 64 >= before, "{} of {before}", free_pages()?);
    }
    check_eq!(witness.sum(kept, 4)?, 10);
    let more = witness.map(4, MapFlags::empty())?;
    witness.fill(more, 4, 1)?;
    witness.end()
}

pub(crate) fn page_tables_alone_are_memory_too() -> Outcome {
    let before = server().memory(GetMemory {})?;
    let mut guilty = Player::start()?;
    // A page in each GiB: three frames and a half of tables for each page.
    const STEP: u64 = 1 << 30;
    let first = 0x1000_0000_0000;
    let mut mapped = 0;
    let refused = loop {
        let call = new_memory(first + mapped * STEP, 1, MapFlags::FIXED | MapFlags::PREALLOCATED);
        match guilty.ask(&call)? {
            Ok(_) => mapped += 1,
            Err(error) => break error,
        }
        if mapped == 50_000 {
            break Errno::NoSpc;
        }
    };
    check_eq!((refused, mapped > 1000), (Errno::NoMem, true));
    guilty.write(first, 1)?;
    guilty.end()?;
    let after = server().memory(GetMemory {})?;
    check!(after.free + after.overhead == before.free + before.overhead, "{after:?}, before {before:?}");
    let mut next = Player::start()?;
    let address = next.map(8, MapFlags::empty())?;
    next.fill(address, 8, 1)?;
    check_eq!(next.read(address + PAGE_SIZE)?, 2);
    next.end()
}
