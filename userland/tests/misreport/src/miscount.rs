//! Counts a test that never was.
#![no_std]
#![no_main]

sys::entry!(main);
suite::declare!(first, second);

fn main() -> u64 {
    misreport::write(&["plan 2", "ok first", "ok second", "done 3 passed, 0 failed, 0 skipped"]);
    misreport::leave_as_passed()
}
