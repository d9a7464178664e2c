//! Signals.

/// A signal: 1 to 31 have their POSIX meaning and their Linux numbers, those from 32 on are the kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

impl Signal {
    /// Most signals there can be: sets of them have 64 bits, and 0 is none.
    pub const MAX: u32 = 63;
    /// The highest that one process can raise for another.
    pub const LAST_USER: u32 = 31;

    /// Illegal instruction.
    pub const ILL: Self = Self(4);
    /// Single step, or another trap for a debugger.
    pub const TRAP: Self = Self(5);
    /// The process asked to be ended.
    pub const ABRT: Self = Self(6);
    /// Alignment, or a machine check.
    pub const BUS: Self = Self(7);
    /// Arithmetic.
    pub const FPE: Self = Self(8);
    /// Ends the process, whatever it does.
    pub const KILL: Self = Self(9);
    /// Memory that is not there, or not for this.
    pub const SEGV: Self = Self(11);
    /// To a memory server: a process waits for it. The notification tells the first event.
    pub const MEMORY: Self = Self(32);
    /// To a signal manager: a signal was raised for itself.
    pub const MANAGER_SELF: Self = Self(33);
    /// To a signal manager: a process that it manages has signals. The notification tells the first process and its signals.
    pub const MANAGER: Self = Self(34);
    /// To a signal manager, about a process: the message whose sending delayed a stop has been sent.
    pub const SEND_DONE: Self = Self(35);

    /// The signal that a process may raise for another; `None` for the kernel's own and for what is none.
    pub const fn from_user(number: u32) -> Option<Self> {
        if number >= 1 && number <= Self::LAST_USER { Some(Self(number as u8)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// Its bit in sets of signals.
    pub const fn bit(self) -> u64 {
        1 << self.0
    }

    /// Whether nothing that caused it can be gone on with.
    pub const fn is_lethal(self) -> bool {
        matches!(self, Self::ILL | Self::ABRT | Self::BUS | Self::FPE | Self::SEGV | Self::TRAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_posix_signals_come_from_processes() {
        assert_eq!((Signal::from_user(0), Signal::from_user(32)), (None, None));
        assert_eq!(Signal::from_user(9), Some(Signal::KILL));
        assert_eq!(Signal::from_user(31).map(Signal::number), Some(31));
        assert_eq!(Signal::from_user(u32::MAX), None);
    }

    #[test]
    fn sets_have_a_bit_for_each() {
        for signal in [Signal::MEMORY, Signal::MANAGER_SELF, Signal::MANAGER, Signal::SEND_DONE] {
            assert!(signal.number() <= Signal::MAX && signal.number() > Signal::LAST_USER && !signal.is_lethal());
        }
        assert_eq!(Signal::KILL.bit(), 1 << 9);
        assert!(!Signal::KILL.is_lethal() && Signal::SEGV.is_lethal());
    }
}
