//! What a message trap is refused for, in which order, and that a refusal changes nothing.

use crate::support::*;
use abi::boot::BootEntry;
use abi::{Endpoint, Errno, Trap, TrapMask};

/// The traps that name a destination.
const TO: [fn(Endpoint) -> Regs; 4] = [|to| send(to, 1), |to| sendrec(to, 1), |to| sendnb(to, 1), notify];
const TO_MASKS: [TrapMask; 4] = [TrapMask::SEND, TrapMask::SENDREC, TrapMask::SENDNB, TrapMask::NOTIFY];
/// The names in the kernel's own range.
const TASKS: [Endpoint; 4] = [Endpoint::HARDWARE, Endpoint::SYSTEM, Endpoint::CLOCK, Endpoint::ASYNCM];

/// Things that a refused trap of A could disturb: B waits for anybody, C for an answer of A, D has notified A.
fn busy(world: &mut World<'_>) {
    world.trap(B, receive(Endpoint::ANY));
    world.trap(C, sendrec(A, 2));
    world.trap(A, receive(C));
    world.trap(D, notify(A));
}

/// Endpoints that name nobody, in a world of four.
fn nobodies() -> impl Iterator<Item = Endpoint> {
    let slots = Endpoint::SLOTS as u32;
    let free = [FREE.raw(), slots - 1];
    let old = [Endpoint::new(B.slot(), 1), Endpoint::new(B.slot(), Endpoint::LAST_GENERATION)];
    // The first of these have the place of a live process in their low bits.
    let beyond = [slots, slots + 1, 2 * slots + 1, Endpoint::NONE.raw() - 2, Endpoint::HARDWARE.raw() - 3];
    let garbage = [u32::MAX, 1 << 31 | 1, 0x8000_0000];
    [Endpoint::NONE, Endpoint::SELF]
        .into_iter()
        .chain(free.into_iter().chain(beyond).chain(garbage).map(Endpoint::from_raw))
        .chain(old.into_iter().flatten())
}

/// Four programs of which A has only these rights.
fn with_rights(traps: TrapMask, sends: u64) -> [BootEntry; 4] {
    let mut programs = four();
    programs[0] = BootEntry { traps: traps.bits(), sends, ..programs[0] };
    programs
}

/// Four programs of which A lacks this trap.
fn without(trap: TrapMask) -> [BootEntry; 4] {
    with_rights(TrapMask::all() - trap, u64::MAX)
}

/// Four programs of which A may only receive what `busy` wants it to.
fn powerless() -> [BootEntry; 4] {
    with_rights(TrapMask::RECEIVE, 0)
}

#[test]
fn an_unknown_trap_is_a_bad_call() {
    let base = u64::from(abi::TRAP_BASE);
    for rax in [0, 1, base, base + 6, base + 9, base + 15, base + 17, Trap::Send.rax() | 1 << 32, u64::MAX] {
        denied(&four(), busy, A, Regs { rax, ..send(B, 1) }, Errno::BadCall);
    }
}

#[test]
fn nobody_sends_to_any() {
    for call in TO {
        denied(&four(), busy, A, call(Endpoint::ANY), Errno::Inval);
        denied(&powerless(), busy, A, call(Endpoint::ANY), Errno::Inval);
    }
}

#[test]
fn a_destination_must_live() {
    for to in nobodies() {
        for call in TO {
            denied(&four(), busy, A, call(to), Errno::DeadSrcDst);
            denied(&powerless(), busy, A, call(to), Errno::DeadSrcDst);
        }
    }
}

#[test]
fn nobody_sends_to_itself_whatever_the_mask_says() {
    for call in TO {
        denied(&four(), busy, A, call(A), Errno::CallDenied);
    }
}

#[test]
fn a_dead_destination_is_nobody() {
    let setup = |world: &mut World<'_>| {
        world.trap(C, sendrec(A, 2));
        world.kill(B);
    };
    for call in TO {
        denied(&four(), setup, A, call(B), Errno::DeadSrcDst);
    }
}

#[test]
fn kernel_tasks_take_no_messages() {
    for task in TASKS {
        for call in TO {
            denied(&four(), busy, A, call(task), Errno::TrapDenied);
            denied(&powerless(), busy, A, call(task), Errno::TrapDenied);
        }
    }
}

#[test]
fn the_send_mask_counts_bit_by_bit_and_before_the_trap_mask() {
    for call in TO {
        denied(&with_rights(TrapMask::all(), !(1 << B.slot())), busy, A, call(B), Errno::CallDenied);
        denied(&powerless(), busy, A, call(B), Errno::CallDenied);
    }
    let (mut table, only_b) = (table(), with_rights(TrapMask::all(), 1 << B.slot()));
    let mut world = World::new(&mut table, &only_b);
    busy(&mut world);
    assert_eq!(world.trap(A, sendnb(B, 1)), Outcome::Done);
}

#[test]
fn the_trap_mask_counts_bit_by_bit() {
    for (call, mask) in TO.into_iter().zip(TO_MASKS) {
        denied(&without(mask), busy, A, call(B), Errno::TrapDenied);
        let (mut table, enough) = (table(), with_rights(mask | TrapMask::RECEIVE, u64::MAX));
        let mut world = World::new(&mut table, &enough);
        busy(&mut world);
        assert!(!matches!(world.trap(A, call(B)), Outcome::Failed(_)), "{mask:?} is enough");
    }
}

#[test]
fn receiving_needs_its_own_traps() {
    let pending = |world: &mut World<'_>| {
        world.trap(D, notify(A));
        world.trap(C, sendrec(A, 2));
    };
    for from in [Endpoint::ANY, B, C, D, Endpoint::CLOCK] {
        denied(&without(TrapMask::RECEIVE), pending, A, receive(from), Errno::TrapDenied);
        denied(&without(TrapMask::REPLY_RECEIVE), busy, A, reply_receive(C, 1, from), Errno::TrapDenied);
    }
}

#[test]
fn a_source_must_live_before_the_trap_mask_counts() {
    let asleep = |world: &mut World<'_>| {
        world.trap(B, receive(Endpoint::ANY));
    };
    for from in nobodies() {
        denied(&four(), busy, A, receive(from), Errno::DeadSrcDst);
        denied(&with_rights(TrapMask::empty(), 0), asleep, A, receive(from), Errno::DeadSrcDst);
        denied(&with_rights(TrapMask::empty(), 0), asleep, A, reply_receive(B, 1, from), Errno::DeadSrcDst);
    }
}

#[test]
fn a_reply_is_not_given_where_nothing_can_be_received() {
    for from in nobodies() {
        denied(&four(), busy, A, reply_receive(C, 1, from), Errno::DeadSrcDst);
    }
    let circle = |world: &mut World<'_>| {
        world.trap(C, sendrec(A, 2));
        world.trap(A, receive(C));
        world.trap(B, receive(D));
        assert_eq!(world.trap(D, receive(A)), Outcome::Blocked);
    };
    for from in [A, B, D] {
        denied(&four(), circle, A, reply_receive(C, 1, from), Errno::Locked);
        denied(&four(), circle, A, reply_receive(B, 1, from), Errno::Locked);
    }
}

#[test]
fn sendnb_needs_somebody_who_waits_for_the_caller() {
    let refuse = |setup: fn(&mut World<'_>)| denied(&four(), setup, A, sendnb(B, 1), Errno::NotReady);
    refuse(|_| {});
    refuse(|world| assert_eq!(world.trap(B, send(C, 2)), Outcome::Blocked));
    refuse(|world| assert_eq!(world.trap(B, receive(C)), Outcome::Blocked));
    refuse(|world| assert_eq!(world.trap(B, receive(Endpoint::CLOCK)), Outcome::Blocked));
    refuse(|world| assert_eq!(world.trap(B, sendrec(C, 2)), Outcome::Blocked));
    refuse(|world| assert_eq!(world.trap(B, sendrec(A, 2)), Outcome::Blocked, "its request has not been taken yet"));
}

#[test]
fn any_may_be_received_from_and_so_may_kernel_tasks() {
    for from in TASKS.into_iter().chain([Endpoint::ANY, B]) {
        let mut table = table();
        let mut world = World::new(&mut table, &four());
        assert_eq!(world.trap(A, receive(from)), Outcome::Blocked, "{from}");
    }
}
