//! The fast path does what the ordinary one does, or nothing at all.

use crate::support::*;
use abi::boot::{BootEntry, BootFlags, PRIORITIES};
use abi::{Endpoint, Message, PrivilegeSpec, Signal, Status, Trap, TrapMask};
use kernel_core::{CpuId, Frame, MemoryAccess, Rts, Slot};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use protocol::Call;
use protocol::getinfo::GetCpuTime;
use protocol::kernel::{EndKSig, KEEP, Kill, SchedCtl, Scheduler, Times};
use protocol::privctl::UpdateSys;
use protocol::trace::{Step, Stop};
use protocol::vmctl::ClearPageFault;
use std::cell::Cell;

/// Programs of different priorities: then it does not matter that a switch passes over a queue. The last is the least
/// urgent; it never waits, and wakes the others.
const PROGRAMS: usize = 5;
const WAKER: usize = PROGRAMS - 1;
/// The memory server; as urgent as the case has it.
const PAGER: usize = 0;

/// Where exceptions and page faults are counted: no trap has these numbers.
const EXCEPTION: usize = 0;
const FAULT: usize = 31;

/// Where nobody has memory.
const NOWHERE: u64 = 1 << 40;

impl World<'_> {
    /// Whoever runs traps, by the fast path if that will have it. Says whether it did.
    fn step_fast(&mut self, call: Regs) -> bool {
        let me = self.kernel.cpu(CpuId::BOOT).current().expect("somebody runs");
        self.kernel.process_mut(me).frame = call;
        let request = call.request();
        let before = self.snapshot();
        let mut message = Message::new(self.kernel.process(me).endpoint, abi::Kind(0));
        message.set_header(request.header);
        message.body = call.body();
        let (kernel, machine, to) = (&mut self.kernel, &self.machine, request.destination);
        let trap = Trap::from_rax(request.rax);
        let done = match trap {
            Some(Trap::Notify) => kernel.fast_notify(machine, CpuId::BOOT, to),
            Some(Trap::Receive) => kernel.fast_receive(machine, CpuId::BOOT, request.source).is_some(),
            Some(Trap::KernelCall) if message.kind == Times::KIND => {
                kernel.fast_times(machine, CpuId::BOOT, request.header)
            }
            _ => false,
        };
        if done {
            self.kernel.check_invariants().expect("invariants hold after a fast step");
            return true;
        }
        if trap == Some(Trap::KernelCall) && kernel.fast_call(&mut self.machine, CpuId::BOOT).is_some() {
            self.schedule();
            return true;
        }
        let (kernel, machine) = (&mut self.kernel, &self.machine);
        let (trap, partner) = match trap {
            Some(trap @ Trap::SendRec) => (trap, kernel.fast_sendrec(machine, CpuId::BOOT, to)),
            Some(trap @ Trap::ReplyReceive) => {
                (trap, kernel.fast_reply_receive(machine, CpuId::BOOT, to, request.source))
            }
            _ => (Trap::Send, None),
        };
        let Some(partner) = partner else {
            assert_eq!(self.snapshot(), before, "declining changes nothing: {call:x?}");
            self.step(call);
            return false;
        };
        partner.process.frame.deliver(&message, Status::sent_with(trap));
        self.kernel.check_invariants().expect("invariants hold after a fast step");
        true
    }

    /// Whoever runs gets a signal from the processor, by the fast path if that will have it. Says whether it did.
    fn except_fast(&mut self, signal: Signal) -> bool {
        let before = self.snapshot();
        if self.kernel.fast_exception(&self.machine, CpuId::BOOT, signal).is_some() {
            self.kernel.check_invariants().expect("invariants hold after a fast step");
            return true;
        }
        assert_eq!(self.snapshot(), before, "declining changes nothing");
        self.except(signal);
        false
    }

    /// Whoever runs touches memory that is not there, by the fast path if that will have it. Says whether it did.
    fn fault_fast(&mut self, access: MemoryAccess) -> bool {
        let before = self.snapshot();
        if self.kernel.fast_page_fault(&self.machine, CpuId::BOOT, NOWHERE, access).is_some() {
            self.kernel.check_invariants().expect("invariants hold after a fast step");
            return true;
        }
        assert_eq!(self.snapshot(), before, "declining changes nothing");
        self.fault(access);
        false
    }

    fn fault(&mut self, access: MemoryAccess) {
        let _ = self.kernel.memory_fault(&mut self.machine, CpuId::BOOT, NOWHERE, access, format_args!("test"));
        self.schedule();
    }

    /// Makes `manager` the signal manager of a program.
    fn manage(&mut self, process: Endpoint, manager: Endpoint) {
        let spec = PrivilegeSpec { manager, ..spec_of(&self.entries[process.slot()], self.root) };
        self.as_root(&UpdateSys { spec, process, reset_ranges: 0 }).expect("both are services");
    }

    /// An answer goes to somebody who waits for one from `me`, mostly.
    fn aim(&self, me: Endpoint, call: Regs) -> Regs {
        let waits =
            |who: &Endpoint| self.rts(*who) == Rts::RECEIVING | Rts::REPLY && self.regs(*who).rdi as u32 == me.raw();
        let waiting = (0..PROGRAMS).filter_map(|slot| Endpoint::new(slot, 0)).find(waits);
        match waiting {
            Some(who) if call.rax == Trap::ReplyReceive.rax() && !call.rsi.is_multiple_of(8) => {
                Regs { rdi: who.raw().into(), ..call }
            }
            _ => call,
        }
    }

    /// The states of all, without the results of those who wait: they have none yet.
    fn seen(&self) -> Vec<(Rts, Regs)> {
        let state = |slot: Slot| {
            let p = self.kernel.process(slot);
            let rax = if p.rts().is_empty() { p.frame.rax } else { 0 };
            (p.rts(), Regs { rax, ..p.frame })
        };
        Slot::all().take(PROGRAMS).map(state).collect()
    }
}

fn programs(priorities: &[u8], sends: &[u64], traps: &[u32]) -> Vec<BootEntry> {
    let entry = |i: usize| BootEntry {
        priority: priorities.get(i).copied().unwrap_or(PRIORITIES as u8 - 1),
        sends: sends[i],
        traps: TrapMask::from_bits_truncate(traps[i]).bits(),
        flags: if i == PAGER { BootFlags::PAGER.bits() } else { 0 },
        ..program(&format!("p{i}"))
    };
    (0..PROGRAMS).map(entry).collect()
}

/// What happens to whoever runs.
#[derive(Clone, Copy, Debug)]
enum Event {
    Trap(Regs),
    Exception(Signal),
    Fault(MemoryAccess),
}

fn event() -> impl Strategy<Value = Event> {
    let signal = prop::sample::select(&[Signal::ILL, Signal::TRAP, Signal::FPE, Signal::SEGV][..]);
    let access = prop::sample::select(&[MemoryAccess::Read, MemoryAccess::Write, MemoryAccess::Execute][..]);
    prop_oneof![
        19 => call().prop_map(Event::Trap),
        1 => signal.prop_map(Event::Exception),
        1 => access.prop_map(Event::Fault),
    ]
}

/// Mostly calls and answers between living programs.
fn call() -> impl Strategy<Value = Regs> {
    let name = prop_oneof![
        12 => (0..PROGRAMS as u32).prop_map(Endpoint::from_raw),
        3 => Just(Endpoint::ANY),
        1 => any::<u32>().prop_map(Endpoint::from_raw),
    ];
    (name.clone(), 0..1000_u16, prop_oneof![4 => Just(Endpoint::ANY), 1 => name], 0..20_u8).prop_map(
        |(to, n, from, kind)| match kind {
            0..4 => sendrec(to, n),
            4..8 => reply_receive(to, n, from),
            8 | 9 => receive(from),
            10..13 => notify(to),
            13 => send(to, n),
            14 => kernel_call(&Times {}),
            15 | 16 => kernel_call(&EndKSig { process: to }),
            17 | 18 => kernel_call(&ClearPageFault { process: to }),
            _ => sendnb(to, n),
        },
    )
}

/// The same to the same, without waiting.
fn wake(call: Regs) -> Regs {
    let trap = if call.rax.is_multiple_of(2) { Trap::SendNb } else { Trap::Notify };
    Regs { rax: trap.rax(), ..call }
}

/// Nearly everything is allowed, so that calls succeed often.
fn mask<T: Clone + core::fmt::Debug>(all: T, some: impl Strategy<Value = T>) -> impl Strategy<Value = T> {
    prop_oneof![9 => Just(all), 1 => some]
}

#[test]
fn fast_and_ordinary_kernels_agree() {
    let config =
        ProptestConfig { cases: 3000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Default::default() };
    // None as urgent as the root, which must get its turn.
    let priorities = Just((1..=WAKER as u8).collect::<Vec<_>>()).prop_shuffle();
    let sends = prop::collection::vec(mask(u64::MAX, any::<u64>()), PROGRAMS);
    let traps = prop::collection::vec(mask(u32::MAX, any::<u32>()), PROGRAMS);
    // How far behind a program its manager is: all but the waker have one, which never is the root.
    let managers = prop::collection::vec(1..WAKER, WAKER);
    let steps = prop::collection::vec(event(), 40);
    let fast_steps = Cell::new([0_u32; 32]);
    let result = TestRunner::new(config).run(
        &(priorities, sends, traps, managers, steps),
        |(priorities, sends, traps, managers, steps)| {
            let programs = programs(&priorities, &sends, &traps);
            let (mut fast, mut ordinary) = (table(), table());
            let mut fast = World::new(&mut fast, &programs);
            let mut ordinary = World::new(&mut ordinary, &programs);
            for (slot, behind) in managers.iter().enumerate() {
                let name = |slot| Endpoint::new(slot, 0).expect("it has a slot");
                let (process, manager) = (name(slot), name((slot + behind) % WAKER));
                fast.manage(process, manager);
                ordinary.manage(process, manager);
            }
            for event in steps {
                let me = ordinary.running().expect("the waker never waits");
                let (kind, done) = match event {
                    Event::Exception(signal) if me.slot() != WAKER => {
                        ordinary.except(signal);
                        (EXCEPTION, fast.except_fast(signal))
                    }
                    Event::Fault(access) if ![WAKER, PAGER].contains(&me.slot()) => {
                        ordinary.fault(access);
                        (FAULT, fast.fault_fast(access))
                    }
                    Event::Exception(_) | Event::Fault(_) => continue,
                    Event::Trap(call) => {
                        let call = if me.slot() == WAKER { wake(call) } else { ordinary.aim(me, call) };
                        ordinary.step(call);
                        (call.rax as usize, fast.step_fast(call))
                    }
                };
                let mut steps = fast_steps.get();
                steps[kind % steps.len()] += u32::from(done);
                fast_steps.set(steps);
                prop_assert_eq!(fast.running(), ordinary.running());
                prop_assert_eq!(fast.seen(), ordinary.seen());
            }
            Ok(())
        },
    );
    result.unwrap();
    let exceptions = fast_steps.get()[EXCEPTION];
    assert!(exceptions > 50, "only {exceptions} exceptions were fast: the test shows nothing");
    let faults = fast_steps.get()[FAULT];
    assert!(faults > 50, "only {faults} page faults were fast: the test shows nothing");
    for trap in [Trap::SendRec, Trap::ReplyReceive, Trap::Notify, Trap::Receive, Trap::KernelCall] {
        let steps = fast_steps.get()[trap as usize];
        assert!(steps > 50, "only {steps} steps of {trap:?} were fast: the test shows nothing");
    }
}

#[test]
fn a_switch_passes_the_rest_of_the_time_on() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(B, receive(Endpoint::ANY));
    world.run(A);
    world.tick(1);
    assert!(world.step_fast(sendrec(B, 1)));
    assert_eq!(world.running(), Some(B), "though C and D have waited longer");
    world.tick(kernel_core::QUANTUM_TICKS - 2);
    assert_eq!(world.running(), Some(B));
    world.tick(1);
    assert_eq!(world.running(), Some(C), "the time that A had left is used up");
}

#[test]
fn the_time_until_a_fast_switch_is_the_callers() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(B, receive(Endpoint::ANY));
    let used = |world: &mut World<'_>| [A, B].map(|process| world.as_root(&GetCpuTime { process }).unwrap().cycles);
    let before = used(&mut world);
    world.run(A);
    world.machine.cycles += 1000;
    assert!(world.step_fast(sendrec(B, 1)));
    world.machine.cycles += 300;
    assert!(world.step_fast(reply_receive(A, 2, Endpoint::ANY)));
    world.machine.cycles += 7;
    assert_eq!(used(&mut world), [before[0] + 1007, before[1] + 300]);
}

#[test]
fn a_notification_to_one_as_urgent_is_fast_and_to_one_more_urgent_is_not() {
    for (priority, is_fast) in [(PRIORITY, true), (PRIORITY - 1, false)] {
        let mut table = table();
        let mut programs = four();
        programs[1].priority = priority;
        let mut world = World::new(&mut table, &programs);
        world.trap(B, receive(Endpoint::ANY));
        world.run(A);
        assert_eq!(world.step_fast(notify(B)), is_fast, "priority {priority}");
    }
}

#[test]
fn nobody_more_urgent_is_passed_over() {
    let mut table = table();
    let mut programs = four();
    programs[2].priority = PRIORITY - 1;
    let mut world = World::new(&mut table, &programs);
    world.trap(C, receive(Endpoint::ANY));
    world.trap(B, receive(Endpoint::ANY));
    world.run(A);
    // C becomes ready, and A is about to give way to it.
    let me = world.kernel.cpu(CpuId::BOOT).current().unwrap();
    world.kernel.process_mut(me).frame = notify(C);
    let _ = world.kernel.trap(&mut world.machine, CpuId::BOOT);
    assert!(world.kernel.fast_sendrec(&world.machine, CpuId::BOOT, B).is_none());
}

/// What is in the way of an exception of C, whose manager B waits and is more urgent than all others.
fn exception_of_c(in_the_way: impl FnOnce(&mut World<'_>)) -> Option<Slot> {
    let mut table = table();
    let mut programs = four();
    programs[1].priority = PRIORITY - 2;
    let mut world = World::new(&mut table, &programs);
    world.manage(C, B);
    world.trap(B, receive(Endpoint::ANY));
    world.run(C);
    in_the_way(&mut world);
    world.run(C);
    let before = world.snapshot();
    let partner = world.kernel.fast_exception(&world.machine, CpuId::BOOT, Signal::FPE);
    let fast = partner.map(|partner| Slot::of(partner.process.endpoint));
    if fast.is_none() {
        assert_eq!(world.snapshot(), before, "declining changes nothing");
    }
    fast
}

#[test]
fn an_exception_switches_to_the_manager() {
    assert_eq!(exception_of_c(|_| {}), Some(Slot::of(B)));
}

#[test]
fn an_exception_is_not_fast_if_the_manager_runs_on_another_processor() {
    let second = CpuId::new(1).unwrap();
    let mut table = table();
    let mut programs = four();
    (programs[1].cpu, programs[1].priority) = (1, PRIORITY - 2);
    let mut world = World::on(&mut table, &programs, 2);
    world.manage(C, B);
    world.choose(second);
    world.trap_on(second, receive(Endpoint::ANY));
    world.choose(second);
    world.run(C);
    assert!(world.kernel.fast_exception(&world.machine, CpuId::BOOT, Signal::FPE).is_none());
}

#[test]
fn an_exception_with_something_in_its_way_is_not_fast() {
    type Obstacle<'a> = (&'a str, &'a dyn Fn(&mut World<'_>));
    let refused: [Obstacle<'_>; 9] = [
        ("the root is the manager: the log tells of it", &|world| world.manage(C, world.root)),
        ("nobody is", &|world| world.manage(C, Endpoint::SELF)),
        ("another manager, which does not wait", &|world| world.manage(C, A)),
        ("the manager has left", &|world| {
            world.trap(C, notify(B));
            world.kill(B);
        }),
        ("another process lives in the slot of the manager, and waits", &|world| {
            world.trap(C, notify(B));
            world.kill(B);
            world.trap(D, receive(Endpoint::ANY));
            let process = world.service(D, B);
            let urgent = SchedCtl { process, scheduler: Scheduler::Kernel, priority: 1, quantum: KEEP, cpu: KEEP };
            world.root_does(&urgent);
            world.trap(process, receive(Endpoint::ANY));
        }),
        ("the manager waits for somebody else", &|world| {
            world.trap(C, notify(B));
            world.trap(B, receive(D));
        }),
        ("a manager that is not more urgent than D", &|world| {
            world.manage(C, A);
            world.trap(A, receive(Endpoint::ANY));
        }),
        ("another signal has not been taken", &|world| {
            world.manage(D, A);
            world.call(A, &Kill { process: D, signal: 10 }).unwrap();
        }),
        ("the process executes one instruction", &|world| {
            world.trap(C, notify(B));
            world.call(B, &Stop { process: C }).unwrap();
            world.call(B, &Step { process: C }).unwrap();
            world.trap(B, receive(Endpoint::ANY));
        }),
    ];
    for (what, in_the_way) in refused {
        assert_eq!(exception_of_c(in_the_way), None, "{what}");
    }
}
