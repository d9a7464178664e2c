//! Signals: which there are, what they do by default, and what a process has of them.

/// Signals that processes have: 1 and up.
pub(crate) const SIGNALS: usize = abi::Signal::LAST_USER as usize + 1;

/// A number of a signal, 1 to 31.
pub(crate) type Number = u32;

pub(crate) const HUP: Number = 1;
pub(crate) const INT: Number = 2;
pub(crate) const QUIT: Number = 3;
pub(crate) const ILL: Number = 4;
pub(crate) const TRAP: Number = 5;
pub(crate) const ABRT: Number = 6;
pub(crate) const BUS: Number = 7;
pub(crate) const FPE: Number = 8;
pub(crate) const KILL: Number = 9;
pub(crate) const SEGV: Number = 11;
pub(crate) const ALRM: Number = 14;
pub(crate) const TERM: Number = 15;
pub(crate) const CHLD: Number = 17;
pub(crate) const CONT: Number = 18;
pub(crate) const STOP: Number = 19;
pub(crate) const TSTP: Number = 20;
pub(crate) const TTIN: Number = 21;
pub(crate) const TTOU: Number = 22;
pub(crate) const URG: Number = 23;
pub(crate) const VTALRM: Number = 26;
pub(crate) const PROF: Number = 27;
pub(crate) const WINCH: Number = 28;

/// A set of signals, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(u32);

impl Set {
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// Those that cannot be caught, blocked or ignored.
    pub(crate) const FIRM: Self = Self::of(&[KILL, STOP]);
    /// Those that stop a process.
    pub(crate) const STOPS: Self = Self::of(&[STOP, TSTP, TTIN, TTOU]);
    /// Those that do nothing by default.
    const QUIET: Self = Self::of(&[CHLD, CONT, URG, WINCH]);
    /// Those after which memory is saved.
    const CORE: Self = Self::of(&[QUIT, ILL, TRAP, ABRT, BUS, FPE, SEGV]);
    /// Those that a process cannot put off when it is the kernel that raises them: it cannot go on.
    pub(crate) const FAULTS: Self = Self::of(&[ILL, TRAP, BUS, FPE, SEGV]);
    /// Those of a terminal: they go to all of a group.
    pub(crate) const TERMINAL: Self = Self::of(&[INT, QUIT, WINCH]);

    /// These.
    pub(crate) const fn of(signals: &[Number]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < signals.len() {
            bits |= 1 << signals[i];
            i += 1;
        }
        Self(bits)
    }

    /// What of a set that came from a process are signals.
    pub(crate) const fn from_process(bits: u64) -> Self {
        Self(bits as u32 & !1)
    }

    /// As processes see it.
    pub(crate) const fn bits(self) -> u64 {
        self.0 as u64
    }

    /// Whether one is in it.
    pub(crate) const fn has(self, signal: Number) -> bool {
        self.0 >> signal & 1 != 0
    }

    /// With one more.
    pub(crate) const fn with(self, signal: Number) -> Self {
        Self(self.0 | 1 << signal)
    }

    /// With all of another one.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those of another one.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    pub(crate) const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Without one.
    pub(crate) const fn minus(self, signal: Number) -> Self {
        Self(self.0 & !(1 << signal))
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The first one to be dealt with: the one that ends everything, else the lowest.
    pub(crate) fn first(self) -> Option<Number> {
        if self.has(KILL) { Some(KILL) } else { (!self.is_empty()).then(|| self.0.trailing_zeros()) }
    }

    /// All in it.
    pub(crate) fn iter(self) -> impl Iterator<Item = Number> {
        (1..SIGNALS as u32).filter(move |signal| self.has(*signal))
    }
}

/// What a signal does by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// Nothing.
    Ignore,
    /// The process ends; its memory may be saved.
    End {
        /// Whether it is.
        core: bool,
    },
    /// The process stops.
    Stop,
}

/// The default action of a signal.
pub(crate) fn default_of(signal: Number) -> Default {
    match () {
        () if Set::QUIET.has(signal) => Default::Ignore,
        () if Set::STOPS.has(signal) => Default::Stop,
        () => Default::End { core: Set::CORE.has(signal) },
    }
}

/// What a process does about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// Its handler, or what stands for one.
    pub(crate) handler: u64,
    /// Where that returns to.
    pub(crate) trampoline: u64,
    /// What is blocked meanwhile.
    pub(crate) mask: Set,
    /// Bits of [`protocol::pm::ActionFlags`].
    pub(crate) flags: u32,
}

impl Action {
    /// The default.
    pub(crate) const DEFAULT: Self = Self { handler: protocol::pm::DEFAULT, trampoline: 0, mask: Set::NONE, flags: 0 };

    /// Whether there is a handler.
    pub(crate) fn is_caught(&self) -> bool {
        self.handler > protocol::pm::IGNORE
    }

    /// Whether the signal does nothing.
    pub(crate) fn ignores(&self, signal: Number) -> bool {
        self.handler == protocol::pm::IGNORE
            || self.handler == protocol::pm::DEFAULT && default_of(signal) == Default::Ignore
    }

    /// Whether it has a flag.
    pub(crate) fn has(&self, flag: protocol::pm::ActionFlags) -> bool {
        self.flags & flag.bits() != 0
    }
}

/// Sets of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// What is blocked.
    pub(crate) mask: Set,
    /// What is blocked again after a wait for a signal.
    pub(crate) saved_mask: Set,
    /// What has come and was not dealt with.
    pub(crate) pending: Set,
    /// What of it the kernel has raised.
    pub(crate) by_kernel: Set,
    /// What the tracer has to be told of.
    pub(crate) to_tracer: Set,
}

impl Signals {
    /// Nothing blocked, and nothing there.
    pub(crate) const NONE: Self =
        Self { mask: Set::NONE, saved_mask: Set::NONE, pending: Set::NONE, by_kernel: Set::NONE, to_tracer: Set::NONE };

    /// Those that are to be dealt with now.
    pub(crate) fn due(&self) -> Set {
        let firm = Set::FIRM.and(self.by_kernel.common(Set::FAULTS));
        self.pending.without(self.mask.without(firm))
    }

    /// One has been dealt with.
    pub(crate) fn done(&mut self, signal: Number) {
        self.pending = self.pending.minus(signal);
        self.by_kernel = self.by_kernel.minus(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_they_are_made_of() {
        let set = Set::of(&[HUP, KILL, 31]);
        assert_eq!(set.iter().collect::<std::vec::Vec<_>>(), [HUP, KILL, 31]);
        assert_eq!((set.first(), set.minus(KILL).first(), Set::NONE.first()), (Some(KILL), Some(HUP), None));
        assert_eq!(Set::from_process(u64::MAX).bits(), 0xffff_fffe, "there is no signal 0, and none above 31");
    }

    #[test]
    fn every_signal_has_one_default() {
        let quiet = [CHLD, CONT, URG, WINCH];
        let stops = [STOP, TSTP, TTIN, TTOU];
        let core = [QUIT, ILL, TRAP, ABRT, BUS, FPE, SEGV];
        for signal in 1..SIGNALS as u32 {
            let expected = match () {
                () if quiet.contains(&signal) => Default::Ignore,
                () if stops.contains(&signal) => Default::Stop,
                () => Default::End { core: core.contains(&signal) },
            };
            assert_eq!(default_of(signal), expected, "{signal}");
        }
    }

    #[test]
    fn what_cannot_be_blocked_is_due_all_the_same() {
        let all = Set::from_process(u64::MAX);
        let signals = Signals { mask: all, pending: all, ..Signals::NONE };
        assert_eq!(signals.due(), Set::FIRM);
        let faults = Signals { by_kernel: Set::of(&[SEGV, HUP]), ..signals };
        assert_eq!(faults.due(), Set::FIRM.with(SEGV));
    }
}
