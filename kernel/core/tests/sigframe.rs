//! Signal handlers, and physical addresses.

use crate::support::*;
use abi::boot::BootFlags;
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use abi::{Endpoint, Errno, SignalFrame};
use kernel_core::Rts;
use protocol::kernel::{DiagWrite, KEEP, RunAction, RunCtl, SchedCtl, Scheduler, SigReturn, SigSend, UMap};
use protocol::vmctl::{Access, Backing, Cache};
use protocol::vmctl::{AnswerRequest, Claim, Donate, GetSpaceOf, MapRun, NextEvent};

const HANDLER: u64 = USER_START + 0x500;
const TRAMPOLINE: u64 = USER_START + 0x600;
const SIGNAL: u32 = 10;
const SEND: SigSend = SigSend { handler: HANDLER, trampoline: TRAMPOLINE, mask: 0x55, process: B, signal: SIGNAL };

/// B, with its own registers, does not run.
fn stopped(world: &mut World<'_>) {
    world.run(B);
    world.kernel.process_mut(kernel_core::Slot::of(B)).frame = own();
    world.call(A, &RunCtl { process: B, action: RunAction::Stop }).unwrap();
}

/// The registers of B.
fn own() -> Regs {
    Regs { rip: ENTRY, rsp: STACK, ..send(C, 3) }
}

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    stopped(&mut world);
    run(&mut world);
}

#[test]
fn a_handler_runs_on_a_frame_below_the_red_zone_and_returns_to_where_it_was() {
    test(|world| {
        let frame = world.call(A, &SEND).unwrap().frame;
        let regs = world.regs(B);
        assert_eq!((regs.rip, regs.rdi, regs.rsi), (HANDLER, SIGNAL.into(), frame));
        assert!(frame.is_multiple_of(16) && frame + size_of::<SignalFrame>() as u64 + 128 <= STACK);
        assert_eq!(regs.rsp, frame - 8, "as after a call");
        assert_eq!(world.load::<u64>(B, regs.rsp), TRAMPOLINE);
        let returned = world.call(A, &SigReturn { process: B, reserved: 0, frame }).unwrap();
        assert_eq!((returned.mask, world.regs(B)), (0x55, own()));
    });
}

#[test]
fn what_no_program_can_have_is_refused() {
    for bad in [
        SigSend { handler: 0, ..SEND },
        SigSend { handler: USER_END, ..SEND },
        SigSend { trampoline: USER_START - 1, ..SEND },
        SigSend { trampoline: u64::MAX, ..SEND },
        SigSend { signal: 0, ..SEND },
        SigSend { signal: 32, ..SEND },
        SigSend { signal: u32::MAX, ..SEND },
    ] {
        denied(&four(), stopped, A, kernel_call(&bad), Errno::Inval);
    }
}

#[test]
fn a_stack_that_takes_no_frame_is_a_fault() {
    for rsp in [0, 64, 512, USER_START + 256, USER_START + 8, 1 << 60, u64::MAX] {
        let setup = |world: &mut World<'_>| {
            stopped(world);
            world.kernel.process_mut(kernel_core::Slot::of(B)).frame.rsp = rsp;
        };
        denied(&four(), setup, A, kernel_call(&SEND), Errno::Fault);
    }
}

#[test]
fn one_that_runs_or_waits_for_a_message_gets_no_frame() {
    denied(&four(), |_| {}, A, kernel_call(&SEND), Errno::Busy);
    for call in [send(C, 1), sendrec(C, 1), receive(C)] {
        let waits = |world: &mut World<'_>| {
            world.trap(B, call);
        };
        denied(&four(), waits, A, kernel_call(&SEND), Errno::Busy);
        denied(&four(), waits, A, kernel_call(&SigReturn { process: B, reserved: 0, frame: STACK }), Errno::Busy);
    }
}

#[test]
fn a_frame_that_is_none_or_was_changed_badly_is_refused() {
    let frame_at = |change: fn(&mut SignalFrame)| {
        move |world: &mut World<'_>| {
            stopped(world);
            let frame = world.call(A, &SEND).unwrap().frame;
            let mut changed: SignalFrame = world.load(B, frame);
            change(&mut changed);
            world.store(B, USER_START + 0x1000, &changed);
        }
    };
    let call = kernel_call(&SigReturn { process: B, reserved: 0, frame: USER_START + 0x1000 });
    denied(&four(), frame_at(|frame| frame.magic ^= 1), A, call, Errno::Inval);
    denied(&four(), frame_at(|frame| frame.context.rip = USER_END), A, call, Errno::Inval);
    denied(&four(), frame_at(|frame| frame.context.rip = 1 << 63), A, call, Errno::Inval);
    for frame in [0, USER_START - 8, u64::MAX] {
        denied(&four(), stopped, A, kernel_call(&SigReturn { process: B, reserved: 0, frame }), Errno::Fault);
    }
}

#[test]
fn a_frame_on_an_absent_page_is_pushed_once_when_the_page_is_there() {
    let mut table = table();
    let mut programs = four();
    programs[3].flags = BootFlags::PAGER.bits();
    let mut world = World::new(&mut table, &programs);
    stopped(&mut world);
    world.remove_page(B, STACK - 1);
    assert_eq!(world.trap(A, kernel_call(&SEND)), Outcome::Blocked);
    assert_eq!((world.regs(B), world.rts(A)), (own(), Rts::MEMORY_REQUEST), "nothing has changed yet");
    world.call(D, &NextEvent {}).unwrap();
    world.bring_page(B, STACK - 1);
    world.call(D, &AnswerRequest { process: A, available: 1 }).unwrap();
    world.run(A);
    let frame = answer_in::<SigSend>(&world.regs(A)).unwrap().frame;
    assert_eq!(world.regs(B).rsp, frame - 8, "one frame");
    assert_eq!(world.load::<SignalFrame>(B, frame).context.rip, ENTRY, "of the registers of before");
}

#[test]
fn a_call_that_was_to_go_on_starts_again_after_the_handler() {
    let mut table = table();
    let mut programs = four();
    programs[3].flags = BootFlags::PAGER.bits();
    let mut world = World::new(&mut table, &programs);
    let call = kernel_call(&DiagWrite { address: MEMORY_START, len: 8 });
    let call = Regs { rip: ENTRY, rsp: STACK, ..call };
    world.remove_page(B, MEMORY_START);
    assert_eq!(world.trap(B, call), Outcome::Blocked);
    world.call(A, &RunCtl { process: B, action: RunAction::Stop }).unwrap();
    assert_eq!(world.trap(A, kernel_call(&SEND)), Outcome::Failed(Errno::Busy), "it waits for memory");
    world.bring_page(B, MEMORY_START);
    world.call(D, &AnswerRequest { process: B, available: 1 }).unwrap();
    let frame = world.call(A, &SEND).unwrap().frame;
    world.call(A, &RunCtl { process: B, action: RunAction::Resume }).unwrap();
    world.run(B);
    assert_eq!(world.regs(B).rip, HANDLER, "nothing was called with the registers of the handler");
    assert!(world.machine.texts.is_empty());
    world.call(A, &RunCtl { process: B, action: RunAction::Stop }).unwrap();
    world.call(A, &SigReturn { process: B, reserved: 0, frame }).unwrap();
    assert_eq!(world.regs(B), Regs { rip: ENTRY - TRAP_LEN, ..call }, "it makes the same trap again");
}

#[test]
fn one_whose_time_is_used_up_gets_its_frame_while_the_kernel_sends_for_it() {
    test(|world| {
        world.call(A, &RunCtl { process: B, action: RunAction::Resume }).unwrap();
        let scheduler = Scheduler::Caller;
        world.call(C, &SchedCtl { process: B, scheduler, priority: KEEP, quantum: KEEP, cpu: KEEP }).unwrap();
        world.run(B);
        world.tick(kernel_core::QUANTUM_TICKS);
        assert_eq!(world.rts(B), Rts::NO_QUANTUM | Rts::SENDING);
        world.call(A, &SEND).unwrap();
        assert_eq!(world.regs(B).rip, HANDLER);
        world.trap(C, receive(B));
        assert!(abi::Status(world.regs(C).rdx).is_from_kernel());
    });
}

/// Maps the frames in the program of A, one behind the other.
fn map(world: &mut World<'_>, address: u64, frames: &[u64], access: Access) {
    let space = world.call(A, &GetSpaceOf { process: A }).unwrap().space;
    for (page, frame) in (address..).step_by(PAGE_SIZE as usize).zip(frames) {
        let count = 1;
        let (cache, backing) = (Cache::Normal, Backing::Memory);
        let run = MapRun { space, address: page, frame: *frame, count, access, cache, backing };
        while world.call(A, &run).unwrap().done == 0 {
            let first = world.call(A, &Claim { count: 1 }).unwrap().first;
            world.call(A, &Donate { space, first, count: 1 }).unwrap();
        }
    }
}

#[test]
fn a_run_of_frames_has_a_physical_address_and_scattered_ones_have_none() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    let first = world.call(A, &Claim { count: 4 }).unwrap().first;
    let frame = |n: u64| first + n * PAGE_SIZE;
    map(&mut world, MEMORY_START, &[frame(1), frame(2), frame(0)], Access::Write);
    let umap = |world: &mut World<'_>, offset, len| {
        world.call(A, &UMap { address: MEMORY_START + offset, len }).map(|mapped| mapped.physical)
    };
    assert_eq!(umap(&mut world, 16, 2 * PAGE_SIZE - 16), Ok(frame(1) + 16));
    assert_eq!(umap(&mut world, 2 * PAGE_SIZE, PAGE_SIZE), Ok(frame(0)));
    assert_eq!(umap(&mut world, 16, 2 * PAGE_SIZE), Err(Errno::Fault), "across to a frame from elsewhere");
}

#[test]
fn a_run_of_frames_whose_rights_differ_has_a_physical_address_too() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    let first = world.call(A, &Claim { count: 5 }).unwrap().first;
    let frame = |n: u64| first + n * PAGE_SIZE;
    map(&mut world, MEMORY_START, &[frame(0), frame(1)], Access::Write);
    map(&mut world, MEMORY_START + 2 * PAGE_SIZE, &[frame(2)], Access::Read);
    map(&mut world, MEMORY_START + 3 * PAGE_SIZE, &[frame(3)], Access::Write);
    let umap = |world: &mut World<'_>, len| {
        world.call(A, &UMap { address: MEMORY_START + 8, len }).map(|mapped| mapped.physical)
    };
    assert_eq!(umap(&mut world, 4 * PAGE_SIZE - 8), Ok(frame(0) + 8));
    map(&mut world, MEMORY_START + 4 * PAGE_SIZE, &[frame(0)], Access::Read);
    assert_eq!(umap(&mut world, 5 * PAGE_SIZE - 8), Err(Errno::Fault), "the last one lies elsewhere");
}

#[test]
fn a_physical_address_is_told_of_what_is_there_and_contiguous() {
    denied(&four(), |_| {}, A, kernel_call(&UMap { address: MEMORY_START, len: 0 }), Errno::Inval);
    for len in [512 * PAGE_SIZE + 1, u64::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&UMap { address: MEMORY_START, len }), Errno::Inval);
    }
    let most = UMap { address: MEMORY_START, len: 512 * PAGE_SIZE };
    denied(&four(), |_| {}, A, kernel_call(&most), Errno::Fault);
    for address in [0, MEMORY_START - 1, MEMORY_START + MEMORY as u64, u64::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&UMap { address, len: 1 }), Errno::Fault);
    }
}

#[test]
fn a_process_that_is_none_gets_no_frame() {
    denied(&four(), |_| {}, A, kernel_call(&SigSend { process: Endpoint::NONE, ..SEND }), Errno::Inval);
}
