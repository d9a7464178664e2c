//! Reports one test twice, in the place of another.
#![no_std]
#![no_main]

sys::entry!(main);
suite::declare!(first, second);

fn main() -> u64 {
    misreport::write(&["plan 2", "ok first", "ok first", "done 2 passed, 0 failed, 0 skipped"]);
    misreport::leave_as_passed()
}
