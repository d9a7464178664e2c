//! A process, as the process manager knows it.

use crate::ids::Ids;
use crate::signals::Signals;
use crate::table::Slot;
use crate::timers::{NO_TIMERS, Timers};
use abi::Endpoint;
use abi::boot::NAME_LEN;
use bitflags::bitflags;
use protocol::pm::{ProcessFlags, WaitOptions};
use protocol::pmfiles::What;

bitflags! {
    /// What is the matter with a process.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Flags: u32 {
        /// It is a service: no signal handlers, and it belongs to the root system process.
        const SERVICE = 1;
        /// It waits for a child.
        const WAITS = 1 << 1;
        /// It waits for a signal, with another mask than its own.
        const SUSPENDED = 1 << 2;
        /// It is ending: nothing of it runs any more.
        const EXITS = 1 << 3;
        /// It has ended, and its parent has to ask for its status.
        const ZOMBIE = 1 << 4;
        /// It has ended, and its tracer has to ask first.
        const TRACE_ZOMBIE = 1 << 5;
        /// Its parent has got its status: the slot is free when all else is done.
        const TOLD_PARENT = 1 << 6;
        /// The kernel has been asked to let it stand.
        const HELD = 1 << 7;
        /// It is to be held as soon as it waits for no answer of another service: signals wait for that.
        const DELAYED = 1 << 8;
        /// The file server has to answer for it.
        const FILES = 1 << 9;
        /// It has left the call that it waited in, or is about to, and stands since.
        const UNPAUSING = 1 << 10;
        /// A timer of it runs.
        const ALARM = 1 << 11;
        /// Its old program is gone, and the new one is not complete.
        const PARTIAL_EXEC = 1 << 12;
        /// Its ids are or were not those of whoever started it.
        const TAINTED = 1 << 13;
        /// It has had another program than its parent.
        const EXECED = 1 << 14;
        /// A signal has stopped it, until SIGCONT comes.
        const STOPPED = 1 << 15;
        /// Its tracer has stopped it.
        const TRACE_STOPPED = 1 << 16;
        /// Its tracer waits for its end.
        const TRACE_EXIT = 1 << 17;
        /// Somebody is to be told that it has stopped.
        const REPORT_STOP = 1 << 18;
        /// Somebody is to be told that it goes on.
        const REPORT_CONTINUE = 1 << 19;
        /// Kernel and memory server know it no more.
        const GONE = 1 << 20;
    }
}

/// What a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Which child, as `wait4` has it.
    pub(crate) pid: i32,
    /// How.
    pub(crate) options: WaitOptions,
}

/// Timer ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// In its own program.
    pub(crate) user: u64,
    /// In services on its behalf.
    pub(crate) system: u64,
}

impl Times {
    /// The sum of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { user: self.user.wrapping_add(other.user), system: self.system.wrapping_add(other.system) }
    }
}

/// A process. All zeros is a free slot.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name.
    pub(crate) endpoint: Endpoint,
    /// Its number; 0 if the slot is free.
    pub(crate) pid: u32,
    /// Its process group.
    pub(crate) group: u32,
    /// Its session.
    pub(crate) session: u32,
    /// Whose child it is; `None` for the root of the tree.
    pub(crate) parent: Option<Slot>,
    /// Who traces it.
    pub(crate) tracer: Option<Slot>,
    /// Options of the tracer.
    pub(crate) trace_options: u64,
    /// What is the matter.
    pub(crate) flags: Flags,
    /// The tag of the call that has no answer yet.
    pub(crate) tag: u16,
    /// The same of the tracer that waits for its end.
    pub(crate) trace_tag: u16,
    /// Who waits for it to be made, with the tag of that call.
    pub(crate) forked_by: Option<(Endpoint, u16)>,
    /// What the file server has to answer, with [`Flags::FILES`].
    pub(crate) asked: What,
    /// Exit code, signal, or what has stopped it, as a waiter gets it.
    pub(crate) status: u32,
    /// What [`Flags::WAITS`] is about.
    pub(crate) wait: Wait,
    /// What it has run itself, when it has ended.
    pub(crate) times: Times,
    /// What its children have run that it has waited for.
    pub(crate) child_times: Times,
    /// Who it is.
    pub(crate) ids: Ids,
    /// What it does about signals, but for its actions.
    pub(crate) signals: Signals,
    /// Its timers.
    pub(crate) timers: Timers,
    /// What its program is called.
    pub(crate) name: [u8; NAME_LEN],
}

impl Process {
    /// A free slot.
    pub(crate) const FREE: Self = Self {
        endpoint: Endpoint::from_raw(0),
        pid: 0,
        group: 0,
        session: 0,
        parent: None,
        tracer: None,
        trace_options: 0,
        flags: Flags::empty(),
        tag: 0,
        trace_tag: 0,
        forked_by: None,
        asked: What::Known,
        status: 0,
        wait: Wait { pid: 0, options: WaitOptions::empty() },
        times: Times { user: 0, system: 0 },
        child_times: Times { user: 0, system: 0 },
        ids: Ids::ROOT,
        signals: Signals::NONE,
        timers: NO_TIMERS,
        name: [0; NAME_LEN],
    };

    /// Whether it has one of these flags.
    pub(crate) fn is(&self, flags: Flags) -> bool {
        self.flags.intersects(flags)
    }

    /// Its flags, as lists show them.
    pub(crate) fn shown(&self) -> ProcessFlags {
        let all = [
            (self.is(Flags::SERVICE), ProcessFlags::SERVICE),
            (self.is(Flags::WAITS), ProcessFlags::WAITS),
            (self.is(Flags::ZOMBIE | Flags::TRACE_ZOMBIE), ProcessFlags::ZOMBIE),
            (self.is(Flags::EXITS), ProcessFlags::EXITS),
            (self.is(Flags::STOPPED | Flags::TRACE_STOPPED), ProcessFlags::STOPPED),
            (self.tracer.is_some(), ProcessFlags::TRACED),
            (self.is(Flags::SUSPENDED), ProcessFlags::SUSPENDED),
            (self.is(Flags::FILES), ProcessFlags::FILES),
            (self.is(Flags::PARTIAL_EXEC), ProcessFlags::PARTIAL_EXEC),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag).collect()
    }
}
