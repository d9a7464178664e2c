//! Services, which the suite has made as the root system process.

use crate::start::memory_server;
use crate::user::{User, pm, unused_pages};
use abi::{Endpoint, Errno};
use protocol::pm::*;
use protocol::vm::GetUsage;
use suite::{Outcome, check, check_eq};

pub(crate) fn services_are_made_and_leave_nothing() -> Outcome {
    const ROUNDS: usize = 40;
    let parent = pm().pid_of(PidOf { process: Endpoint::SELF, reserved: 0 })?.pid;
    let mut before = 0;
    for round in 0..ROUNDS {
        let mut made = [None; 3];
        for place in &mut made {
            let service = pm().srv_fork(SrvFork { uid: 0, gid: 0 })?;
            let found = pm().pid_of(PidOf { process: service.child, reserved: 0 })?;
            check_eq!((found.pid, found.parent), (service.pid, parent));
            let usage = memory_server().usage(GetUsage { process: service.child, reserved: 0 })?;
            check_eq!((usage.pages, usage.resident), (0, 0));
            *place = Some(service.child);
        }
        for process in made.into_iter().flatten() {
            pm().srv_exit(SrvExit { process, reserved: 0 })?;
            check_eq!(pm().srv_exit(SrvExit { process, reserved: 0 }).map(drop), Err(Errno::Srch));
            check!(memory_server().usage(GetUsage { process, reserved: 0 }).is_err());
        }
        let free = unused_pages()?;
        check!(round == 0 || free == before, "round {round}: {free} of {before}");
        before = free;
    }
    Ok(())
}

pub(crate) fn users_do_not_make_services() -> Outcome {
    let mut user = User::first()?;
    let process = sys::lookup("echo").ok_or(Errno::NoEnt)?;
    check_eq!(user.ask(&SrvFork { uid: 0, gid: 0 })?.map(drop), Err(Errno::Perm));
    check_eq!(user.ask(&SrvExit { process, reserved: 0 })?.map(drop), Err(Errno::Perm));
    check_eq!(user.ask(&SrvKill { process, signal: 9 })?.map(drop), Err(Errno::Perm));
    let restart = ExecRestart { process, error: 0, entry: 0, stack: 0 };
    check_eq!(user.ask(&restart)?.map(drop), Err(Errno::Perm));
    let name = abi::boot::BootEntry::encode_name("new").ok_or(Errno::Inval)?;
    check_eq!(user.ask(&ExecNew { process, flags: 0, uid: 0, gid: 0, name })?.map(drop), Err(Errno::Perm));
    check_eq!(user.ask(&PidOf { process, reserved: 0 })?.map(drop), Err(Errno::Perm));
    check_eq!(user.ask(&FilesDone { process, error: 0 })?.map(drop), Err(Errno::Perm));
    check_eq!(user.ask(&SrvIds { process, uid: 0, gid: 0 })?.map(drop), Err(Errno::Perm));
    let mut words = [0; 6];
    for number in [49, 63, 0xff, 0x7000] {
        words[0] = u64::from(PROTOCOL.base) + number;
        check_eq!(user.order(pm_suite::Do::Ask, &words)?.map(drop), Err(Errno::NoSys));
    }
    Ok(())
}

pub(crate) fn a_service_that_exits_as_a_user_is_refused() -> Outcome {
    // The suite is a service. What it would be killed by comes back as an error: nobody kills the root system process.
    let refused = pm().exit(Exit { code: 0, reserved: 0 });
    check_eq!(refused.map(drop), Err(Errno::Perm));
    check_eq!(pm().fork(Fork {}).map(drop), Err(Errno::Perm));
    Ok(())
}
