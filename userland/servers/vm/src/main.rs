//! The memory server.
#![no_std]
#![no_main]

sys::entry!(main);

fn main() -> u64 {
    1
}
