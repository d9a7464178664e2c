//! Memory that several processes see.

use crate::player::{Player, new_memory, server, unused_pages};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use protocol::vm::{Access, MapFlags, Remap, Sharers};
use suite::{Failure, Outcome, check_eq};
use vm_suite::Do;

const PLACE: u64 = 0x2000_0000_0000;
const PAGES: u64 = 4;

fn remap(source: &Player, process: &Player, access: Access) -> Remap {
    let (source, process) = (source.endpoint, process.endpoint);
    Remap { source, process, source_address: PLACE, address: 0, len: PAGES * PAGE_SIZE, access, reserved: 0 }
}

/// Somebody with a region, and somebody else.
fn pair() -> Result<(Player, Player), Failure> {
    let mut source = Player::start()?;
    source.ask(&new_memory(PLACE, PAGES, MapFlags::empty()))??;
    source.write(PLACE, 5)?;
    Ok((source, Player::start()?))
}

pub(crate) fn shared_memory_is_shared_over_forks() -> Outcome {
    let before = unused_pages()?;
    let mut parent = Player::start()?;
    parent.ask(&new_memory(PLACE, PAGES, MapFlags::SHARED))??;
    parent.write(PLACE, 1)?;
    let mut child = parent.fork()?;
    child.write(PLACE, 2)?;
    // A page that neither has touched is shared as well.
    child.write(PLACE + PAGE_SIZE, 3)?;
    check_eq!((parent.read(PLACE)?, parent.read(PLACE + PAGE_SIZE)?), (2, 3));
    parent.write(PLACE + 2 * PAGE_SIZE, 4)?;
    check_eq!(child.read(PLACE + 2 * PAGE_SIZE)?, 4);
    parent.end()?;
    check_eq!(child.sum(PLACE, PAGES)?, 9);
    child.end()?;
    check_eq!(unused_pages()?, before);
    Ok(())
}

pub(crate) fn another_maps_a_region() -> Outcome {
    let (mut source, mut other) = pair()?;
    let at = server().remap(remap(&source, &other, Access::Write))?.address;
    check_eq!(other.read(at)?, 5);
    other.write(at + PAGE_SIZE, 6)?;
    source.write(PLACE + 2 * PAGE_SIZE, 7)?;
    check_eq!((source.read(PLACE + PAGE_SIZE)?, other.read(at + 2 * PAGE_SIZE)?), (6, 7));
    let call = Sharers { process: source.endpoint, reserved: 0, address: PLACE };
    check_eq!(server().sharers(call)?.count, 2);
    other.unmap(at, PAGES)??;
    check_eq!(server().sharers(call)?.count, 1);
    check_eq!(source.sum(PLACE, PAGES)?, 18);
    other.end()?;
    source.end()
}

pub(crate) fn a_read_only_view_is_not_written() -> Outcome {
    let (mut source, mut other) = pair()?;
    let at = server().remap(remap(&source, &other, Access::Read))?.address;
    source.write(PLACE, 8)?;
    check_eq!(other.read(at)?, 8);
    check_eq!(other.protect(at, PAGES, Access::Write)?, Err(Errno::Perm));
    other.dies_of(Do::Write, &[at, 1])?;
    check_eq!(source.read(PLACE)?, 8);
    source.end()
}

pub(crate) fn a_part_of_a_region_is_refused() -> Outcome {
    let (source, other) = pair()?;
    let good = remap(&source, &other, Access::Write);
    for (call, error) in [
        (Remap { len: PAGE_SIZE, ..good }, Errno::Fault),
        (Remap { len: (PAGES + 1) * PAGE_SIZE, ..good }, Errno::Fault),
        (Remap { source_address: PLACE + PAGE_SIZE, ..good }, Errno::Inval),
        (Remap { len: 0, ..good }, Errno::Inval),
        (Remap { source: source.endpoint.next_generation(), ..good }, Errno::Srch),
        (Remap { process: source.endpoint.next_generation(), ..good }, Errno::Srch),
    ] {
        check_eq!((call, server().remap(call).map(drop)), (call, Err(error)));
    }
    check_eq!(other.usage()?.regions, source.usage()?.regions - 1);
    other.end()?;
    source.end()
}

pub(crate) fn the_first_may_end_before_the_last() -> Outcome {
    let before = unused_pages()?;
    let (source, mut other) = pair()?;
    let at = server().remap(remap(&source, &other, Access::Write))?.address;
    source.end()?;
    check_eq!(other.read(at)?, 5);
    other.fill(at, PAGES, 1)?;
    other.end()?;
    check_eq!(unused_pages()?, before);
    Ok(())
}
