//! Tracing.

use crate::kit::{MemoryOfOthers, call_registers, child, nap, obedient, order_call, result};
use abi::layout::USER_END;
use abi::{Endpoint, Errno, Signal, Trap};
use family::programs::STRIDE;
use family::{Board, Child, Page, finish, programs, signal, unmap};
use protocol::kernel::{Times, WhoAmI};
use protocol::trace::*;
use suite::{Outcome, check, check_eq};
use sys::trace;

/// Places of registers in [`abi::Context`].
const RAX: u32 = 0;
const RBX: u32 = 1;
const RCX: u32 = 2;
const RIP: u32 = 16;
const RFLAGS: u32 = 17;

fn get(child: &Child, index: u32) -> Result<u64, Errno> {
    trace().get_register(GetRegister { process: child.endpoint, index }).map(|register| register.value)
}

fn set(child: &Child, index: u32, value: u64) -> Result<(), Errno> {
    trace().set_register(SetRegister { process: child.endpoint, index, value }).map(drop)
}

pub(crate) fn one_instruction_at_a_time() -> Outcome {
    let child = Child::prepare(&family::Plan::new(programs::walk)?, family::free_slot()?)?;
    let process = child.endpoint;
    trace().stop(Stop { process })?;
    child.allow()?;
    let start = programs::walk as *const () as u64;
    check_eq!(get(&child, RIP)?, start);
    for lap in 0..3 {
        for place in 1..=4 {
            trace().step(Step { process })?;
            signal(&child, Signal::TRAP)?;
            check_eq!(get(&child, RIP)?, start + STRIDE * (place % 4));
            let done = |instruction| lap + u64::from(place >= instruction);
            let counted = [get(&child, RAX)?, get(&child, RBX)?, get(&child, RCX)?];
            check_eq!(counted, [done(1), done(2), done(3)]);
            const SINGLE_STEP: u64 = 1 << 8;
            check_eq!(get(&child, RFLAGS)? & SINGLE_STEP, 0);
            trace().stop(Stop { process })?;
            finish(&child)?;
        }
    }
    trace().resume(Resume { process })?;
    nap(2)?;
    trace().stop(Stop { process })?;
    check!(get(&child, RAX)? > 3, "it does not go on");
    child.end()
}

pub(crate) fn traps_are_told_before_and_after() -> Outcome {
    let child = obedient(&["times", "whoami"])?;
    let process = child.endpoint;
    trace().stop(Stop { process })?;
    trace().until_trap(UntilTrap { process })?;
    order_call(&child, &Times {})?;
    for _ in 0..2 {
        // Before: the arguments are there, and nothing has been done.
        signal(&child, Signal::TRAP)?;
        let registers = call_registers(&Times {});
        check_eq!(get(&child, RAX)?, registers.rax);
        let rsi = 4;
        check_eq!(get(&child, rsi)?, registers.rsi);
        // A tracer can make it another trap.
        set(&child, rsi, call_registers(&WhoAmI {}).rsi)?;
        finish(&child)?;
        // After: the answer is there.
        signal(&child, Signal::TRAP)?;
        check_eq!(get(&child, RAX)?, 0);
        finish(&child)?;
        // The next one is its receiving, then it makes the call once more.
        signal(&child, Signal::TRAP)?;
        check_eq!(get(&child, RAX)?, Trap::Receive.rax());
        let name = crate::kit::received(&child);
        check_eq!((name.peer, name.kind.status()), (Endpoint::SYSTEM, Some(Ok(()))));
        check_eq!(name.body[..2], family_name()[..]);
        finish(&child)?;
        child.board().set_registers(&registers);
        rt::notify(process)?;
        signal(&child, Signal::TRAP)?;
        finish(&child)?;
    }
    child.end()
}

/// The name of a child, as words.
fn family_name() -> [u64; 2] {
    let name = family::named_bytes("child");
    let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|i| name[at + i]));
    [word(0), word(8)]
}

pub(crate) fn a_trap_held_back_is_made_when_tracing_ends() -> Outcome {
    let child = obedient(&["times"])?;
    let process = child.endpoint;
    trace().stop(Stop { process })?;
    trace().until_trap(UntilTrap { process })?;
    order_call(&child, &Times {})?;
    signal(&child, Signal::TRAP)?;
    trace().stop(Stop { process })?;
    finish(&child)?;
    trace().detach(Detach { process })?;
    crate::kit::settle()?;
    check_eq!((child.board().get(Board::COUNT), result(&child)), (1, Ok(0)));
    // Nobody traces any more.
    order_call(&child, &Times {})?;
    check_eq!(child.board().get(Board::COUNT), 2);
    let refused = [
        trace().resume(Resume { process }).err(),
        trace().detach(Detach { process }).err(),
        trace().step(Step { process }).err(),
        trace().until_trap(UntilTrap { process }).err(),
    ];
    check_eq!(refused, [Some(Errno::Inval); 4]);
    child.end()
}

pub(crate) fn memory_is_read_and_written() -> Outcome {
    let child = obedient(&[])?;
    let process = child.endpoint;
    let page = child.home.page(Page::TARGET);
    page.set(0, 0x0807_0605_0403_0201);
    page.set(511, 0x8877_6655_4433_2211);
    let address = Page::TARGET.address();
    let peek = |address, len| trace().peek(Peek { process, len, address }).map(|peeked| peeked.bytes);
    let poke = |address, len| MemoryOfOthers.poke(Poke { process, len, address, bytes: [0xee; MAX_POKE] }).map(drop);
    check_eq!(peek(address + 1, 3)?[..4], [2, 3, 4, 0]);
    // Across the end of a page.
    child.home.page(Page(2)).set(0, 0x99);
    check_eq!(peek(address + 4088, 9)?[..10], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0]);
    poke(address + 7, 2)?;
    check_eq!((page.get(0) >> 48, page.get(1)), (0xee07, 0xee));
    for (len_peek, len_poke) in [(0, 0), (MAX_PEEK as u32 + 1, MAX_POKE as u32 + 1), (u32::MAX, u32::MAX)] {
        check_eq!((peek(address, len_peek).err(), poke(address, len_poke)), (Some(Errno::Inval), Err(Errno::Inval)));
    }
    let text = programs::count as *const () as u64;
    check_eq!((peek(text, 8).err(), poke(text, 8)), (None, Err(Errno::Fault)));
    unmap(child.home.space, address, 1)?;
    for absent in [0, address, address + 4095, 1 << 47, 0xffff_8000_0000_0000, u64::MAX - 8] {
        check_eq!((peek(absent, 8).err(), poke(absent, 8)), (Some(Errno::Fault), Err(Errno::Fault)));
    }
    // Not even the part that is there is written.
    check_eq!(poke(Page(2).address() - 4, 8), Err(Errno::Fault));
    check_eq!(child.home.page(Page(2)).get(0), 0x99);
    child.end()
}

pub(crate) fn registers_are_read_and_written() -> Outcome {
    let child = child(programs::walk)?;
    check_eq!((get(&child, RAX), set(&child, RAX, 1)), (Err(Errno::Busy), Err(Errno::Busy)));
    trace().stop(Stop { process: child.endpoint })?;
    for index in [18, 19, 82, u32::MAX] {
        check_eq!((get(&child, index), set(&child, index, 1)), (Err(Errno::Fault), Err(Errno::Fault)));
    }
    for address in [0, 0xffff, USER_END, 1 << 47, u64::MAX] {
        check_eq!(set(&child, RIP, address), Err(Errno::Inval));
    }
    for index in 0..RIP {
        set(&child, index, 0x0101_0101 * u64::from(index + 1))?;
    }
    for index in 0..RIP {
        check_eq!(get(&child, index)?, 0x0101_0101 * u64::from(index + 1));
    }
    // I/O privilege, interrupts, resume and virtual interrupts.
    const KERNELS: u64 = 0x9_3200;
    let kernels = get(&child, RFLAGS)? & KERNELS;
    for flags in [0, !0x100] {
        set(&child, RFLAGS, flags)?;
        check_eq!(get(&child, RFLAGS)? & KERNELS, kernels);
    }
    child.end()?;
    // One that waits for a message has none of its own.
    let waits = obedient(&[])?;
    check_eq!((get(&waits, RAX).is_ok(), set(&waits, RAX, 1)), (true, Err(Errno::Busy)));
    waits.end()
}
