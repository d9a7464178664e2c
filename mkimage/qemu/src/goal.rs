//! What a run is to reach.

/// What a run is to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The suite `name` runs all of `tests`, which its file declares, and leaves QEMU with its final count.
    Suite {
        /// Name of the suite's process, which the kernel puts before its lines.
        name: String,
        /// Names of the tests that must report, see [`crate::declared_tests`].
        tests: Vec<String>,
    },
    /// A line that begins so appears on the serial port, and nothing bad before it. The runner ends QEMU then.
    Line(String),
    /// Anything that is not a crash: the guest may switch itself off, and whoever watches may end it.
    Session,
}
