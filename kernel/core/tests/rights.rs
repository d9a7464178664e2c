//! Which rights are used, and what is denied: both are told of, and change nothing else.

use crate::support::*;
use abi::{Endpoint, Errno, Kind, PrivilegeFlags, Trap, TrapMask};
use kernel_core::{CpuId, Slot};
use protocol::getinfo::{Denial, Denied, GetMachine, TakeDenial};
use protocol::irqctl::SetPolicy;
use protocol::kernel::{DevIo, PortAccess, Times};
use protocol::privctl::{AddIo, AddIrq};
use protocol::{Call, vm};

/// A denial of a process.
fn of(process: Endpoint, denied: Denied, detail: u64) -> Result<Denial, Errno> {
    Ok(Denial { process, denied, detail })
}

/// The number of the bit of a kernel call.
fn bit(kind: Kind) -> u64 {
    protocol::kernel::right(kind).expect("a call").trailing_zeros().into()
}

fn take(world: &mut World<'_>) -> Result<Denial, Errno> {
    world.as_root(&TakeDenial {})
}

/// Programs of which A may do nothing but trap and notify C.
fn poor() -> [abi::boot::BootEntry; 4] {
    let mut programs = four();
    programs[0].traps = (TrapMask::all() - TrapMask::SENDA).bits();
    (programs[0].sends, programs[0].calls) = (0b100, 0);
    programs
}

#[test]
fn what_is_denied_is_told_once_with_who_and_what() {
    let mut table = table();
    let mut world = World::new(&mut table, &poor());
    assert_eq!(take(&mut world), Err(Errno::Srch));
    world.trap(A, sendrec(B, 1));
    assert_eq!(take(&mut world), of(A, Denied::Receiver, B.raw().into()));
    assert_eq!(take(&mut world), Err(Errno::Srch));
    world.trap(A, kernel_call(&Times {}));
    assert_eq!(take(&mut world), of(A, Denied::Call, bit(Times::KIND)));
    world.trap(A, Regs { rax: Trap::SendA.rax(), ..Regs::default() });
    assert_eq!(take(&mut world), of(A, Denied::Trap, TrapMask::SENDA.bits().into()));
    // Each of several, once.
    for call in [notify(B), notify(B), notify(D), kernel_call(&GetMachine {}), kernel_call(&Times {})] {
        world.trap(A, call);
    }
    assert_eq!(take(&mut world), of(A, Denied::Receiver, B.raw().into()));
    assert_eq!(take(&mut world), of(A, Denied::Receiver, D.raw().into()));
    let mut calls = [bit(GetMachine::KIND), bit(Times::KIND)];
    calls.sort_unstable();
    for call in calls {
        assert_eq!(take(&mut world), of(A, Denied::Call, call));
    }
    assert_eq!(take(&mut world), Err(Errno::Srch));
}

#[test]
fn hardware_that_is_denied_is_told() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    let read = |port| DevIo { access: PortAccess::Read8, port, value: 0 };
    assert_eq!(world.call(A, &read(0x3f8)).map(drop), Err(Errno::Perm));
    assert_eq!(take(&mut world), of(A, Denied::Port, 0x3f8));
    assert_eq!(world.call(A, &read(0x1_0000)).map(drop), Err(Errno::Perm));
    assert_eq!(take(&mut world), of(A, Denied::Port, 0x1_0000));
    assert_eq!(world.call(B, &SetPolicy { line: 5, bit: 0, reenable: 0 }).map(drop), Err(Errno::Perm));
    assert_eq!(take(&mut world), of(B, Denied::Line, 5));
}

#[test]
fn what_fails_for_another_reason_is_no_denial() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(A, send(Endpoint::new(9, 3).unwrap(), 1));
    world.trap(A, notify(Endpoint::ANY));
    world.trap(B, Regs { rax: 0x123, ..Regs::default() });
    world.trap(B, with_kind(kernel_call(&Times {}), Kind(0x63f)));
    assert_eq!(take(&mut world), Err(Errno::Srch));
}

#[test]
fn only_the_root_system_process_asks_and_what_is_freed_is_forgotten() {
    let mut table = table();
    let mut world = World::new(&mut table, &poor());
    world.trap(A, sendrec(B, 1));
    assert_eq!(world.call(C, &TakeDenial {}).map(drop), Err(Errno::Perm));
    assert_eq!(take(&mut world), of(A, Denied::Receiver, B.raw().into()));
    world.trap(A, sendrec(B, 1));
    world.as_root(&protocol::kernel::Clear { process: A }).expect("it may");
    assert_eq!(take(&mut world), Err(Errno::Srch));
    // And whoever has the id of a receiver that is gone is another one.
    world.trap(B, Regs { rax: Trap::Send.rax(), ..Regs::default() });
    assert_eq!(take(&mut world), Err(Errno::Srch));
}

fn with_kind(mut call: Regs, kind: Kind) -> Regs {
    call.rsi = kind.0.into();
    call
}

/// Lets `who` trap, and gives the lines about the rights that it uses.
fn used(world: &mut World<'_>, who: Endpoint, call: Regs) -> Vec<String> {
    world.run(who);
    world.kernel.process_mut(Slot::of(who)).frame = call;
    let before = world.machine.lines.len();
    world.kernel.trace_use(&mut world.machine, CpuId::BOOT);
    let lines = world.machine.lines[before..].to_vec();
    world.step(call);
    lines
}

#[test]
fn each_right_is_told_when_it_is_used_first() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    assert_eq!(used(&mut world, A, notify(B)), ["use: a traps NOTIFY", "use: a ipc b"]);
    assert!(used(&mut world, A, notify(B)).is_empty());
    assert_eq!(used(&mut world, A, notify(C)), ["use: a ipc c"]);
    assert_eq!(used(&mut world, C, notify(B)), ["use: c traps NOTIFY", "use: c ipc b"]);
    assert_eq!(used(&mut world, A, kernel_call(&Times {})), ["use: a system times"]);
    assert!(used(&mut world, A, kernel_call(&Times {})).is_empty());
    assert_eq!(used(&mut world, A, kernel_call(&GetMachine {})), ["use: a system getinfo"]);
    assert_eq!(used(&mut world, B, receive(Endpoint::ANY)), ["use: b traps RECEIVE"]);
}

#[test]
fn an_answer_is_no_use_of_the_right_to_send() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(B, receive(Endpoint::ANY));
    assert_eq!(used(&mut world, A, sendrec(B, 1)), ["use: a traps SENDREC", "use: a ipc b"]);
    assert_eq!(used(&mut world, B, sendnb(A, 1)), ["use: b traps SENDNB"]);
    assert_eq!(used(&mut world, B, receive(Endpoint::ANY)), ["use: b traps RECEIVE"]);
    world.trap(A, sendrec(B, 1));
    assert_eq!(used(&mut world, B, reply_receive(A, 1, Endpoint::ANY)), ["use: b traps REPLY_RECEIVE"]);
}

#[test]
fn what_is_denied_is_not_used() {
    let mut table = table();
    let mut world = World::new(&mut table, &poor());
    assert_eq!(used(&mut world, A, sendrec(B, 1)), ["use: a traps SENDREC"]);
    assert!(used(&mut world, A, kernel_call(&Times {})).is_empty());
    assert!(used(&mut world, A, Regs { rax: Trap::SendA.rax(), ..Regs::default() }).is_empty());
    assert_eq!(used(&mut world, A, notify(C)), ["use: a traps NOTIFY", "use: a ipc c"]);
}

#[test]
fn calls_of_the_memory_server_and_hardware_have_names() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    let mut spec = spec_of(&four()[1], Endpoint::from_raw(4));
    spec.flags |= PrivilegeFlags::PAGER.bits();
    world.as_root(&protocol::privctl::UpdateSys { spec, process: B, reset_ranges: 0 }).expect("it may");
    let map = with_kind(sendrec(B, 1), vm::Map::KIND);
    assert_eq!(used(&mut world, A, map), ["use: a traps SENDREC", "use: a ipc b", "use: a vm mmap"]);
    world.as_root(&AddIo { process: C, first: 0x3f0, last: 0x3f7 }).expect("it may");
    world.as_root(&AddIrq { process: C, line: 5 }).expect("it may");
    let read = |port| kernel_call(&DevIo { access: PortAccess::Read8, port, value: 0 });
    assert_eq!(used(&mut world, C, read(0x3f4)), ["use: c system devio", "use: c io 3f4"]);
    assert!(used(&mut world, C, read(0x3f0)).is_empty(), "the same range");
    assert!(used(&mut world, C, read(0x80)).is_empty(), "not allowed");
    let policy = kernel_call(&SetPolicy { line: 5, bit: 0, reenable: 0 });
    assert_eq!(used(&mut world, C, policy), ["use: c system irqctl", "use: c irq 5"]);
}
