//! What the root does so that the storm goes on: who has ended is made again, who was stopped goes on.

use crate::driver::Storm;
use crate::world::{Ended, PEERS, PRIORITY, STORM, Scarce, USERS, VICTIMS, VM, World, booted};
use abi::boot::BootEntry;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, PrivilegeId, Signal};
use kernel_core::frames::FrameKind;
use kernel_core::{Rts, SLOTS, Slot};
use protocol::kernel::{Clear, EndKSig, Exec, Fork, RunAction, RunCtl, SchedCtl, Scheduler};
use protocol::privctl::{Allow, DYNAMIC_ID, Disallow, SetSys, SetUser, UpdateSys};
use protocol::trace::Detach;
use protocol::vmctl::{AnswerRequest, ClearPageFault, Settle};

/// Deals with the signals of a process.
pub(crate) fn handle(storm: &mut Storm<'_>, process: Endpoint, signals: u64) -> Result<(), Ended> {
    let ends = signals & (Signal::KILL.bit() | Signal::ABRT.bit() | Signal::SEGV.bit()) != 0;
    if ends && process.slot() > STORM || process.slot() >= SLOTS {
        let _ = storm.world.by_root(&Clear { process })?;
    } else {
        let _ = storm.world.by_root(&EndKSig { process })?;
    }
    Ok(())
}

/// Mends everything, so far as the root can.
pub(crate) fn repair(storm: &mut Storm<'_>) -> Result<(), Ended> {
    for slot in (VM..PEERS.end).chain(USERS).chain(VICTIMS) {
        mend(storm, slot)?;
    }
    if storm.random.below(8) == 0 {
        give_back(&mut storm.world);
    }
    if storm.random.below(16) == 0 {
        thin_out(storm)?;
    }
    storm.world.rest()
}

/// Milliseconds of the storm's turns, and of the others'.
const LONG_TURN: i32 = 100;
const SHORT_TURN: i32 = 4;

fn mend(storm: &mut Storm<'_>, number: usize) -> Result<(), Ended> {
    let slot = Slot::of(booted(number));
    let world = &mut storm.world;
    let (process, rts) = (world.kernel.process(slot).endpoint, world.kernel.process(slot).rts());
    if rts.contains(Rts::FREE) {
        return make(storm, number);
    }
    let is_victim = VICTIMS.contains(&number) || number >= 74;
    // Some are left alone for a while: what is stopped gets other errors.
    if is_victim && storm.random.below(4) != 0 {
        return Ok(());
    }
    let signaled = is_victim && rts.contains(Rts::SIGNAL_PENDING) && storm.random.below(2) == 0;
    if rts.contains(Rts::EXITED) || signaled {
        let _ = storm.world.by_root(&Clear { process })?;
        return make(storm, number);
    }
    // Who waits for memory is often left to the memory server.
    let waits = rts.intersects(Rts::PAGE_FAULT | Rts::MEMORY_REQUEST) && number != STORM;
    let patience = if storm.world.rights.scarce == Scarce::Answers { 64 } else { 8 };
    if !waits || storm.random.below(patience) == 0 {
        go_on(&mut storm.world, process, rts)?;
    }
    let rts = storm.world.kernel.process(slot).rts();
    let storms = number == STORM || USERS.contains(&number);
    let stuck = rts.intersects(Rts::RECEIVING | Rts::SENDING) && storms
        || rts.contains(Rts::SENDING) && storm.random.below(8) == 0;
    if stuck {
        let _ = exec(&mut storm.world, process)?;
    }
    if !is_victim || storm.random.below(8) == 0 {
        admit(storm, number, process)?;
    }
    let _ = storm.world.by_root(&SchedCtl {
        process,
        scheduler: Scheduler::Kernel,
        priority: PRIORITY.into(),
        quantum: if storms { LONG_TURN } else { SHORT_TURN },
        cpu: storm.random.below(2) as i32,
    })?;
    Ok(())
}

/// Takes away every reason why a process does not run, but messages.
fn go_on(world: &mut World<'_>, process: Endpoint, rts: Rts) -> Result<(), Ended> {
    if rts.contains(Rts::STOPPED) {
        let _ = world.by_root(&RunCtl { process, action: RunAction::Resume })?;
    }
    if rts.contains(Rts::TRACED) {
        let _ = world.by_root(&Detach { process })?;
    }
    if rts.contains(Rts::NO_SPACE)
        && let Some(id) = world.space()
    {
        let space = world.kernel.spaces.name(id);
        let _ = world.by_root(&Settle { process, reserved: 0, space })?;
    }
    if rts.contains(Rts::PAGE_FAULT) {
        let _ = world.by_root(&ClearPageFault { process })?;
    }
    if rts.contains(Rts::MEMORY_REQUEST) {
        let _ = world.by_root(&AnswerRequest { process, available: 0 })?;
    }
    if rts.intersects(Rts::SIGNALED | Rts::SIGNAL_PENDING) {
        // Only its manager can do that.
        let _ = world.by_root(&EndKSig { process })?;
    }
    if rts.contains(Rts::NO_PRIV) {
        let _ = world.by_root(&Allow { process })?;
    }
    Ok(())
}

/// Gives a process its privileges again.
fn admit(storm: &mut Storm<'_>, number: usize, process: Endpoint) -> Result<(), Ended> {
    let world = &mut storm.world;
    if USERS.contains(&number) {
        if world.kernel.process(Slot::of(process)).privilege_id() != PrivilegeId::USER {
            let _ = world.by_root(&Disallow { process })?;
            let _ = world.by_root(&SetUser { process })?;
            let _ = world.by_root(&Allow { process })?;
        }
        let spec = world.user_spec();
        let _ = world.by_root(&UpdateSys { spec, process: Endpoint::NONE, reset_ranges: 0 })?;
        return Ok(());
    }
    let spec = world.spec(number);
    let reset_ranges = u32::from(world.rights.scarce != Scarce::Ranges && storm.random.below(64) == 0);
    if world.by_root(&UpdateSys { spec, process, reset_ranges })?.is_err() {
        // It has become a user.
        let _ = world.by_root(&Disallow { process })?;
        let id = if number < PEERS.end {
            PrivilegeId::of_boot_program(number).map_or(DYNAMIC_ID, |id| id.index() as u32)
        } else {
            DYNAMIC_ID
        };
        let _ = world.by_root(&SetSys { spec, process, id })?;
        let _ = world.by_root(&Allow { process })?;
    }
    if number == STORM || PEERS.contains(&number) {
        world.add_hardware(process)?;
    }
    Ok(())
}

fn exec(world: &mut World<'_>, process: Endpoint) -> Result<Result<(), abi::Errno>, Ended> {
    let name = BootEntry::encode_name("new").expect("a good name");
    let entry = abi::layout::USER_START;
    Ok(world.by_root(&Exec { name, stack: entry + PAGE_SIZE, entry, process, reserved: 0 })?.map(drop))
}

/// Makes a process in a free slot, if somebody is there to be its parent.
fn make(storm: &mut Storm<'_>, number: usize) -> Result<(), Ended> {
    let is_parent = |slot: &Slot| {
        let p = storm.world.kernel.process(*slot);
        p.rts().contains(Rts::RECEIVING) && !p.rts().contains(Rts::SENDING | Rts::FREE)
    };
    let parents = (VM..PEERS.end).chain(VICTIMS).map(|slot| Slot::of(booted(slot)));
    let Some(parent) = parents.into_iter().find(is_parent) else { return Ok(()) };
    let parent = storm.world.kernel.process(parent).endpoint;
    let Ok(forked) = storm.world.by_root(&Fork { parent, slot: number as u32 })? else { return Ok(()) };
    let _ = exec(&mut storm.world, forked.child)?;
    let rts = storm.world.kernel.process(Slot::of(forked.child)).rts();
    if !USERS.contains(&number) && !rts.contains(Rts::NO_PRIV) {
        let _ = storm.world.by_root(&Disallow { process: forked.child })?;
    }
    admit(storm, number, forked.child)?;
    let rts = storm.world.kernel.process(Slot::of(forked.child)).rts();
    go_on(&mut storm.world, forked.child, rts)?;
    storm.introduce(forked.child);
    Ok(())
}

/// Idle frames go back to the pool.
fn give_back(world: &mut World<'_>) {
    for number in crate::machine::RAM {
        let frame = kernel_core::frames::FrameNumber::containing(number * PAGE_SIZE).expect("it is low");
        if world.kernel.spaces.frames().kind(frame) == Ok(FrameKind::Idle) {
            world.kernel.spaces.give_back(number * PAGE_SIZE, 1).expect("it is idle");
        }
    }
}

/// Ends some of those that the storm made.
fn thin_out(storm: &mut Storm<'_>) -> Result<(), Ended> {
    for slot in Slot::all().skip(VICTIMS.end) {
        if !storm.world.kernel.process(slot).rts().contains(Rts::FREE) && storm.random.below(2) == 0 {
            let process = storm.world.kernel.process(slot).endpoint;
            let _ = storm.world.by_root(&Clear { process })?;
        }
    }
    Ok(())
}
