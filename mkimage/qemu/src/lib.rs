//! Runs an image in QEMU and judges what it reports.
//!
//! A [`Machine`] says what to boot and on which hardware; a [`Goal`] says what the run is to reach. [`run`] boots it,
//! gathers the [`Evidence`] and lets [`judge`] turn that into a [`Verdict`], which has passed only if nothing at all
//! speaks against it. [`suites`] shows the tests of in-system suites as tests of a cargo test target, [`interactive`]
//! connects the terminal, and [`screenshot`] takes a picture.
//!
//! ```no_run
//! use qemu::{Firmware, Goal, Machine, run};
//!
//! let machine = Machine::new("build/selix.iso").firmware(Firmware::Uefi).smp(4);
//! let run = run(&machine, &Goal::Line("selix: up".to_owned()))?;
//! assert!(run.verdict.passed(), "{}", run.verdict);
//! # Ok::<(), qemu::Error>(())
//! ```
//!
//! QEMU never outlives its runner: it is ended when the run is over or unwinds, and the kernel of the host ends it when
//! the thread that started it dies.

mod error;
mod firmware;
mod goal;
mod interactive;
mod judge;
mod lines;
mod machine;
mod outcome;
mod picture;
mod process;
mod qmp;
mod report;
mod run;
mod screenshot;
pub mod suites;
mod tests_section;
mod tools;
mod verdict;
mod watch;

pub use error::Error;
pub use goal::Goal;

pub use interactive::interactive;
pub use judge::judge;
pub use machine::{Accelerator, Cpu, Display, Firmware, Machine};
pub use outcome::{End, Evidence};
pub use report::{Counts, Line, Report, TestResult};
pub use run::{Run, run};
pub use screenshot::screenshot;
pub use tests_section::declared_tests;
pub use verdict::{Counted, Failure, Verdict};
