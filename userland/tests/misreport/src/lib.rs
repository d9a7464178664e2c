//! What suites do that report wrongly: they write their lines one by one, whatever came of their tests.
#![no_std]

use protocol::kernel::AbortHow;

/// Leaves as a suite does whose tests all passed.
pub fn leave_as_passed() -> ! {
    sys::abort(AbortHow::Leave, abi::report::SUITE_PASSED)
}

/// Writes these lines, and nothing else.
pub fn write(lines: &[&str]) {
    for line in lines {
        sys::log!("{line}");
    }
}
