//! What the id of a service leaves behind for the one that has it next: nothing.

use crate::support::*;
use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::boot::BootEntry;
use abi::{Endpoint, Errno, PrivilegeId, Trap};
use protocol::kernel::Clear;
use protocol::privctl::{Allow, SetSys};

const ANY: Endpoint = Endpoint::ANY;

/// A world in which D waits, so that it can be forked. A may send to some of the four.
fn test(sends: u64, run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut programs = four();
    programs[0] = BootEntry { sends, ..programs[0] };
    let mut world = World::new(&mut table, &programs);
    world.trap(D, receive(ANY));
    run(&mut world);
}

/// Ends a boot program, and gives its id to another process.
fn succeed(world: &mut World<'_>, old: Endpoint) -> Endpoint {
    let id = world.process(old).privilege_id();
    world.root_does(&Clear { process: old });
    let process = world.child(D, FREE);
    world.exec(process).unwrap();
    let spec = world.spec();
    world.root_does(&SetSys { spec, process, id: id.index() as u32 });
    world.root_does(&Allow { process });
    assert_eq!(world.process(process).privilege_id(), id);
    process
}

#[test]
fn rights_to_send_to_it_end_with_its_owner() {
    for sends in [1 << B.slot(), u64::MAX] {
        test(sends, |world| {
            assert_eq!(world.trap(A, sendnb(B, 1)), Outcome::Failed(Errno::NotReady));
            let next = succeed(world, B);
            assert_eq!(world.trap(A, sendnb(next, 1)), Outcome::Failed(Errno::CallDenied), "{sends:#x}");
        });
    }
}

#[test]
fn the_root_may_send_to_whoever_has_it() {
    test(u64::MAX, |world| {
        let id = world.process(B).privilege_id();
        succeed(world, B);
        let root = PrivilegeId::of_boot_program(world.root.slot()).unwrap();
        assert_ne!(world.kernel.privileges_of(root).sends & id.bit(), 0);
    });
}

#[test]
fn notifications_under_it_end_with_its_owner() {
    test(u64::MAX, |world| {
        world.trap(A, notify(B));
        succeed(world, A);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "the next one has told nothing");
    });
}

#[test]
fn messages_of_others_outlive_those_of_its_owner() {
    const TABLE: u64 = MEMORY_START;
    test(u64::MAX, |world| {
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: B, result: 0, message: message(1) };
        for sender in [A, C] {
            world.store(sender, TABLE, &entry);
            assert_eq!(world.trap(sender, senda(TABLE, 1)), Outcome::Done);
        }
        world.trap(A, notify(B));
        world.trap(C, notify(B));
        world.root_does(&Clear { process: A });
        world.run(B);
        let now = world.machine.ticks;
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), notified(C, now));
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(C, Trap::SendA, 1));
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
    });
}
