//! The root system process: what it has made of the boot table, and that nobody leads it astray.

use crate::peers::{me, message_from, program};
use abi::boot::BootFlags;
use abi::{Endpoint, Errno, Kind, Message, PrivilegeFlags, PrivilegeId};
use protocol::getinfo::{GetBootPolicy, GetPrivileges, GetProcess};
use suite::{Failure, Outcome, check, check_eq, fail};

const ROOT: &str = "rs";

/// The id that goes with a place in the boot table.
fn static_id(place: usize) -> Result<PrivilegeId, Failure> {
    PrivilegeId::of_boot_program(place).ok_or(Errno::Dom.into())
}

pub(crate) fn everybody_has_the_privileges_of_the_boot_table() -> Outcome {
    let root = program(ROOT)?;
    for (place, program) in sys::boot_programs().enumerate().filter(|(_, program)| program.endpoint != root) {
        let id = static_id(place)?;
        let policy = sys::getinfo().boot_policy(GetBootPolicy { index: place as u64 })?;
        check_eq!(policy.endpoint, program.endpoint);
        check_eq!(policy.flags, 0);
        let process = sys::getinfo().process(GetProcess { slot: place as u64 })?;
        check_eq!((process.name, process.endpoint), (program.name, program.endpoint));
        check_eq!(process.privilege_id, id.index() as u32);
        check_eq!((process.priority, u32::from(process.cpu)), (policy.priority, policy.cpu));
        let privileges = sys::getinfo().privileges(GetPrivileges { id: id.index() as u64 })?;
        check_eq!((privileges.owner, privileges.manager, privileges.backup), (program.endpoint, root, Endpoint::NONE));
        check_eq!((privileges.traps, privileges.calls), (policy.traps, policy.calls));
        // Its own bit is left out.
        check_eq!(privileges.sends, PrivilegeId::mask_of_boot_programs(policy.sends) & !id.bit());
        check_eq!(privileges.flags, (PrivilegeFlags::SERVICE | PrivilegeFlags::PREEMPTIBLE).bits());
    }
    Ok(())
}

pub(crate) fn the_root_system_process_manages_itself() -> Outcome {
    let root = program(ROOT)?;
    let Some(place) = sys::boot_programs().position(|program| program.endpoint == root) else {
        fail!("{ROOT} is no boot program");
    };
    check_eq!(sys::getinfo().boot_policy(GetBootPolicy { index: place as u64 })?.flags, BootFlags::ROOT.bits());
    let privileges = sys::getinfo().privileges(GetPrivileges { id: static_id(place)?.index() as u64 })?;
    check_eq!((privileges.owner, privileges.manager), (root, Endpoint::SELF));
    check_eq!(privileges.flags, (PrivilegeFlags::SERVICE | PrivilegeFlags::PREEMPTIBLE | PrivilegeFlags::ROOT).bits());
    Ok(())
}

pub(crate) fn whoever_has_no_process_has_no_privileges() -> Outcome {
    let programs = sys::boot_programs().count();
    check_eq!(sys::getinfo().boot_policy(GetBootPolicy { index: programs as u64 }).map(drop), Err(Errno::Dom));
    check_eq!(sys::getinfo().process(GetProcess { slot: programs as u64 }).map(drop), Err(Errno::Srch));
    let unused = static_id(programs)?.index() as u64;
    check_eq!(sys::getinfo().privileges(GetPrivileges { id: unused }).map(drop), Err(Errno::Srch));
    Ok(())
}

pub(crate) fn requests_to_the_root_system_process_are_refused() -> Outcome {
    let root = program(ROOT)?;
    for kind in [0, 0x600, 0x7001, 0x7fff] {
        let mut message = Message { tag: kind, ..Message::new(root, Kind(kind)) };
        rt::sendrec(&mut message)?;
        check_eq!((message.peer, message.tag, message.kind), (root, kind, Kind::failed(Errno::NoSys)));
    }
    Ok(())
}

/// Later tests let programs end: it clears up after them all the same.
pub(crate) fn messages_that_want_no_answer_get_none() -> Outcome {
    let root = program(ROOT)?;
    rt::notify(root)?;
    rt::send(&message_from(root, [u64::MAX; 3]))?;
    // One that says it is the kernel's notification of a signal: only the true source counts.
    let body = [0, abi::Signal::MANAGER.bit(), me()?.raw().into(), abi::Signal::KILL.bit(), 0, 0, 0];
    rt::send(&Message { body, ..Message::new(root, Kind::NOTIFY) })?;
    check!(sys::lookup(ROOT) == Some(root), "it has ended");
    requests_to_the_root_system_process_are_refused()
}
