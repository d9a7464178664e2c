//! Making processes, giving them programs, and clearing them.

use crate::support::*;
use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::boot::{BootEntry, NAME_LEN};
use abi::filter::FilterElement;
use abi::layout::{USER_END, USER_START};
use abi::{Endpoint, Errno, Trap};
use kernel_core::{CpuId, Rts, SLOTS, Slot};
use protocol::getinfo::GetProcess;
use protocol::irqctl::SetPolicy;
use protocol::kernel::{Clear, Exec, Exit, Fork, KEEP, Kill, SchedCtl, Schedule, Scheduler, SetAlarm, WhoAmI};
use protocol::privctl::{AddIrq, Allow, Disallow, SetSys, SetUser};
use protocol::statectl::AddWhitelist;

const ANY: Endpoint = Endpoint::ANY;

/// A world in which D waits, so that it can be forked.
fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(D, receive(ANY));
    run(&mut world);
}

fn d_waits(world: &mut World<'_>) {
    world.trap(D, receive(ANY));
}

#[test]
fn a_child_has_the_next_generation_and_waits_for_what_its_parent_waits_for() {
    test(|world| {
        let child = world.fork(D, FREE).unwrap();
        assert_eq!(child, Endpoint::new(FREE.slot(), 1).unwrap());
        let p = world.process(child);
        assert_eq!(p.rts(), Rts::RECEIVING | Rts::NO_SPACE | Rts::NO_QUANTUM | Rts::NO_PRIV);
        assert_eq!((p.name(), p.frame), ("d*F", world.regs(D)));
        assert_eq!(p.privilege_id(), abi::PrivilegeId::USER);
        world.as_root(&Clear { process: child }).unwrap();
        assert_eq!(world.fork(D, FREE), Ok(child.next_generation()));
        assert_eq!(world.kernel.lookup(child), None, "the old name is nobody's");
        assert_eq!(world.trap(A, send(child, 1)), Outcome::Failed(Errno::DeadSrcDst));
    });
}

#[test]
fn fork_refuses_slots_and_parents() {
    let refuse = |parent, slot| denied(&four(), d_waits, A, kernel_call(&Fork { parent, slot }), Errno::Inval);
    for slot in [u32::MAX, SLOTS as u32, SLOTS as u32 + 5, 0, A.raw(), D.raw(), 4] {
        refuse(D, slot);
    }
    let free = FREE.raw();
    for parent in [A, B, FREE, ANY, Endpoint::SELF, D.next_generation()] {
        refuse(parent, free);
    }
    let sends = |world: &mut World<'_>| assert_eq!(world.trap(D, sendrec(B, 1)), Outcome::Blocked);
    denied(&four(), sends, A, kernel_call(&Fork { parent: D, slot: free }), Errno::Inval);
}

#[test]
fn a_slot_behind_the_table_is_none_though_the_first_one_is_free() {
    test(|world| {
        world.root_does(&Clear { process: A });
        assert_eq!(world.fork(D, A).map(Endpoint::slot), Ok(0));
        world.root_does(&Clear { process: A.next_generation() });
        assert_eq!(world.as_root(&Fork { parent: D, slot: SLOTS as u32 }).map(drop), Err(Errno::Inval));
    });
}

#[test]
fn a_child_is_told_of_the_failed_answer_of_its_parent() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    assert_eq!(world.trap(D, reply_receive(A, 1, ANY)), Outcome::Blocked, "A waits for no answer");
    let child = world.child(D, FREE);
    world.root_does(&SetUser { process: child });
    world.root_does(&Allow { process: child });
    world.allow_sends(A);
    assert_eq!(world.trap(A, sendnb(child, 2)), Outcome::Done);
    assert_eq!(world.regs(child), with_failed_reply(delivered(A, Trap::SendNb, 2), Errno::NotReady));
}

#[test]
fn a_child_has_the_processor_and_the_scheduler_of_its_parent() {
    let mut table = table();
    let mut programs = four();
    programs[3].cpu = 1;
    let mut world = World::on(&mut table, &programs, 2);
    let second = CpuId::new(1).unwrap();
    world.choose(second);
    world.trap_on(second, receive(ANY));
    world.choose(second);
    let [priority, quantum, cpu] = [KEEP; 3];
    world.does(A, &SchedCtl { process: D, scheduler: Scheduler::Caller, priority, quantum, cpu });
    let process = world.fork(D, FREE).unwrap();
    assert_eq!(world.as_root(&GetProcess { slot: process.slot() as u64 }).unwrap().cpu, 1);
    world.does(A, &Schedule { process, priority, quantum, cpu });
    assert_eq!(world.call(B, &Schedule { process, priority, quantum, cpu }).map(drop), Err(Errno::Perm));
}

#[test]
fn the_senders_of_the_parent_are_not_the_childs() {
    test(|world| {
        world.as_root(&Clear { process: D }).unwrap();
        world.trap(C, receive(B));
        world.trap(A, send(C, 1));
        let child = world.fork(C, FREE).unwrap();
        assert_eq!(world.rts(A), Rts::SENDING);
        world.as_root(&Clear { process: child }).unwrap();
        assert_eq!(world.rts(A), Rts::SENDING, "its message waits for the parent");
        world.trap(B, send(C, 2));
        world.trap(C, receive(ANY));
        assert_eq!(world.regs(C), delivered(A, Trap::Send, 1));
    });
}

#[test]
fn the_child_of_a_service_runs_only_when_it_has_privileges_and_is_allowed() {
    test(|world| {
        let child = world.child(D, FREE);
        world.exec(child).unwrap();
        assert_eq!(world.rts(child), Rts::NO_PRIV);
        world.as_root(&SetUser { process: child }).unwrap();
        assert_eq!(world.rts(child), Rts::NO_PRIV);
        world.as_root(&Allow { process: child }).unwrap();
        assert_eq!(world.rts(child), Rts::empty());
        assert_eq!(
            world.trap(child, kernel_call(&WhoAmI {})),
            Outcome::Failed(Errno::CallDenied),
            "users make no calls"
        );
        let service = world.service(D, Endpoint::from_raw(FREE.raw() + 1));
        assert_eq!(world.call(service, &WhoAmI {}).unwrap().endpoint, service);
    });
}

#[test]
fn the_child_of_a_user_is_a_user_and_need_not_wait_for_privileges() {
    test(|world| {
        let user = world.user(D, FREE);
        world.update_users(world.spec());
        world.trap(user, receive(ANY));
        let child = world.fork(user, Endpoint::from_raw(FREE.raw() + 1)).unwrap();
        assert_eq!(world.rts(child), Rts::RECEIVING | Rts::NO_SPACE | Rts::NO_QUANTUM);
        assert_eq!(world.process(child).name(), "new*F");
    });
}

#[test]
fn signals_of_the_parent_are_not_the_childs() {
    test(|world| {
        let spec = abi::PrivilegeSpec { manager: B, ..world.spec() };
        world.as_root(&protocol::privctl::UpdateSys { spec, process: D, reset_ranges: 0 }).unwrap();
        world.call(A, &Kill { process: D, signal: 10 }).unwrap();
        let child = world.fork(D, FREE).unwrap();
        assert!(
            world.rts(D).contains(Rts::SIGNALED) && !world.rts(child).intersects(Rts::SIGNALED | Rts::SIGNAL_PENDING)
        );
    });
}

#[test]
fn the_name_of_a_child_gets_its_suffix_once_and_if_there_is_room() {
    for (name, forked) in [("d", "d*F"), ("thirteen-long", "thirteen-long*F"), ("fourteen-chars", "fourteen-chars")] {
        let mut programs = four();
        programs[3] = program(name);
        let mut table = table();
        let mut world = World::new(&mut table, &programs);
        world.trap(D, receive(ANY));
        let child = world.fork(D, FREE).unwrap();
        assert_eq!(world.process(child).name(), forked);
        let grandchild = world.fork(child, Endpoint::from_raw(FREE.raw() + 1)).unwrap();
        assert_eq!(world.process(grandchild).name(), forked);
    }
}

#[test]
fn exec_starts_a_program_with_nothing_but_entry_and_stack() {
    test(|world| {
        world.exec(D).unwrap();
        assert_eq!(world.regs(D), Regs { rip: ENTRY, rsp: STACK, ..Regs::default() });
        assert_eq!((world.rts(D), world.process(D).name()), (Rts::empty(), "new"));
    });
}

#[test]
fn a_message_that_was_on_its_way_is_not_the_new_programs() {
    test(|world| {
        world.trap(C, sendrec(D, 1));
        assert_eq!(world.regs(D), delivered(C, Trap::SendRec, 1));
        world.trap(D, receive(ANY));
        world.exec(D).unwrap();
        assert_eq!(world.trap(A, send(D, 2)), Outcome::Blocked, "it does not receive any more");
        assert_eq!(world.regs(D), Regs { rip: ENTRY, rsp: STACK, ..Regs::default() });
        world.trap(B, sendrec(C, 3));
        world.exec(B).unwrap();
        assert_eq!(world.rts(B), Rts::empty());
        world.trap(D, reply_receive(C, 4, ANY));
        assert_eq!(world.trap(C, receive(B)), Outcome::Blocked, "nor does what it sent come");
    });
}

#[test]
fn the_report_of_a_failed_answer_is_not_the_new_programs() {
    test(|world| {
        assert_eq!(world.trap(B, reply_receive(A, 1, ANY)), Outcome::Blocked);
        world.exec(B).unwrap();
        world.trap(A, send(B, 2));
        world.trap(B, receive(A));
        assert_eq!(world.regs(B), delivered(A, Trap::Send, 2));
    });
}

#[test]
fn exec_refuses_what_no_program_can_have_and_one_that_could_run() {
    let name = BootEntry::encode_name("new").unwrap();
    let good = Exec { name, stack: STACK, entry: ENTRY, process: D, reserved: 0 };
    let mut open = [b'x'; NAME_LEN];
    open[3] = 0;
    for bad in [
        Exec { entry: USER_START - 1, ..good },
        Exec { entry: USER_END, ..good },
        Exec { entry: u64::MAX, ..good },
        Exec { stack: USER_START - 1, ..good },
        Exec { stack: USER_END + 1, ..good },
        Exec { name: [0; NAME_LEN], ..good },
        Exec { name: [b'x'; NAME_LEN], ..good },
        Exec { name: open, ..good },
        Exec { name: [0xff; NAME_LEN], ..good },
        Exec { process: FREE, ..good },
    ] {
        denied(&four(), d_waits, A, kernel_call(&bad), Errno::Inval);
    }
    denied(&four(), d_waits, A, kernel_call(&Exec { process: B, ..good }), Errno::Busy);
    denied(&four(), d_waits, A, kernel_call(&Exec { process: A, ..good }), Errno::Busy);
}

#[test]
fn clear_releases_everything_and_slot_and_id_can_be_used_at_once() {
    test(|world| {
        let service = world.service(D, FREE);
        let id = world.process(service).privilege_id();
        world.as_root(&AddIrq { process: service, line: 3 }).unwrap();
        world.call(service, &SetPolicy { line: 3, bit: 0, reenable: 0 }).unwrap();
        world.call(service, &SetAlarm { ticks: 50, absolute: 0 }).unwrap();
        world.store(service, MEMORY_START, &FilterElement::from_source(A));
        world.call(service, &AddWhitelist { address: MEMORY_START, count: 1 }).unwrap();
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: B, ..AsyncEntry::EMPTY };
        world.store(service, MEMORY_START, &entry);
        world.allow_sends(service);
        assert_eq!(world.trap(service, senda(MEMORY_START, 1)), Outcome::Done);
        assert_eq!(world.trap(service, send(C, 1)), Outcome::Blocked);
        world.as_root(&Clear { process: service }).unwrap();
        assert_eq!(world.rts(service), Rts::FREE);
        assert!(!world.machine.devices.open.contains(&3), "the line is masked");
        assert_eq!(world.kernel.privileges_of(id), &kernel_core::Privileges::FREE);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "its asynchronous message is gone");
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Blocked, "and so is the other one");
        let next = world.service(D, FREE);
        assert_eq!((next, world.process(next).privilege_id()), (service.next_generation(), id));
        world.tick(60);
        assert_eq!(world.trap(next, receive(Endpoint::CLOCK)), Outcome::Blocked, "the alarm was the old one's");
        world.allow_sends(A);
        assert_eq!(world.trap(A, sendnb(next, 1)), Outcome::Failed(Errno::NotReady));
    });
}

#[test]
fn nobody_clears_itself_or_the_root() {
    denied(&four(), |_| {}, A, kernel_call(&Clear { process: A }), Errno::Perm);
    denied(&four(), |_| {}, A, kernel_call(&Clear { process: Endpoint::from_raw(4) }), Errno::Perm);
}

#[test]
fn the_dead_in_every_state_leave_a_slot_that_can_be_used() {
    let states: [fn(&mut World<'_>); 9] = [
        |_| {},
        |world| assert_eq!(world.trap(B, send(A, 1)), Outcome::Blocked),
        |world| assert_eq!(world.trap(B, sendrec(A, 1)), Outcome::Blocked),
        |world| assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked),
        |world| assert_eq!(world.trap(B, reply_receive(A, 1, C)), Outcome::Blocked),
        |world| world.does(A, &protocol::kernel::RunCtl { process: B, action: protocol::kernel::RunAction::Stop }),
        |world| world.root_does(&Disallow { process: B }),
        |world| world.does(A, &protocol::trace::Stop { process: B }),
        |world| {
            let spec = abi::PrivilegeSpec { manager: A, ..world.spec() };
            world.as_root(&protocol::privctl::UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
            assert_eq!(world.trap(B, kernel_call(&Exit { status: 1 })), Outcome::Blocked);
        },
    ];
    for (i, state) in states.into_iter().enumerate() {
        test(|world| {
            state(world);
            world.trap(C, notify(B));
            world.as_root(&Clear { process: B }).unwrap();
            assert_eq!((world.rts(B), world.kernel.lookup(B)), (Rts::FREE, None), "state {i}");
            let next = world.service(D, B);
            assert_eq!(next, B.next_generation());
            assert_eq!(world.trap(next, receive(ANY)), Outcome::Blocked, "nothing is pending: state {i}");
        });
    }
}

#[test]
fn static_ids_are_given_again_and_never_twice() {
    test(|world| {
        let child = world.child(D, FREE);
        let (spec, process) = (world.spec(), child);
        let id = abi::PrivilegeId::of_boot_program(B.slot()).unwrap().index() as u32;
        assert_eq!(world.as_root(&SetSys { spec, process, id }), Err(Errno::Busy));
        world.as_root(&Clear { process: B }).unwrap();
        assert_eq!(world.as_root(&SetSys { spec, process, id }).map(|set| set.id), Ok(id));
        let told = world.call(A, &GetProcess { slot: child.slot() as u64 }).unwrap();
        assert_eq!((told.privilege_id, told.endpoint), (id, child));
        assert_eq!(world.kernel.process(Slot::of(child)).privilege_id().index() as u32, id);
    });
}
