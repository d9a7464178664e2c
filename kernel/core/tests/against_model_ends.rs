//! What the traps of the test against the model came to.

use crate::model::{Model, sent_with};
use crate::support::Regs;
use abi::{Endpoint, Errno, Status, Trap};
use protocol::sched::OUT_OF_QUANTUM;
use std::collections::BTreeMap;

/// The part of the status that names the trap of the sender.
const SENT_WITH: u64 = 0xffff;

/// What a trap came to.
pub(crate) fn end_of(model: &Model, me: usize, asked: &Regs) -> String {
    let p = model.program(me);
    let end = match Errno::from_result(p.regs.rax as i64) {
        _ if !p.rts.is_empty() => "waits",
        Ok(_) if p.regs.rdx != asked.rdx && p.regs.rdx & SENT_WITH == sent_with(Trap::Notify) => {
            let from = Endpoint::from_raw(p.regs.rdi as u32);
            let task = [Endpoint::ASYNCM, Endpoint::CLOCK, Endpoint::SYSTEM, Endpoint::HARDWARE].contains(&from);
            return if task { format!("{from}") } else { "notified".to_owned() };
        }
        Ok(_) if p.regs.rdx & SENT_WITH == sent_with(Trap::SendA) => "asynchronous",
        Ok(_) if Status(p.regs.rdx).is_from_kernel() && p.regs.rsi == u64::from(OUT_OF_QUANTUM.0) => "out of quantum",
        Ok(_) if Status(p.regs.rdx).failed_reply().is_some() && p.regs.body[6] != asked.body[6] => "failed reply",
        Ok(_) => "ok",
        Err(errno) => errno.code(),
    };
    end.to_owned()
}

/// How often each trap came to each end. A run that never gets to some of them would prove little.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ends: BTreeMap<(String, String), usize>,
    pub(crate) steps: usize,
}

impl Tally {
    pub(crate) fn count(&mut self, what: &str, end: &str) {
        *self.ends.entry((what.to_owned(), end.to_owned())).or_default() += 1;
    }

    /// Panics if some end is missing.
    pub(crate) fn assert_complete(&self) {
        for (what, ends) in ENDS {
            for end in ends {
                assert!(self.of(what, end) > 0, "{what} never came to the end {end:?}: {self:#?}");
            }
        }
    }

    fn of(&self, what: &str, end: &str) -> usize {
        self.ends.get(&(what.to_owned(), end.to_owned())).copied().unwrap_or(0)
    }
}

/// Ends that each run must come to.
const ENDS: [(&str, &[&str]); 46] = [
    ("send", &["ok", "waits", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED", "ELOCKED"]),
    ("sendrec", &["waits", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED", "ELOCKED"]),
    ("sendnb", &["ok", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED", "ENOTREADY"]),
    ("notify", &["ok", "EINVAL", "EDEADSRCDST", "ECALLDENIED", "ETRAPDENIED", "ENOTREADY"]),
    ("receive", &["ok", "waits", "EDEADSRCDST", "ELOCKED", "asynchronous", "notified"]),
    ("receive", &["ASYNCM", "CLOCK", "SYSTEM", "HARDWARE"]),
    ("reply_receive", &["ok", "failed reply", "waits", "EDEADSRCDST", "ETRAPDENIED", "ELOCKED", "SYSTEM"]),
    ("senda", &["ok", "EPERM", "EDOM"]),
    ("unknown", &["EBADCALL"]),
    ("fast sendrec", &["ok"]),
    ("fast reply_receive", &["ok"]),
    ("fast notify", &["ok"]),
    ("fast receive", &["ok"]),
    ("fast Times", &["ok"]),
    ("fast Update", &["ok"]),
    ("Unknown", &["EBADREQUEST"]),
    ("Fork", &["ok", "EINVAL"]),
    ("Exec", &["ok", "EINVAL", "EBUSY"]),
    ("Clear", &["ok", "EPERM"]),
    ("Exit", &["waits"]),
    ("Schedule", &["ok", "EPERM", "EINVAL"]),
    ("SchedCtl", &["ok", "EINVAL", "EBADCPU"]),
    ("Kill", &["ok", "waits", "EINVAL", "EPERM"]),
    ("GetKSig", &["ok"]),
    ("EndKSig", &["ok", "EPERM", "EINVAL"]),
    ("SetAlarm", &["ok", "EPERM"]),
    ("Times", &["ok"]),
    ("WhoAmI", &["ok"]),
    ("DiagWrite", &["ok", "waits", "EINVAL"]),
    ("RunCtl", &["ok", "waits", "EBUSY", "EINVAL"]),
    ("Update", &["ok", "EBUSY", "EINVAL", "EPERM"]),
    ("Allow", &["ok", "EPERM"]),
    ("Disallow", &["ok", "waits", "EPERM"]),
    ("SetSys", &["ok", "EPERM", "EINVAL", "EBUSY"]),
    ("SetUser", &["ok", "EPERM"]),
    ("UpdateSys", &["ok", "EPERM", "EINVAL"]),
    ("YieldTo", &["waits", "EPERM"]),
    ("ClearRefsOf", &["ok", "EPERM"]),
    ("ClearRefs", &["ok"]),
    ("GetPrivileges", &["ok", "EDOM", "ESRCH"]),
    ("Settle", &["ok", "EBUSY", "ESRCH"]),
    ("ClearPageFault", &["ok", "EINVAL"]),
    ("AnswerRequest", &["ok", "EINVAL"]),
    ("AddBlacklist", &["ok", "E2BIG", "EINVAL", "EPERM"]),
    ("AddWhitelist", &["ok", "E2BIG", "EINVAL", "EPERM"]),
    ("ClearFilters", &["ok"]),
];
