//! Refusals: each call with one thing wrong. Nothing has changed then.

use crate::bench::{Bench, test};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use abi::{Endpoint, Errno, Message};
use protocol::Call;
use protocol::kernel::{Exec, RunAction, RunCtl};
use protocol::vm::*;
use protocol::vmctl::{Access, Cache};
use vm::USER_CALLS;

const P: u64 = PAGE_SIZE;
const HERE: u64 = 0x40_0000;
const ANONYMOUS: u32 = MapFlags::ANONYMOUS.bits();

/// Nobody: no process ever has this name.
fn nobody() -> Endpoint {
    Endpoint::new(999, 7).unwrap()
}

/// A steward, a service that may not act for others, and a victim, which has some memory.
fn parties(bench: &mut Bench<'_, '_>) -> [Endpoint; 3] {
    let steward = bench.first;
    let victim = bench.child(steward);
    bench.map_at(victim, HERE, 4, Access::Write).unwrap();
    bench.write(victim, HERE, 1).unwrap();
    let service = bench.child(victim);
    bench.does(steward, &SetCalls { process: service, is_user: 0, calls: !FOR_OTHERS });
    [steward, service, victim]
}

fn map(process: Endpoint) -> Map {
    Map { address: HERE, len: P, offset: 0, flags: ANONYMOUS, access: Access::Write, fd: -1, process }
}

/// Calls that concern a process and its memory at [`HERE`], all of them right.
macro_rules! on_behalf {
    ($each:ident, $process:expr) => {{
        let process = $process;
        let (address, len, access) = (HERE, P, Access::Read);
        $each!(map(process));
        $each!(Unmap { address, len, process, reserved: 0 });
        $each!(Protect { address, len, process, access });
        $each!(SetBreak { process, reserved: 0, start: HERE });
        $each!(MapPhysical { physical: 0x1_0000, len, process, access, cache: Cache::Off, reserved: 0 });
        $each!(UnmapPhysical { address, process, reserved: 0 });
        $each!(Sharers { process, reserved: 0, address });
        $each!(GetUsage { process, reserved: 0 });
        $each!(GetRegion { process, reserved: 0, address });
        $each!(Fix { process, write: 0, address, len });
        $each!(Unfix { process, write: 0, address, len });
    }};
}

#[test]
fn who_may_not_act_for_others_is_refused() {
    test(|bench| {
        let [_, service, victim] = parties(bench);
        macro_rules! refused {
            ($call:expr) => {
                bench.is_refused(service, &$call, Errno::Perm)
            };
        }
        on_behalf!(refused, victim);
        on_behalf!(refused, nobody());
        let remap = Remap {
            source: victim,
            process: service,
            source_address: HERE,
            address: 0,
            len: 4 * P,
            access: Access::Read,
            reserved: 0,
        };
        bench.is_refused(service, &remap, Errno::Perm);
        bench.is_refused(service, &Remap { source: service, process: victim, ..remap }, Errno::Perm);
        let uninitialized = ANONYMOUS | MapFlags::UNINITIALIZED.bits();
        bench.is_refused(service, &Map { flags: uninitialized, ..map(service) }, Errno::Perm);
    });
}

#[test]
fn processes_that_are_none_are_told() {
    test(|bench| {
        let [steward, _, victim] = parties(bench);
        macro_rules! refused {
            ($call:expr) => {
                bench.is_refused(steward, &$call, Errno::Srch)
            };
        }
        let stale = Endpoint::new(victim.slot(), victim.generation() + 1).unwrap();
        for process in [nobody(), stale, Endpoint::ANY, Endpoint::NONE, Endpoint::SYSTEM] {
            on_behalf!(refused, process);
            refused!(WillExit { process, reserved: 0 });
            refused!(Exit { process, reserved: 0 });
            refused!(protocol::vm::Clear { process, reserved: 0 });
            refused!(SetCalls { process, is_user: 1, calls: 0 });
            refused!(Pin { process, reserved: 0 });
            refused!(SetLimits { process, reserved: 0, pages: 0, resident: 0 });
            refused!(Fork { parent: process, slot: 90 });
            refused!(Spawn { parent: process, slot: 90 });
            let direction = UpdateDirection::Forward;
            refused!(Update { source: process, destination: victim, flags: 0, direction });
            refused!(Update { source: victim, destination: process, flags: 0, direction });
        }
    });
}

#[test]
fn calls_outside_of_the_mask_do_not_exist() {
    test(|bench| {
        let [steward, service, _] = parties(bench);
        for call in PROTOCOL.calls {
            let bit = 1 << call.number;
            let kind = abi::Kind(PROTOCOL.base + call.number);
            let mut ask = |who| {
                let mut message = Message::new(who, kind);
                let before = bench.vm.describe();
                assert!(crate::heap::served(|| bench.vm.answer(&mut message)));
                assert_eq!((message.kind.status(), message.body), (Some(Err(Errno::NoSys)), [0; 7]), "{}", call.name);
                assert_eq!(bench.vm.describe(), before);
            };
            ask(nobody());
            bench.does(steward, &SetCalls { process: service, is_user: 0, calls: !bit });
            ask_again(bench, service, kind);
            bench.does(steward, &SetCalls { process: service, is_user: 0, calls: FOR_OTHERS });
            ask_again(bench, service, kind);
            if USER_CALLS & bit == 0 {
                bench.does(steward, &SetCalls { process: service, is_user: 1, calls: u64::MAX });
                ask_again(bench, service, kind);
            }
        }
        let child = bench.fork_into(service, 60).unwrap();
        assert_eq!(bench.call(child, &GetMemory {}).map(drop), Ok(()), "the child of a user is one");
        let child = bench.fork_into(steward, 61).unwrap();
        assert_eq!(bench.call(child, &GetMemory {}).map(drop), Err(Errno::NoSys), "that of a service is nothing");
    });
}

fn ask_again(bench: &mut Bench<'_, '_>, who: Endpoint, kind: abi::Kind) {
    let mut message = Message::new(who, kind);
    let before = bench.vm.describe();
    assert!(crate::heap::served(|| bench.vm.answer(&mut message)));
    assert_eq!(message.kind.status(), Some(Err(Errno::NoSys)));
    assert_eq!(bench.vm.describe(), before);
}

#[test]
fn numbers_that_are_no_calls_do_not_exist() {
    test(|bench| {
        let steward = bench.first;
        for number in 0..=u16::MAX {
            let kind = abi::Kind(number);
            let known = PROTOCOL.calls.iter().any(|call| PROTOCOL.base + call.number == number);
            if !known {
                ask_again(bench, steward, kind);
            }
        }
    });
}

#[test]
fn files_need_a_file_server() {
    test(|bench| {
        let who = bench.first;
        bench.is_refused(who, &Map { flags: 0, fd: 3, ..map(who) }, Errno::NoSys);
        let (device, inode) = (1, 1);
        let answer = FileAnswer { request: 1, status: 0, device, inode, size: 0, fd: 0, reserved: 0 };
        bench.is_refused(who, &answer, Errno::Perm);
        let (access, address) = (Access::Read, HERE);
        let file = MapFile { process: who, access, address, len: P, offset: 0, device, inode, fd: 3, clear_end: 0 };
        bench.is_refused(who, &file, Errno::Perm);
    });
}

/// Ranges that are nobody's: address and length.
const BAD_RANGES: [(u64, u64); 9] = [
    (HERE, 0),
    (HERE + 1, P),
    (USER_START - P, P),
    (0, P),
    (USER_END, P),
    (USER_END - P, P + 1),
    (u64::MAX - P + 1, P),
    (HERE, u64::MAX),
    (0xffff_8000_0000_0000, P),
];

#[test]
fn memory_that_no_program_can_have() {
    test(|bench| {
        let [_, _, process] = parties(bench);
        for (address, len) in BAD_RANGES {
            let flags = ANONYMOUS | MapFlags::FIXED.bits();
            bench.is_refused(process, &Map { address, len, flags, ..map(process) }, Errno::Inval);
            bench.is_refused(process, &Unmap { address, len, process, reserved: 0 }, Errno::Inval);
            bench.is_refused(process, &Protect { address, len, process, access: Access::Read }, Errno::Inval);
            let (source, access) = (process, Access::Read);
            let remap = Remap { source, process, source_address: address, address: 0, len, access, reserved: 0 };
            bench.is_refused(bench.first, &remap, Errno::Inval);
        }
        for start in [0, USER_START - 1, USER_END, u64::MAX] {
            bench.is_refused(process, &SetBreak { process, reserved: 0, start }, Errno::Inval);
        }
        bench.is_refused(process, &Map { len: u64::MAX, ..map(process) }, Errno::NoMem);
        bench.is_refused(process, &Map { len: 1 << 47, address: 0, ..map(process) }, Errno::NoMem);
        bench.is_refused(process, &Map { address: HERE + 8, ..map(process) }, Errno::Inval);
    });
}

#[test]
fn flags_that_contradict_or_are_none() {
    use MapFlags as F;
    test(|bench| {
        let [steward, _, _] = parties(bench);
        let all = (0..u32::BITS).map(|bit| 1 << bit).filter(|bit| F::from_bits(*bit).is_none());
        for bits in all {
            bench.is_refused(steward, &Map { flags: ANONYMOUS | bits, ..map(steward) }, Errno::Inval);
        }
        for flags in [
            F::CONTIGUOUS,
            F::LOW_16M,
            F::LOW_1M | F::PREALLOCATED,
            F::ALIGNED_64K,
            F::CONTIGUOUS | F::PREALLOCATED | F::SHARED,
        ] {
            bench.is_refused(steward, &Map { flags: ANONYMOUS | flags.bits(), ..map(steward) }, Errno::Inval);
        }
        bench.is_refused(steward, &Map { fd: 0, ..map(steward) }, Errno::Inval);
        bench.is_refused(steward, &Map { fd: -2, ..map(steward) }, Errno::Inval);
        bench.is_refused(steward, &Map { offset: P, ..map(steward) }, Errno::Inval);
        let low = ANONYMOUS | (F::CONTIGUOUS | F::PREALLOCATED | F::LOW_1M).bits();
        bench.is_refused(steward, &Map { len: 300 * P, flags: low, ..map(steward) }, Errno::NoMem);
    });
}

#[test]
fn bytes_that_are_no_values() {
    test(|bench| {
        let [steward, _, _] = parties(bench);
        let mut message = Message { peer: steward, ..protocol::encode(Map::KIND, &map(steward)) };
        // The access follows the flags.
        message.body[3] |= 9 << 32;
        let before = bench.vm.describe();
        assert!(crate::heap::served(|| bench.vm.answer(&mut message)));
        assert_eq!((message.kind.status(), bench.vm.describe()), (Some(Err(Errno::Inval)), before));
    });
}

#[test]
fn forks_that_cannot_be() {
    test(|bench| {
        let [steward, service, victim] = parties(bench);
        for slot in [service.slot() as u32, victim.slot() as u32, 1024, u32::MAX, 0] {
            bench.is_refused(steward, &Fork { parent: victim, slot }, Errno::Inval);
            bench.is_refused(steward, &Spawn { parent: victim, slot }, Errno::Inval);
        }
        // It gets another program, and waits no more.
        let mut system = bench.system.borrow_mut();
        system.root_does(&RunCtl { process: victim, action: RunAction::Stop });
        let name = abi::boot::BootEntry::encode_name("new").unwrap();
        system.root_does(&Exec { name, stack: USER_START + P, entry: USER_START, process: victim, reserved: 0 });
        drop(system);
        bench.is_refused(steward, &Fork { parent: victim, slot: 90 }, Errno::Inval);
        bench.is_refused(steward, &Spawn { parent: victim, slot: 90 }, Errno::Inval);
    });
}

#[test]
fn ends_in_the_wrong_order() {
    test(|bench| {
        let [steward, service, victim] = parties(bench);
        bench.is_refused(steward, &Exit { process: victim, reserved: 0 }, Errno::Inval);
        bench.does(steward, &WillExit { process: victim, reserved: 0 });
        bench.is_refused(
            steward,
            &Update { source: victim, destination: service, flags: 0, direction: UpdateDirection::Forward },
            Errno::Inval,
        );
        bench.does(steward, &Exit { process: victim, reserved: 0 });
        bench.is_refused(steward, &Exit { process: victim, reserved: 0 }, Errno::Srch);
    });
}

#[test]
fn remaps_that_are_no_whole_region() {
    test(|bench| {
        let [steward, service, victim] = parties(bench);
        let remap = Remap {
            source: victim,
            process: service,
            source_address: HERE,
            address: 0,
            len: 4 * P,
            access: Access::Write,
            reserved: 0,
        };
        bench.is_refused(steward, &Remap { len: 3 * P, ..remap }, Errno::Fault);
        bench.is_refused(steward, &Remap { len: 5 * P, ..remap }, Errno::Fault);
        bench.is_refused(steward, &Remap { source_address: HERE + P, len: 3 * P, ..remap }, Errno::Inval);
        bench.is_refused(steward, &Remap { source_address: HERE - P, ..remap }, Errno::Inval);
        bench.is_refused(steward, &Remap { access: Access::Execute, ..remap }, Errno::Perm);
        bench.is_refused(steward, &Remap { address: HERE, ..remap }, Errno::Exist);
        bench.is_refused(steward, &Remap { address: USER_END - P, ..remap }, Errno::Inval);
        bench.is_refused(steward, &Remap { address: HERE + 1, ..remap }, Errno::Inval);
        bench.does(steward, &SetLimits { process: service, reserved: 0, pages: 7, resident: UNLIMITED });
        bench.is_refused(steward, &remap, Errno::NoMem);
        bench.does(steward, &Protect { address: HERE, len: 4 * P, process: victim, access: Access::Read });
        bench.is_refused(steward, &remap, Errno::Perm);
    });
}

#[test]
fn marks_that_are_neither_yes_nor_no() {
    test(|bench| {
        let [steward, _, process] = parties(bench);
        let (address, len) = (HERE, P);
        bench.is_refused(steward, &SetCalls { process, is_user: 2, calls: 0 }, Errno::Inval);
        bench.is_refused(steward, &Fix { process, write: 2, address, len }, Errno::Inval);
        bench.is_refused(steward, &Unfix { process, write: 2, address, len }, Errno::Inval);
        for flags in [1, u32::MAX] {
            let direction = UpdateDirection::Forward;
            bench.is_refused(
                steward,
                &Update { source: process, destination: steward, flags, direction },
                Errno::Inval,
            );
        }
    });
}

#[test]
fn ranges_that_cannot_be_fixed() {
    test(|bench| {
        let [steward, _, process] = parties(bench);
        let fix = Fix { process, write: 1, address: HERE, len: P };
        for (address, len, error) in [
            (HERE, 0, Errno::Inval),
            (u64::MAX, 2, Errno::Inval),
            (HERE - 1, 2, Errno::Fault),
            (HERE + 4 * P - 1, 2, Errno::Fault),
            (u64::MAX - P, P, Errno::Fault),
        ] {
            bench.is_refused(steward, &Fix { address, len, ..fix }, error);
        }
        bench.does(process, &Protect { address: HERE, len: P, process, access: Access::Read });
        bench.is_refused(steward, &fix, Errno::Fault);
        for (write, address, len) in [(0, HERE, P), (1, HERE + P, P), (1, HERE, 2 * P)] {
            bench.is_refused(steward, &Unfix { process, write, address, len }, Errno::Inval);
        }
    });
}
