//! Tracing.

use crate::support::*;
use abi::{Endpoint, Errno, PrivilegeSpec, Signal, Trap};
use core::mem::offset_of;
use kernel_core::Rts;
use protocol::kernel::{EndKSig, GetKSig};
use protocol::privctl::UpdateSys;
use protocol::trace::*;

/// A world in which A traces B, as its signal manager.
fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    let spec = PrivilegeSpec { manager: A, ..world.spec() };
    world.as_root(&UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
    run(&mut world);
}

const STOP: Stop = Stop { process: B };

/// Takes the signal of B, which must be that of a tracer, and lets it wait for the tracer only.
fn take_trap(world: &mut World<'_>) {
    let taken = world.call(A, &GetKSig {}).unwrap();
    assert_eq!((taken.process, taken.signals), (B, Signal::TRAP.bit()));
    world.call(A, &STOP).unwrap();
    world.call(A, &EndKSig { process: B }).unwrap();
}

/// The same, and goes on until the next event.
fn until_trap(world: &mut World<'_>) {
    let taken = world.call(A, &GetKSig {}).unwrap();
    assert_eq!((taken.process, taken.signals), (B, Signal::TRAP.bit()));
    world.call(A, &EndKSig { process: B }).unwrap();
}

/// B makes the trap that it has made before, for it was held back.
fn again(world: &mut World<'_>, call: Regs) {
    world.run(B);
    world.step(Regs { rip: world.regs(B).rip, ..call });
}

#[test]
fn a_trap_stops_twice_and_sees_the_original_arguments() {
    test(|world| {
        world.trap(C, receive(Endpoint::ANY));
        world.call(A, &STOP).unwrap();
        world.call(A, &UntilTrap { process: B }).unwrap();
        let call = Regs { rip: 100, ..sendnb(C, 5) };
        assert_eq!(world.trap(B, call), Outcome::Blocked);
        assert_eq!(world.regs(B), Regs { rip: 100 - TRAP_LEN, ..call }, "it is held back");
        assert_eq!(world.outcome(C), Outcome::Blocked, "nothing is sent");
        until_trap(world);
        again(world, call);
        assert_eq!(world.regs(C), delivered(B, Trap::SendNb, 5), "now it is");
        assert_eq!(world.rts(B), Rts::SIGNALED | Rts::SIGNAL_PENDING, "its end is told before it runs on");
        until_trap(world);
        assert_eq!(world.trap(B, sendnb(C, 6)), Outcome::Blocked, "so it goes with the next one");
        assert_eq!(world.regs(C), delivered(B, Trap::SendNb, 5));
    });
}

#[test]
fn the_end_of_a_trap_that_waits_is_told_when_it_goes_on() {
    test(|world| {
        world.call(A, &STOP).unwrap();
        world.call(A, &UntilTrap { process: B }).unwrap();
        world.trap(B, receive(C));
        until_trap(world);
        again(world, receive(C));
        assert_eq!(world.rts(B), Rts::RECEIVING | Rts::SPECIAL);
        world.trap(C, send(B, 1));
        world.tick(30);
        assert_eq!(world.rts(B), Rts::SIGNALED | Rts::SIGNAL_PENDING);
        assert_eq!(world.regs(B).rdi, C.raw().into(), "with its message");
        take_trap(world);
    });
}

#[test]
fn detaching_in_the_middle_loses_nothing() {
    test(|world| {
        world.trap(C, receive(Endpoint::ANY));
        world.call(A, &STOP).unwrap();
        world.call(A, &UntilTrap { process: B }).unwrap();
        world.trap(B, sendnb(C, 5).at(100));
        take_trap(world);
        world.call(A, &Detach { process: B }).unwrap();
        assert_eq!(world.rts(B), Rts::empty());
        again(world, sendnb(C, 5));
        assert_eq!(world.regs(C), delivered(B, Trap::SendNb, 5));
        assert_eq!(world.call(A, &GetKSig {}).unwrap().process, Endpoint::NONE, "nothing more is told");
    });
}

#[test]
fn one_instruction_is_stepped_and_no_more() {
    test(|world| {
        world.call(A, &STOP).unwrap();
        world.call(A, &Step { process: B }).unwrap();
        assert!(world.regs(B).steps);
        world.run(B);
        world.except(Signal::TRAP);
        assert!(!world.regs(B).steps);
        take_trap(world);
        assert_eq!(world.rts(B), Rts::TRACED);
        world.call(A, &Resume { process: B }).unwrap();
        assert_eq!(world.rts(B), Rts::empty());
    });
}

#[test]
fn only_one_that_a_tracer_stopped_goes_on() {
    for call in [
        kernel_call(&Resume { process: B }),
        kernel_call(&Detach { process: B }),
        kernel_call(&Step { process: B }),
        kernel_call(&UntilTrap { process: B }),
    ] {
        denied(&four(), |_| {}, A, call, Errno::Inval);
    }
}

#[test]
fn memory_is_read_and_written() {
    test(|world| {
        let poke = Poke { process: B, len: 5, address: MEMORY_START, bytes: [7; MAX_POKE] };
        world.call(A, &poke).unwrap();
        let peeked = world.call(A, &Peek { process: B, len: 6, address: MEMORY_START }).unwrap().bytes;
        let original = bytes(B.slot(), MEMORY_START, 6).unwrap();
        assert_eq!(peeked[..6], [7, 7, 7, 7, 7, original[5]]);
        assert_eq!(peeked[6..], [0; MAX_PEEK - 6], "nothing that was not asked for");
    });
    for len in [0, MAX_PEEK as u32 + 1, u32::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&Peek { process: B, len, address: MEMORY_START }), Errno::Inval);
        let poke = Poke { process: B, len, address: MEMORY_START, bytes: [7; MAX_POKE] };
        denied(&four(), |_| {}, A, kernel_call(&poke), Errno::Inval);
    }
    for address in [0, u64::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&Peek { process: B, len: 8, address }), Errno::Fault);
        let poke = Poke { process: B, len: 8, address, bytes: [7; MAX_POKE] };
        denied(&four(), |_| {}, A, kernel_call(&poke), Errno::Fault);
    }
}

const RIP: u32 = (offset_of!(abi::Context, rip) / 8) as u32;
const RDI: u32 = (offset_of!(abi::Context, rdi) / 8) as u32;

#[test]
fn registers_are_read_and_set_while_it_does_not_run() {
    test(|world| {
        world.call(A, &STOP).unwrap();
        world.call(A, &SetRegister { process: B, index: RDI, value: 77 }).unwrap();
        assert_eq!(world.call(A, &GetRegister { process: B, index: RDI }).unwrap().value, 77);
        assert_eq!(world.regs(B).rdi, 77);
        world.call(A, &SetRegister { process: B, index: RIP, value: ENTRY }).unwrap();
        assert_eq!(world.regs(B).rip, ENTRY);
    });
    let stopped = |world: &mut World<'_>| world.root_does(&STOP);
    for index in [18, 19, 81, u32::MAX] {
        denied(&four(), stopped, A, kernel_call(&GetRegister { process: B, index }), Errno::Fault);
        denied(&four(), stopped, A, kernel_call(&SetRegister { process: B, index, value: 1 }), Errno::Fault);
    }
    for value in [0, abi::layout::USER_START - 1, abi::layout::USER_END, 1 << 63] {
        denied(&four(), stopped, A, kernel_call(&SetRegister { process: B, index: RIP, value }), Errno::Inval);
    }
    denied(&four(), |_| {}, A, kernel_call(&GetRegister { process: B, index: 0 }), Errno::Busy);
    denied(&four(), |_| {}, A, kernel_call(&SetRegister { process: B, index: 0, value: 0 }), Errno::Busy);
    let waits = |world: &mut World<'_>| {
        world.trap(B, receive(C));
        stopped(world);
    };
    denied(&four(), waits, A, kernel_call(&SetRegister { process: B, index: 0, value: 0 }), Errno::Busy);
}
