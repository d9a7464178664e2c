//! The same as a program that is no service, and asks for what only some users may.
#![no_std]
#![no_main]

use services::{Assist, Beginning};

sys::entry!(main);

fn main() -> u64 {
    let mut assist = Assist::new(Beginning::Well);
    sys::serve(&mut assist, protocol::assist::answer).error as u64
}
