//! The slot swap of a live update.

use crate::support::*;
use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::filter::FilterElement;
use abi::{Endpoint, Errno, PrivilegeSpec, Signal, Trap};
use kernel_core::{Process, Rts, Slot};
use protocol::irqctl::SetPolicy;
use protocol::kernel::{
    Clear, DevIo, EndKSig, GetKSig, Kill, PortAccess, RunAction, RunCtl, SetAlarm, Update, UpdateDirection,
};
use protocol::privctl::{AddIo, AddIrq, Allow, Disallow, UpdateSys};
use protocol::statectl::AddBlacklist;

const ANY: Endpoint = Endpoint::ANY;
/// The new instance of B.
pub(crate) const NEW: Endpoint = Endpoint::from_raw(1 << 15 | 5);

pub(crate) const FORWARD: Update = Update { source: B, destination: NEW, direction: UpdateDirection::Forward };
const ROLLBACK: Update = Update { direction: UpdateDirection::Rollback, ..FORWARD };

/// A world in which NEW is the new instance of B, and waits to be let run. D waits for anything.
pub(crate) fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(D, receive(ANY));
    assert_eq!(world.new_instance(D, FREE), NEW);
    run(&mut world);
}

/// Freezes B, swaps, and lets the new program run under the name of B.
pub(crate) fn update(world: &mut World<'_>) {
    if !world.rts(B).contains(Rts::NO_PRIV) {
        world.as_root(&Disallow { process: B }).unwrap();
    }
    world.as_root(&FORWARD).unwrap();
    world.as_root(&Allow { process: B }).unwrap();
}

/// Whose program it is: the name that EXEC gave to the new one.
fn is_new(world: &World<'_>, who: Endpoint) -> bool {
    world.process(who).name() == "new"
}

#[test]
fn the_programs_go_on_under_each_others_endpoints() {
    test(|world| {
        let spaces = [B, NEW].map(|who| world.process(who).space);
        update(world);
        assert!(is_new(world, B) && !is_new(world, NEW));
        assert_eq!([NEW, B].map(|who| world.process(who).space), spaces);
        assert_eq!(world.rts(NEW), Rts::NO_PRIV, "the old one is frozen");
        assert_eq!(world.regs(B).rip, ENTRY);
        world.run(B);
    });
}

#[test]
fn a_client_gets_its_answer_from_the_new_instance() {
    test(|world| {
        world.trap(A, sendrec(B, 1));
        world.trap(B, receive(ANY));
        update(world);
        assert_eq!(world.outcome(A), Outcome::Blocked);
        assert_eq!(world.trap(B, reply_receive(A, 2, ANY)), Outcome::Blocked);
        assert_eq!(world.regs(A), delivered(B, Trap::ReplyReceive, 2));
        assert_eq!(world.outcome(A), Outcome::Done);
    });
}

#[test]
fn what_is_on_its_way_to_the_old_instance_reaches_the_new_one() {
    test(|world| {
        world.as_root(&AddIrq { process: B, line: 3 }).unwrap();
        world.call(B, &SetPolicy { line: 3, bit: 5, reenable: 1 }).unwrap();
        world.call(B, &SetAlarm { ticks: 100, absolute: 0 }).unwrap();
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: B, result: 0, message: message(3) };
        world.store(A, MEMORY_START, &entry);
        world.trap(A, senda(MEMORY_START, 1));
        world.trap(C, notify(B));
        world.trap(C, sendrec(B, 1));
        world.trap(A, send(B, 2));
        update(world);
        let machine = &mut world.machine;
        world.kernel.interrupt(machine, 3);
        world.tick(100);
        let mut sources = Vec::new();
        for _ in 0..6 {
            assert_eq!(world.trap(B, receive(ANY)), Outcome::Done, "after {sources:?}");
            sources.push((Endpoint::from_raw(world.regs(B).rdi as u32), world.regs(B).rdx));
        }
        let [notify, asynchronous, sendrec, send] =
            [Trap::Notify, Trap::SendA, Trap::SendRec, Trap::Send].map(|t| t as u64);
        let expected = [
            (Endpoint::CLOCK, notify),
            (Endpoint::HARDWARE, notify),
            (C, notify),
            (A, asynchronous),
            (C, sendrec),
            (A, send),
        ];
        assert_eq!(sources, expected);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "nothing comes twice");
    });
}

#[test]
fn the_interrupt_bits_of_before_are_the_new_instances() {
    test(|world| {
        world.as_root(&AddIrq { process: B, line: 3 }).unwrap();
        world.call(B, &SetPolicy { line: 3, bit: 5, reenable: 1 }).unwrap();
        let machine = &mut world.machine;
        world.kernel.interrupt(machine, 3);
        update(world);
        world.trap(B, receive(Endpoint::HARDWARE));
        assert_eq!(world.regs(B).body[1], 1 << 5);
    });
}

#[test]
fn a_new_instance_that_waits_gets_what_waits_for_it() {
    test(|world| {
        world.as_root(&Allow { process: NEW }).unwrap();
        assert_eq!(world.trap(NEW, receive(ANY)), Outcome::Blocked);
        world.trap(A, send(B, 1));
        world.trap(C, send(B, 2));
        world.as_root(&Disallow { process: B }).unwrap();
        world.as_root(&FORWARD).unwrap();
        assert_eq!(world.regs(B), delivered(A, Trap::Send, 1));
        assert_eq!((world.rts(B), world.rts(C)), (Rts::empty(), Rts::SENDING));
    });
}

#[test]
fn rights_to_hardware_work_in_the_new_instance() {
    test(|world| {
        world.as_root(&AddIo { process: B, first: 0x60, last: 0x64 }).unwrap();
        world.as_root(&AddIrq { process: B, line: 3 }).unwrap();
        let hook = world.call(B, &SetPolicy { line: 3, bit: 5, reenable: 0 }).unwrap().hook;
        update(world);
        assert!(world.call(B, &DevIo { access: PortAccess::Read8, port: 0x64, value: 0 }).is_ok());
        assert!(world.call(B, &protocol::irqctl::Enable { hook }).is_ok());
        assert!(world.call(B, &SetPolicy { line: 3, bit: 6, reenable: 0 }).is_ok());
    });
}

#[test]
fn send_rights_are_added_and_never_to_oneself() {
    test(|world| {
        let spec = PrivilegeSpec { sends: 0, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: NEW, reset_ranges: 0 }).unwrap();
        update(world);
        world.trap(A, receive(ANY));
        assert_eq!(world.trap(B, sendnb(A, 1)), Outcome::Done);
        assert_eq!(world.trap(B, sendnb(B, 1)), Outcome::Failed(Errno::CallDenied));
    });
}

#[test]
fn a_swap_is_refused_while_either_could_run_or_sends() {
    let setup = |world: &mut World<'_>| {
        world.trap(D, receive(ANY));
        world.new_instance(D, FREE);
    };
    denied(&four(), setup, A, kernel_call(&FORWARD), Errno::Busy);
    denied(&four(), setup, A, kernel_call(&ROLLBACK), Errno::Busy);
    denied(&four(), setup, A, kernel_call(&Update { source: A, ..FORWARD }), Errno::Busy);
    let sends = |world: &mut World<'_>| {
        setup(world);
        world.trap(B, send(C, 1));
    };
    denied(&four(), sends, A, kernel_call(&FORWARD), Errno::Busy);
    let frozen = |world: &mut World<'_>| {
        sends(world);
        world.as_root(&Disallow { process: B }).unwrap();
    };
    denied(&four(), frozen, A, kernel_call(&FORWARD), Errno::Busy);
    let other_sends = |world: &mut World<'_>| {
        setup(world);
        world.as_root(&Allow { process: NEW }).unwrap();
        world.trap(NEW, send(C, 1));
        world.as_root(&Disallow { process: B }).unwrap();
    };
    denied(&four(), other_sends, A, kernel_call(&FORWARD), Errno::Busy);
    denied(&four(), other_sends, A, kernel_call(&ROLLBACK), Errno::Busy);
    let stopped = |world: &mut World<'_>| {
        setup(world);
        world.call(A, &RunCtl { process: B, action: RunAction::Stop }).unwrap();
    };
    denied(&four(), stopped, A, kernel_call(&FORWARD), Errno::Busy);
}

#[test]
fn a_swap_is_refused_for_users_the_dead_and_one_alone() {
    let setup = |world: &mut World<'_>| {
        world.trap(D, receive(ANY));
        world.new_instance(D, FREE);
        world.user(D, Endpoint::from_raw(FREE.raw() + 1));
        world.as_root(&Disallow { process: B }).unwrap();
    };
    let user = Endpoint::new(FREE.slot() + 1, 1).unwrap();
    let refuse = |source, destination, errno| {
        denied(&four(), setup, A, kernel_call(&Update { source, destination, ..FORWARD }), errno);
    };
    refuse(B, user, Errno::Perm);
    refuse(user, B, Errno::Perm);
    refuse(B, B, Errno::Inval);
    for dead in
        [FREE, B.next_generation(), NEW.next_generation(), ANY, Endpoint::NONE, Endpoint::SELF, Endpoint::SYSTEM]
    {
        refuse(B, dead, Errno::Inval);
        refuse(dead, B, Errno::Inval);
    }
}

#[test]
fn a_swap_is_refused_where_the_ranges_have_no_room() {
    test(|world| {
        for i in 0..64_u16 {
            world.as_root(&AddIo { process: NEW, first: i, last: i }).unwrap();
        }
        world.as_root(&AddIo { process: B, first: 0x100, last: 0x100 }).unwrap();
        world.as_root(&Disallow { process: B }).unwrap();
        let before = world.snapshot().without_registers();
        assert_eq!(world.as_root(&FORWARD), Err(Errno::NoMem));
        assert_eq!(world.snapshot().without_registers(), before);
    });
}

/// All that the kernel keeps of a program and its endpoint, as far as it can be seen.
fn view(world: &World<'_>, who: Endpoint) -> (Endpoint, Rts, String, Regs, kernel_core::Privileges) {
    let p: &Process<TestMachine> = world.process(who);
    (p.endpoint, p.rts(), p.name().to_owned(), p.frame, world.kernel.privileges_of(p.privilege_id()).clone())
}

#[test]
fn a_swap_and_its_rollback_leave_everything_as_it_was() {
    test(|world| {
        world.trap(A, sendrec(B, 1));
        world.trap(C, send(B, 2));
        world.trap(B, receive(C));
        world.as_root(&Disallow { process: B }).unwrap();
        // The new one has the rights of the old one already: those are added and stay.
        let before = [view(world, B), view(world, NEW), view(world, A), view(world, C)];
        world.as_root(&FORWARD).unwrap();
        assert_ne!(view(world, B), before[0]);
        world.as_root(&ROLLBACK).unwrap();
        assert_eq!([view(world, B), view(world, NEW), view(world, A), view(world, C)], before);
        world.as_root(&Allow { process: B }).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(A, Trap::SendRec, 1));
    });
}

#[test]
fn a_failing_new_instance_that_sends_is_taken_out_of_the_queue() {
    test(|world| {
        update(world);
        world.trap(A, send(C, 1));
        assert_eq!(world.trap(B, sendrec(C, 2)), Outcome::Blocked);
        world.as_root(&Disallow { process: B }).unwrap();
        world.as_root(&ROLLBACK).unwrap();
        assert!(!is_new(world, B) && is_new(world, NEW));
        world.trap(C, receive(ANY));
        assert_eq!(world.regs(C), delivered(A, Trap::Send, 1));
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Blocked, "its message is withdrawn");
        world.as_root(&Clear { process: NEW }).unwrap();
    });
}

#[test]
fn a_delayed_stop_of_a_failing_new_instance_is_told_under_its_new_name() {
    test(|world| {
        let spec = PrivilegeSpec { manager: D, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: NEW, reset_ranges: 0 }).unwrap();
        update(world);
        world.trap(B, send(C, 2));
        let stop = RunCtl { process: B, action: RunAction::StopAfterSend };
        assert_eq!(world.call(A, &stop), Err(Errno::Busy));
        world.as_root(&Disallow { process: B }).unwrap();
        world.as_root(&ROLLBACK).unwrap();
        let told = abi::event::SystemEvent::read(&world.regs(D).body);
        assert_eq!(told.signaled, Some((NEW, Signal::SEND_DONE.bit())), "D waited, and is told of it");
        world.call(D, &EndKSig { process: NEW }).unwrap();
        assert_eq!(world.rts(NEW), Rts::NO_PRIV);
    });
}

#[test]
fn tables_are_in_transition_until_they_are_registered_again() {
    test(|world| {
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: C, result: 0, message: message(1) };
        world.as_root(&Allow { process: NEW }).unwrap();
        world.allow_sends(NEW);
        world.store(NEW, MEMORY_START, &entry);
        assert_eq!(world.trap(NEW, senda(MEMORY_START, 1)), Outcome::Done);
        world.as_root(&Disallow { process: NEW }).unwrap();
        update(world);
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Blocked, "nobody sends under the old name any more");
        assert_eq!(world.trap(B, senda(MEMORY_START, 1)), Outcome::Done);
        assert_eq!(world.regs(C), delivered(B, Trap::SendA, 1));
    });
}

/// The entry that a program sends, at a place of the table that all of them have.
fn put(world: &mut World<'_>, who: Endpoint, place: u64, flags: AsyncFlags, number: u16) {
    let entry = AsyncEntry { flags: flags.bits(), destination: C, result: 0, message: message(number) };
    world.store(who, MEMORY_START + place * size_of::<AsyncEntry>() as u64, &entry);
}

fn entry(world: &World<'_>, who: Endpoint, place: u64) -> AsyncEntry {
    world.load(who, MEMORY_START + place * size_of::<AsyncEntry>() as u64)
}

/// What C receives until it has to wait: sources and numbers.
fn received_by_c(world: &mut World<'_>) -> Vec<(Endpoint, u16)> {
    let mut all = Vec::new();
    while world.trap(C, receive(ANY)) == Outcome::Done {
        all.push((Endpoint::from_raw(world.regs(C).rdi as u32), world.regs(C).body[0] as u16));
    }
    all
}

/// The new program runs as B, and can send.
fn updated(world: &mut World<'_>) {
    update(world);
    world.allow_sends(B);
}

fn roll_back(world: &mut World<'_>) {
    world.as_root(&Disallow { process: B }).unwrap();
    world.as_root(&ROLLBACK).unwrap();
    world.as_root(&Allow { process: B }).unwrap();
}

#[test]
fn messages_of_the_old_instance_are_sent_after_a_rollback() {
    test(|world| {
        put(world, B, 0, AsyncFlags::VALID, 1);
        world.trap(B, senda(MEMORY_START, 1));
        updated(world);
        assert_eq!(world.trap(C, receive(ANY)), Outcome::Blocked, "its table is in transition");
        roll_back(world);
        assert_eq!(world.regs(C), delivered(B, Trap::SendA, 1));
        assert_eq!(received_by_c(world), [], "once");
    });
}

#[test]
fn messages_of_a_failed_new_instance_are_neither_lost_nor_doubled() {
    test(|world| {
        // What the old one has sent: two messages, one entry is empty and one was done long ago.
        let flags = [AsyncFlags::VALID, AsyncFlags::VALID, AsyncFlags::empty(), AsyncFlags::DONE];
        (0..).zip(flags).for_each(|(place, flags)| put(world, B, place, flags, 10 + place as u16));
        world.trap(B, senda(MEMORY_START, 4));
        updated(world);
        // The new one has taken over both, and sends another one.
        for (place, number) in [(0, 10), (1, 11), (2, 33)] {
            put(world, B, place, AsyncFlags::VALID, number);
        }
        world.trap(B, senda(MEMORY_START, 3));
        world.trap(C, receive(ANY));
        assert_eq!(world.regs(C), delivered(B, Trap::SendA, 10));
        roll_back(world);
        let states: Vec<_> =
            (0..4).map(|place| (entry(world, B, place).flags, entry(world, B, place).result)).collect();
        let (open, done) = (AsyncFlags::VALID.bits(), (AsyncFlags::VALID | AsyncFlags::DONE).bits());
        assert_eq!(states, [(done, 0), (open, 0), (open, 0), (AsyncFlags::DONE.bits(), 0)]);
        assert_eq!(received_by_c(world), [(B, 11), (B, 33)]);
    });
}

#[test]
fn messages_that_the_old_instance_has_no_room_for_are_told_in_the_log() {
    test(|world| {
        updated(world);
        put(world, B, 0, AsyncFlags::VALID, 1);
        world.trap(B, senda(MEMORY_START, 1));
        roll_back(world);
        let line = "1 messages of new are lost: the instance before it has no room for them";
        assert!(world.machine.lines.iter().any(|l| l == line), "{:?}", world.machine.lines);
        assert_eq!(received_by_c(world), []);
    });
}

#[test]
fn the_result_of_a_message_is_told_to_the_old_instance() {
    test(|world| {
        put(world, B, 0, AsyncFlags::VALID | AsyncFlags::NOTIFY, 1);
        world.trap(B, senda(MEMORY_START, 1));
        updated(world);
        put(world, B, 0, AsyncFlags::VALID, 1);
        world.trap(B, senda(MEMORY_START, 1));
        world.trap(C, receive(ANY));
        roll_back(world);
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B).rdi, u64::from(Endpoint::ASYNCM.raw()));
    });
}

#[test]
fn a_table_in_transition_delivers_nothing_to_those_whom_the_other_one_had_entries_for() {
    test(|world| {
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: C, result: 0, message: message(1) };
        world.as_root(&Allow { process: NEW }).unwrap();
        world.allow_sends(NEW);
        for instance in [B, NEW] {
            world.store(instance, MEMORY_START, &entry);
            assert_eq!(world.trap(instance, senda(MEMORY_START, 1)), Outcome::Done);
        }
        world.as_root(&Disallow { process: NEW }).unwrap();
        update(world);
        assert_eq!(world.trap(C, receive(B)), Outcome::Blocked, "the new one has not registered it under this name");
        assert_eq!(world.load::<AsyncEntry>(B, MEMORY_START), entry);
    });
}

#[test]
fn filters_move_with_their_program() {
    test(|world| {
        world.store(B, MEMORY_START, &FilterElement::from_source(A));
        world.call(B, &AddBlacklist { address: MEMORY_START, count: 1 }).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.trap(A, send(B, 1)), Outcome::Blocked);
        world.as_root(&FORWARD).unwrap();
        world.as_root(&Allow { process: B }).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(A, Trap::Send, 1), "the new one has none");
    });
}

#[test]
fn signals_move_with_their_program_and_its_manager_hears_of_the_new_name() {
    test(|world| {
        for process in [B, NEW] {
            let spec = PrivilegeSpec { manager: C, ..world.spec() };
            world.as_root(&UpdateSys { spec, process, reset_ranges: 0 }).unwrap();
        }
        world.call(A, &Kill { process: B, signal: 10 }).unwrap();
        world.as_root(&FORWARD).unwrap();
        assert!(world.rts(NEW).contains(Rts::SIGNALED) && !world.rts(B).contains(Rts::SIGNALED));
        let taken = world.call(C, &GetKSig {}).unwrap();
        assert_eq!((taken.process, taken.signals), (NEW, 1 << 10));
        world.call(C, &EndKSig { process: NEW }).unwrap();
        world.run(NEW);
    });
}

#[test]
fn one_that_comes_into_the_place_of_its_manager_is_left_to_the_root() {
    test(|world| {
        let spec = PrivilegeSpec { manager: NEW, ..world.spec() };
        world.as_root(&UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
        world.call(A, &Kill { process: B, signal: Signal::KILL.number() }).unwrap();
        world.as_root(&FORWARD).unwrap();
        assert_eq!(world.rts(NEW), Rts::FREE, "the root ended the old program");
        assert!(is_new(world, B));
    });
}

#[test]
fn who_waited_for_the_others_slot_waits_on_and_the_dead_are_told() {
    test(|world| {
        world.trap(A, receive(B));
        update(world);
        world.as_root(&Clear { process: NEW }).unwrap();
        assert_eq!(world.outcome(A), Outcome::Blocked, "B lives");
        assert_eq!(world.trap(B, send(A, 1)), Outcome::Done);
        assert_eq!(world.regs(A), delivered(B, Trap::Send, 1));
        assert_eq!(world.kernel.lookup(B), Some(Slot::of(B)));
    });
}
