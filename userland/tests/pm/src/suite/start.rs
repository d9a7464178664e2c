//! The suite as the root system process: it starts the others.

use crate::user::{User, pm};
use abi::boot::BootFlags;
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeId, PrivilegeSpec, TrapMask};
use pm_suite::{FIRST, MEMORY, SERVER, SUITE};
use protocol::getinfo::{BootPolicy, GetBootPolicy};
use protocol::pm::{GetProcessStatus, PidOf, ProcessFlags};
use protocol::privctl::{Allow, SetSys, SetUser, UpdateSys};
use protocol::vm::{Client, SetCalls};
use suite::{Outcome, check, check_eq};
use sys::Ipc;

/// The boot programs, but the suite itself.
fn others() -> impl Iterator<Item = (usize, BootPolicy)> {
    let policy = |place: usize| sys::getinfo().boot_policy(GetBootPolicy { index: place as u64 }).ok();
    let all = (0..).map_while(move |place| Some((place, policy(place)?)));
    all.filter(|(_, policy)| policy.flags & BootFlags::ROOT.bits() == 0)
}

fn spec(policy: &BootPolicy, manager: Endpoint) -> PrivilegeSpec {
    let is_pager = policy.flags & BootFlags::PAGER.bits() != 0;
    let flags = if is_pager { PrivilegeFlags::PAGER } else { PrivilegeFlags::PREEMPTIBLE };
    PrivilegeSpec {
        sends: PrivilegeId::mask_of_boot_programs(policy.sends),
        calls: policy.calls,
        flags: flags.bits(),
        init_flags: 0,
        traps: policy.traps,
        manager,
        backup: Endpoint::NONE,
        reserved: 0,
    }
}

pub(crate) fn memory_server() -> Client<Ipc> {
    Client { to: sys::lookup(MEMORY).unwrap_or(Endpoint::NONE), transport: Ipc::default() }
}

/// Gives all programs their privileges, and lets them run: the memory server first, which loads the others.
fn start_all() -> Result<(), Errno> {
    let me = sys::whoami()?.endpoint;
    let find = |name| sys::lookup(name).ok_or(Errno::NoEnt);
    let (first, server, memory) = (find(FIRST)?, find(SERVER)?, find(MEMORY)?);
    for (place, policy) in others().filter(|(_, policy)| policy.endpoint != first) {
        let id = PrivilegeId::of_boot_program(place).ok_or(Errno::Dom)?.index() as u32;
        sys::privctl().set_sys(SetSys { spec: spec(&policy, me), process: policy.endpoint, id })?;
    }
    for (_, policy) in others() {
        // All users have what stands in the policy of the first one.
        let (process, manager) =
            if policy.endpoint == first { (Endpoint::NONE, server) } else { (policy.endpoint, me) };
        let mut spec = spec(&policy, manager);
        if process == Endpoint::NONE {
            spec.traps = TrapMask::SENDREC.bits();
            spec.flags = (PrivilegeFlags::PREEMPTIBLE | PrivilegeFlags::BILLABLE).bits();
        }
        sys::privctl().update_sys(UpdateSys { spec, process, reset_ranges: 0 })?;
    }
    sys::privctl().allow(Allow { process: memory })?;
    while rt::receive(Endpoint::ANY)?.message.peer != memory {}
    for (_, policy) in others().filter(|(_, policy)| policy.endpoint != memory) {
        let is_user = u32::from(policy.endpoint == first);
        memory_server().set_calls(SetCalls { process: policy.endpoint, is_user, calls: policy.memory })?;
    }
    sys::privctl().set_user(SetUser { process: first })?;
    for (_, policy) in others().filter(|(_, policy)| policy.endpoint != memory) {
        sys::privctl().allow(Allow { process: policy.endpoint })?;
    }
    Ok(())
}

pub(crate) fn the_tree_has_the_first_user_process_as_its_root() -> Outcome {
    start_all()?;
    let first = User::first()?;
    let pid_of = |name| {
        let process = sys::lookup(name).ok_or(Errno::NoEnt)?;
        pm().pid_of(PidOf { process, reserved: 0 })
    };
    let (init, root) = (pid_of(FIRST)?, pid_of(SUITE)?);
    check_eq!((init.pid, init.parent, root.parent), (1, 0, 1));
    for name in [SERVER, MEMORY, "echo"] {
        let service = pid_of(name)?;
        check_eq!((name, service.parent), (name, root.pid));
        check!(service.pid > 1);
    }
    let mut found = 0;
    for slot in 0..Endpoint::SLOTS as u32 {
        match pm().process(GetProcessStatus { slot, reserved: 0 }) {
            Ok(process) => {
                let is_first = process.endpoint == first.endpoint;
                check_eq!((slot, process.flags & ProcessFlags::SERVICE.bits() == 0), (slot, is_first));
                found += 1;
            }
            Err(error) => check_eq!((slot, error), (slot, Errno::Srch)),
        }
    }
    check_eq!(found, 5);
    Ok(())
}
