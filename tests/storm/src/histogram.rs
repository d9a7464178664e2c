//! How often each trap and each kernel call had each result.

use abi::{Errno, Kind, Trap};
use core::fmt;
use protocol::{CallInfo, Protocol};

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A trap but for kernel calls; `None` for a number that is none.
    Trap(Option<Trap>),
    /// A kernel call; `None` for a number that is none.
    Call(Option<&'static CallInfo>),
}

/// The traps, in the order of their rows.
const TRAPS: [Trap; 7] =
    [Trap::Send, Trap::Receive, Trap::SendRec, Trap::Notify, Trap::SendNb, Trap::ReplyReceive, Trap::SendA];
/// Rows before those of the calls: the traps, a bad trap, and a bad call.
const BEFORE: usize = TRAPS.len() + 2;

/// The protocols that make up the kernel's calls.
fn protocols() -> impl Iterator<Item = &'static Protocol> {
    core::iter::once(&protocol::kernel::PROTOCOL).chain(protocol::kernel::GROUPS.iter().map(|group| &group.protocol))
}

/// Every kernel call, with its kind.
pub(crate) fn calls() -> impl Iterator<Item = (Kind, &'static CallInfo)> {
    protocols().flat_map(|p| p.calls.iter().map(|call| (Kind(p.base + call.number), call)))
}

/// How many kernel calls there are.
pub(crate) const CALLS: usize = {
    let mut count = protocol::kernel::PROTOCOL.calls.len();
    let mut i = 0;
    while i < protocol::kernel::GROUPS.len() {
        count += protocol::kernel::GROUPS[i].protocol.calls.len();
        i += 1;
    }
    count
};

/// All rows.
pub fn rows() -> impl Iterator<Item = Row> {
    let traps = TRAPS.into_iter().map(|trap| Row::Trap(Some(trap)));
    let bad = [Row::Trap(None), Row::Call(None)];
    traps.chain(bad).chain(calls().map(|(_, call)| Row::Call(Some(call))))
}

impl Row {
    /// The row of a trap with these registers.
    pub fn of(rax: u64, header: u64) -> Self {
        match Trap::from_rax(rax) {
            Some(Trap::KernelCall) => {
                Self::Call(calls().find(|(kind, _)| *kind == Kind(header as u16)).map(|(_, call)| call))
            }
            trap => Self::Trap(trap),
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Trap(None) => TRAPS.len(),
            Self::Call(None) => TRAPS.len() + 1,
            Self::Trap(trap) => TRAPS.iter().position(|known| Some(*known) == trap).unwrap_or(TRAPS.len()),
            Self::Call(Some(call)) => {
                BEFORE + calls().position(|(_, known)| known.name == call.name).unwrap_or_default()
            }
        }
    }

    /// Its name: a call's as in the tables, a trap's in upper case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trap(None) => "no trap",
            Self::Call(None) => "no call",
            Self::Call(Some(call)) => call.name,
            Self::Trap(Some(trap)) => match trap {
                Trap::Send => "SEND",
                Trap::Receive => "RECEIVE",
                Trap::SendRec => "SENDREC",
                Trap::Notify => "NOTIFY",
                Trap::SendNb => "SENDNB",
                Trap::ReplyReceive => "REPLY_RECEIVE",
                Trap::KernelCall => "KERNEL_CALL",
                Trap::SendA => "SENDA",
            },
        }
    }
}

/// Results that are told apart: success, each error, and what is none of these.
const RESULTS: usize = Errno::ALL.len() + 2;
/// The last one.
const STRANGE: usize = RESULTS - 1;

/// The counts.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [[u32; RESULTS]; BEFORE + CALLS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self::EMPTY
    }
}

fn column(result: Result<(), Errno>) -> usize {
    match result {
        Ok(()) => 0,
        Err(errno) => Errno::ALL.iter().position(|known| *known == errno).map_or(STRANGE, |place| place + 1),
    }
}

impl Histogram {
    /// Nothing has happened.
    pub const EMPTY: Self = Self { counts: [[0; RESULTS]; BEFORE + CALLS] };

    /// Counts a result, as the result register has it.
    pub fn count(&mut self, row: Row, result: i64) {
        let column = match Errno::from_result(result) {
            Ok(0) => column(Ok(())),
            Err(errno) if errno.to_result() == result => column(Err(errno)),
            _ => STRANGE,
        };
        self.counts[row.index()][column] += 1;
    }

    /// How often that was the result.
    pub fn of(&self, row: Row, result: Result<(), Errno>) -> u32 {
        self.counts[row.index()][column(result)]
    }

    /// The count of what has come up least of success and `errors`.
    pub fn least(&self, row: Row, errors: impl Iterator<Item = Errno>) -> u32 {
        let counts = &self.counts[row.index()];
        errors.map(|errno| counts[column(Err(errno))]).fold(counts[column(Ok(()))], u32::min)
    }

    /// One row, to be written.
    pub fn line(&self, row: Row) -> Line<'_> {
        Line { histogram: self, row }
    }

    /// How often a result register had what is no result.
    pub fn strange(&self) -> u32 {
        self.counts.iter().map(|row| row[STRANGE]).sum()
    }

    /// All that were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().map(|count| u64::from(*count)).sum()
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *mine += theirs;
        }
    }
}

/// A row of a histogram, as a person wants to read it.
pub struct Line<'h> {
    histogram: &'h Histogram,
    row: Row,
}

impl fmt::Display for Line<'_> {
    /// The name, and each result that came up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:24}", self.row.name())?;
        let results = core::iter::once(Ok(())).chain(Errno::ALL.iter().map(|errno| Err(*errno)));
        for result in results {
            let name = result.err().map_or("ok", Errno::code);
            match self.histogram.of(self.row, result) {
                0 => {}
                count => write!(f, " {name} {count}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Histogram {
    /// A line for each row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rows().try_for_each(|row| writeln!(f, "{}", self.line(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Call;
    use protocol::kernel::Kill;

    #[test]
    fn every_row_has_its_own_counts() {
        let mut histogram = Histogram::default();
        for row in rows() {
            assert_eq!(histogram.of(row, Err(Errno::Perm)), 0, "{}", row.name());
            histogram.count(row, Errno::Perm.to_result());
        }
        assert_eq!(histogram.total(), rows().count() as u64);
        assert_eq!(rows().count(), BEFORE + CALLS);
    }

    #[test]
    fn registers_tell_the_row() {
        assert_eq!(Row::of(Trap::Send.rax(), 7), Row::Trap(Some(Trap::Send)));
        assert_eq!(Row::of(1, 7), Row::Trap(None));
        assert_eq!(Row::of(Trap::KernelCall.rax(), u64::from(Kill::KIND.0) | 3 << 16).name(), "kernel.kill");
        assert_eq!(Row::of(Trap::KernelCall.rax(), 7), Row::Call(None));
    }

    #[test]
    fn the_least_is_that_of_the_rarest_result_that_is_asked_for() {
        let (mut histogram, row) = (Histogram::default(), Row::Call(None));
        for errno in [Errno::Perm, Errno::Perm, Errno::Inval] {
            histogram.count(row, errno.to_result());
            histogram.count(row, 0);
        }
        assert_eq!(histogram.least(row, [].into_iter()), 3);
        assert_eq!(histogram.least(row, [Errno::Perm].into_iter()), 2);
        assert_eq!(histogram.least(row, [Errno::Perm, Errno::Inval].into_iter()), 1);
        assert_eq!(histogram.least(row, [Errno::Busy].into_iter()), 0);
    }

    #[test]
    fn what_is_no_result_is_strange() {
        let mut histogram = Histogram::default();
        for result in [1, i64::MAX, i64::MIN, -199] {
            histogram.count(Row::Trap(None), result);
        }
        assert_eq!(histogram.strange(), 4);
    }
}
