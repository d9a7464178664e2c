//! Kernel calls by the fast path: made at once, or not at all.

use crate::support::*;
use abi::boot::BootEntry;
use abi::{Endpoint, Kind, Message, PrivilegeSpec};
use kernel_core::{CpuId, Slot};
use protocol::Call;
use protocol::kernel::{Identity, RunAction, RunCtl, Times, WhoAmI, right};
use protocol::privctl::UpdateSys;
use protocol::trace::{Stop, UntilTrap};

/// The right to make a call.
fn right_to<C: Call>() -> u64 {
    right(C::KIND).expect("it is a kernel call")
}

/// A world in which A may make these calls, and runs.
fn with_calls(calls: u64, run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut programs = four();
    programs[0].calls = calls;
    let mut world = World::new(&mut table, &programs);
    world.run(A);
    run(&mut world);
}

/// Whoever runs on a processor makes a kernel call by the fast path, if that will have it. Says whose call was done.
fn call(world: &mut World<'_>, cpu: CpuId, call: Regs) -> Option<Slot> {
    let me = world.kernel.cpu(cpu).current().expect("somebody runs");
    world.kernel.process_mut(me).frame = call;
    let before = world.snapshot();
    let done = world.kernel.fast_call(&mut world.machine, cpu);
    if done.is_none() {
        assert_eq!(world.snapshot(), before, "declining changes nothing");
    }
    world.kernel.check_invariants().expect("invariants hold after a fast step");
    done
}

/// The same with TIMES, which has a path of its own.
fn times(world: &mut World<'_>) -> bool {
    let call = kernel_call(&Times {});
    world.kernel.process_mut(Slot::of(A)).frame = call;
    let before = world.snapshot();
    let done = world.kernel.fast_times(&world.machine, CpuId::BOOT, call.rsi);
    assert!(done || world.snapshot() == before, "declining changes nothing");
    done
}

#[test]
fn a_call_with_nothing_in_its_way_is_made_at_once() {
    with_calls(right_to::<WhoAmI>(), |world| {
        assert_eq!(call(world, CpuId::BOOT, kernel_call(&WhoAmI {})), Some(Slot::of(A)));
        let name = BootEntry::encode_name("a").unwrap();
        let identity = Identity { name, endpoint: A, root: world.root };
        assert_eq!(world.regs(A), kernel_answer::<WhoAmI>(&identity));
    });
}

#[test]
fn the_right_to_a_call_is_all_that_counts_of_the_call_mask() {
    with_calls(!right_to::<WhoAmI>(), |world| {
        assert_eq!(call(world, CpuId::BOOT, kernel_call(&WhoAmI {})), None);
    });
    with_calls(right_to::<Times>(), |world| assert!(times(world)));
    with_calls(!right_to::<Times>(), |world| assert!(!times(world)));
}

#[test]
fn a_call_that_there_is_not_is_left_to_the_ordinary_way() {
    with_calls(u64::MAX, |world| {
        let unknown = Message::new(Endpoint::SYSTEM, Kind(u16::MAX));
        assert_eq!(call(world, CpuId::BOOT, kernel_call_raw(&unknown)), None);
    });
}

#[test]
fn calls_of_one_whose_traps_are_traced_are_left_to_the_ordinary_way() {
    with_calls(u64::MAX, |world| {
        let spec = PrivilegeSpec { manager: B, ..world.spec() };
        world.root_does(&UpdateSys { spec, process: A, reset_ranges: 0 });
        world.does(B, &Stop { process: A });
        world.does(B, &UntilTrap { process: A });
        world.run(A);
        assert_eq!(call(world, CpuId::BOOT, kernel_call(&WhoAmI {})), None);
        assert!(!times(world));
    });
}

#[test]
fn one_that_another_processor_stopped_on_its_way_makes_no_call() {
    let second = CpuId::new(1).unwrap();
    let mut table = table();
    let mut world = World::on(&mut table, &[program("a"), BootEntry { cpu: 1, ..program("b") }], 2);
    assert_eq!((world.choose(CpuId::BOOT), world.choose(second)), (Some(Slot::of(A)), Some(Slot::of(B))));
    assert_eq!(
        call(&mut world, second, kernel_call(&RunCtl { process: A, action: RunAction::Stop })),
        Some(Slot::of(B))
    );
    assert_eq!(call(&mut world, CpuId::BOOT, kernel_call(&WhoAmI {})), None);
    assert!(!times(&mut world));
}
