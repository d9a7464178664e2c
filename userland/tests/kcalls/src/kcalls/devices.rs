//! Interrupts and I/O ports, with the clock that keeps the date (Motorola MC146818), which every PC has.

use abi::{Endpoint, Errno};
use protocol::irqctl::{Disable, Enable, RemovePolicy, SetPolicy};
use protocol::kernel::*;
use protocol::privctl::{AddIo, AddIrq};
use suite::{Failure, Outcome, check, check_eq};
use sys::{irqctl, kernel, privctl};

/// Its interrupt line.
const LINE: u32 = 8;
/// Where the number of a register is written.
const INDEX: u16 = 0x70;
/// Where the register is.
const DATA: u16 = 0x71;
/// Registers: rate of interrupts, which of them are on, and which came. Reading the last lets the next one come.
const A: u32 = 0x0a;
const B: u32 = 0x0b;
const C: u32 = 0x0c;
/// In A: the date is just being changed.
const BUSY: u32 = 1 << 7;
/// In A: 64 interrupts in a second.
const RATE: u32 = 0x2a;
/// In B and C: the interrupts that come again and again.
const PERIODIC: u32 = 1 << 6;

fn access(access: PortAccess, port: u16, value: u32) -> Result<u32, Errno> {
    kernel().devio(DevIo { access, port: port.into(), value }).map(|done| done.value)
}

fn write(register: u32, value: u32) -> Result<(), Errno> {
    access(PortAccess::Write8, INDEX, register)?;
    access(PortAccess::Write8, DATA, value).map(drop)
}

fn read(register: u32) -> Result<u32, Errno> {
    access(PortAccess::Write8, INDEX, register)?;
    access(PortAccess::Read8, DATA, 0)
}

/// Gives the ports of the clock to the suite, once.
fn with_ports() -> Outcome {
    if access(PortAccess::Read8, DATA, 0) == Err(Errno::Perm) {
        privctl().add_io(AddIo { process: Endpoint::SELF, first: INDEX, last: DATA })?;
    }
    Ok(())
}

pub(crate) fn a_line_is_masked_until_it_is_enabled() -> Outcome {
    const BIT: u32 = 5;
    with_ports()?;
    let policy = SetPolicy { line: LINE, bit: BIT, reenable: 0 };
    check_eq!(irqctl().set_policy(policy).err(), Some(Errno::Perm));
    privctl().add_irq(AddIrq { process: Endpoint::SELF, line: LINE })?;
    let hook = irqctl().set_policy(policy)?.hook;
    let b = read(B)?;
    write(A, RATE)?;
    write(B, b | PERIODIC)?;
    for _ in 0..3 {
        let told = rt::receive(Endpoint::HARDWARE)?;
        check!(told.status.is_notification());
        check_eq!(told.message.body[1], 1 << BIT);
        // It lets the next one come: the clock interrupts again, and is not heard.
        read(C)?;
        crate::kit::nap(6)?;
        check_eq!(read(C)? & PERIODIC, PERIODIC);
        // But it is not lost.
        irqctl().enable(Enable { hook })?;
    }
    rt::receive(Endpoint::HARDWARE)?;
    write(B, b)?;
    read(C)?;
    // It may have interrupted once more before it was told to be still: a controller remembers that while the line is masked,
    // and whoever unmasks it next would hear of it.
    irqctl().enable(Enable { hook })?;
    kernel().setalarm(SetAlarm { ticks: 2, absolute: 0 })?;
    while rt::receive(Endpoint::ANY)?.message.peer != Endpoint::CLOCK {}
    irqctl().disable(Disable { hook })?;
    irqctl().remove_policy(RemovePolicy { hook })?;
    check_eq!(irqctl().enable(Enable { hook }).err(), Some(Errno::Inval));
    Ok(())
}

pub(crate) fn hooks_that_cannot_be() -> Outcome {
    if irqctl().set_policy(SetPolicy { line: LINE, bit: 0, reenable: 0 }).err() == Some(Errno::Perm) {
        privctl().add_irq(AddIrq { process: Endpoint::SELF, line: LINE })?;
    }
    let refused = |line, bit| irqctl().set_policy(SetPolicy { line, bit, reenable: 0 }).err();
    for bit in [32, 33, 255, 256, u32::MAX] {
        check_eq!(refused(LINE, bit), Some(Errno::Inval));
    }
    for (line, errno) in [(7, Errno::Perm), (9, Errno::Perm), (256, Errno::Inval), (u32::MAX, Errno::Inval)] {
        check_eq!(refused(line, 0), Some(errno));
    }
    for line in [256, u32::MAX] {
        check_eq!(privctl().add_irq(AddIrq { process: Endpoint::SELF, line }).err(), Some(Errno::Inval));
    }
    // The same bit is the same hook; others are others.
    let first = irqctl().set_policy(SetPolicy { line: LINE, bit: 0, reenable: 0 })?.hook;
    check_eq!(irqctl().set_policy(SetPolicy { line: LINE, bit: 0, reenable: 1 })?.hook, first);
    let second = irqctl().set_policy(SetPolicy { line: LINE, bit: 1, reenable: 0 })?.hook;
    check!(first != second && first > 0);
    let stranger = crate::kit::obedient(&["irqctl"])?;
    check_eq!(crate::kit::called(&stranger, &Enable { hook: first })?.err(), Some(Errno::Perm));
    check_eq!(crate::kit::called(&stranger, &RemovePolicy { hook: first })?.err(), Some(Errno::Perm));
    stranger.end()?;
    for hook in [0, 64, 65, u32::MAX] {
        check_eq!(irqctl().disable(Disable { hook }).err(), Some(Errno::Inval));
    }
    for hook in [first, second] {
        irqctl().remove_policy(RemovePolicy { hook })?;
    }
    Ok(())
}

pub(crate) fn ports_outside_the_range() -> Outcome {
    use PortAccess::{Read8, Read16, Read32, Write8, Write16, Write32};
    with_ports()?;
    let outside = [
        (Read8, INDEX - 1),
        (Read8, DATA + 1),
        (Write8, DATA + 1),
        (Read16, INDEX - 2),
        (Read16, DATA + 1),
        (Read16, DATA),
        (Write16, DATA),
        (Read32, INDEX),
        (Write32, INDEX),
        (Read32, INDEX - 4),
        (Read8, 0),
        (Read8, u16::MAX),
    ];
    for (width, port) in outside {
        check_eq!(access(width, port, 0), Err(Errno::Perm));
    }
    check_eq!(access(Read16, INDEX, 0).is_ok(), true);
    let beyond = DevIo { access: Read8, port: 0x1_0000 + u32::from(DATA), value: 0 };
    check_eq!(kernel().devio(beyond).err(), Some(Errno::Perm));
    // What the kernel keeps for itself nobody gets.
    let stranger = crate::kit::obedient(&["devio"])?;
    let process = stranger.endpoint;
    check_eq!(privctl().add_io(AddIo { process, first: 2, last: 1 }).err(), Some(Errno::Inval));
    privctl().add_io(AddIo { process, first: 0, last: u16::MAX })?;
    for (port, allowed) in [(0x20, false), (0x3f8, false), (0xf4, false), (DATA.into(), true), (0x80, true)] {
        let done = crate::kit::called(&stranger, &DevIo { access: Read8, port, value: 0 })?;
        check!(done.is_ok() == allowed && (allowed || done.err() == Some(Errno::Perm)), "port {port:#x}: {done:?}");
    }
    stranger.end()
}

pub(crate) fn strings_of_accesses() -> Outcome {
    with_ports()?;
    let expected = read(A)? & !BUSY;
    let page = crate::kit::obedient(&[])?;
    let board = page.board();
    let address = core::ptr::from_ref(board) as u64 + 8 * family::Board::FREE as u64;
    let string = |access, port: u16, address, count| {
        let call = SDevIo { access, port: port.into(), address, count };
        // SAFETY: a board is there for others to write it, and nothing else that is named here is mapped.
        unsafe { rt::call_unchecked(&call) }
    };
    string(PortAccess::Read8, DATA, address, 5)?;
    let word = board.get(family::Board::FREE);
    let bytes = u64::from(expected) * 0x01_0101_0101;
    check_eq!(word & 0x7f_7f7f_7f7f, bytes);
    check_eq!(word >> 40, 0);
    // The last of the numbers that are written counts.
    board.set(family::Board::FREE, u64::from(A << 8 | C) | u64::from(B) << 16);
    string(PortAccess::Write8, INDEX, address, 3)?;
    let b = access(PortAccess::Read8, DATA, 0)?;
    check_eq!(b, read(B)?);
    let refused = |access, port, address, count| string(access, port, address, count).err();
    for count in [0, MAX_PORT_STRING + 1, u64::MAX] {
        check_eq!(refused(PortAccess::Read8, DATA, address, count), Some(Errno::Inval));
    }
    for absent in [0, 1 << 40, 0xffff_8000_0000_0000, u64::MAX] {
        check_eq!(refused(PortAccess::Read8, DATA, absent, 4), Some(Errno::Fault));
        check_eq!(refused(PortAccess::Write8, INDEX, absent, 4), Some(Errno::Fault));
    }
    check_eq!(refused(PortAccess::Read8, DATA + 1, address, 1), Some(Errno::Perm));
    // Nothing of all that has written a number.
    check_eq!(access(PortAccess::Read8, DATA, 0)?, b);
    page.end()?;
    // The same by reference. What could write any memory is not to be had without saying so.
    let mut into = [0_u8; 5];
    sys::write_ports(INDEX, &[C as u8, A as u8])?;
    sys::read_ports(DATA, &mut into)?;
    check_eq!(into.map(|byte| u32::from(byte) & !BUSY), [expected; 5]);
    check_eq!(sys::read_ports::<u8>(DATA, &mut []), Err(Errno::Inval));
    let call = SDevIo { access: PortAccess::Read8, port: DATA.into(), address: 0, count: 1 };
    check_eq!(kernel().sdevio(call).err(), Some(Errno::Perm));
    Ok(())
}

pub(crate) fn lists_of_accesses() -> Outcome {
    with_ports()?;
    let (a, b) = (read(A)? & !BUSY, read(B)?);
    let list = sys::list_of_ports;
    let entry = |port: u16, value| PortValue { port: port.into(), value };
    let select = |register| -> Result<(), Failure> {
        list(PortAccess::Write8, &mut [entry(INDEX, C), entry(INDEX, register)])?;
        Ok(())
    };
    select(A)?;
    let mut answers = [entry(DATA, 77), entry(DATA, 77)];
    list(PortAccess::Read8, &mut answers)?;
    check_eq!(answers[1].value & !BUSY, a);
    select(B)?;
    // All are checked before the first is made.
    let mut denied = [entry(INDEX, A), entry(DATA + 1, 0)];
    check_eq!(list(PortAccess::Write8, &mut denied), Err(Errno::Perm));
    check_eq!(access(PortAccess::Read8, DATA, 0)?, b);
    let mut many = [PortValue { port: DATA.into(), value: 0 }; MAX_PORT_LIST as usize + 1];
    check_eq!(list(PortAccess::Read8, &mut many), Err(Errno::TooBig));
    check_eq!(list(PortAccess::Read8, &mut []), Err(Errno::Inval));
    check_eq!(list(PortAccess::Read16, &mut [entry(DATA, 0)]), Err(Errno::Perm));
    for address in [0, 1 << 40, 0xffff_8000_0000_0000, u64::MAX - 7] {
        let call = VDevIo { access: PortAccess::Read8, count: 1, address };
        // SAFETY: there is no memory of the suite.
        check_eq!(unsafe { rt::call_unchecked(&call) }.err(), Some(Errno::Fault));
    }
    Ok(())
}
