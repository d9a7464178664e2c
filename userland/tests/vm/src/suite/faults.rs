//! Touching what is not there.

use crate::player::{Player, new_memory, seed};
use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_TOP, USER_END};
use protocol::vm::MapFlags;
use suite::{Outcome, check_eq};
use vm_suite::Do;

const PLACE: u64 = 0x2000_0000_0000;

pub(crate) fn who_touches_what_is_not_there_gets_a_signal() -> Outcome {
    let mut witness = Player::start()?;
    let kept = witness.map(1, MapFlags::empty())?;
    witness.write(kept, 77)?;
    for address in [0, 8, PAGE_SIZE, USER_END - 8, 0xffff_8000_0000_0000, 0xffff_ffff_8020_0000, PLACE, STACK_TOP] {
        Player::start()?.dies_of(Do::Read, &[address])?;
        Player::start()?.dies_of(Do::Write, &[address, 1])?;
    }
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, 2, MapFlags::empty()))??;
    player.fill(PLACE, 2, 1)?;
    player.dies_of(Do::Read, &[PLACE + 2 * PAGE_SIZE])?;
    check_eq!(witness.read(kept)?, 77);
    witness.end()
}

pub(crate) fn text_is_not_written_and_data_is_not_executed() -> Outcome {
    let mut player = Player::start()?;
    player.read(PROGRAM_BASE)?;
    player.dies_of(Do::Write, &[PROGRAM_BASE, 0])?;
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, 1, MapFlags::empty()))??;
    player.write(PLACE, 0xc3)?;
    player.dies_of(Do::Jump, &[PLACE])
}

pub(crate) fn a_forged_fault_is_nothing() -> Outcome {
    let mut player = Player::start()?;
    let before = player.usage()?;
    for _ in 0..10 {
        check_eq!(player.order(Do::Notify, &[])?, crate::player::Done::Well(Ok([0; 6])));
    }
    check_eq!(player.usage()?, before);
    player.end()?;
    seed()?.fork()?.end()
}
