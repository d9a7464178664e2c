//! Never waits: computes, and notifies the suite now and then.
#![no_std]
#![no_main]

use core::hint::black_box;

sys::entry!(main);

/// Rounds of an empty loop between two notifications.
const PAUSE: u64 = 100_000;

fn main() -> u64 {
    let Some(suite) = sys::lookup(smp::SUITE) else { return 1 };
    while rt::notify(suite).is_ok() {
        (0..PAUSE).for_each(|i| _ = black_box(i));
    }
    0
}
