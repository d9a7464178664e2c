//! Files in memory, with a stand-in of the file server that does as it is told.

use crate::player::{Done, Player, me, new_memory, server, unused_pages};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Signal};
use protocol::kernel::MemSet;
use protocol::vm::*;
use suite::{Failure, Outcome, check, check_eq};
use sys::Ipc;
use vm_suite::{Behave, DEVICE, Do, FILES, FilesClient, FillIn, FixFor, How, Load, Release, Tell, Told, word_of};

/// A device of the suite's own.
const OWN_DEVICE: u64 = 77;

/// The stand-in.
fn files() -> FilesClient<Ipc> {
    FilesClient { to: sys::lookup(FILES).unwrap_or(Endpoint::NONE), transport: Ipc::default() }
}

fn behave(how: How) -> Outcome {
    // It has the device, as the suite, which stands for the process manager, says.
    let process = sys::lookup(FILES).ok_or(Errno::NoEnt)?;
    server().bind_device(BindDevice { process, reserved: 0, device: DEVICE })?;
    files().behave(Behave { how })?;
    Ok(())
}

/// What is in the cache is forgotten: everything is read again.
fn begin_anew() -> Outcome {
    server().bind_device(BindDevice { process: Endpoint::NONE, reserved: 0, device: DEVICE })?;
    behave(How::Well)
}

pub(crate) fn told() -> Result<Told, Errno> {
    files().tell(Tell {})
}

fn file(inode: u64, offset: u64, len: u64) -> Map {
    let (access, process) = (Access::Write, Endpoint::SELF);
    Map { address: 0, len, offset, flags: 0, access, fd: inode as i32, process }
}

/// A new player that shows so many pages of a file, and where.
fn reader(inode: u64, pages: u64) -> Result<(Player, u64), Failure> {
    let mut player = Player::start()?;
    let at = player.ask(&file(inode, 0, pages * PAGE_SIZE))??.address;
    Ok((player, at))
}

/// Waits until the stand-in has been asked something that it holds back.
fn wait_until_held() -> Outcome {
    while told()?.held == 0 {}
    Ok(())
}

/// Waits until nothing is open.
fn wait_until_closed() -> Outcome {
    while told()?.open > 0 {}
    Ok(())
}

pub(crate) fn contents_are_those_of_the_file() -> Outcome {
    begin_anew()?;
    let before = told()?;
    let (mut player, at) = reader(3, 3)?;
    for page in [2, 0, 1] {
        for word in [0, 1, 511] {
            check_eq!(player.read(at + page * PAGE_SIZE + word * 8)?, word_of(3, page, word));
        }
    }
    check_eq!(player.usage()?.major_faults, 3);
    // It is read once, for all.
    let (mut other, second) = reader(3, 3)?;
    check_eq!(other.read(second)?, word_of(3, 0, 0));
    check_eq!((other.usage()?.major_faults, told()?.reads - before.reads), (0, 3));
    let region = GetRegion { process: player.endpoint, reserved: 0, address: at };
    check_eq!(server().region(region)?.kind, RegionKind::File);
    other.end()?;
    player.end()?;
    check!(server().memory(GetMemory {})?.cached >= 3, "the cache has the pages");
    wait_until_closed()
}

pub(crate) fn what_is_written_is_not_in_the_file() -> Outcome {
    begin_anew()?;
    let (mut player, at) = reader(3, 3)?;
    let (mut other, second) = reader(3, 3)?;
    player.read(at)?;
    player.write(at + 8, 1)?;
    player.write(at + PAGE_SIZE, 2)?;
    check_eq!((player.read(at)?, player.read(at + 8)?), (word_of(3, 0, 0), 1));
    check_eq!((player.read(at + PAGE_SIZE)?, player.read(at + PAGE_SIZE + 8)?), (2, word_of(3, 1, 1)));
    check_eq!((other.read(second + 8)?, other.read(second + PAGE_SIZE)?), (word_of(3, 0, 1), word_of(3, 1, 0)));
    let shared = Map { flags: MapFlags::SHARED.bits(), ..file(3, 0, PAGE_SIZE) };
    check_eq!(player.ask(&shared)?.map(drop), Err(Errno::NotSup));
    let at = player.ask(&Map { access: Access::Read, ..shared })??.address;
    check_eq!(player.read(at)?, word_of(3, 0, 0));
    check_eq!(player.protect(at, 1, Access::Write)?, Err(Errno::Perm));
    player.dies_of(Do::Write, &[at, 1])?;
    other.end()
}

pub(crate) fn the_end_of_a_file() -> Outcome {
    begin_anew()?;
    let (mut player, at) = reader(4, 5)?;
    let last = at + PAGE_SIZE;
    check_eq!((player.read(last)?, player.read(last + 16)?), (word_of(4, 1, 0), word_of(4, 1, 2)));
    for word in [3, 4, 100, 511] {
        check_eq!((word, player.read(last + word * 8)?), (word, 0));
    }
    // Text is not writable for that.
    let read_only = Map { access: Access::Read, ..file(4, PAGE_SIZE, PAGE_SIZE) };
    let second = player.ask(&read_only)??.address;
    check_eq!((player.read(second + 16)?, player.read(second + 24)?), (word_of(4, 1, 2), 0));
    let reads = told()?.reads;
    let child = player.fork()?;
    child.dies_of(Do::Write, &[second, 1])?;
    let child = player.fork()?;
    child.dies_of(Do::Read, &[at + 2 * PAGE_SIZE])?;
    player.dies_of(Do::Read, &[at + 4 * PAGE_SIZE])?;
    check_eq!(told()?.reads, reads);
    Ok(())
}

pub(crate) fn an_offset_in_the_middle() -> Outcome {
    begin_anew()?;
    let mut player = Player::start()?;
    let at = player.ask(&file(5, 7 * PAGE_SIZE, 2 * PAGE_SIZE))??.address;
    check_eq!(player.read(at + PAGE_SIZE)?, word_of(5, 8, 0));
    let at = player.ask(&file(5, 9 * PAGE_SIZE + 40, PAGE_SIZE))??.address;
    check_eq!((at % PAGE_SIZE, player.read(at)?), (40, word_of(5, 9, 5)));
    check_eq!(player.read(at + PAGE_SIZE - 8)?, word_of(5, 10, 4));
    player.end()
}

pub(crate) fn children_share_what_is_read() -> Outcome {
    begin_anew()?;
    let (mut parent, at) = reader(5, 32)?;
    parent.sum(at, 32)?;
    let before = unused_pages()?;
    let mut child = parent.fork()?;
    child.sum(at, 32)?;
    check!(before - unused_pages()? < 32, "pages of the file are there once");
    child.write(at, 1)?;
    parent.write(at + PAGE_SIZE, 2)?;
    check_eq!((parent.read(at)?, child.read(at + PAGE_SIZE)?), (word_of(5, 0, 0), word_of(5, 1, 0)));
    parent.end()?;
    check_eq!((child.read(at)?, child.read(at + 2 * PAGE_SIZE)?), (1, word_of(5, 2, 0)));
    child.end()
}

pub(crate) fn files_are_closed_with_the_last_region() -> Outcome {
    begin_anew()?;
    wait_until_closed()?;
    let before = unused_pages()?;
    let (mut player, at) = reader(3, 3)?;
    player.ask(&file(3, 0, PAGE_SIZE))??;
    while told()?.open > 1 {}
    // A process may close its own descriptor: the memory server has another one.
    player.unmap(at + PAGE_SIZE, 1)??;
    check_eq!(player.read(at + 2 * PAGE_SIZE)?, word_of(3, 2, 0));
    let child = player.fork()?;
    player.end()?;
    check_eq!(told()?.open, 1);
    child.end()?;
    wait_until_closed()?;
    server().bind_device(BindDevice { process: Endpoint::NONE, reserved: 0, device: DEVICE })?;
    check_eq!(unused_pages()?, before);
    Ok(())
}

fn set(player: &Player, address: u64, len: u64) -> Result<u64, Errno> {
    // SAFETY: the memory is another process's.
    unsafe { rt::call_unchecked(&MemSet { process: player.endpoint, byte: 1, address, len }) }.map(|set| set.done)
}

/// A word of bytes that [`set`] has written.
const ONES: u64 = 0x0101_0101_0101_0101;

pub(crate) fn the_kernel_copies_from_and_to_files() -> Outcome {
    begin_anew()?;
    let (mut player, at) = reader(5, 8)?;
    check_eq!(set(&player, at + 8, 3 * PAGE_SIZE), Ok(3 * PAGE_SIZE));
    check_eq!(
        (player.read(at)?, player.read(at + 8)?, player.read(at + 3 * PAGE_SIZE)?),
        (word_of(5, 0, 0), ONES, ONES)
    );
    check_eq!(player.read(at + 3 * PAGE_SIZE + 8)?, word_of(5, 3, 1));
    let (other, second) = reader(4, 4)?;
    check_eq!(set(&other, second, 3 * PAGE_SIZE), Err(Errno::Fault));
    // The disk fails.
    behave(How::Failing)?;
    check_eq!(set(&player, at + 5 * PAGE_SIZE, 8), Err(Errno::Fault));
    behave(How::Well)?;
    check_eq!(set(&player, at + 5 * PAGE_SIZE, 8), Ok(8));
    other.end()?;
    player.end()
}

pub(crate) fn who_serves_files_asks_for_them_without_waiting() -> Outcome {
    begin_anew()?;
    let (mut player, at) = reader(5, 8)?;
    let (process, len) = (player.endpoint, 3 * PAGE_SIZE);
    // Two regions, of two files.
    let fixed = Map { address: at + PAGE_SIZE, flags: MapFlags::FIXED.bits(), ..file(3, 0, PAGE_SIZE) };
    player.ask(&fixed)??;
    let fill = FillIn { process, reserved: 0, address: at, len };
    check_eq!(files().fill(fill).map(drop), Err(Errno::Fault));
    files().fix_for(FixFor { process, reserved: 0, address: at, len })?;
    while told()?.fixed == 0 {}
    check_eq!(told()?.fixed, 1);
    files().fill(fill)?;
    check_eq!((player.read(at)?, player.read(at + 2 * PAGE_SIZE)?), (ONES, ONES));
    // One that cannot be.
    files().fix_for(FixFor { process, reserved: 0, address: at + 6 * PAGE_SIZE, len })?;
    while told()?.fixed == 0 {}
    check_eq!(told()?.fixed, -(Errno::Fault as i64));
    player.end()
}

pub(crate) fn a_page_that_cannot_be_read_is_a_signal() -> Outcome {
    begin_anew()?;
    for how in [How::Failing, How::Lying] {
        let (player, at) = reader(3, 3)?;
        let mut child = player.fork()?;
        behave(how)?;
        player.dies_of(Do::Read, &[at])?;
        behave(How::Well)?;
        check_eq!(child.read(at + PAGE_SIZE)?, word_of(3, 1, 0));
        child.end()?;
    }
    Ok(())
}

pub(crate) fn whoever_is_killed_while_waiting_is_gone() -> Outcome {
    begin_anew()?;
    wait_until_closed()?;
    let before = unused_pages()?;
    let (player, at) = reader(3, 3)?;
    let (other, second) = reader(5, 3)?;
    behave(How::Late)?;
    player.begin(Do::Read, &[at])?;
    wait_until_held()?;
    other.begin(Do::Read, &[second])?;
    // The memory server waits for nobody.
    let mut witness = Player::start()?;
    witness.map(3, MapFlags::PREALLOCATED)?;
    player.end()?;
    other.end()?;
    witness.end()?;
    files().release(Release {})?;
    wait_until_closed()?;
    server().bind_device(BindDevice { process: Endpoint::NONE, reserved: 0, device: DEVICE })?;
    check_eq!(unused_pages()?, before);
    Ok(())
}

pub(crate) fn a_late_answer_is_an_answer() -> Outcome {
    begin_anew()?;
    let (mut player, at) = reader(3, 3)?;
    behave(How::Late)?;
    player.begin(Do::Read, &[at + PAGE_SIZE])?;
    wait_until_held()?;
    files().release(Release {})?;
    check_eq!(player.finish()?, Done::Well(Ok([word_of(3, 1, 0), 0, 0, 0, 0, 0])));
    player.end()
}

pub(crate) fn wrong_answers_are_refused() -> Outcome {
    begin_anew()?;
    let (mut player, at) = reader(3, 3)?;
    behave(How::Guessing)?;
    check_eq!(player.read(at)?, word_of(3, 0, 0));
    let invalid = Errno::Inval as u64;
    check_eq!(told()?.refusals, invalid << 32 | invalid << 16 | invalid);
    behave(How::Well)?;
    // Who is not the file server has nothing to say.
    let answer = FileAnswer { request: 1, status: 0, device: 0, inode: 0, size: 0, fd: 0, reserved: 0 };
    check_eq!(server().file_answer(answer).map(drop), Err(Errno::NoSys));
    check_eq!(server().serve_files(ServeFiles {}).map(drop), Err(Errno::NoSys));
    player.end()
}

pub(crate) fn programs_are_mapped_from_files() -> Outcome {
    begin_anew()?;
    let mut player = Player::start()?;
    let (process, address) = (player.endpoint, 0x2000_0000_0000);
    let load = Load { process, clear_end: 4000, inode: 5, address, len: 2 * PAGE_SIZE, offset: 3 * PAGE_SIZE };
    files().load(load)?;
    check_eq!((player.read(address)?, player.read(address + PAGE_SIZE + 88)?), (word_of(5, 3, 0), word_of(5, 4, 11)));
    check_eq!(player.read(address + PAGE_SIZE + 96)?, 0);
    player.write(address, 1)?;
    check_eq!(files().load(Load { offset: 5, ..load }).map(drop), Err(Errno::Inval));
    check_eq!(files().load(Load { process: process.next_generation(), ..load }).map(drop), Err(Errno::Srch));
    player.dies_of(Do::Read, &[address + 2 * PAGE_SIZE])
}

pub(crate) fn files_that_cannot_be_mapped() -> Outcome {
    begin_anew()?;
    let mut player = Player::start()?;
    for (wrong, error) in [
        (file(9, 0, PAGE_SIZE), Errno::BadF),
        (Map { fd: -1, ..file(3, 0, PAGE_SIZE) }, Errno::BadF),
        (file(3, 0, 0), Errno::Inval),
        (file(3, u64::MAX - 4095, PAGE_SIZE), Errno::Inval),
        (Map { process: me()?, ..file(3, 0, PAGE_SIZE) }, Errno::Perm),
        (file(3, 0, 1 << 46), Errno::NoMem),
    ] {
        check_eq!((wrong, player.ask(&wrong)?.map(drop)), (wrong, Err(error)));
    }
    player.end()
}

/// New memory of the suite's own, whose pages begin with these words.
fn buffer(words: &[u64]) -> Result<u64, Errno> {
    let address = server().mmap(new_memory(0, words.len() as u64, MapFlags::empty()))?.address;
    for (page, word) in words.iter().enumerate() {
        // SAFETY: the memory was mapped for this.
        unsafe { ((address + page as u64 * PAGE_SIZE) as *mut u64).write_volatile(*word) };
    }
    Ok(address)
}

fn first_word(page: u64) -> u64 {
    // SAFETY: whoever calls has mapped it.
    unsafe { (page as *const u64).read_volatile() }
}

fn own_block(address: u64, pages: u32) -> SetCache {
    SetCache { address, device: OWN_DEVICE, offset: 8 * PAGE_SIZE, inode: 2, inode_offset: 0, pages, flags: 0 }
}

const OWN_BLOCKS: MapCache =
    MapCache { device: OWN_DEVICE, offset: 8 * PAGE_SIZE, inode: 2, inode_offset: 0, pages: 3, flags: 0 };

fn unmap(address: u64, pages: u64) -> Outcome {
    server().munmap(Unmap { address, len: pages * PAGE_SIZE, process: Endpoint::SELF, reserved: 0 })?;
    Ok(())
}

pub(crate) fn blocks_are_set_mapped_and_forgotten() -> Outcome {
    server().bind_device(BindDevice { process: me()?, reserved: 0, device: OWN_DEVICE })?;
    let address = buffer(&[10, 11, 12])?;
    check_eq!(server().map_cache(OWN_BLOCKS).map(drop), Err(Errno::NoEnt));
    server().set_cache(own_block(address, 3))?;
    let at = server().map_cache(OWN_BLOCKS)?.address;
    check_eq!([0, 1, 2].map(|page| first_word(at + page * PAGE_SIZE)), [10, 11, 12]);
    // SAFETY: the page is mapped.
    unsafe { (address as *mut u64).write_volatile(20) };
    check_eq!(first_word(at), 20);
    unmap(address, 3)?;
    unmap(at, 3)?;
    let at = server().map_cache(OWN_BLOCKS)?.address;
    check_eq!(first_word(at), 20);
    unmap(at, 3)?;
    server().forget_cache(ForgetCache { device: OWN_DEVICE, offset: 9 * PAGE_SIZE, pages: 1 })?;
    check_eq!(server().map_cache(OWN_BLOCKS).map(drop), Err(Errno::NoEnt));
    unmap(server().map_cache(MapCache { pages: 1, ..OWN_BLOCKS })?.address, 1)?;
    server().clear_cache(ClearCache { device: OWN_DEVICE })?;
    check_eq!(server().map_cache(MapCache { pages: 1, ..OWN_BLOCKS }).map(drop), Err(Errno::NoEnt));
    Ok(())
}

pub(crate) fn a_device_has_one_file_system() -> Outcome {
    begin_anew()?;
    let address = buffer(&[1])?;
    let foreign = SetCache { device: DEVICE, ..own_block(address, 1) };
    check_eq!(server().set_cache(foreign).map(drop), Err(Errno::Perm));
    check_eq!(server().map_cache(MapCache { device: DEVICE, ..OWN_BLOCKS }).map(drop), Err(Errno::Perm));
    let forget = ForgetCache { device: DEVICE, offset: 0, pages: 1 };
    check_eq!(server().forget_cache(forget).map(drop), Err(Errno::Perm));
    check_eq!(server().clear_cache(ClearCache { device: DEVICE }).map(drop), Err(Errno::Perm));
    let mut player = Player::start()?;
    check_eq!(player.ask(&ClearCache { device: DEVICE })?.map(drop), Err(Errno::NoSys));
    player.end()?;
    unmap(address, 1)
}

pub(crate) fn blocks_are_given_up_for_programs() -> Outcome {
    server().bind_device(BindDevice { process: me()?, reserved: 0, device: OWN_DEVICE })?;
    let address = buffer(&[30, 31, 32])?;
    server().set_cache(own_block(address, 3))?;
    // The first may not be on the disk: it stays mapped. The others are in the cache alone.
    unmap(address + PAGE_SIZE, 2)?;
    check!(server().memory(GetMemory {})?.cached >= 2, "the cache has them");
    let mut guilty = Player::start()?;
    let all = 2 * unused_pages()?;
    let at = guilty.map(all, MapFlags::empty())?;
    check_eq!(guilty.order(Do::Fill, &[at, all, 1])?, Done::Signaled(Signal::SEGV.bit()));
    check_eq!(server().memory(GetMemory {})?.cached, 0);
    guilty.end()?;
    check_eq!(first_word(address), 30);
    check_eq!(server().map_cache(OWN_BLOCKS).map(drop), Err(Errno::NoEnt));
    let first = server().map_cache(MapCache { pages: 1, ..OWN_BLOCKS })?.address;
    check_eq!(first_word(first), 30);
    unmap(first, 1)?;
    unmap(address, 1)?;
    server().clear_cache(ClearCache { device: OWN_DEVICE })?;
    Ok(())
}
