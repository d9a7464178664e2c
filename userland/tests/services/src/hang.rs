//! The service for tests; how it begins: `Hang`.
#![no_std]
#![no_main]

use services::{Assist, Beginning};

sys::entry!(main);

fn main() -> u64 {
    sef::run(&mut Assist::new(Beginning::Hang))
}
