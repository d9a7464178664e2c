//! What the kernel tells about the system.

use crate::kit::{child, nap, obedient};
use abi::{Endpoint, Errno, PRIVILEGES, PrivilegeFlags};
use family::{Board, RUNS, me, named_bytes, programs};
use protocol::getinfo::*;
use protocol::kernel::SetTime;
use suite::{Outcome, check, check_eq};
use sys::{getinfo, kernel};

pub(crate) fn the_machine_is_told() -> Outcome {
    let machine = getinfo().machine(GetMachine {})?;
    check!(machine.cpus >= 1 && machine.cpus <= abi::boot::MAX_CPUS as u64, "{machine:?}");
    check!(machine.hz > 0 && machine.uptime <= sys::ticks()?, "{machine:?}");
    for cpu in 0..machine.cpus {
        let time = getinfo().idle_time(GetIdleTime { cpu })?;
        check!(time.idle <= time.total, "{time:?}");
    }
    for cpu in [machine.cpus, 64, 1 << 32, u64::MAX] {
        check_eq!(getinfo().idle_time(GetIdleTime { cpu }).err(), Some(Errno::Dom));
    }
    // While nobody has anything to do, the first processor is idle.
    let before = getinfo().idle_time(GetIdleTime { cpu: 0 })?;
    nap(3)?;
    let after = getinfo().idle_time(GetIdleTime { cpu: 0 })?;
    check!(after.idle > before.idle && after.total > before.total, "{before:?}, {after:?}");
    Ok(())
}

pub(crate) fn processes_are_told() -> Outcome {
    let waits = obedient(&["times", "whoami"])?;
    let hog = child(programs::count)?;
    let info = hog.info()?;
    check_eq!((info.name, info.flags, info.waits_for), (named_bytes("child"), RUNS, Endpoint::NONE));
    check_eq!((info.scheduler, info.cpu, info.priority), (Endpoint::NONE, 0, 7));
    let before = getinfo().cpu_time(GetCpuTime { process: hog.endpoint })?;
    nap(5)?;
    let after = getinfo().cpu_time(GetCpuTime { process: hog.endpoint })?;
    check!(after.user > before.user && after.cycles > before.cycles, "{before:?}, {after:?}");
    hog.end()?;
    let info = waits.info()?;
    check_eq!(info.waits_for, me()?);
    let own = getinfo().privileges(GetPrivileges { id: info.privilege_id.into() })?;
    check_eq!((own.owner, own.manager, own.backup), (waits.endpoint, me()?, Endpoint::NONE));
    check_eq!(own.calls, family::kernel_calls(&["times", "whoami"]));
    check_eq!(own.flags, (PrivilegeFlags::SERVICE | PrivilegeFlags::PREEMPTIBLE | PrivilegeFlags::DYNAMIC).bits());
    check_eq!(waits.board().get(Board::COUNT), 0);
    waits.end()?;
    check_eq!(getinfo().privileges(GetPrivileges { id: info.privilege_id.into() }).err(), Some(Errno::Srch));
    for id in [PRIVILEGES as u64, 1 << 32, u64::MAX] {
        check_eq!(getinfo().privileges(GetPrivileges { id }).err(), Some(Errno::Dom));
    }
    for slot in [Endpoint::SLOTS as u64, 1 << 32, u64::MAX] {
        check_eq!(getinfo().process(GetProcess { slot }).err(), Some(Errno::Dom));
    }
    Ok(())
}

pub(crate) fn the_time_of_day_is_kept() -> Outcome {
    const DAY: u64 = 1_900_000_000;
    let set = |seconds, nanoseconds| kernel().settime(SetTime { seconds, nanoseconds, reserved: 0 }).err();
    check_eq!(getinfo().machine(GetMachine {})?.boot_time, 0);
    check_eq!((set(DAY, 1_000_000_000), set(DAY, u32::MAX)), (Some(Errno::Inval), Some(Errno::Inval)));
    check_eq!(getinfo().machine(GetMachine {})?.boot_time, 0);
    check_eq!(set(DAY, 999_999_999), None);
    let machine = getinfo().machine(GetMachine {})?;
    let now = machine.boot_time + machine.uptime / machine.hz;
    check!((DAY..DAY + 60).contains(&now), "it is {now}");
    Ok(())
}
