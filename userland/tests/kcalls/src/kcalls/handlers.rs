//! Signal handlers: frames on the stack of a process, and back.

use crate::kit::{MemoryOfOthers, child, nap, obedient, perform};
use abi::layout::{USER_END, USER_START};
use abi::{Errno, Signal, SignalFrame, Trap};
use family::{Board, Child, RUNS, finish, me, programs, signal, unmap};
use protocol::kernel::*;
use protocol::trace::{GetRegister, Peek, Poke, SetRegister};
use suite::{Outcome, check, check_eq};
use sys::{kernel, trace};

/// Places of registers in [`abi::Context`].
const RSP: u32 = 7;
const RIP: u32 = 16;
const REGISTERS: u32 = 18;

fn send(child: &Child) -> SigSend {
    SigSend {
        handler: programs::handle as *const () as u64,
        trampoline: programs::after_handler as *const () as u64,
        mask: 0x55aa_1234,
        process: child.endpoint,
        signal: Signal::KILL.number(),
    }
}

/// Has a child that runs stopped by a signal.
fn stopped(child: &Child) -> Outcome {
    kernel().kill(Kill { process: child.endpoint, signal: Signal::KILL.number() })?;
    signal(child, Signal::KILL)
}

fn all_registers(child: &Child) -> Result<[u64; REGISTERS as usize], Errno> {
    let mut all = [0; REGISTERS as usize];
    for (index, value) in (0..).zip(&mut all) {
        *value = trace().get_register(GetRegister { process: child.endpoint, index })?.value;
    }
    Ok(all)
}

/// In the middle of keeping all its registers filled, vector registers too.
pub(crate) fn a_handler_runs_and_all_registers_come_back() -> Outcome {
    let child = Child::prepare(&family::Plan::new(programs::keep_registers)?, family::free_slot()?)?;
    child.board().set(Board::ARGUMENT, 0x1d);
    child.allow()?;
    for round in 0..20 {
        nap(1 + round % 2)?;
        stopped(&child)?;
        let before = all_registers(&child)?;
        let frame = kernel().sigsend(send(&child))?.frame;
        finish(&child)?;
        // The handler comes back to its trampoline, which raises an exception.
        signal(&child, Signal::ILL)?;
        check_eq!(child.board().get(Board::RESULT), u64::from(Signal::KILL.number()));
        check_eq!(child.board().get(Board::FREE), frame);
        let call = SigReturn { process: child.endpoint, reserved: 0, frame };
        check_eq!(kernel().sigreturn(call)?.mask, 0x55aa_1234);
        check_eq!(all_registers(&child)?, before);
        finish(&child)?;
    }
    let count = child.board().get(Board::COUNT);
    nap(3)?;
    check!(child.board().get(Board::COUNT) > count, "it does not go on");
    check_eq!(child.board().get(Board::TROUBLE), 0);
    child.end()
}

pub(crate) fn frames_that_cannot_be_pushed() -> Outcome {
    let child = child(programs::count)?;
    let good = send(&child);
    check_eq!(kernel().sigsend(good).err(), Some(Errno::Busy));
    nap(1)?;
    stopped(&child)?;
    let refused = |call: SigSend| kernel().sigsend(call).err();
    for address in [0, USER_START - 1, USER_END, 1 << 47, u64::MAX] {
        check_eq!(refused(SigSend { handler: address, ..good }), Some(Errno::Inval));
        check_eq!(refused(SigSend { trampoline: address, ..good }), Some(Errno::Inval));
    }
    for signal in [0, 32, 64, u32::MAX] {
        check_eq!(refused(SigSend { signal, ..good }), Some(Errno::Inval));
    }
    let before = all_registers(&child)?;
    let set = |value| trace().set_register(SetRegister { process: child.endpoint, index: RSP, value });
    // No stack at all, one that is read only, one that wraps, one in the kernel, one that begins too soon.
    let stacks = [0, 8, before[RIP as usize], u64::MAX, 0xffff_8000_0000_1000, child.home.stack_start() + 256];
    for stack in stacks {
        set(stack)?;
        check_eq!(refused(good), Some(Errno::Fault));
        check_eq!(trace().get_register(GetRegister { process: child.endpoint, index: RIP })?.value, before[16]);
    }
    set(before[RSP as usize])?;
    let count = child.board().get(Board::COUNT);
    finish(&child)?;
    nap(2)?;
    check!(child.board().get(Board::COUNT) > count && child.info()?.flags == RUNS, "it does not go on");
    child.end()
}

pub(crate) fn frames_that_are_none() -> Outcome {
    let child = child(programs::count)?;
    let process = child.endpoint;
    nap(1)?;
    stopped(&child)?;
    let before = all_registers(&child)?;
    let refused = |frame| kernel().sigreturn(SigReturn { process, reserved: 0, frame }).err();
    for absent in [0, child.home.stack_start() - 8, child.home.stack(), u64::MAX - 15, 0xffff_8000_0000_0000] {
        check_eq!(refused(absent), Some(Errno::Fault));
    }
    // Memory that is there and is no frame.
    check_eq!(refused(child.home.stack_start()), Some(Errno::Inval));
    let frame = kernel().sigsend(send(&child))?.frame;
    const MAGIC: u64 = core::mem::offset_of!(SignalFrame, magic) as u64;
    const RIP_AT: u64 = (core::mem::offset_of!(SignalFrame, context) + core::mem::offset_of!(abi::Context, rip)) as u64;
    for (at, wrong) in [(MAGIC, 0), (RIP_AT, 0), (RIP_AT, USER_END), (RIP_AT, 1 << 63)] {
        let address = frame + at;
        let good = trace().peek(Peek { process, len: 8, address })?.bytes;
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&u64::to_le_bytes(wrong));
        MemoryOfOthers.poke(Poke { process, len: 8, address, bytes })?;
        check_eq!(refused(frame), Some(Errno::Inval));
        bytes[..8].copy_from_slice(&good[..8]);
        MemoryOfOthers.poke(Poke { process, len: 8, address, bytes })?;
    }
    // Flags of the kernel do not come from a program.
    let flags =
        frame + (core::mem::offset_of!(SignalFrame, context) + core::mem::offset_of!(abi::Context, rflags)) as u64;
    MemoryOfOthers.poke(Poke { process, len: 8, address: flags, bytes: [0xff; 40] })?;
    check_eq!(refused(frame), None);
    const IOPL: u64 = 3 << 12;
    const INTERRUPTS: u64 = 1 << 9;
    const NESTED: u64 = 1 << 14;
    let after = all_registers(&child)?;
    check_eq!(after[17] & (IOPL | INTERRUPTS | NESTED), INTERRUPTS | NESTED);
    check_eq!(after[..17], before[..17]);
    // With all flags that it may have, the child steps into the kernel, which is none the worse for it.
    finish(&child)?;
    signal(&child, Signal::TRAP)?;
    child.end()
}

pub(crate) fn control_bits_of_the_fpu_come_back_as_far_as_there_are_such() -> Outcome {
    const DENORMALS_ARE_ZEROS: u32 = 1 << 6;
    const DEFAULT: u32 = 0x1f80;
    let child = child(programs::count)?;
    let process = child.endpoint;
    nap(1)?;
    stopped(&child)?;
    let (_, there_are) = mxcsr(&child)?;
    check!(there_are & DENORMALS_ARE_ZEROS != 0, "this processor cannot show it");
    for chosen in [DEFAULT | DENORMALS_ARE_ZEROS, u32::MAX] {
        let frame = kernel().sigsend(send(&child))?.frame;
        let mut bytes = [0; 40];
        bytes[..4].copy_from_slice(&chosen.to_le_bytes());
        MemoryOfOthers.poke(Poke { process, len: 4, address: frame + MXCSR, bytes })?;
        kernel().sigreturn(SigReturn { process, reserved: 0, frame })?;
        check_eq!(mxcsr(&child)?.0, chosen & there_are);
    }
    let count = child.board().get(Board::COUNT);
    finish(&child)?;
    nap(2)?;
    check!(child.board().get(Board::COUNT) > count, "it does not go on with what was chosen");
    child.end()
}

/// Where FXSAVE puts MXCSR, in the frame of a handler; the bits that it can have follow.
const MXCSR: u64 = (core::mem::offset_of!(SignalFrame, context) + core::mem::offset_of!(abi::Context, fpu)) as u64 + 24;

/// MXCSR of a child, and the bits that it can have.
fn mxcsr(child: &Child) -> Result<(u32, u32), Errno> {
    let (process, frame) = (child.endpoint, kernel().sigsend(send(child))?.frame);
    let bytes = trace().peek(Peek { process, len: 8, address: frame + MXCSR })?.bytes;
    kernel().sigreturn(SigReturn { process, reserved: 0, frame })?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok((word(0), word(4)))
}

pub(crate) fn whoever_waits_for_a_message_gets_no_frame() -> Outcome {
    let child = obedient(&[])?;
    check_eq!(kernel().sigsend(send(&child)).err(), Some(Errno::Busy));
    stopped(&child)?;
    check_eq!(kernel().sigsend(send(&child)).err(), Some(Errno::Busy));
    let frame = child.home.stack_start();
    check_eq!(kernel().sigreturn(SigReturn { process: child.endpoint, reserved: 0, frame }).err(), Some(Errno::Busy));
    finish(&child)?;
    // It still takes its order.
    perform(&child, Trap::SendNb, me()?, me()?)?;
    check_eq!(crate::kit::result(&child), Err(Errno::NotReady));
    unmap(child.home.space, child.home.stack_start(), 1)?;
    child.end()
}
