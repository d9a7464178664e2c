//! How a run of the system tells its outcome to whoever started it: a last kernel call with one of these codes, which
//! leaves QEMU through its `isa-debug-exit` device. QEMU turns code `c` into its own exit status `c << 1 | 1`.
//!
//! A suite is an ordinary program, called here `NAME`. The kernel puts `NAME: ` before each line that it logs, so nobody
//! else can write its lines. They are, in this order:
//!
//! ```text
//! NAME: plan 3
//! NAME: ok reads_kernel_memory
//! NAME: not ok executes_data: went on after the jump
//! NAME: skip needs_four_cpus: there is one
//! NAME: done 1 passed, 1 failed, 1 skipped
//! ```
//!
//! and then it leaves with [`SUITE_PASSED`] or [`SUITE_FAILED`]. The names of its tests also stand in the section
//! `.selix.tests` of its file, each ended by a zero byte, so that a test that never reports is missed.

/// Exit code of a suite whose tests all passed.
pub const SUITE_PASSED: u32 = 0x21;
/// Exit code of a suite of which a test failed or was skipped.
pub const SUITE_FAILED: u32 = 0x22;
/// Exit code of a kernel that panicked.
pub const KERNEL_PANIC: u32 = 0x23;
/// Exit code of a system whose root system process cannot do its work.
pub const SYSTEM_FAILED: u32 = 0x24;

/// Section of a suite's file with the names of its tests.
pub const TESTS_SECTION: &str = ".selix.tests";
