//! Declares a test of which nothing is ever heard.
#![no_std]
#![no_main]

sys::entry!(main);
suite::declare!(first, second, third);

fn main() -> u64 {
    misreport::write(&["plan 2", "ok first", "ok second", "done 2 passed, 0 failed, 0 skipped"]);
    misreport::leave_as_passed()
}
