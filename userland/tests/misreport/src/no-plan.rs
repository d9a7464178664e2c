//! Does not say what it plans.
#![no_std]
#![no_main]

sys::entry!(main);
suite::declare!(first, second);

fn main() -> u64 {
    misreport::write(&["ok first", "ok second", "done 2 passed, 0 failed, 0 skipped"]);
    misreport::leave_as_passed()
}
