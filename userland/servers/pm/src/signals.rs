//! What processes do about signals.

/// Signals that processes have: 1 and up.
pub(crate) const SIGNALS: usize = abi::Signal::LAST_USER as usize + 1;

/// What a process does about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// Its handler, or what stands for one.
    pub(crate) handler: u64,
    /// Where that returns to.
    pub(crate) trampoline: u64,
    /// What is blocked meanwhile.
    pub(crate) mask: u32,
    /// Bits of [`protocol::pm::ActionFlags`].
    pub(crate) flags: u32,
}

impl Action {
    /// The default.
    pub(crate) const DEFAULT: Self = Self { handler: protocol::pm::DEFAULT, trampoline: 0, mask: 0, flags: 0 };
}

/// Sets of signals, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// What is blocked.
    pub(crate) mask: u32,
    /// What is blocked again after a wait for a signal.
    pub(crate) saved_mask: u32,
    /// What has come and was not dealt with.
    pub(crate) pending: u32,
    /// What of it the kernel has raised.
    pub(crate) by_kernel: u32,
    /// What the tracer has to be told of.
    pub(crate) to_tracer: u32,
}

impl Signals {
    /// Nothing blocked, and nothing there.
    pub(crate) const NONE: Self = Self { mask: 0, saved_mask: 0, pending: 0, by_kernel: 0, to_tracer: 0 };
}
