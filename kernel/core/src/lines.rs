//! Interrupt lines: where each is wired to, how it signals, and what masking it means.
//!
//! A line below 16 is an ISA interrupt, wherever the firmware says that it is wired to; a higher one is the input of that
//! number among all of the machine. A controller forgets an edge that comes while its input is closed, and then a device
//! waits for ever for an answer. So an edge line stays open at the controller while it is masked: if an edge comes, it is
//! noted and raised again later. A level lasts until somebody sees to the device; its input is closed at once.

use crate::acpi::{ISA_INTERRUPTS, Override};

/// Number of lines that the kernel knows.
pub const LINES: usize = 128;

/// What interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A change of the signal.
    Edge,
    /// The signal, for as long as it lasts.
    Level,
}

/// Which state of the signal interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// High.
    High,
    /// Low.
    Low,
}

/// Where a line is wired to, and how it signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Number of the input among all interrupts of the machine.
    pub interrupt: u32,
    /// What interrupts.
    pub trigger: Trigger,
    /// In which state.
    pub polarity: Polarity,
}

impl Route {
    /// The route of a line, given what the firmware says of ISA interrupts. `None` where there is no such line: its input
    /// serves another one.
    pub fn of(line: u8, overrides: &[Override]) -> Option<Self> {
        let isa = usize::from(line) < ISA_INTERRUPTS;
        // Interrupts of the ISA bus are edges to high, those of the PCI bus levels and low.
        let (trigger, polarity) = if isa { (Trigger::Edge, Polarity::High) } else { (Trigger::Level, Polarity::Low) };
        let usual = Self { interrupt: line.into(), trigger, polarity };
        let route = overrides.iter().find(|o| o.isa == line).map_or(usual, |o| Self {
            interrupt: o.interrupt,
            trigger: o.signal.trigger.unwrap_or(trigger),
            polarity: o.signal.polarity.unwrap_or(polarity),
        });
        let wired = overrides.iter().find(|o| o.interrupt == route.interrupt);
        wired.is_none_or(|o| o.isa == line).then_some(route)
    }
}

/// What the controller must do about an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Nothing.
    None,
    /// Close it.
    Close,
    /// Open it.
    Open,
    /// Open it, and interrupt once more, for the edge that came meanwhile.
    OpenAndRaise,
}

/// Which lines there are and which are masked. Lines that are not there are masked and stay so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    edge: LineSet,
    level: LineSet,
    masked: LineSet,
    /// Edge lines on which an edge came while they were masked.
    missed: LineSet,
}

impl Lines {
    /// No lines; to be [added](Self::add).
    pub const NONE: Self =
        Self { edge: LineSet::EMPTY, level: LineSet::EMPTY, masked: LineSet::ALL, missed: LineSet::EMPTY };

    /// Adds a line, masked and with its input closed.
    pub fn add(&mut self, line: u8, trigger: Trigger) {
        match trigger {
            Trigger::Edge => self.edge.insert(line),
            Trigger::Level => self.level.insert(line),
        }
    }

    /// How a line signals; `None` if there is no such line.
    pub fn trigger(&self, line: u8) -> Option<Trigger> {
        if self.edge.contains(line) { Some(Trigger::Edge) } else { self.level.contains(line).then_some(Trigger::Level) }
    }

    /// Masks a line.
    pub fn mask(&mut self, line: u8) -> Step {
        self.masked.insert(line);
        if self.level.contains(line) { Step::Close } else { Step::None }
    }

    /// Unmasks a line.
    pub fn unmask(&mut self, line: u8) -> Step {
        if self.trigger(line).is_none() {
            return Step::None;
        }
        self.masked.remove(line);
        if self.missed.remove(line) { Step::OpenAndRaise } else { Step::Open }
    }

    /// A line interrupts. `Ok` if it is not masked, so that somebody must be told; else what to do instead. One edge is
    /// enough to note, so the input is closed after the first.
    ///
    /// # Errors
    /// The line is masked.
    pub fn interrupt(&mut self, line: u8) -> Result<(), Step> {
        if !self.masked.contains(line) {
            return Ok(());
        }
        if self.edge.contains(line) {
            self.missed.insert(line);
        }
        Err(Step::Close)
    }
}

/// A set of lines. Those beyond [`LINES`] are never in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LineSet(u128);

const _: () = assert!(LINES == u128::BITS as usize);

impl LineSet {
    const EMPTY: Self = Self(0);
    const ALL: Self = Self(u128::MAX);

    fn bit(line: u8) -> u128 {
        1_u128.checked_shl(line.into()).unwrap_or(0)
    }

    fn contains(self, line: u8) -> bool {
        self.0 & Self::bit(line) != 0
    }

    fn insert(&mut self, line: u8) {
        self.0 |= Self::bit(line);
    }

    /// Whether it was in the set.
    fn remove(&mut self, line: u8) -> bool {
        let was = self.contains(line);
        self.0 &= !Self::bit(line);
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acpi::Signal;

    const ISA: Signal = Signal { trigger: None, polarity: None };

    fn route(line: u8, overrides: &[Override]) -> Option<(u32, Trigger, Polarity)> {
        Route::of(line, overrides).map(|r| (r.interrupt, r.trigger, r.polarity))
    }

    #[test]
    fn lines_without_overrides_are_their_own_inputs() {
        assert_eq!(route(0, &[]), Some((0, Trigger::Edge, Polarity::High)));
        assert_eq!(route(15, &[]), Some((15, Trigger::Edge, Polarity::High)));
        assert_eq!(route(16, &[]), Some((16, Trigger::Level, Polarity::Low)));
        assert_eq!(route(127, &[]), Some((127, Trigger::Level, Polarity::Low)));
    }

    #[test]
    fn overrides_move_and_change_lines() {
        let moved = Override { isa: 0, interrupt: 2, signal: ISA };
        let level = Signal { trigger: Some(Trigger::Level), polarity: None };
        let low = Signal { trigger: None, polarity: Some(Polarity::Low) };
        let all =
            [moved, Override { isa: 9, interrupt: 9, signal: level }, Override { isa: 10, interrupt: 20, signal: low }];
        assert_eq!(route(0, &all), Some((2, Trigger::Edge, Polarity::High)));
        assert_eq!(route(9, &all), Some((9, Trigger::Level, Polarity::High)));
        assert_eq!(route(10, &all), Some((20, Trigger::Edge, Polarity::Low)));
        assert_eq!(route(1, &all), Some((1, Trigger::Edge, Polarity::High)));
    }

    #[test]
    fn an_input_serves_one_line() {
        let moved = [Override { isa: 0, interrupt: 2, signal: ISA }, Override { isa: 5, interrupt: 20, signal: ISA }];
        assert_eq!(route(2, &moved), None);
        assert_eq!(route(20, &moved), None);
        assert_eq!(route(5, &moved).map(|r| r.0), Some(20));
        let both = [Override { isa: 3, interrupt: 4, signal: ISA }, Override { isa: 4, interrupt: 4, signal: ISA }];
        assert_eq!((route(3, &both).map(|r| r.0), route(4, &both)), (Some(4), None), "the first one has it");
    }

    /// One line of each kind: 1 an edge, 17 a level.
    fn lines() -> Lines {
        let mut lines = Lines::NONE;
        lines.add(1, Trigger::Edge);
        lines.add(17, Trigger::Level);
        lines
    }

    #[test]
    fn lines_begin_masked() {
        let mut l = lines();
        assert_eq!((l.trigger(1), l.trigger(17)), (Some(Trigger::Edge), Some(Trigger::Level)));
        assert_eq!((l.interrupt(1), l.interrupt(17)), (Err(Step::Close), Err(Step::Close)));
    }

    #[test]
    fn lines_that_are_not_there_stay_masked() {
        let mut l = lines();
        for line in [0, 2, 127, 128, 255] {
            assert_eq!(l.trigger(line), None);
            assert_eq!((l.mask(line), l.unmask(line)), (Step::None, Step::None), "{line}");
        }
        l.add(128, Trigger::Edge);
        assert_eq!((l.interrupt(127), l.trigger(128)), (Err(Step::Close), None));
    }

    #[test]
    fn a_level_line_is_closed_while_it_is_masked() {
        let mut l = lines();
        assert_eq!((l.unmask(17), l.interrupt(17)), (Step::Open, Ok(())));
        assert_eq!(l.mask(17), Step::Close);
        assert_eq!(l.interrupt(17), Err(Step::Close), "it was under way");
        assert_eq!(l.unmask(17), Step::Open, "the level itself interrupts again");
    }

    #[test]
    fn an_edge_while_masked_is_raised_once_more_and_only_once() {
        let mut l = lines();
        assert_eq!((l.unmask(1), l.mask(1)), (Step::Open, Step::None));
        assert_eq!((l.interrupt(1), l.interrupt(1)), (Err(Step::Close), Err(Step::Close)));
        assert_eq!((l.unmask(1), l.interrupt(1)), (Step::OpenAndRaise, Ok(())));
        assert_eq!((l.mask(1), l.unmask(1)), (Step::None, Step::Open), "nothing came this time");
    }

    #[test]
    fn lines_are_independent() {
        let mut l = lines();
        l.add(2, Trigger::Edge);
        assert_eq!((l.unmask(1), l.unmask(2), l.mask(1)), (Step::Open, Step::Open, Step::None));
        assert_eq!((l.interrupt(1), l.interrupt(2)), (Err(Step::Close), Ok(())));
        assert_eq!((l.mask(2), l.unmask(2)), (Step::None, Step::Open));
        assert_eq!(l.unmask(1), Step::OpenAndRaise);
    }
}
