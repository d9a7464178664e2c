//! What can speak against a run: each kind of failure has a name of its own. Pure.

use std::fmt;
use std::time::Duration;

/// One thing that speaks against a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// QEMU itself could not start or go on.
    #[error("QEMU failed with exit status {status}: {stderr}")]
    QemuError {
        /// Its exit status.
        status: i32,
        /// What it says about it.
        stderr: String,
    },
    /// The kernel never printed a line.
    #[error("the kernel never printed a line (none begins with `selix:`)")]
    NoBoot,
    /// A fault that no handler could take.
    #[error("triple fault")]
    TripleFault,
    /// The guest reset the machine.
    #[error("the machine was reset")]
    Reset,
    /// The guest switched the machine off instead of leaving with its outcome.
    #[error("the machine was switched off")]
    PoweredOff,
    /// The kernel panicked. It need not have got so far as to leave.
    #[error("kernel panic: {}", .line.as_deref().unwrap_or("(it left no line)"))]
    KernelPanic {
        /// The line that says so.
        line: Option<String>,
    },
    /// The run did not end by itself in time.
    #[error("no end after {} s; last line: {}", .after.as_secs_f32(), .last_line.as_deref().unwrap_or("(none)"))]
    TimedOut {
        /// The time that it had.
        after: Duration,
        /// The last line on its serial port.
        last_line: Option<String>,
    },
    /// More came from the serial port than the machine's limit.
    #[error("flooded the serial port: more than {limit} bytes")]
    Flooded {
        /// The limit in bytes.
        limit: usize,
    },
    /// A signal killed QEMU.
    #[error("QEMU was killed by signal {0}")]
    KilledBySignal(i32),
    /// Somebody ended the run.
    #[error("the run was interrupted")]
    Interrupted,
    /// The guest left with a code that nobody agreed on, or left before the goal was reached.
    #[error("left with exit code {0:#x}")]
    UnexpectedExit(u32),
    /// The line to wait for never came.
    #[error("no line begins with `{0}`")]
    MissingLine(String),
    /// The suite's process ended, by itself or by the kernel, and so never left with an outcome.
    #[error("the suite ended without an outcome: {0}")]
    SuiteEnded(String),
    /// The suite left with the code of a failed one.
    #[error("the suite says that it failed")]
    SuiteFailed,
    /// The suite left with the code of one that passed, yet its lines say otherwise.
    #[error("the suite says by its exit code that it passed, but not by its lines")]
    ClaimsPassed,
    /// The suite left with the code of a failed one, yet its lines say that all is well.
    #[error("the suite says by its exit code that it failed, but not by its lines")]
    ClaimsFailed,
    /// The suite did not announce how many tests there are.
    #[error("the suite has no plan")]
    NoPlan,
    /// A plan that is not the first of the suite's report lines.
    #[error("`plan {0}` is not the first report of its suite")]
    LatePlan(usize),
    /// The suite never said that it is done.
    #[error("the suite has no final count")]
    MissingFinalCount,
    /// A report after the one that says that the suite is done.
    #[error("reported after the final count: {0}")]
    AfterDone(String),
    /// A line that begins like a report and does not go on like one.
    #[error("malformed report: {0}")]
    Malformed(String),
    /// A number that the suite gives is not the one that its lines come to.
    #[error("the suite says {said} {what}, but it is {counted}")]
    CountMismatch {
        /// What was counted.
        what: Counted,
        /// What the suite says.
        said: usize,
        /// What it is.
        counted: usize,
    },
    /// A test that the suite declares never reported.
    #[error("{0}: never reported")]
    MissingTest(String),
    /// A test reported that the suite does not declare.
    #[error("{0}: reported, but not declared by the suite")]
    UnknownTest(String),
    /// A test reported more than once.
    #[error("{0}: reported more than once")]
    DuplicateTest(String),
    /// A test was skipped.
    #[error("{test}: skipped: {reason}")]
    Skipped {
        /// The test.
        test: String,
        /// Why, as it says.
        reason: String,
    },
    /// A test failed.
    #[error("{test}: {reason}")]
    TestFailed {
        /// The test.
        test: String,
        /// Why, as it says.
        reason: String,
    },
}

/// What a suite counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The tests of its plan.
    Planned,
    /// The tests that passed.
    Passed,
    /// The tests that failed.
    Failed,
    /// The tests that were skipped.
    Skipped,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planned => "planned",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

impl Failure {
    /// The test that it is about, if it is about one alone.
    pub fn test(&self) -> Option<&str> {
        match self {
            Self::MissingTest(test)
            | Self::UnknownTest(test)
            | Self::DuplicateTest(test)
            | Self::Skipped { test, .. }
            | Self::TestFailed { test, .. } => Some(test),
            _ => None,
        }
    }
}

/// All that speaks against a run; what is most likely the cause comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict(pub Vec<Failure>);

impl Verdict {
    /// Nothing speaks against the run.
    pub fn passed(&self) -> bool {
        self.0.is_empty()
    }

    /// What speaks against the test `name`, and, if it never reported, what ended the run before it could.
    pub fn against(&self, name: &str) -> Vec<&Failure> {
        let mut failures: Vec<_> = self.0.iter().filter(|failure| failure.test() == Some(name)).collect();
        if failures.iter().any(|failure| matches!(failure, Failure::MissingTest(_))) {
            failures.extend(self.0.iter().find(|failure| failure.test().is_none()));
        }
        failures
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.passed() {
            return f.write_str("passed");
        }
        let failures: Vec<_> = self.0.iter().map(Failure::to_string).collect();
        f.write_str(&failures.join("\n"))
    }
}
