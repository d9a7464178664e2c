//! Timers of processes.

/// A timer, in timer ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntervalTimer {
    /// When it is due: ticks since boot, or of the process's own time. Only while it runs.
    pub(crate) due: u64,
    /// How long after that the next time.
    pub(crate) interval: u64,
}

/// The timers of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    /// By the clock.
    pub(crate) real: IntervalTimer,
    /// By the time that it runs.
    pub(crate) virtual_time: IntervalTimer,
    /// By that and the time that others work for it.
    pub(crate) profile: IntervalTimer,
}

impl Timers {
    /// None runs.
    pub(crate) const NONE: Self = {
        const STOPPED: IntervalTimer = IntervalTimer { due: 0, interval: 0 };
        Self { real: STOPPED, virtual_time: STOPPED, profile: STOPPED }
    };
}
