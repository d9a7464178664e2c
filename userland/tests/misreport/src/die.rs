//! Ends in the middle.
#![no_std]
#![no_main]

sys::entry!(main);
suite::declare!(first, second);

fn main() -> u64 {
    misreport::write(&["plan 2", "ok first"]);
    panic!("on purpose")
}
