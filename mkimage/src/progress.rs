//! Tells the user on stderr what a long command is doing.

use std::io::IsTerminal;

/// Where steps are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// One line for each step.
    Lines,
    /// The same with the verb set off, for a terminal.
    Terminal,
    /// Nowhere.
    Silent,
}

impl Progress {
    /// As suits stderr.
    pub fn stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Terminal } else { Self::Lines }
    }

    /// Shows that a step begins: "building" "kernel, echo, ping".
    pub fn step(self, verb: &str, what: impl std::fmt::Display) {
        match self {
            Self::Lines => eprintln!("mkimage: {verb} {what}"),
            Self::Terminal => eprintln!("\x1b[1;32m{verb:>12}\x1b[0m {what}"),
            Self::Silent => {}
        }
    }
}
