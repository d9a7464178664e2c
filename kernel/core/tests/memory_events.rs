//! Page faults, and kernel calls that need memory.

use crate::support::*;
use abi::boot::{BootEntry, BootFlags};
use abi::event::{MemoryWait, SystemEvent};
use abi::layout::{USER_END, USER_START};
use abi::{Endpoint, Errno, Signal};
use kernel_core::{Action, CpuId, MemoryAccess, Rts, Slot};
use protocol::kernel::{Clear, DiagWrite, MemSet, Update, UpdateDirection};
use protocol::privctl::{Disallow, SetUser};
use protocol::vmctl::{AnswerRequest, ClearPageFault, NextEvent, Settle};

const ANY: Endpoint = Endpoint::ANY;
const PAGE: u64 = MEMORY_START;

/// A world in which D is the memory server.
fn programs() -> [BootEntry; 4] {
    let mut programs = four();
    programs[3].flags = BootFlags::PAGER.bits();
    programs
}

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &programs()));
}

/// Whoever runs touches an address.
fn touch(world: &mut World<'_>, who: Endpoint, address: u64, access: MemoryAccess) {
    world.run(who);
    let why = format_args!("test");
    let action = world.kernel.memory_fault(&mut world.machine, CpuId::BOOT, address, access, why);
    assert_eq!(action, Action::Resume);
    world.schedule();
}

/// What the notification told that D has received.
fn told(world: &World<'_>) -> Option<MemoryWait> {
    let regs = world.regs(D);
    assert_eq!(regs.rdi, Endpoint::SYSTEM.raw().into());
    let event = SystemEvent::read(&regs.body);
    assert_eq!(event.signals & !Signal::MEMORY.bit(), 0);
    event.memory
}

fn fault_of(who: Endpoint, address: u64, access: MemoryAccess) -> MemoryWait {
    MemoryWait { requestor: who, process: who, address, len: 0, access: access as u8 }
}

fn end_fault(world: &mut World<'_>, process: Endpoint) -> Result<(), Errno> {
    world.call(D, &ClearPageFault { process }).map(drop)
}

fn answer(world: &mut World<'_>, process: Endpoint, available: u32) -> Result<(), Errno> {
    world.call(D, &AnswerRequest { process, available }).map(drop)
}

#[test]
fn a_page_fault_stops_the_process_and_is_told_with_its_details() {
    for access in [MemoryAccess::Read, MemoryAccess::Write, MemoryAccess::Execute] {
        test(|world| {
            world.trap(D, receive(ANY));
            let before = world.regs(A);
            touch(world, A, 0x1234_5678, access);
            assert_eq!(world.rts(A), Rts::PAGE_FAULT);
            assert_eq!(told(world), Some(fault_of(A, 0x1234_5678, access)));
            assert_eq!(end_fault(world, A), Ok(()));
            assert_eq!((world.rts(A), world.regs(A)), (Rts::empty(), before));
            assert_eq!(end_fault(world, A), Err(Errno::Inval), "once");
            assert_eq!(world.trap(D, receive(ANY)), Outcome::Blocked);
        });
    }
}

#[test]
fn a_memory_server_that_has_become_a_user_is_none() {
    test(|world| {
        world.as_root(&Disallow { process: D }).unwrap();
        world.as_root(&SetUser { process: D }).unwrap();
        touch(world, C, PAGE, MemoryAccess::Read);
        assert_eq!(world.rts(C), Rts::FREE, "the fault was a signal, and the root ended it");
    });
}

#[test]
fn many_faults_come_one_by_one_in_their_order() {
    test(|world| {
        for (who, address) in [(C, 1), (A, 2), (B, 3)] {
            touch(world, who, address, MemoryAccess::Read);
        }
        for (who, address) in [(C, 1), (A, 2)] {
            assert_eq!(world.trap(D, receive(ANY)), Outcome::Done);
            assert_eq!(told(world), Some(fault_of(who, address, MemoryAccess::Read)));
        }
        let words = world.call(D, &NextEvent {}).unwrap().words;
        assert_eq!((words[0], words[1]), (u64::from(B.raw()) << 32 | u64::from(B.raw()), 3));
        assert_eq!(world.call(D, &NextEvent {}), Err(Errno::NoEnt));
        assert_eq!(world.trap(D, receive(ANY)), Outcome::Done, "a notification was pending");
        assert_eq!(told(world), None, "but nothing is left to tell");
        for who in [A, B, C] {
            assert_eq!(end_fault(world, who), Ok(()));
        }
    });
}

#[test]
fn without_a_memory_server_a_fault_is_a_lethal_signal() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    touch(&mut world, A, 16, MemoryAccess::Read);
    assert_eq!(world.rts(A), Rts::FREE, "the root ended it");
}

#[test]
fn a_fault_of_the_memory_server_itself_is_the_end() {
    test(|world| {
        world.run(D);
        let (machine, why) = (&mut world.machine, format_args!("test"));
        let action = world.kernel.memory_fault(machine, CpuId::BOOT, 16, MemoryAccess::Read, why);
        assert_eq!(action, Action::Panic(Slot::of(D)));
    });
}

const CALL: DiagWrite = DiagWrite { address: PAGE + 8, len: 16 };

#[test]
fn a_call_that_needs_memory_waits_and_starts_again() {
    test(|world| {
        world.remove_page(A, PAGE);
        assert_eq!(world.trap(A, kernel_call(&CALL)), Outcome::Blocked);
        assert_eq!(world.rts(A), Rts::MEMORY_REQUEST);
        assert!(world.machine.texts.is_empty());
        world.trap(D, receive(ANY));
        let wait = MemoryWait { requestor: A, process: A, address: CALL.address, len: CALL.len, access: 0 };
        assert_eq!(told(world), Some(wait));
        world.bring_page(A, PAGE);
        assert_eq!(answer(world, A, 1), Ok(()));
        world.run(A);
        assert_eq!(world.regs(A), kernel_answer::<DiagWrite>(&protocol::kernel::DiagWritten {}));
        assert_eq!(world.machine.texts.len(), 1, "it is done once");
        assert_eq!(answer(world, A, 1), Err(Errno::Inval));
    });
}

#[test]
fn a_call_whose_memory_cannot_be_had_fails() {
    test(|world| {
        world.remove_page(A, PAGE);
        world.trap(A, kernel_call(&CALL));
        assert_eq!(answer(world, A, 0), Ok(()));
        assert_eq!(world.outcome(A), Outcome::Failed(Errno::Fault));
        assert!(world.machine.texts.is_empty());
        assert_eq!(world.trap(D, receive(ANY)), Outcome::Done);
        assert_eq!(told(world), None, "what was answered before is not told");
    });
}

#[test]
fn an_answer_that_is_not_true_only_makes_the_call_wait_again() {
    test(|world| {
        world.remove_page(A, PAGE);
        world.trap(A, kernel_call(&CALL));
        for _ in 0..3 {
            assert_eq!(answer(world, A, 1), Ok(()));
            world.tick(20);
            assert_eq!(world.rts(A), Rts::MEMORY_REQUEST);
        }
    });
}

#[test]
fn memset_on_memory_of_another_waits_and_reports_success_only_when_it_is_done() {
    test(|world| {
        world.remove_page(B, PAGE);
        let call = MemSet { process: B, byte: 0xaa, address: PAGE, len: 10 };
        assert_eq!(world.trap(A, kernel_call(&call)), Outcome::Blocked);
        world.trap(D, receive(ANY));
        let wait = told(world).unwrap();
        assert_eq!((wait.requestor, wait.process, wait.access), (A, B, MemoryAccess::Write as u8));
        assert_eq!((wait.address, wait.len), (PAGE, 10));
        world.bring_page(B, PAGE);
        answer(world, A, 1).unwrap();
        world.run(A);
        assert_eq!(answer_in::<MemSet>(&world.regs(A)).unwrap().done, 10);
        let filled: [u8; 11] = world.load(B, PAGE);
        assert_eq!((&filled[..10], filled[10] != 0xaa), (&[0xaa; 10][..], true));
    });
}

#[test]
fn memory_is_asked_for_up_to_the_end_of_what_programs_have_and_not_beyond() {
    let at = |address, len| kernel_call(&MemSet { process: B, byte: 0, address, len });
    for (call, outcome) in [
        (at(USER_END - 10, 10), Outcome::Blocked),
        (at(USER_END - 10, 11), Outcome::Failed(Errno::Fault)),
        (at(USER_START - 1, 10), Outcome::Failed(Errno::Fault)),
    ] {
        test(|world| {
            world.remove_page(B, USER_START);
            assert_eq!(world.trap(A, call), outcome, "{:#x?}", call.body);
        });
    }
    test(|world| {
        world.remove_page(B, USER_START);
        assert_eq!(world.trap(A, at(USER_START, 10)), Outcome::Blocked);
    });
}

#[test]
fn memset_fills_so_many_bytes_and_no_more() {
    for len in [1, 511, 512, 513, 700, 1024] {
        test(|world| {
            let next: u8 = world.load(A, PAGE + len);
            let call = MemSet { process: Endpoint::SELF, byte: u32::from(!next), address: PAGE, len };
            assert_eq!(world.call(A, &call).unwrap().done, len);
            assert_eq!(world.load::<u8>(A, PAGE + len - 1), !next);
            assert_eq!(world.load::<u8>(A, PAGE + len), next, "behind {len} bytes");
        });
    }
}

#[test]
fn memset_does_bounded_steps_and_says_how_far_it_came() {
    test(|world| {
        let call = MemSet { process: Endpoint::SELF, byte: 1, address: PAGE, len: 17 << 12 };
        assert_eq!(world.call(A, &call).unwrap().done, 64 << 10);
        let rest = MemSet { address: PAGE + (64 << 10), len: 4 << 10, ..call };
        assert_eq!(world.call(A, &rest).unwrap().done, 4 << 10);
        assert_eq!(world.load::<[u8; 5]>(A, PAGE + (68 << 10) - 4)[..4], [1; 4]);
        assert_eq!(world.call(A, &MemSet { len: 0, ..call }).unwrap().done, 0);
    });
    for (byte, process) in [(256, A), (u32::MAX, A), (1, FREE), (1, Endpoint::NONE), (1, Endpoint::CLOCK)] {
        denied(&four(), |_| {}, A, kernel_call(&MemSet { process, byte, address: PAGE, len: 1 }), Errno::Inval);
    }
    for address in [0, PAGE - 1, u64::MAX, u64::MAX - 5] {
        let call = MemSet { process: A, byte: 0, address, len: 16 };
        denied(&four(), |_| {}, A, kernel_call(&call), Errno::Fault);
    }
}

#[test]
fn the_memory_servers_own_calls_fail_instead_of_waiting() {
    test(|world| {
        world.remove_page(D, PAGE);
        assert_eq!(world.trap(D, kernel_call(&CALL)), Outcome::Failed(Errno::Fault));
    });
}

#[test]
fn one_that_is_killed_while_it_waits_leaves_no_event() {
    for told_before in [false, true] {
        test(|world| {
            touch(world, A, 16, MemoryAccess::Read);
            world.remove_page(B, PAGE);
            world.trap(B, kernel_call(&CALL));
            if told_before {
                world.call(D, &NextEvent {}).unwrap();
                world.call(D, &NextEvent {}).unwrap();
            }
            world.as_root(&Clear { process: A }).unwrap();
            world.as_root(&Clear { process: B }).unwrap();
            assert_eq!(world.call(D, &NextEvent {}), Err(Errno::NoEnt));
            assert_eq!((end_fault(world, A), answer(world, B, 1)), (Err(Errno::Inval), Err(Errno::Inval)));
            world.trap(C, receive(ANY));
            assert_eq!(world.service(C, A), A.next_generation());
        });
    }
}

#[test]
fn one_that_gets_another_program_while_it_waits_does_not_get_the_old_answer() {
    for available in [0, 1] {
        test(|world| {
            world.remove_page(A, PAGE);
            world.trap(A, kernel_call(&CALL));
            world.exec(A).unwrap();
            answer(world, A, available).unwrap();
            assert_eq!(world.regs(A), Regs { rip: ENTRY, rsp: STACK, ..Regs::default() });
            assert_eq!(world.rts(A), Rts::empty());
            assert!(world.machine.texts.is_empty());
        });
    }
}

#[test]
fn after_a_swap_the_answer_resumes_the_right_program() {
    test(|world| {
        world.trap(C, receive(ANY));
        let new = world.new_instance(C, FREE);
        world.remove_page(A, PAGE);
        world.trap(A, kernel_call(&CALL));
        world.call(D, &NextEvent {}).unwrap();
        world.as_root(&Disallow { process: A }).unwrap();
        world.as_root(&Update { source: A, destination: new, direction: UpdateDirection::Forward }).unwrap();
        assert_eq!(answer(world, A, 1), Err(Errno::Inval), "the new program does not wait");
        let words = world.call(D, &NextEvent {}).unwrap().words;
        let name = u64::from(new.raw());
        assert_eq!(words[0], name | name << 32, "it is told again, under the new name");
        world.bring_page(new, PAGE);
        assert_eq!(answer(world, new, 1), Ok(()));
        world.as_root(&protocol::privctl::Allow { process: new }).unwrap();
        world.run(new);
        assert_eq!(world.machine.texts.len(), 1);
    });
}

#[test]
fn calls_in_the_wrong_state_are_refused() {
    denied(&programs(), |_| {}, D, kernel_call(&ClearPageFault { process: A }), Errno::Inval);
    denied(&programs(), |_| {}, D, kernel_call(&AnswerRequest { process: A, available: 1 }), Errno::Inval);
    let faults = |world: &mut World<'_>| touch(world, A, 16, MemoryAccess::Read);
    denied(&programs(), faults, D, kernel_call(&AnswerRequest { process: A, available: 1 }), Errno::Inval);
    let requests = |world: &mut World<'_>| {
        world.remove_page(A, PAGE);
        world.trap(A, kernel_call(&CALL));
    };
    denied(&programs(), requests, D, kernel_call(&ClearPageFault { process: A }), Errno::Inval);
    denied(&programs(), |_| {}, D, kernel_call(&Settle { process: A, reserved: 0, space: 0 }), Errno::Busy);
    denied(&programs(), |_| {}, D, kernel_call(&Settle { process: D, reserved: 0, space: 0 }), Errno::Busy);
    denied(&programs(), faults, D, kernel_call(&Settle { process: A, reserved: 0, space: 77 }), Errno::Srch);
}

#[test]
fn without_the_right_no_call_of_the_group_can_be_made() {
    let mut programs = programs();
    programs[0].calls = !(1 << 43);
    for call in protocol::vmctl::PROTOCOL.calls {
        let kind = abi::Kind(protocol::vmctl::PROTOCOL.base + call.number);
        let message = abi::Message::new(Endpoint::SYSTEM, kind);
        denied(&programs, |_| {}, A, kernel_call_raw(&message), Errno::CallDenied);
    }
}
