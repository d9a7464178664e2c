//! What each trap and kernel call can answer, for those who check that all of it comes up.

use abi::Errno::{
    self, BadCall, BadCpu, BadRequest, Busy, CallDenied, DeadSrcDst, Dom, Exist, Fault, Inval, Locked, Loop, NoEnt,
    NoMem, NoSpc, NotReady, Perm, Srch, TooBig, TrapDenied,
};

/// A trap or a call by its name, and its errors besides those that every call has.
pub type Documented = (&'static str, &'static [Errno]);

/// An error that does not come up, and why.
pub type Unreachable = (&'static str, Errno, &'static str);

/// The traps.
pub const TRAPS: &[Documented] = &[
    ("SEND", &[Inval, DeadSrcDst, CallDenied, TrapDenied, Locked]),
    ("RECEIVE", &[DeadSrcDst, TrapDenied, Locked]),
    ("SENDREC", &[Inval, DeadSrcDst, CallDenied, TrapDenied, Locked]),
    ("NOTIFY", &[Inval, DeadSrcDst, CallDenied, TrapDenied, NotReady]),
    ("SENDNB", &[Inval, DeadSrcDst, CallDenied, TrapDenied, NotReady]),
    ("REPLY_RECEIVE", &[DeadSrcDst, TrapDenied, Locked]),
    ("SENDA", &[Perm, Dom, TrapDenied]),
    ("no trap", &[BadCall]),
    ("no call", &[BadRequest]),
];

/// The kernel calls. Each fails with `ECALLDENIED` too.
pub const DOCUMENTED: &[Documented] = &[
    ("kernel.fork", &[Inval]),
    ("kernel.exec", &[Inval, Busy]),
    ("kernel.clear", &[Perm, Inval]),
    ("kernel.schedule", &[Perm, Inval, BadCpu]),
    ("kernel.kill", &[Perm, Inval]),
    ("kernel.getksig", &[]),
    ("kernel.endksig", &[Perm, Inval]),
    ("kernel.sigsend", &[Busy, Fault, Inval]),
    ("kernel.sigreturn", &[Busy, Fault, Inval]),
    ("kernel.memset", &[Fault, Inval]),
    ("kernel.umap", &[Fault, Inval]),
    ("kernel.vircopy", &[Perm, Inval, Dom, Fault]),
    ("kernel.physcopy", &[Perm, Inval, Dom, Fault]),
    ("kernel.safecopyfrom", &[Perm, Inval, Dom, Fault, Loop, NotReady]),
    ("kernel.safecopyto", &[Perm, Inval, Dom, Fault, Loop, NotReady]),
    ("kernel.vsafecopy", &[Perm, Inval, Dom, Fault, Loop, NotReady]),
    ("kernel.setgrant", &[Perm, Inval]),
    ("kernel.safemap", &[Perm, Inval, Fault, Loop, NotReady, Busy, NoSpc]),
    ("kernel.saferevmap", &[]),
    ("kernel.safeunmap", &[Inval]),
    ("kernel.saferevmap_at", &[]),
    ("kernel.safememset", &[Perm, Inval, Dom, Fault, Loop, NotReady]),
    ("kernel.devio", &[Perm, Inval]),
    ("kernel.sdevio", &[Perm, Inval, Fault]),
    ("kernel.vdevio", &[Perm, Inval, Fault, TooBig]),
    ("kernel.setalarm", &[Perm]),
    ("kernel.times", &[]),
    ("kernel.boot_entry", &[Dom]),
    ("kernel.abort", &[Inval]),
    ("kernel.whoami", &[]),
    ("kernel.settime", &[Inval]),
    ("kernel.diag_write", &[Inval, Fault]),
    ("kernel.runctl", &[Busy, Inval]),
    ("kernel.update", &[Perm, Busy, NoMem, Inval]),
    ("kernel.exit", &[]),
    ("kernel.schedctl", &[Inval, BadCpu]),
    ("privctl.allow", &[Perm, Inval]),
    ("privctl.disallow", &[Perm, Inval]),
    ("privctl.set_sys", &[Perm, Inval, Busy, NoSpc]),
    ("privctl.set_user", &[Perm, Inval]),
    ("privctl.add_io", &[Perm, Inval, NoMem]),
    ("privctl.add_memory", &[Perm, Inval, NoMem]),
    ("privctl.add_irq", &[Perm, Inval, NoMem]),
    ("privctl.query_memory", &[Perm, Inval]),
    ("privctl.update_sys", &[Perm, Inval]),
    ("privctl.yield_to", &[Perm, Inval]),
    ("privctl.clear_ipc_refs", &[Perm, Inval]),
    ("irqctl.set_policy", &[Perm, Inval, NoSpc]),
    ("irqctl.remove_policy", &[Perm, Inval]),
    ("irqctl.enable", &[Perm, Inval]),
    ("irqctl.disable", &[Perm, Inval]),
    ("statectl.clear_ipc_refs", &[]),
    ("statectl.set_state_table", &[Perm]),
    ("statectl.add_blacklist", &[Perm, Inval, TooBig, NoMem, Fault]),
    ("statectl.add_whitelist", &[Perm, Inval, TooBig, NoMem, Fault]),
    ("statectl.clear_filters", &[]),
    ("getinfo.boot_policy", &[Dom]),
    ("getinfo.process", &[Dom, Srch]),
    ("getinfo.cpu_time", &[Inval]),
    ("getinfo.privileges", &[Dom, Srch]),
    ("getinfo.machine", &[]),
    ("getinfo.idle_time", &[Dom]),
    ("getinfo.denial", &[Srch, Perm]),
    ("vmctl.create", &[Inval, Dom, Perm, NoSpc]),
    ("vmctl.destroy", &[Srch, Busy]),
    ("vmctl.map", &[Inval, Srch, Fault, Dom, Perm, Exist, NoSpc]),
    ("vmctl.unmap", &[Inval, Srch, Fault, Busy]),
    ("vmctl.protect", &[Inval, Srch, Fault, Busy]),
    ("vmctl.query", &[Inval, Srch, Fault]),
    ("vmctl.claim", &[Inval, NoMem]),
    ("vmctl.give_back", &[Inval, Dom, Perm]),
    ("vmctl.donate", &[Inval, Srch, Dom, Perm]),
    ("vmctl.release", &[Inval, Dom, Perm, Busy]),
    ("vmctl.frame_info", &[Inval, Dom]),
    ("vmctl.settle", &[Busy, Srch, Inval]),
    ("vmctl.clear_page_fault", &[Inval]),
    ("vmctl.next_event", &[NoEnt]),
    ("vmctl.answer_request", &[Inval]),
    ("vmctl.space_of", &[Inval]),
    ("vmctl.part", &[Inval, Srch, Fault]),
    ("vmctl.share", &[Inval, Srch, Fault, Exist, NoSpc, Busy]),
    ("vmctl.pin", &[Inval, Dom, Perm, NoSpc]),
    ("vmctl.unpin", &[Inval, Dom, Perm, NoSpc]),
    ("vmctl.boot_file", &[Dom, NoEnt]),
    ("vmctl.copy", &[Inval, Srch, Fault, Dom, Perm, Busy]),
    ("vmctl.supply", &[Inval, Fault, Dom, Perm, Exist, NoSpc]),
    ("vmctl.supply_copy", &[Inval, Fault, Dom, Perm, Busy]),
    ("trace.stop", &[Inval]),
    ("trace.resume", &[Inval]),
    ("trace.detach", &[Inval]),
    ("trace.step", &[Inval]),
    ("trace.until_trap", &[Inval]),
    ("trace.peek", &[Inval, Fault]),
    ("trace.poke", &[Inval, Fault]),
    ("trace.get_register", &[Busy, Fault, Inval]),
    ("trace.set_register", &[Busy, Fault, Inval]),
];

/// Documented, and not to be had in a storm.
pub const UNREACHABLE: &[Unreachable] = &[
    ("vmctl.map", NoSpc, "a frame would have to be mapped in 4294967295 places"),
    ("vmctl.share", NoSpc, "a frame would have to be mapped in 4294967295 places"),
    ("vmctl.supply", NoSpc, "a frame would have to be mapped in 4294967295 places"),
    ("vmctl.pin", NoSpc, "a frame would have to be pinned 65535 times"),
    ("getinfo.denial", Srch, "only the root system process is told, which does not storm"),
];

/// Calls that nobody in a storm may make with success.
pub const OF_THE_ROOT: &[&str] = &["getinfo.denial"];

/// The documented errors of a call that can come up.
pub fn reachable(name: &str) -> impl Iterator<Item = Errno> {
    let errors =
        TRAPS.iter().chain(DOCUMENTED).find(|(known, _)| *known == name).map_or(&[][..], |(_, errors)| *errors);
    errors.iter().copied().filter(move |errno| !UNREACHABLE.iter().any(|(of, never, _)| *of == name && never == errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Row, rows};
    use std::collections::BTreeSet;

    fn errors(name: &str) -> Option<&'static [Errno]> {
        TRAPS.iter().chain(DOCUMENTED).find(|(known, _)| *known == name).map(|(_, errors)| *errors)
    }

    #[test]
    fn every_row_is_listed_once() {
        let listed: BTreeSet<_> = TRAPS.iter().chain(DOCUMENTED).map(|(name, _)| *name).collect();
        let expected: BTreeSet<_> = rows().map(Row::name).collect();
        assert_eq!(listed, expected);
        assert_eq!(listed.len(), TRAPS.len() + DOCUMENTED.len());
    }

    /// Codes in the documentation of a call that are what another process gets.
    const OF_OTHERS: &[(&str, Errno)] = &[
        ("kernel.clear", DeadSrcDst),
        ("privctl.clear_ipc_refs", DeadSrcDst),
        ("statectl.clear_ipc_refs", DeadSrcDst),
        ("vmctl.answer_request", Fault),
    ];

    #[test]
    fn every_error_that_a_call_documents_is_listed() {
        for row in rows() {
            let Row::Call(Some(call)) = row else { continue };
            let listed = errors(call.name).expect("every row is listed");
            let codes = Errno::ALL.iter().filter(|errno| {
                let words = call.doc.split(|c: char| !c.is_ascii_alphanumeric());
                words.into_iter().any(|word| word == errno.code())
            });
            for errno in codes {
                let known = listed.contains(errno) || OF_OTHERS.contains(&(call.name, *errno));
                assert!(known, "{} documents {errno}", call.name);
            }
        }
    }

    #[test]
    fn what_is_unreachable_is_documented() {
        for (name, errno, _) in UNREACHABLE {
            assert!(errors(name).is_some_and(|errors| errors.contains(errno)), "{name} {errno}");
        }
    }
}
