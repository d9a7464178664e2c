//! Finds the longest times without interrupts: rows of instructions in ring 0. Pure.

use std::collections::BTreeMap;
use std::fmt;

/// Rows of fewer instructions are of no interest.
const SHORT: usize = 1000;

/// How often each address of a row was executed.
type Counts = BTreeMap<u64, u64>;

/// What one processor has executed in ring 0. The first row is the boot, which nothing is to interrupt: it does not count.
#[derive(Default)]
pub(crate) struct Stretches {
    boots: bool,
    is_up: bool,
    current: Vec<u64>,
    /// By the addresses that they have in common, the longest row through exactly these.
    longest: BTreeMap<Vec<u64>, Counts>,
}

impl Stretches {
    /// An instruction of the kernel is executed.
    pub(crate) fn executed(&mut self, address: u64) {
        if self.is_up {
            self.current.push(address);
        } else {
            self.boots = true;
        }
    }

    /// The processor is interruptible: it goes on in a program, or waits.
    pub(crate) fn opened(&mut self) {
        self.is_up = self.boots;
        if self.current.len() >= SHORT {
            self.keep();
        }
        self.current.clear();
    }

    fn keep(&mut self) {
        let mut counts = Counts::new();
        for &address in &self.current {
            *counts.entry(address).or_insert(0) += 1;
        }
        let kept = self.longest.entry(counts.keys().copied().collect()).or_default();
        if total(kept) < total(&counts) {
            *kept = counts;
        }
    }
}

fn total(counts: &Counts) -> u64 {
    counts.values().sum()
}

/// For each kind of row that was seen a line `row`, and one for each address in it: `ADDRESS COUNT`.
impl fmt::Display for Stretches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.longest.values() {
            writeln!(f, "row")?;
            row.iter().try_for_each(|(address, count)| writeln!(f, "{address:#x} {count}"))?;
        }
        Ok(())
    }
}
