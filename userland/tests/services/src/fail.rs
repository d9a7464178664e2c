//! The service for tests; how it begins: `Fail`.
#![no_std]
#![no_main]

use services::{Assist, Beginning};

sys::entry!(main);

fn main() -> u64 {
    sef::run(&mut Assist::new(Beginning::Fail))
}
