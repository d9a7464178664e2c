//! Several processors: each runs its own processes, and is told when it must choose anew.

use crate::support::*;
use abi::Endpoint;
use abi::boot::{BootEntry, MAX_CPUS};
use kernel_core::{CpuId, Rts, Slot};
use protocol::kernel::{RunAction, RunCtl, Times};

const FIRST: CpuId = CpuId::BOOT;
const SECOND: CpuId = CpuId::new(1).unwrap();

fn on(cpu: u8, name: &str) -> BootEntry {
    BootEntry { cpu, ..program(name) }
}

/// A world on two processors with these programs, before the second of them has chosen.
struct Pair<'t>(World<'t>);

impl<'t> Pair<'t> {
    fn new(table: &'t mut Storage, programs: &[BootEntry]) -> Self {
        Self(World::on(table, programs, 2))
    }

    /// Whoever runs on `cpu` traps; returns who runs there then, and which other processors are kicked.
    fn trap(&mut self, cpu: CpuId, call: Regs) -> (Option<Slot>, Vec<CpuId>) {
        self.0.trap_on(cpu, call);
        (self.schedule(cpu), self.kicks(cpu))
    }

    fn schedule(&mut self, cpu: CpuId) -> Option<Slot> {
        self.0.choose(cpu)
    }

    fn kicks(&mut self, except: CpuId) -> Vec<CpuId> {
        self.0.kernel.take_kicks(except).collect()
    }
}

#[test]
fn each_processor_runs_its_own() {
    let mut table = table();
    let mut pair = Pair::new(&mut table, &[on(0, "a"), on(1, "b"), on(0, "c")]);
    assert_eq!(pair.kicks(FIRST), [SECOND], "it has something to do now");
    assert_eq!((pair.schedule(FIRST), pair.schedule(SECOND)), (Some(Slot::of(A)), Some(Slot::of(B))));
    assert_eq!(pair.trap(FIRST, receive(Endpoint::ANY)).0, Some(Slot::of(C)));
    assert_eq!(pair.trap(FIRST, receive(Endpoint::ANY)).0, None, "B is not taken over");
}

#[test]
fn a_processor_that_is_not_there_is_the_first() {
    let mut table = table();
    let mut pair = Pair::new(&mut table, &[on(2, "a"), on(MAX_CPUS as u8, "b")]);
    assert_eq!((pair.schedule(FIRST), pair.schedule(SECOND)), (Some(Slot::of(A)), None));
    assert_eq!(pair.trap(FIRST, receive(Endpoint::ANY)).0, Some(Slot::of(B)));
}

#[test]
fn a_message_wakes_a_waiting_processor_once() {
    let mut table = table();
    let mut pair = Pair::new(&mut table, &[on(0, "a"), on(1, "b")]);
    pair.schedule(FIRST);
    pair.schedule(SECOND);
    assert_eq!(pair.trap(SECOND, receive(Endpoint::ANY)).0, None);
    pair.kicks(SECOND);
    assert_eq!(pair.trap(FIRST, sendrec(B, 5)), (None, vec![SECOND]));
    assert_eq!(pair.schedule(SECOND), Some(Slot::of(B)));
    assert_eq!(pair.trap(SECOND, reply_receive(A, 6, Endpoint::ANY)), (None, vec![FIRST]));
    assert_eq!(pair.schedule(FIRST), Some(Slot::of(A)));
    assert_eq!(pair.kicks(FIRST), []);
}

#[test]
fn only_the_more_urgent_interrupt_a_busy_processor() {
    for (priority, kicked) in [(PRIORITY - 1, vec![SECOND]), (PRIORITY, vec![])] {
        let mut table = table();
        let sleeper = BootEntry { priority, ..on(1, "b") };
        let mut pair = Pair::new(&mut table, &[on(0, "a"), sleeper, on(1, "c")]);
        pair.schedule(FIRST);
        assert_eq!(pair.schedule(SECOND), Some(Slot::of(B)));
        assert_eq!(pair.trap(SECOND, receive(Endpoint::ANY)).0, Some(Slot::of(C)));
        assert_eq!(pair.trap(FIRST, notify(B)).1, kicked);
    }
}

#[test]
fn the_fast_path_stays_on_its_processor() {
    let mut table = table();
    let mut pair = Pair::new(&mut table, &[on(0, "a"), on(1, "b")]);
    pair.schedule(FIRST);
    pair.schedule(SECOND);
    pair.trap(SECOND, receive(Endpoint::ANY));
    pair.0.kernel.process_mut(Slot::of(A)).frame = sendrec(B, 1);
    assert!(pair.0.kernel.fast_sendrec(&pair.0.machine, FIRST, B).is_none());
}

#[test]
fn the_dead_release_others_on_all_processors() {
    let mut table = table();
    let mut pair = Pair::new(&mut table, &[on(0, "a"), on(1, "b")]);
    pair.schedule(FIRST);
    pair.schedule(SECOND);
    pair.trap(SECOND, sendrec(A, 1));
    pair.0.stop();
    assert_eq!(pair.0.running(), None);
    assert_eq!(pair.kicks(FIRST), [SECOND]);
    assert_eq!(pair.schedule(SECOND), Some(Slot::of(B)));
    assert_eq!(pair.0.kernel.process(Slot::of(A)).rts(), Rts::FREE);
}

#[test]
fn one_that_was_stopped_on_its_way_makes_no_call() {
    let mut table = table();
    let mut pair = Pair::new(&mut table, &[on(0, "a"), on(1, "b")]);
    pair.schedule(FIRST);
    pair.schedule(SECOND);
    pair.trap(FIRST, kernel_call(&RunCtl { process: B, action: RunAction::Stop }));
    let World { kernel, machine, .. } = &mut pair.0;
    let times = kernel_call(&Times {});
    kernel.process_mut(Slot::of(B)).frame = times;
    assert!(!kernel.fast_times(machine, SECOND, times.rsi) && kernel.fast_call(machine, SECOND).is_none());
    assert_eq!(kernel.process(Slot::of(B)).frame, times, "and nothing has changed");
}
