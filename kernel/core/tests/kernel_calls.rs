//! The kernel calls.

use crate::support::*;
use abi::boot::{BootEntry, MAX_PROGRAMS};
use abi::{Endpoint, Errno, Kind, Message};
use kernel_core::{Action, CpuId};
use protocol::Protocol;
use protocol::kernel::{
    Abort, AbortHow, BootProgram, DiagWrite, DiagWritten, Exit, GROUPS, GetBootEntry, Identity, MAX_DIAG, PROTOCOL,
    Times, Uptime, WhoAmI,
};

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

/// The kinds of all kernel calls.
fn known() -> impl Iterator<Item = u16> {
    let protocols = GROUPS.iter().map(|group| group.protocol).chain([PROTOCOL]);
    protocols.flat_map(|p: Protocol| p.calls.iter().map(move |call| p.base + call.number))
}

/// Somebody waits in each of the ways, so that a refused call could disturb something.
fn busy(world: &mut World<'_>) {
    world.trap(B, send(A, 1));
    world.trap(C, receive(Endpoint::ANY));
    world.trap(D, notify(A));
}

#[test]
fn an_unknown_number_is_a_bad_request() {
    let of_kind = |kind| kernel_call_raw(&Message::new(Endpoint::SYSTEM, Kind(kind)));
    // Those around the known ones, and a few of all the others.
    let base = PROTOCOL.base;
    let tried = (base - 0x100..base + 0x200).chain((0..=u16::MAX).step_by(61));
    test(|world| {
        for kind in tried.filter(|kind| !known().any(|k| k == *kind)) {
            assert_eq!(world.trap(A, of_kind(kind)), Outcome::Failed(Errno::BadRequest), "{kind:#x}");
        }
    });
    let mut programs = four();
    programs[0].calls = 0;
    for kind in [0, 25, base + 4, base + 5, base + 63, base + 64, base + 64 + 25, Kind::NOTIFY.0, Kind::OK.0, u16::MAX]
    {
        denied(&four(), busy, A, of_kind(kind), Errno::BadRequest);
        denied(&programs, busy, A, of_kind(kind), Errno::BadRequest);
    }
}

#[test]
fn the_call_mask_counts_bit_by_bit_and_before_the_arguments() {
    let mut programs = four();
    for kind in known().map(Kind) {
        programs[0].calls = !protocol::kernel::right(kind).unwrap();
        let message = Message { body: [u64::MAX; 7], ..Message::new(Endpoint::SYSTEM, kind) };
        denied(&programs, busy, A, kernel_call_raw(&message), Errno::CallDenied);
    }
    programs[0] = BootEntry { calls: 1 << 25, traps: 0, sends: 0, ..programs[0] };
    let mut table = table();
    let mut world = World::new(&mut table, &programs);
    assert_eq!(world.trap(A, kernel_call(&Times {})), Outcome::Done, "no other right is needed");
}

#[test]
fn times_tells_ticks_and_their_rate() {
    test(|world| {
        world.tick(3);
        world.trap(A, kernel_call(&Times {}));
        let uptime = Uptime { ticks: world.machine.ticks, hz: TestMachine::HZ };
        assert_eq!(world.regs(A), kernel_answer::<Times>(&uptime));
    });
}

#[test]
fn whoami_tells_name_and_endpoint() {
    test(|world| {
        for (who, name) in [(A, "a"), (B, "b")] {
            world.trap(who, kernel_call(&WhoAmI {}));
            let name = BootEntry::encode_name(name).unwrap();
            let identity = Identity { name, endpoint: who, root: world.root };
            assert_eq!(world.regs(who), kernel_answer::<WhoAmI>(&identity));
        }
    });
}

#[test]
fn boot_entry_tells_the_programs_in_their_order_also_the_dead() {
    test(|world| {
        world.kill(C);
        for (index, name) in ["a", "b", "c", "d", "root"].into_iter().enumerate() {
            world.trap(A, kernel_call(&GetBootEntry { index: index as u64 }));
            let name = BootEntry::encode_name(name).unwrap();
            let program = BootProgram { name, endpoint: Endpoint::new(index, 0).unwrap(), reserved: 0 };
            assert_eq!(world.regs(A), kernel_answer::<GetBootEntry>(&program));
        }
    });
    for index in [5, 6, MAX_PROGRAMS as u64, 1 << 32, u64::MAX] {
        denied(&four(), busy, A, kernel_call(&GetBootEntry { index }), Errno::Dom);
    }
}

#[test]
fn abort_says_how_and_changes_nothing() {
    test(|world| {
        for how in [AbortHow::Halt, AbortHow::Reset, AbortHow::Leave] {
            let call = kernel_call(&Abort { how, status: 0x21 });
            let me = world.kernel.cpu(CpuId::BOOT).current().unwrap();
            world.kernel.process_mut(me).frame = call;
            let before = world.snapshot();
            assert_eq!(world.act(call), Action::Abort { how, status: 0x21 });
            assert_eq!(world.snapshot(), before);
        }
    });
}

#[test]
fn abort_takes_no_way_that_does_not_exist() {
    for how in [3, 4, 0x100, u32::MAX] {
        let abort = kernel_call(&Abort { how: AbortHow::Halt, status: 0 });
        let mut bad = abort;
        bad.body[0] = how.into();
        denied(&four(), busy, A, bad, Errno::Inval);
    }
}

#[test]
fn exit_ends_the_caller() {
    test(|world| {
        for status in [0, u64::MAX] {
            let who = world.running().unwrap();
            assert_eq!(world.trap(who, kernel_call(&Exit { status })), Outcome::Ended);
        }
        assert_eq!(world.machine.lines, ["a exited, status 0", &format!("b exited, status {}", u64::MAX)]);
        assert_eq!(world.deserted(), [0, 1]);
    });
}

#[test]
fn diag_write_logs_what_stands_in_the_callers_own_memory() {
    let whole = (MEMORY_START, MAX_DIAG);
    let end = (MEMORY_START + MEMORY as u64 - 1, 1);
    for (address, len) in [whole, end, (MEMORY_START + 5, 7)] {
        test(|world| {
            let call = kernel_call(&DiagWrite { address, len: len as u64 });
            for (who, name) in [(A, "a"), (B, "b")] {
                world.trap(who, call);
                assert_eq!(world.regs(who), kernel_answer::<DiagWrite>(&DiagWritten {}));
                let text = bytes(who.slot(), address, len).unwrap();
                assert_eq!(world.machine.texts.pop(), Some((name.to_string(), text)));
            }
            assert!(world.machine.lines.is_empty());
        });
    }
}

#[test]
fn diag_write_refuses_lengths_and_addresses() {
    let refuse = |address, len, errno| denied(&four(), busy, A, kernel_call(&DiagWrite { address, len }), errno);
    let most = MAX_DIAG as u64;
    let end = MEMORY_START + MEMORY as u64;
    for len in [0, most + 1, 1 << 32 | 1, u64::MAX] {
        refuse(MEMORY_START, len, Errno::Inval);
        refuse(0, len, Errno::Inval);
    }
    for (address, len) in
        [(0, 1), (MEMORY_START - 1, 2), (end - 1, 2), (end, 1), (end - most + 1, most), (u64::MAX, 1), (u64::MAX, most)]
    {
        refuse(address, len, Errno::Fault);
    }
}
