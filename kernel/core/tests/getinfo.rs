//! What the kernel tells about the system.

use crate::support::*;
use abi::boot::{BootEntry, BootFlags};
use abi::{Endpoint, Errno, PRIVILEGES, PrivilegeFlags, PrivilegeId};
use kernel_core::{Rts, SLOTS};
use protocol::getinfo::*;

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

#[test]
fn the_policy_of_the_boot_table_is_told_also_of_the_dead() {
    test(|world| {
        world.kill(C);
        for (index, entry) in world.entries.clone().iter().enumerate() {
            let told = world.call(A, &GetBootPolicy { index: index as u64 }).unwrap();
            assert_eq!((told.sends, told.calls, told.traps), (entry.sends, entry.calls, entry.traps));
            assert_eq!((told.priority, told.flags, told.cpu), (entry.priority.into(), entry.flags, entry.cpu.into()));
            assert_eq!(told.endpoint, Endpoint::new(index, 0).unwrap());
        }
        let root = world.call(A, &GetBootPolicy { index: 4 }).unwrap();
        assert_eq!(root.flags, BootFlags::ROOT.bits());
    });
    for index in [5, 58, 1 << 32, u64::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&GetBootPolicy { index }), Errno::Dom);
    }
}

#[test]
fn a_process_is_told_with_what_it_waits_for() {
    test(|world| {
        world.trap(B, sendrec(C, 1));
        world.trap(D, receive(Endpoint::ANY));
        let told = world.call(A, &GetProcess { slot: 1 }).unwrap();
        assert_eq!(BootEntry::decode_name(&told.name), Some("b"));
        assert_eq!((told.endpoint, told.waits_for, told.scheduler), (B, C, Endpoint::NONE));
        assert_eq!(told.flags, (Rts::SENDING | Rts::RECEIVING | Rts::REPLY).bits());
        assert_eq!(told.privilege_id, PrivilegeId::of_boot_program(1).unwrap().index() as u32);
        assert_eq!((told.priority, told.cpu), (PRIORITY.into(), 0));
        assert_eq!(world.call(A, &GetProcess { slot: 3 }).unwrap().waits_for, Endpoint::ANY);
        assert_eq!(world.call(A, &GetProcess { slot: 0 }).unwrap().waits_for, Endpoint::NONE);
    });
    denied(&four(), |_| {}, A, kernel_call(&GetProcess { slot: 5 }), Errno::Srch);
    for slot in [SLOTS as u64, 1 << 32, u64::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&GetProcess { slot }), Errno::Dom);
    }
}

#[test]
fn privileges_are_told_by_their_ids() {
    test(|world| {
        let id = PrivilegeId::of_boot_program(1).unwrap();
        let told = world.call(A, &GetPrivileges { id: id.index() as u64 }).unwrap();
        assert_eq!((told.owner, told.manager, told.backup), (B, world.root, Endpoint::NONE));
        assert_eq!(told.flags, (PrivilegeFlags::SERVICE | PrivilegeFlags::PREEMPTIBLE).bits());
        let users = world.call(A, &GetPrivileges { id: PrivilegeId::USER.index() as u64 }).unwrap();
        assert_eq!((users.owner, users.calls), (Endpoint::NONE, 0));
        assert_eq!(users.traps, abi::TrapMask::SENDREC.bits(), "users may call, and nothing else");
    });
    for id in [0, 4, 11, 63] {
        denied(&four(), |_| {}, A, kernel_call(&GetPrivileges { id }), Errno::Srch);
    }
    for id in [PRIVILEGES as u64, 1 << 32 | 6, u64::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&GetPrivileges { id }), Errno::Dom);
    }
}

#[test]
fn the_idle_time_is_that_of_a_processor_which_runs() {
    for cpu in [1, 7, 8, u64::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&GetIdleTime { cpu }), Errno::Dom);
    }
    test(|world| assert!(world.call(A, &GetIdleTime { cpu: 0 }).is_ok()));
}
