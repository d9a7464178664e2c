//! What services may not do.

use crate::kit::*;
use abi::{Endpoint, Errno};
use protocol::assist::Deed;
use protocol::rs::{GetInit, InitDone, Ready};
use suite::{Outcome, check, check_eq};

pub(crate) fn nobody_controls_what_the_policy_does_not_name() -> Outcome {
    check_eq!(down("ds"), Err(Errno::Perm));
    for label in ["vm", "pm"] {
        check_eq!(down(label), Err(Errno::Perm));
        check_eq!(refresh(label), Err(Errno::Perm));
        check_eq!(update(label, ASSIST, sef::state::WORK_FREE), Err(Errno::Perm));
        check_eq!(edit(label, 0), Err(Errno::Perm));
    }
    Ok(())
}

pub(crate) fn what_stands_in_no_policy_is_denied() -> Outcome {
    with(ASSIST, "", |assist| {
        let hello = lookup(HELLO)?;
        let denied = |deed, target| misbehave(assist, deed, target, 1);
        check_eq!(denied(Deed::Send, hello)?, Errno::CallDenied as u32);
        check_eq!(denied(Deed::Flood, hello)?, Errno::CallDenied as u32);
        check_eq!(denied(Deed::Port, hello)?, Errno::Perm as u32);
        check_eq!(denied(Deed::Kernel, hello)?, Errno::CallDenied as u32);
        check_eq!(denied(Deed::Interrupt, hello)?, Errno::Perm as u32);
        check_eq!(denied(Deed::Memory, lookup("vm")?)?, Errno::NoSys as u32);
        check_eq!(denied(Deed::Leak, Endpoint::NONE)?, 0);
        Ok(())
    })
}

pub(crate) fn nobody_else_speaks_for_the_root() -> Outcome {
    let root = sys::whoami()?.root;
    let grant = abi::grant::GrantId::INVALID;
    check_eq!(send(root, &GetInit {}).map(drop), Err(Errno::Perm));
    let done = InitDone { error: 0, reserved: 0, state_grant: grant, state_len: 0 };
    check_eq!(send(root, &done).map(drop), Err(Errno::Perm));
    let ready = Ready { state: 1, error: 0, state_grant: grant, state_len: 0 };
    check_eq!(send(root, &ready).map(drop), Err(Errno::Inval));
    // A request that only looks as if the root had made it is one that the service does not know.
    with(ASSIST, "", |assist| {
        let prepare = protocol::sef::Prepare { state: 1, reserved: 0 };
        check_eq!(send(assist, &prepare).map(drop), Err(Errno::NoSys));
        let signaled = protocol::sef::Signaled { signal: 15, reserved: 0 };
        check_eq!(send(assist, &signaled).map(drop), Err(Errno::NoSys));
        check_eq!(count(assist)?.signals, 0);
        Ok(())
    })
}

pub(crate) fn signals_reach_a_service_once() -> Outcome {
    const HUP: u32 = 1;
    const USR1: u32 = 10;
    with(ASSIST, "", |assist| {
        for signal in [HUP, USR1, USR1] {
            sys::kernel().kill(protocol::kernel::Kill { process: assist, signal })?;
        }
        let mut signals = 0;
        while signals != 1 << HUP | 1 << USR1 {
            signals = count(assist)?.signals;
            check!(signals & !(1 << HUP | 1 << USR1) == 0, "signals are {signals:#x}");
        }
        Ok(())
    })
}
