//! Giving and taking privileges.

use crate::support::*;
use abi::{Endpoint, Errno, PRIVILEGES, PrivilegeFlags, PrivilegeId, PrivilegeSpec, Trap, TrapMask};
use kernel_core::boot::BootMemory;
use kernel_core::devices::Width;
use kernel_core::ranges::{MAX_LINES, MAX_MEMORY_RANGES, MAX_PORT_RANGES};
use kernel_core::{CpuId, Rts, Slot};
use protocol::getinfo::GetPrivileges;
use protocol::irqctl::SetPolicy;
use protocol::kernel::{DevIo, PortAccess, Times};
use protocol::privctl::*;

const ANY: Endpoint = Endpoint::ANY;

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

/// What a service may have in a world of four.
fn spec() -> PrivilegeSpec {
    spec_of(&program("any"), Endpoint::from_raw(4))
}

fn id(place: usize) -> u32 {
    PrivilegeId::of_boot_program(place).unwrap().index() as u32
}

#[test]
fn at_boot_only_the_root_runs_and_the_others_wait_for_it() {
    let mut table = table();
    let mut world = World::before_boot(&mut table, &four(), 1);
    world.choose(CpuId::BOOT);
    assert_eq!(world.running(), Some(world.root));
    for who in [A, B, C, D] {
        assert_eq!((world.rts(who), world.process(who).privilege_id()), (Rts::NO_PRIV, PrivilegeId::USER));
    }
    assert_eq!(world.process(world.root).privilege_id(), PrivilegeId::of_boot_program(4).unwrap());
    world.start_root();
    for who in [A, B, C, D] {
        assert_eq!(world.process(who).privilege_id(), PrivilegeId::of_boot_program(who.slot()).unwrap());
    }
}

#[test]
fn the_root_may_stand_anywhere_in_the_boot_table() {
    for place in 0..4 {
        let mut table = table();
        let mut kernel = table.kernel(1);
        let mut machine = TestMachine::default();
        for i in 0..4 {
            let entry = if i == place { root_entry() } else { program(&format!("p{i}")) };
            let space = new_space(&mut kernel, &mut machine, i);
            kernel.add_boot_program(&entry, Regs::default(), BootMemory::Space(space)).unwrap();
        }
        assert_eq!(kernel.schedule(&mut machine, CpuId::BOOT).map(|slot| slot.index()), Some(place));
        kernel.check_invariants().unwrap();
    }
}

#[test]
fn one_without_privileges_never_runs_though_messages_queue_for_it() {
    test(|world| {
        world.as_root(&Disallow { process: B }).unwrap();
        assert_eq!(world.trap(A, send(B, 1)), Outcome::Blocked);
        assert_eq!(world.trap(C, notify(B)), Outcome::Done);
        world.tick(100);
        assert_eq!(world.rts(B), Rts::NO_PRIV);
        world.as_root(&Allow { process: B }).unwrap();
        world.trap(B, receive(A));
        assert_eq!(world.regs(B), delivered(A, Trap::Send, 1));
        assert_eq!(world.trap(B, receive(C)), Outcome::Done);
    });
}

#[test]
fn allow_and_disallow_alternate() {
    denied(&four(), |_| {}, A, kernel_call(&Allow { process: B }), Errno::Perm);
    let disallowed = |world: &mut World<'_>| world.root_does(&Disallow { process: B });
    denied(&four(), disallowed, A, kernel_call(&Disallow { process: B }), Errno::Perm);
    test(|world| {
        disallowed(world);
        assert_eq!(world.rts(B), Rts::NO_PRIV);
        world.call(A, &Allow { process: B }).unwrap();
        assert_eq!(world.rts(B), Rts::empty());
        assert_eq!(world.trap(A, kernel_call(&Disallow { process: Endpoint::SELF })), Outcome::Blocked);
        assert_eq!(world.rts(A), Rts::NO_PRIV);
        world.call(B, &Allow { process: A }).unwrap();
    });
}

#[test]
fn one_that_does_not_wait_keeps_its_structure() {
    let set = SetSys { spec: spec(), process: B, id: DYNAMIC_ID };
    denied(&four(), |_| {}, A, kernel_call(&set), Errno::Perm);
    denied(&four(), |_| {}, A, kernel_call(&SetSys { process: Endpoint::SELF, ..set }), Errno::Perm);
    denied(&four(), |_| {}, A, kernel_call(&SetUser { process: B }), Errno::Perm);
}

fn b_waits(world: &mut World<'_>) {
    world.as_root(&Disallow { process: B }).unwrap();
}

#[test]
fn a_static_id_must_be_one_and_be_free() {
    for (number, errno) in [
        (id(0), Errno::Busy),
        (id(4), Errno::Busy),
        (id(5), Errno::Inval),
        (63, Errno::Inval),
        (0, Errno::Inval),
        (3, Errno::Inval),
        (5, Errno::Inval),
        (64, Errno::Inval),
        (u32::MAX - 1, Errno::Inval),
    ] {
        let set = SetSys { spec: spec(), process: B, id: number };
        denied(&four(), b_waits, A, kernel_call(&set), errno);
    }
    test(|world| {
        b_waits(world);
        let set = SetSys { spec: spec(), process: B, id: id(1) };
        assert_eq!(world.call(A, &set).map(|set| set.id), Ok(id(1)), "its own may be given to it anew");
    });
}

#[test]
fn bad_specs_are_refused_field_by_field() {
    let good = spec();
    for bad in [
        PrivilegeSpec { traps: 1, ..good },
        PrivilegeSpec { traps: 1 << 8, ..good },
        PrivilegeSpec { traps: u32::MAX, ..good },
        PrivilegeSpec { flags: PrivilegeFlags::SERVICE.bits(), ..good },
        PrivilegeSpec { flags: PrivilegeFlags::ROOT.bits(), ..good },
        PrivilegeSpec { flags: PrivilegeFlags::DYNAMIC.bits(), ..good },
        PrivilegeSpec { flags: 1, ..good },
        PrivilegeSpec { flags: u32::MAX, ..good },
        PrivilegeSpec { reserved: 1, ..good },
        PrivilegeSpec { manager: FREE, ..good },
        PrivilegeSpec { manager: ANY, ..good },
        PrivilegeSpec { manager: Endpoint::NONE, ..good },
        PrivilegeSpec { manager: C.next_generation(), ..good },
        PrivilegeSpec { backup: FREE, ..good },
        PrivilegeSpec { backup: Endpoint::SELF, ..good },
        PrivilegeSpec { backup: Endpoint::SYSTEM, ..good },
    ] {
        denied(&four(), b_waits, A, kernel_call(&SetSys { spec: bad, process: B, id: id(1) }), Errno::Inval);
        denied(&four(), |_| {}, A, kernel_call(&UpdateSys { spec: bad, process: B, reset_ranges: 1 }), Errno::Inval);
    }
}

#[test]
fn dynamic_ids_run_out_and_come_back() {
    test(|world| {
        world.trap(D, receive(ANY));
        let spec = world.spec();
        let child =
            |world: &mut World<'_>, i: usize| world.fork(D, Endpoint::from_raw((FREE.slot() + i) as u32)).unwrap();
        let dynamic = PRIVILEGES - 6 - 5;
        let mut given = Vec::new();
        for i in 0..dynamic {
            let process = child(world, i);
            given.push(world.as_root(&SetSys { spec, process, id: DYNAMIC_ID }).unwrap().id);
        }
        assert_eq!(given, (PRIVILEGES as u32 - dynamic as u32..PRIVILEGES as u32).collect::<Vec<_>>());
        let late = child(world, dynamic);
        assert_eq!(world.as_root(&SetSys { spec, process: late, id: DYNAMIC_ID }), Err(Errno::NoSpc));
        assert_eq!(world.process(late).privilege_id(), PrivilegeId::USER);
        let first = Endpoint::new(FREE.slot(), 1).unwrap();
        world.as_root(&SetUser { process: first }).unwrap();
        assert_eq!(world.as_root(&SetSys { spec, process: late, id: DYNAMIC_ID }).map(|set| set.id), Ok(given[0]));
        let told = world.call(A, &GetPrivileges { id: given[0].into() }).unwrap();
        assert_eq!(told.owner, late);
        assert!(
            PrivilegeFlags::from_bits(told.flags).unwrap().contains(PrivilegeFlags::DYNAMIC | PrivilegeFlags::SERVICE)
        );
    });
}

#[test]
fn a_new_structure_has_nothing_of_the_old_one() {
    test(|world| {
        world.as_root(&AddIo { process: B, first: 0x60, last: 0x64 }).unwrap();
        world.trap(A, notify(B));
        b_waits(world);
        let none = PrivilegeSpec { sends: 0, calls: 0, traps: TrapMask::RECEIVE.bits(), ..spec() };
        world.call(A, &SetSys { spec: none, process: B, id: id(1) }).unwrap();
        world.call(A, &Allow { process: B }).unwrap();
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "the notification is gone");
        assert_eq!(world.trap(A, sendnb(B, 1)), Outcome::Failed(Errno::CallDenied), "the right was to the old one");
    });
}

#[test]
fn update_sets_masks_and_leaves_out_what_is_nobodys() {
    test(|world| {
        let spec = PrivilegeSpec { sends: u64::MAX, ..spec() };
        world.call(A, &UpdateSys { spec, process: B, reset_ranges: 0 }).unwrap();
        let told = world.call(A, &GetPrivileges { id: id(1).into() }).unwrap();
        let users = PrivilegeId::USER.bit();
        let expected = [0, 2, 3, 4].into_iter().fold(users, |mask, place| mask | 1 << id(place));
        assert_eq!(told.sends, expected, "not itself, not the kernel, and no free ids");
    });
}

#[test]
fn lists_of_ranges_fill_up_take_the_same_twice_and_are_reset() {
    test(|world| {
        for i in 0..MAX_PORT_RANGES as u16 {
            let io = AddIo { process: B, first: 8 * i, last: 8 * i };
            assert!(world.call(A, &io).is_ok() && world.call(A, &io).is_ok());
        }
        for i in 0..MAX_MEMORY_RANGES as u64 {
            world.call(A, &AddMemory { process: B, reserved: 0, start: i << 12, len: 1 }).unwrap();
        }
        for line in 0..MAX_LINES as u32 {
            world.call(A, &AddIrq { process: B, line }).unwrap();
        }
        let before = world.snapshot().without_registers();
        assert_eq!(world.call(A, &AddIo { process: B, first: 0x2000, last: 0x2000 }), Err(Errno::NoMem));
        assert_eq!(world.call(A, &AddMemory { process: B, reserved: 0, start: 1 << 40, len: 1 }), Err(Errno::NoMem));
        assert_eq!(world.call(A, &AddIrq { process: B, line: 200 }), Err(Errno::NoMem));
        assert_eq!(world.snapshot().without_registers(), before);
        world.call(A, &UpdateSys { spec: spec(), process: B, reset_ranges: 1 }).unwrap();
        assert_eq!(world.call(A, &AddIrq { process: B, line: 20 }).map(drop), Ok(()));
        let query = QueryMemory { process: B, reserved: 0, start: 0, len: 1 };
        assert_eq!(world.call(A, &query), Err(Errno::Perm));
    });
}

#[test]
fn ranges_that_are_none_are_refused() {
    denied(&four(), |_| {}, A, kernel_call(&AddIo { process: B, first: 5, last: 4 }), Errno::Inval);
    for (start, len) in [(5, 0), (u64::MAX, 2), (2, u64::MAX)] {
        denied(&four(), |_| {}, A, kernel_call(&AddMemory { process: B, reserved: 0, start, len }), Errno::Inval);
    }
    for line in [256, u32::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&AddIrq { process: B, line }), Errno::Inval);
    }
}

#[test]
fn memory_is_queried_at_inside_across_and_outside_a_range() {
    test(|world| {
        world.call(A, &AddMemory { process: B, reserved: 0, start: 0x1000, len: 0x1000 }).unwrap();
        for (start, len, allowed) in [
            (0x1000, 0x1000, true),
            (0x1800, 1, true),
            (0x1fff, 1, true),
            (0xfff, 2, false),
            (0x1fff, 2, false),
            (0x2000, 1, false),
            (0x1000, 0, false),
            (0x1000, u64::MAX, false),
            (u64::MAX, 2, false),
        ] {
            let query = world.call(A, &QueryMemory { process: B, reserved: 0, start, len });
            assert_eq!(query.map(drop), if allowed { Ok(()) } else { Err(Errno::Perm) }, "{start:#x} {len:#x}");
        }
    });
}

#[test]
fn yield_swaps_both_or_neither() {
    test(|world| {
        b_waits(world);
        assert_eq!(world.trap(A, kernel_call(&YieldTo { process: B })), Outcome::Blocked);
        assert_eq!((world.rts(A), world.rts(B)), (Rts::NO_PRIV, Rts::empty()));
        world.call(B, &Allow { process: A }).unwrap();
    });
    denied(&four(), |_| {}, A, kernel_call(&YieldTo { process: B }), Errno::Perm);
    denied(&four(), |_| {}, A, kernel_call(&YieldTo { process: A }), Errno::Perm);
}

#[test]
fn a_user_makes_no_such_calls_even_where_its_mask_has_them() {
    test(|world| {
        world.trap(D, receive(ANY));
        let user = world.user(D, FREE);
        for kind in protocol::privctl::PROTOCOL.calls {
            let message = abi::Message::new(Endpoint::SYSTEM, abi::Kind(PROTOCOL.base + kind.number));
            assert_eq!(world.trap(user, kernel_call_raw(&message)), Outcome::Failed(Errno::CallDenied));
        }
        world.update_users(world.spec());
        world.as_root(&Disallow { process: C }).unwrap();
        assert_eq!(world.call(user, &Allow { process: C }), Err(Errno::Perm));
        assert_eq!(world.call(user, &Disallow { process: A }), Err(Errno::Perm));
        assert_eq!(world.call(user, &SetUser { process: C }), Err(Errno::Perm));
        assert_eq!(world.call(user, &ClearRefs { process: A }), Err(Errno::Perm));
        assert_eq!(world.call(user, &AddIo { process: A, first: 0, last: 1 }), Err(Errno::Perm));
        assert_eq!(world.call(user, &UpdateSys { spec: spec(), process: A, reset_ranges: 0 }), Err(Errno::Perm));
        assert_eq!(
            world.call(user, &UpdateSys { spec: spec(), process: Endpoint::NONE, reset_ranges: 0 }),
            Err(Errno::Perm)
        );
        assert_eq!(world.call(user, &QueryMemory { process: A, reserved: 0, start: 0, len: 1 }), Err(Errno::Perm));
        assert_eq!(world.call(A, &AddIo { process: user, first: 0, last: 1 }), Err(Errno::Perm), "and gets no ranges");
        assert_eq!(world.call(A, &UpdateSys { spec: spec(), process: user, reset_ranges: 0 }), Err(Errno::Perm));
    });
}

#[test]
fn all_users_share_one_structure_which_only_the_root_changes() {
    test(|world| {
        world.trap(D, receive(ANY));
        let first = world.user(D, FREE);
        let second = world.user(D, Endpoint::from_raw(FREE.raw() + 1));
        assert_eq!(world.process(first).privilege_id(), world.process(second).privilege_id());
        assert_eq!(world.trap(first, kernel_call(&Times {})), Outcome::Failed(Errno::CallDenied));
        let times = PrivilegeSpec { calls: 1 << 25, sends: PrivilegeId::USER.bit(), ..spec() };
        assert_eq!(
            world.call(A, &UpdateSys { spec: times, process: Endpoint::NONE, reset_ranges: 0 }),
            Err(Errno::Perm)
        );
        world.update_users(times);
        assert!(world.call(first, &Times {}).is_ok() && world.call(second, &Times {}).is_ok());
        world.trap(second, receive(ANY));
        assert_eq!(world.trap(first, sendnb(second, 1)), Outcome::Done, "the bit of users is for each of them");
    });
}

#[test]
fn a_user_sends_no_notifications_and_gets_one_only_while_it_waits() {
    test(|world| {
        world.trap(D, receive(ANY));
        let user = world.user(D, FREE);
        world.update_users(PrivilegeSpec { sends: u64::MAX, ..spec() });
        world.allow_sends(A);
        assert_eq!(world.trap(user, notify(A)), Outcome::Failed(Errno::TrapDenied));
        assert_eq!(world.trap(A, notify(user)), Outcome::Failed(Errno::NotReady));
        world.trap(A, receive(ANY));
        world.run(user);
        assert!(!world.kernel.fast_notify(&world.machine, CpuId::BOOT, A), "not even fast");
        world.trap(B, sendnb(A, 1));
        world.trap(user, receive(ANY));
        world.run(A);
        let now = world.machine.ticks;
        assert_eq!(world.trap(A, notify(user)), Outcome::Done);
        assert_eq!(world.regs(user), notified(A, now));
    });
}

#[test]
fn managers_are_services_and_users_do_not_manage_themselves() {
    test(|world| {
        world.trap(D, receive(ANY));
        let user = world.user(D, FREE);
        for bad in [PrivilegeSpec { manager: user, ..spec() }, PrivilegeSpec { backup: user, ..spec() }] {
            assert_eq!(world.as_root(&UpdateSys { spec: bad, process: B, reset_ranges: 0 }), Err(Errno::Inval));
        }
        let spec = PrivilegeSpec { manager: Endpoint::SELF, ..spec() };
        let users = UpdateSys { spec, process: Endpoint::NONE, reset_ranges: 0 };
        assert_eq!(world.as_root(&users), Err(Errno::Inval));
    });
}

#[test]
fn one_that_is_no_service_any_more_has_no_hooks() {
    test(|world| {
        world.as_root(&AddIrq { process: B, line: 3 }).unwrap();
        world.call(B, &SetPolicy { line: 3, bit: 0, reenable: 1 }).unwrap();
        b_waits(world);
        world.as_root(&SetUser { process: B }).unwrap();
        assert!(!world.machine.devices.open.contains(&3));
        world.kernel.interrupt(&mut world.machine, 3);
        assert_eq!(world.machine.lines, ["nobody handles interrupt line 3: masked"]);
    });
}

#[test]
fn ports_of_a_service_are_checked_on_each_use() {
    test(|world| {
        let read = DevIo { access: PortAccess::Read8, port: 0x60, value: 0 };
        assert_eq!(world.call(A, &read), Err(Errno::Perm));
        world.as_root(&AddIo { process: A, first: 0x60, last: 0x60 }).unwrap();
        assert!(world.call(A, &read).is_ok());
        assert_eq!(world.machine.devices.take_done(), [Done::In(0x60, Width::Byte)]);
        world.as_root(&UpdateSys { spec: spec(), process: A, reset_ranges: 1 }).unwrap();
        assert_eq!(world.call(A, &read), Err(Errno::Perm));
    });
}

#[test]
fn clear_refs_frees_those_who_wait_for_another() {
    test(|world| {
        world.trap(B, sendrec(A, 1));
        world.trap(C, receive(A));
        world.trap(D, receive(ANY));
        world.as_root(&ClearRefs { process: A }).unwrap();
        assert_eq!(
            (world.outcome(B), world.outcome(C)),
            (Outcome::Failed(Errno::DeadSrcDst), Outcome::Failed(Errno::DeadSrcDst))
        );
        assert_eq!((world.outcome(D), world.kernel.lookup(A)), (Outcome::Blocked, Some(Slot::of(A))));
    });
}
