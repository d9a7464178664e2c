//! Each kernel call that takes an endpoint, with endpoints that name nobody.

use crate::support::*;
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use protocol::getinfo::GetCpuTime;
use protocol::kernel::*;
use protocol::privctl::*;
use protocol::trace;
use protocol::vmctl::{Access, AnswerRequest, ClearPageFault, GetSpaceOf, Settle, SupplyCopy, SupplyPage};

/// Whether a call takes [`Endpoint::SELF`].
#[derive(Clone, Copy, PartialEq)]
enum OfSelf {
    Taken,
    Refused,
}

use OfSelf::{Refused, Taken};

/// Every such call about this process, otherwise with arguments that are good.
fn calls(process: Endpoint) -> Vec<(OfSelf, Regs)> {
    let name = abi::boot::BootEntry::encode_name("new").unwrap();
    let spec = spec_of(&program("any"), A);
    let (priority, quantum, cpu) = (KEEP, KEEP, KEEP);
    let direction = UpdateDirection::Forward;
    let stop = RunAction::Stop;
    let scheduler = Scheduler::Caller;
    let (start, len, address) = (0, 1, MEMORY_START);
    let grant = GrantId::from_raw(0);
    vec![
        (Refused, kernel_call(&Fork { parent: process, slot: FREE.raw() })),
        (Refused, kernel_call(&Exec { name, stack: STACK, entry: ENTRY, process, reserved: 0 })),
        (Refused, kernel_call(&Clear { process })),
        (Refused, kernel_call(&Schedule { process, priority, quantum, cpu })),
        (Refused, kernel_call(&Kill { process, signal: 10 })),
        (Refused, kernel_call(&EndKSig { process })),
        (Refused, kernel_call(&SigSend { handler: ENTRY, trampoline: ENTRY, mask: 0, process, signal: 10 })),
        (Refused, kernel_call(&SigReturn { process, reserved: 0, frame: address })),
        (Taken, kernel_call(&MemSet { process, byte: 0, address, len })),
        (Taken, kernel_call(&VirCopy { source: process, destination: B, from: address, to: address, len, flags: 0 })),
        (Taken, kernel_call(&VirCopy { source: B, destination: process, from: address, to: address, len, flags: 0 })),
        (Refused, kernel_call(&SafeCopyFrom { granter: process, reserved: 0, grant, offset: 0, address, len })),
        (Refused, kernel_call(&SafeCopyTo { granter: process, reserved: 0, grant, offset: 0, address, len })),
        (Refused, kernel_call(&SafeMemSet { granter: process, byte: 0, grant, offset: 0, len })),
        (Refused, kernel_call(&SafeMap { granter: process, write: 0, grant, offset: 0, address, len })),
        (Refused, kernel_call(&RunCtl { process, action: stop })),
        (Refused, kernel_call(&Update { source: process, destination: B, direction })),
        (Refused, kernel_call(&Update { source: B, destination: process, direction })),
        (Refused, kernel_call(&SchedCtl { process, scheduler, priority, quantum, cpu })),
        (Taken, kernel_call(&Allow { process })),
        (Taken, kernel_call(&Disallow { process })),
        (Taken, kernel_call(&SetSys { spec, process, id: DYNAMIC_ID })),
        (Taken, kernel_call(&SetUser { process })),
        (Taken, kernel_call(&AddIo { process, first: 0, last: 1 })),
        (Taken, kernel_call(&AddMemory { process, reserved: 0, start, len })),
        (Taken, kernel_call(&AddIrq { process, line: 1 })),
        (Taken, kernel_call(&QueryMemory { process, reserved: 0, start, len })),
        (Taken, kernel_call(&YieldTo { process })),
        (Taken, kernel_call(&ClearRefs { process })),
        (Taken, kernel_call(&GetCpuTime { process })),
        (Refused, kernel_call(&Settle { process, reserved: 0, space: 0 })),
        (Refused, kernel_call(&ClearPageFault { process })),
        (Refused, kernel_call(&AnswerRequest { process, available: 1 })),
        (Refused, kernel_call(&SupplyPage { process, access: Access::Write, address, frame: 0 })),
        (Refused, kernel_call(&SupplyCopy { process, access: Access::Write, address, frame: 0 })),
        (Refused, kernel_call(&GetSpaceOf { process })),
        (Refused, kernel_call(&trace::Stop { process })),
        (Refused, kernel_call(&trace::Resume { process })),
        (Refused, kernel_call(&trace::Detach { process })),
        (Refused, kernel_call(&trace::Step { process })),
        (Refused, kernel_call(&trace::UntilTrap { process })),
        (Refused, kernel_call(&trace::Peek { process, len: 1, address })),
        (Refused, kernel_call(&trace::Poke { process, len: 1, address, bytes: [0; 40] })),
        (Refused, kernel_call(&trace::GetRegister { process, index: 0 })),
        (Refused, kernel_call(&trace::SetRegister { process, index: 0, value: 0 })),
    ]
}

/// Endpoints that name no process.
const NOBODY: [Endpoint; 14] = [
    FREE,
    Endpoint::from_raw(1023),
    Endpoint::from_raw(1024),
    Endpoint::from_raw(1024 + 1),
    B.next_generation(),
    Endpoint::from_raw(Endpoint::LAST_GENERATION << 15 | 1),
    Endpoint::from_raw(u32::MAX),
    Endpoint::from_raw(1 << 31 | 1),
    Endpoint::ANY,
    Endpoint::NONE,
    Endpoint::HARDWARE,
    Endpoint::SYSTEM,
    Endpoint::CLOCK,
    Endpoint::ASYNCM,
];

/// Something is going on that a refused call could disturb.
fn busy(world: &mut World<'_>) {
    world.trap(B, send(A, 1));
    world.trap(C, receive(Endpoint::ANY));
    world.trap(D, notify(A));
}

#[test]
fn nobody_is_an_invalid_argument_of_every_call() {
    for process in NOBODY {
        for (_, call) in calls(process) {
            denied(&four(), busy, A, call, Errno::Inval);
        }
    }
}

#[test]
fn self_is_an_invalid_argument_where_it_is_not_taken() {
    for (of_self, call) in calls(Endpoint::SELF) {
        if of_self == Refused {
            denied(&four(), busy, A, call, Errno::Inval);
        }
    }
}

#[test]
fn self_is_the_caller_where_it_is_taken() {
    for ((of_self, by_self), (_, by_name)) in calls(Endpoint::SELF).into_iter().zip(calls(A)) {
        if of_self == Taken {
            let (mut one, mut other) = (table(), table());
            let (mut one, mut other) = (World::new(&mut one, &four()), World::new(&mut other, &four()));
            busy(&mut one);
            busy(&mut other);
            assert_eq!(one.trap(A, by_self), other.trap(A, by_name), "{by_self:x?}");
            assert_eq!(one.snapshot().without_registers(), other.snapshot().without_registers(), "{by_self:x?}");
        }
    }
}

/// So that no call with an endpoint is forgotten above.
#[test]
fn the_list_has_every_call_that_takes_an_endpoint() {
    let groups = protocol::kernel::GROUPS.iter().map(|group| group.protocol).chain([protocol::kernel::PROTOCOL]);
    let named: Vec<_> = calls(A).into_iter().map(|(_, call)| call.rsi as u16).collect();
    for protocol in groups {
        for call in protocol.calls {
            let kind = protocol.base + call.number;
            // These give NONE a meaning: see the tests of privileges and of copies.
            let special = ["privctl.update_sys", "kernel.physcopy"].contains(&call.name);
            let takes = call.request.contains("Endpoint");
            assert_eq!(named.contains(&kind), takes && !special, "{}: {}", call.name, call.request);
        }
    }
}

#[test]
fn privileges_of_nobody_are_not_updated() {
    for process in NOBODY.into_iter().filter(|process| *process != Endpoint::NONE) {
        let call = UpdateSys { spec: spec_of(&program("any"), A), process, reset_ranges: 1 };
        denied(&four(), busy, A, kernel_call(&call), Errno::Inval);
    }
}
