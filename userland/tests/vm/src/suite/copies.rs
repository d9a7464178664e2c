//! The kernel's copies from and to memory that is not there yet.

use crate::player::{Player, new_memory, server};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::kernel::{MemSet, VirCopy};
use protocol::vm::{Access, Fix, MapFlags, Unfix};
use suite::{Outcome, check_eq};

const PLACE: u64 = 0x2000_0000_0000;

/// Fills memory of a player with a byte.
fn set(player: &Player, address: u64, len: u64) -> Result<u64, Errno> {
    // SAFETY: the memory is another process's.
    unsafe { rt::call_unchecked(&MemSet { process: player.endpoint, byte: 1, address, len }) }.map(|set| set.done)
}

fn copy(from: (&Player, u64), to: (&Player, u64), len: u64) -> Result<u64, Errno> {
    let (source, destination) = (from.0.endpoint, to.0.endpoint);
    let call = VirCopy { source, destination, from: from.1, to: to.1, len, flags: 0 };
    // SAFETY: the memory is another process's.
    unsafe { rt::call_unchecked(&call) }.map(|copied| copied.done)
}

/// A word of bytes that [`set`] has written.
const ONES: u64 = 0x0101_0101_0101_0101;

pub(crate) fn the_kernel_writes_what_is_not_there_yet() -> Outcome {
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, 8, MapFlags::empty()))??;
    check_eq!(set(&player, PLACE + 100, 3 * PAGE_SIZE), Ok(3 * PAGE_SIZE));
    check_eq!((player.read(PLACE)?, player.read(PLACE + PAGE_SIZE)?), (0, ONES));
    check_eq!(player.read(PLACE + 3 * PAGE_SIZE + 96)? & 0xffff_ffff, ONES & 0xffff_ffff);
    player.end()
}

pub(crate) fn the_kernel_copies_for_one_side_only() -> Outcome {
    let mut parent = Player::start()?;
    parent.ask(&new_memory(PLACE, 4, MapFlags::empty()))??;
    parent.fill(PLACE, 4, 1)?;
    let mut child = parent.fork()?;
    check_eq!(set(&child, PLACE, 2 * PAGE_SIZE), Ok(2 * PAGE_SIZE));
    check_eq!((parent.sum(PLACE, 4)?, child.sum(PLACE, 4)?), (10, 2 * ONES + 7));
    // From memory that was never touched come zeros, into memory that both show.
    let empty = parent.map(1, MapFlags::empty())?;
    check_eq!(copy((&parent, empty), (&child, PLACE + 2 * PAGE_SIZE), 8), Ok(8));
    check_eq!((parent.read(PLACE + 2 * PAGE_SIZE)?, child.read(PLACE + 2 * PAGE_SIZE)?), (3, 0));
    child.end()?;
    parent.end()
}

pub(crate) fn what_cannot_be_written_is_a_fault() -> Outcome {
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, 4, MapFlags::empty()))??;
    player.fill(PLACE, 4, 1)?;
    player.protect(PLACE + PAGE_SIZE, 1, Access::Read)??;
    check_eq!(set(&player, PLACE + PAGE_SIZE, 8), Err(Errno::Fault));
    check_eq!(set(&player, PLACE, 2 * PAGE_SIZE), Err(Errno::Fault));
    check_eq!(set(&player, PLACE + 3 * PAGE_SIZE, 2 * PAGE_SIZE), Err(Errno::Fault));
    check_eq!(set(&player, 0x1000_0000_0000, 8), Err(Errno::Fault));
    check_eq!(copy((&player, PLACE + PAGE_SIZE), (&player, PLACE), 8), Ok(8));
    check_eq!(player.sum(PLACE, 4)?, 11);
    player.end()
}

pub(crate) fn fixed_memory_is_there() -> Outcome {
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, 8, MapFlags::empty()))??;
    let (process, len) = (player.endpoint, 4 * PAGE_SIZE);
    let call = Fix { process, write: 1, address: PLACE, len };
    let before = player.usage()?;
    server().fix(call)?;
    check_eq!(player.usage()?.resident - before.resident, 4);
    // A child gets copies at once: the parent's stay where they are, and are written without a fault.
    let child = player.fork()?;
    player.read(PLACE)?;
    let faults = player.usage()?.minor_faults;
    player.fill(PLACE, 4, 1)?;
    check_eq!(player.usage()?.minor_faults - faults, 0);
    child.end()?;
    let end = Unfix { process, write: 1, address: PLACE, len };
    server().unfix(end)?;
    check_eq!(server().unfix(end).map(drop), Err(Errno::Inval));
    for (call, error) in [
        (Fix { address: 0x1000_0000_0000, ..call }, Errno::Fault),
        (Fix { len: 9 * PAGE_SIZE, ..call }, Errno::Fault),
        (Fix { process: Endpoint::from_raw(0x7fff_0001), ..call }, Errno::Srch),
    ] {
        check_eq!((call, server().fix(call).map(drop)), (call, Err(error)));
    }
    player.end()
}
