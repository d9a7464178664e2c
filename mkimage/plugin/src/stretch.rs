//! Finds the longest time without interrupts: the longest row of instructions in ring 0. Pure.

use std::collections::BTreeMap;
use std::fmt;

/// What one processor has executed in ring 0. The first row is the boot, which nothing is to interrupt: it does not count.
#[derive(Default)]
pub(crate) struct Stretches {
    boots: bool,
    is_up: bool,
    current: Vec<u64>,
    longest: Vec<u64>,
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
        if self.current.len() > self.longest.len() {
            std::mem::swap(&mut self.current, &mut self.longest);
        }
        self.current.clear();
    }
}

/// A line for each address of the longest row, in their order: address, and how often it was executed.
impl fmt::Display for Stretches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = BTreeMap::new();
        for address in &self.longest {
            *counts.entry(address).or_insert(0_u64) += 1;
        }
        counts.iter().try_for_each(|(address, count)| writeln!(f, "{address:#x} {count}"))
    }
}
