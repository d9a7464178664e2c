//! Ports and interrupt lines of drivers.

use crate::support::*;
use abi::{Endpoint, Errno};
use kernel_core::devices::Width;
use kernel_core::irq::MAX_HOOKS;
use protocol::irqctl::{Disable, Enable, RemovePolicy, SetPolicy};
use protocol::kernel::{Clear, DevIo, MAX_PORT_LIST, MAX_PORT_STRING, PortAccess, PortValue, SDevIo, VDevIo};
use protocol::privctl::{AddIo, AddIrq};

const EDGE: u32 = 3;
const LEVEL: u32 = LEVEL_LINES.start as u32;
const TABLE: u64 = MEMORY_START + 0x40;

/// A world in which A has the ports 0x60 to 0x67 and two lines.
fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    driver(&mut world);
    run(&mut world);
}

fn driver(world: &mut World<'_>) {
    world.as_root(&AddIo { process: A, first: 0x60, last: 0x67 }).unwrap();
    for line in [EDGE, LEVEL] {
        world.as_root(&AddIrq { process: A, line }).unwrap();
    }
}

const READS: [(PortAccess, u32, Width); 3] =
    [(PortAccess::Read8, 1, Width::Byte), (PortAccess::Read16, 2, Width::Word), (PortAccess::Read32, 4, Width::Long)];

#[test]
fn ports_at_inside_and_around_the_range() {
    for (access, size, width) in READS {
        test(|world| {
            for port in (0x60..0x68).step_by(size as usize) {
                assert!(world.call(A, &DevIo { access, port, value: 0 }).is_ok());
                assert_eq!(world.machine.devices.take_done(), [Done::In(port as u16, width)]);
            }
        });
        for port in [0x60 - size, 0x60 - 1, 0x68 - size + 1, 0x68, 0x10060, u32::MAX] {
            if (0x60..=0x68 - size).contains(&port) {
                continue;
            }
            denied(&four(), driver, A, kernel_call(&DevIo { access, port, value: 0 }), Errno::Perm);
        }
        for port in (0x60..0x68).filter(|port| port % size != 0) {
            denied(&four(), driver, A, kernel_call(&DevIo { access, port, value: 0 }), Errno::Perm);
        }
    }
    let mut bad = kernel_call(&DevIo { access: PortAccess::Read8, port: 0x60, value: 0 });
    for access in [3, 7, u32::MAX] {
        bad.body[0] = bad.body[0] & !0xffff_ffff | u64::from(access);
        denied(&four(), driver, A, bad, Errno::Inval);
    }
}

#[test]
fn values_are_read_and_written() {
    test(|world| {
        world.machine.devices.ports.insert(0x60, 0x1234_5678);
        let read = |access| DevIo { access, port: 0x60, value: 0 };
        assert_eq!(world.call(A, &read(PortAccess::Read32)).unwrap().value, 0x1234_5678);
        assert_eq!(world.call(A, &read(PortAccess::Read8)).unwrap().value, 0x78);
        world.machine.devices.take_done();
        world.call(A, &DevIo { access: PortAccess::Write16, port: 0x62, value: 0xabcd }).unwrap();
        assert_eq!(world.machine.devices.take_done(), [Done::Out(0x62, Width::Word, 0xabcd)]);
    });
}

#[test]
fn strings_go_to_memory_and_come_from_there() {
    test(|world| {
        world.machine.devices.ports.insert(0x60, 0xbeef);
        world.call(A, &SDevIo { access: PortAccess::Read16, port: 0x60, address: TABLE, count: 3 }).unwrap();
        assert_eq!(world.load::<[u16; 3]>(A, TABLE), [0xbeef; 3]);
        assert_eq!(world.machine.devices.take_done(), [Done::In(0x60, Width::Word); 3]);
        world.store(A, TABLE, &[1_u8, 2]);
        world.call(A, &SDevIo { access: PortAccess::Write8, port: 0x61, address: TABLE, count: 2 }).unwrap();
        assert_eq!(world.machine.devices.take_done(), [1, 2].map(|n| Done::Out(0x61, Width::Byte, n)));
    });
}

#[test]
fn strings_and_lists_that_are_wrong_touch_no_port() {
    for access in [PortAccess::Read8, PortAccess::Write8] {
        let string = SDevIo { access, port: 0x60, address: TABLE, count: 4 };
        for count in [0, MAX_PORT_STRING + 1, u64::MAX] {
            denied(&four(), driver, A, kernel_call(&SDevIo { count, ..string }), Errno::Inval);
        }
        denied(&four(), driver, A, kernel_call(&SDevIo { port: 0x68, ..string }), Errno::Perm);
        for address in [0, MEMORY_START + MEMORY as u64 - 3, u64::MAX] {
            denied(&four(), driver, A, kernel_call(&SDevIo { address, ..string }), Errno::Fault);
        }
        let list = VDevIo { access, count: 2, address: TABLE };
        denied(&four(), driver, A, kernel_call(&VDevIo { count: 0, ..list }), Errno::Inval);
        for count in [MAX_PORT_LIST + 1, u32::MAX] {
            denied(&four(), driver, A, kernel_call(&VDevIo { count, ..list }), Errno::TooBig);
        }
        denied(&four(), driver, A, kernel_call(&VDevIo { address: 0, ..list }), Errno::Fault);
        for port in [0x5f, 0x68, 0x10060] {
            let bad_second = |world: &mut World<'_>| {
                driver(world);
                world.store(A, TABLE, &[PortValue { port: 0x60, value: 1 }, PortValue { port, value: 2 }]);
            };
            denied(&four(), bad_second, A, kernel_call(&list), Errno::Perm);
        }
    }
}

#[test]
fn a_list_that_cannot_take_its_values_reads_no_port() {
    let read_only = |world: &mut World<'_>| {
        driver(world);
        world.store(A, TABLE, &[PortValue { port: 0x60, value: 0 }]);
        let page = (world.memory_of(A), page_of(TABLE));
        world.machine.read_only.insert(page);
    };
    let list = VDevIo { access: PortAccess::Read8, count: 1, address: TABLE };
    denied(&four(), read_only, A, kernel_call(&list), Errno::Fault);
    let string = SDevIo { access: PortAccess::Read8, port: 0x60, address: TABLE, count: 1 };
    denied(&four(), read_only, A, kernel_call(&string), Errno::Fault);
}

#[test]
fn a_list_is_done_in_its_order() {
    test(|world| {
        world.machine.devices.ports.insert(0x64, 9);
        let list = [PortValue { port: 0x64, value: 0 }, PortValue { port: 0x60, value: 5 }];
        world.store(A, TABLE, &list);
        world.call(A, &VDevIo { access: PortAccess::Read8, count: 2, address: TABLE }).unwrap();
        let values = world.load::<[u32; 4]>(A, TABLE);
        assert_eq!(values, [0x64, 9, 0x60, 0]);
        assert_eq!(world.machine.devices.take_done(), [Done::In(0x64, Width::Byte), Done::In(0x60, Width::Byte)]);
    });
}

#[test]
fn an_interrupt_is_notified_and_its_bits_accumulate_while_nobody_asks() {
    test(|world| {
        world.call(A, &SetPolicy { line: EDGE, bit: 4, reenable: 1 }).unwrap();
        world.call(A, &SetPolicy { line: LEVEL, bit: 31, reenable: 0 }).unwrap();
        world.trap(A, sendrec(B, 1));
        for line in [EDGE, LEVEL] {
            world.kernel.interrupt(&mut world.machine, line as u8);
        }
        world.choose(kernel_core::CpuId::BOOT);
        world.trap(B, receive(A));
        world.trap(B, sendnb(A, 2));
        assert_eq!(world.outcome(A), Outcome::Done, "the answer comes first");
        world.trap(A, receive(Endpoint::ANY));
        assert_eq!((world.regs(A).rdi, world.regs(A).body[1]), (Endpoint::HARDWARE.raw().into(), 1 << 4 | 1 << 31));
        assert_eq!(world.trap(A, receive(Endpoint::ANY)), Outcome::Blocked, "and they are gone then");
        world.kernel.interrupt(&mut world.machine, EDGE as u8);
        assert_eq!(world.regs(A).body[1], 1 << 4);
    });
}

#[test]
fn a_held_line_stays_masked_until_it_is_enabled() {
    test(|world| {
        let hook = world.call(A, &SetPolicy { line: LEVEL, bit: 0, reenable: 0 }).unwrap().hook;
        assert!(world.machine.devices.open.contains(&(LEVEL as u8)));
        world.kernel.interrupt(&mut world.machine, LEVEL as u8);
        assert!(!world.machine.devices.open.contains(&(LEVEL as u8)));
        world.call(A, &Enable { hook }).unwrap();
        assert!(world.machine.devices.open.contains(&(LEVEL as u8)));
        world.call(A, &Disable { hook }).unwrap();
        assert!(!world.machine.devices.open.contains(&(LEVEL as u8)));
        world.call(A, &RemovePolicy { hook }).unwrap();
        assert_eq!(world.call(A, &Enable { hook }), Err(Errno::Inval));
    });
}

#[test]
fn hooks_are_refused_for_lines_bits_and_numbers() {
    let set = SetPolicy { line: EDGE, bit: 0, reenable: 0 };
    for line in [EDGE + 1, 255] {
        denied(&four(), driver, A, kernel_call(&SetPolicy { line, ..set }), Errno::Perm);
    }
    for line in [256, u32::MAX] {
        denied(&four(), driver, A, kernel_call(&SetPolicy { line, ..set }), Errno::Inval);
    }
    for bit in [32, 255, 256, u32::MAX] {
        denied(&four(), driver, A, kernel_call(&SetPolicy { bit, ..set }), Errno::Inval);
    }
    denied(&four(), driver, A, kernel_call(&SetPolicy { line: LEVEL, bit: 0, reenable: 1 }), Errno::Inval);
    let hooked = |world: &mut World<'_>| {
        driver(world);
        world.call(A, &set).unwrap();
    };
    for hook in [0, 3, 64, 65, 256 + 1, u32::MAX] {
        denied(&four(), hooked, A, kernel_call(&Enable { hook }), Errno::Inval);
        denied(&four(), hooked, A, kernel_call(&Disable { hook }), Errno::Inval);
        denied(&four(), hooked, A, kernel_call(&RemovePolicy { hook }), Errno::Inval);
    }
    for who in [A, B] {
        // The first hook is the root's own, the second that of A.
        let hook = if who == A { 1 } else { 2 };
        denied(&four(), hooked, who, kernel_call(&Enable { hook }), Errno::Perm);
        denied(&four(), hooked, who, kernel_call(&RemovePolicy { hook }), Errno::Perm);
    }
}

#[test]
fn hooks_run_out_and_come_back_with_the_death_of_their_owner() {
    test(|world| {
        world.as_root(&AddIrq { process: B, line: EDGE }).unwrap();
        let set = |bit| SetPolicy { line: EDGE, bit, reenable: 1 };
        let mut left = MAX_HOOKS as u32 - 1;
        for who in [A, B] {
            for bit in (0..32).take(left as usize) {
                world.call(who, &set(bit)).unwrap();
                left -= 1;
            }
        }
        assert_eq!(left, 0);
        world.as_root(&AddIrq { process: C, line: EDGE }).unwrap();
        assert_eq!(world.call(C, &set(0)), Err(Errno::NoSpc));
        assert!(world.call(A, &set(0)).is_ok(), "the same again is no new one");
        world.as_root(&Clear { process: B }).unwrap();
        assert!(world.call(C, &set(0)).is_ok());
    });
}
