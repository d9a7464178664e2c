//! Leaves without a final count.
#![no_std]
#![no_main]

sys::entry!(main);
suite::declare!(first, second);

fn main() -> u64 {
    misreport::write(&["plan 2", "ok first", "ok second"]);
    misreport::leave_as_passed()
}
