//! Fork and exec.

use crate::kit::{child, obedient, perform, registers, settle, some_message};
use abi::layout::{USER_END, USER_START};
use abi::{Endpoint, Errno, Kind, Message, Trap};
use family::{Board, Child, Home, SEED_KIND, free_slot, me, named_bytes, process_info, programs, seed};
use protocol::kernel::*;
use protocol::privctl::{Allow, DYNAMIC_ID};
use protocol::vmctl::{GetSpaceOf, Settle};
use suite::{Outcome, check, check_eq};
use sys::{kernel, privctl, vmctl};

/// The parent is in SENDREC with the suite, so the child is too; each gets an answer of its own. They live in one space, and
/// only one of them runs at a time.
pub(crate) fn a_child_waits_where_its_parent_waits() -> Outcome {
    let parent = seed()?;
    let child = kernel().fork(Fork { parent, slot: free_slot()? })?.child;
    let info = process_info(child)?;
    check_eq!(sys::name_of(&info.name), "seed*F");
    check_eq!(info.waits_for, me()?);
    let space = vmctl().space_of(GetSpaceOf { process: parent })?.space;
    vmctl().settle(Settle { process: child, reserved: 0, space })?;
    let spec = abi::PrivilegeSpec {
        sends: !0,
        calls: 0,
        flags: 0,
        init_flags: 0,
        traps: abi::TrapMask::SENDREC.bits(),
        manager: me()?,
        backup: Endpoint::NONE,
        reserved: 0,
    };
    privctl().set_sys(protocol::privctl::SetSys { spec, process: child, id: DYNAMIC_ID })?;
    let scheduler = Scheduler::Kernel;
    kernel().schedctl(SchedCtl { process: child, scheduler, priority: KEEP, quantum: KEEP, cpu: KEEP })?;
    privctl().allow(Allow { process: child })?;
    for (who, number) in [(child, 1), (parent, 2), (child, 3)] {
        let answer = Message { body: [number; 7], ..Message::new(who, Kind::OK) };
        rt::send_nb(&answer)?;
        let next = rt::receive(who)?.message;
        check_eq!((next.peer, next.kind, next.body), (who, SEED_KIND, [number; 7]));
    }
    kernel().clear(Clear { process: child })?;
    Ok(())
}

pub(crate) fn forks_that_cannot_be() -> Outcome {
    let parent = seed()?;
    let refused = |parent, slot| kernel().fork(Fork { parent, slot }).err();
    for taken in [0, me()?.raw(), parent.raw(), Endpoint::SLOTS as u32, u32::MAX, 1 << 15] {
        check_eq!(refused(parent, taken), Some(Errno::Inval));
    }
    let waits = obedient(&[])?;
    perform(&waits, Trap::Send, me()?, Endpoint::ANY)?;
    let runs = child(programs::count)?;
    let slot = free_slot()?;
    let free = Endpoint::from_raw(slot);
    for bad in [me()?, runs.endpoint, waits.endpoint, parent.next_generation(), Endpoint::ANY, Endpoint::SELF] {
        check_eq!(refused(bad, slot), Some(Errno::Inval));
    }
    check!([runs.endpoint, waits.endpoint].iter().all(|child| child.slot() != free.slot()), "a slot was taken");
    check_eq!(process_info(free).err(), Some(Errno::Srch));
    runs.end()?;
    waits.end()
}

/// The message that was on its way is dropped, and its sender goes on: it was delivered, to a program that is no more.
pub(crate) fn a_program_that_starts_anew_gets_no_old_message() -> Outcome {
    let child = obedient(&[])?;
    perform(&child, Trap::SendRec, me()?, Endpoint::ANY)?;
    child.exec(programs::obey)?;
    settle()?;
    child.board().set_registers(&registers(Trap::SendNb, &some_message(me()?), Endpoint::NONE));
    // Nothing is there to be received.
    crate::kit::nap(1)?;
    check_eq!(rt::send_nb(&some_message(child.endpoint)), Ok(()));
    settle()?;
    check_eq!(child.board().get(Board::COUNT), 1);
    check_eq!(child.info()?.name, named_bytes("child"));
    child.end()
}

pub(crate) fn programs_that_cannot_start() -> Outcome {
    let child = obedient(&[])?;
    let before = child.info()?;
    let good = Exec {
        name: named_bytes("other"),
        stack: child.home.stack(),
        entry: programs::count as *const () as u64,
        process: child.endpoint,
        reserved: 0,
    };
    let refused = |call: Exec| kernel().exec(call).err();
    for entry in [0, USER_START - 1, USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX] {
        check_eq!(refused(Exec { entry, ..good }), Some(Errno::Inval));
    }
    for stack in [0, USER_START - 1, USER_END + 1, 1 << 47, u64::MAX] {
        check_eq!(refused(Exec { stack, ..good }), Some(Errno::Inval));
    }
    check_eq!(refused(Exec { name: [b'x'; 16], ..good }), Some(Errno::Inval));
    check_eq!(refused(Exec { process: me()?, ..good }), Some(Errno::Busy));
    let after = child.info()?;
    check_eq!((after.name, after.flags, after.waits_for), (before.name, before.flags, before.waits_for));
    child.end()?;
    // Whoever has no space can be given a program, and one that has none does not run.
    let home = Home::make()?;
    let homeless = Child { endpoint: kernel().fork(Fork { parent: seed()?, slot: free_slot()? })?.child, home };
    check_eq!(kernel().exec(Exec { process: homeless.endpoint, ..good }).err(), None);
    homeless.end()
}
