//! What a program must not do, it cannot.

use crate::kit::{WORDS, called, obedient, order, result};
use abi::{Endpoint, Errno, Kind, Message, PrivilegeFlags, PrivilegeSpec, Trap};
use family::{Board, Child};
use protocol::kernel::{GROUPS, PROTOCOL, Times};
use protocol::privctl::UpdateSys;
use suite::{Outcome, check, check_eq};
use sys::privctl;

/// Every kernel call.
fn all() -> impl Iterator<Item = Kind> {
    let protocols = GROUPS.iter().map(|group| &group.protocol).chain([&PROTOCOL]);
    protocols.flat_map(|p| p.calls.iter().map(move |call| Kind(p.base + call.number)))
}

/// A child tries a kernel call that must be denied, and finds all its registers as they were.
fn denied(child: &Child, kind: Kind) -> Outcome {
    let message = Message { tag: 7, body: WORDS, ..Message::new(Endpoint::SYSTEM, kind) };
    let before = crate::kit::registers(Trap::KernelCall, &message, Endpoint::NONE);
    let count = child.board().get(Board::COUNT);
    order(child, before)?;
    check!(result(child) == Err(Errno::CallDenied), "{kind:?}: {:?}", result(child));
    let after = child.board().registers();
    check_eq!(rt::Registers { rax: before.rax, ..after }, before);
    check_eq!(child.board().get(Board::COUNT), count + 1);
    Ok(())
}

pub(crate) fn whoever_may_make_no_calls_makes_none() -> Outcome {
    let child = obedient(&[])?;
    all().try_for_each(|kind| denied(&child, kind))?;
    child.end()
}

pub(crate) fn whoever_may_make_one_call_makes_that() -> Outcome {
    let child = obedient(&["times"])?;
    let others = all().filter(|kind| *kind != <Times as protocol::Call>::KIND);
    others.into_iter().try_for_each(|kind| denied(&child, kind))?;
    check_eq!(called(&child, &Times {})??.hz, sys::kernel().times(Times {})?.hz);
    child.end()
}

pub(crate) fn what_only_the_root_may_do() -> Outcome {
    let root = sys::lookup("rs").ok_or(Errno::NoEnt)?;
    let clear = |process| sys::kernel().clear(protocol::kernel::Clear { process }).err();
    check_eq!((clear(root), clear(family::me()?)), (Some(Errno::Perm), Some(Errno::Perm)));
    let spec = PrivilegeSpec {
        sends: !0,
        calls: !0,
        flags: 0,
        init_flags: 0,
        traps: 0,
        manager: family::me()?,
        backup: Endpoint::NONE,
        reserved: 0,
    };
    let update = |process, spec| privctl().update_sys(UpdateSys { spec, process, reset_ranges: 0 }).err();
    check_eq!(update(Endpoint::NONE, spec), Some(Errno::Perm));
    // Flags that are not for giving, bits that mean nothing, managers who are nobody.
    let child = obedient(&[])?;
    let bad = [
        PrivilegeSpec { flags: PrivilegeFlags::SERVICE.bits(), ..spec },
        PrivilegeSpec { flags: PrivilegeFlags::ROOT.bits(), ..spec },
        PrivilegeSpec { flags: 1 << 31, ..spec },
        PrivilegeSpec { traps: 1, ..spec },
        PrivilegeSpec { traps: !0, ..spec },
        PrivilegeSpec { manager: Endpoint::NONE, ..spec },
        PrivilegeSpec { manager: Endpoint::ANY, ..spec },
        PrivilegeSpec { manager: child.endpoint.next_generation(), ..spec },
        PrivilegeSpec { backup: Endpoint::SELF, ..spec },
        PrivilegeSpec { backup: child.endpoint.next_generation(), ..spec },
        PrivilegeSpec { reserved: 1, ..spec },
    ];
    for spec in bad {
        check_eq!(update(child.endpoint, spec), Some(Errno::Inval));
    }
    // It can do what it could.
    check_eq!(called(&child, &Times {})?.err(), Some(Errno::CallDenied));
    child.end()
}
