//! Test suites that run inside the system as ordinary programs. What they print and how they end is defined in
//! [`abi::report`].
//!
//! Tests are functions that return an [`Outcome`], in modules of a program whose `main.rs` lists them:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! mod order;
//! suite::suite! {
//!     order { senders_are_served_in_turn, a_notification_comes_first }
//! }
//! ```
#![no_std]

mod check;
pub mod orders;
mod report;

pub use check::{Failure, Outcome, Text};
pub use report::{Test, report};
#[doc(hidden)]
pub use sys::entry;

use protocol::kernel::AbortHow;

/// Runs the tests, reports each, and leaves with the exit code that says whether all passed.
pub fn run(tests: &[Test]) -> ! {
    let passed = report(tests, sys::log_line);
    sys::abort(AbortHow::Leave, if passed { abi::report::SUITE_PASSED } else { abi::report::SUITE_FAILED })
}

/// Says why there are no tests, and ends the run as a failed one.
pub fn refuse(errno: abi::Errno) -> ! {
    sys::log_line(format_args!("cannot begin: {errno}"));
    sys::abort(AbortHow::Leave, abi::report::SUITE_FAILED)
}

/// Makes a program of these tests: `module { test, ... }`, run in this order. Two tests of one name do not compile, and a
/// test that is not listed is dead code, which the compiler reports. With `[before function]` in front, that function is called first: without its `Ok` there
/// are no tests.
#[macro_export]
macro_rules! suite {
    ($([before $before:path])? $($module:ident { $($test:ident),+ $(,)? })+) => {
        $($(use $module::$test;)+)+
        $crate::declare!($($($test),+),+);
        $crate::entry!(main);

        fn main() -> u64 {
            $(if let Err(errno) = $before() {
                $crate::refuse(errno);
            })?
            $crate::run(&[$($($crate::Test { name: stringify!($test), run: $test }),+),+])
        }
    };
}

/// Writes the names of tests into the section that the runner reads, so that it misses a test that never reports.
#[macro_export]
macro_rules! declare {
    ($($test:ident),+ $(,)?) => {
        const _: () = {
            const NAMES: &str = concat!($(stringify!($test), "\0"),+);
            #[used]
            #[unsafe(link_section = ".selix.tests")]
            static SECTION: [u8; NAMES.len()] = match NAMES.as_bytes().first_chunk() {
                Some(bytes) => *bytes,
                None => unreachable!(),
            };
        };
    };
}
