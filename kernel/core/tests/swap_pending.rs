//! What the slot swap of a live update leaves with the endpoints: what is pending, and how their ids were given out.

use crate::support::*;
use crate::swap::{FORWARD, NEW, test, update};
use abi::{Endpoint, PrivilegeFlags, PrivilegeSpec, Trap};
use kernel_core::{CpuId, Rts};
use protocol::kernel::{Update, UpdateDirection};
use protocol::privctl::{Allow, Disallow, UpdateSys};

const ANY: Endpoint = Endpoint::ANY;

/// Whether whoever runs can receive by the fast path: nothing is pending for it.
fn receives_fast(world: &mut World<'_>, who: Endpoint) -> bool {
    world.run(who);
    world.kernel.fast_receive(&world.machine, CpuId::BOOT, ANY).is_some()
}

#[test]
fn notifications_of_both_stay_with_their_endpoints() {
    test(|world| {
        world.allow_sends(C);
        world.trap(A, notify(B));
        world.trap(C, notify(NEW));
        update(world);
        world.root_does(&Allow { process: NEW });
        for (who, from) in [(B, A), (NEW, C)] {
            world.run(who);
            let now = world.machine.ticks;
            world.trap(who, receive(ANY));
            assert_eq!(world.regs(who), notified(from, now));
            assert_eq!(world.trap(who, receive(ANY)), Outcome::Blocked);
        }
    });
}

#[test]
fn a_program_is_not_held_up_by_what_is_pending_for_the_endpoint_that_it_left() {
    for told in [B, NEW] {
        test(|world| {
            world.allow_sends(A);
            world.trap(A, notify(told));
            update(world);
            world.root_does(&Allow { process: NEW });
            for who in [B, NEW] {
                assert_eq!(receives_fast(world, who), who != told, "{who}, while {told} has been told");
            }
        });
    }
}

#[test]
fn a_new_instance_that_receives_gets_the_notification_that_waits() {
    test(|world| {
        world.root_does(&Allow { process: NEW });
        assert_eq!(world.trap(NEW, receive(ANY)), Outcome::Blocked);
        world.trap(A, notify(B));
        world.root_does(&Disallow { process: B });
        let now = world.machine.ticks;
        world.root_does(&FORWARD);
        assert_eq!(world.regs(B), notified(A, now));
    });
}

#[test]
fn a_new_instance_that_waits_for_an_answer_takes_no_notification_for_it() {
    test(|world| {
        world.root_does(&Allow { process: NEW });
        world.allow_sends(NEW);
        world.trap(NEW, sendrec(C, 1));
        world.trap(C, receive(ANY));
        world.trap(C, notify(B));
        world.root_does(&Disallow { process: B });
        world.root_does(&FORWARD);
        assert!(world.rts(B).contains(Rts::RECEIVING | Rts::REPLY));
        assert_eq!(world.trap(C, sendnb(B, 2)), Outcome::Done);
        assert_eq!(world.regs(B), delivered(C, Trap::SendNb, 2));
    });
}

#[test]
fn flags_move_but_for_how_the_id_was_given_out() {
    let flags = |world: &World<'_>, who| world.kernel.privileges_of(world.process(who).privilege_id()).flags;
    let billable = PrivilegeFlags::PREEMPTIBLE | PrivilegeFlags::BILLABLE;
    let old = PrivilegeFlags::SERVICE | billable;
    let new = PrivilegeFlags::SERVICE | PrivilegeFlags::PREEMPTIBLE;
    for (source, destination) in [(B, NEW), (NEW, B)] {
        test(|world| {
            let spec = PrivilegeSpec { flags: billable.bits(), ..world.spec() };
            world.root_does(&UpdateSys { spec, process: B, reset_ranges: 0 });
            assert_eq!([B, NEW].map(|who| flags(world, who)), [old, new | PrivilegeFlags::DYNAMIC]);
            world.root_does(&Disallow { process: B });
            world.root_does(&Update { source, destination, direction: UpdateDirection::Forward });
            assert_eq!([B, NEW].map(|who| flags(world, who)), [new, old | PrivilegeFlags::DYNAMIC]);
        });
    }
    test(|world| {
        let other = world.new_instance(D, Endpoint::from_raw(FREE.raw() + 1));
        let before = [NEW, other].map(|who| flags(world, who));
        world.root_does(&Update { source: NEW, destination: other, direction: UpdateDirection::Forward });
        assert_eq!([NEW, other].map(|who| flags(world, who)), before, "both are dynamic");
        assert!(before[0].contains(PrivilegeFlags::DYNAMIC));
    });
}
