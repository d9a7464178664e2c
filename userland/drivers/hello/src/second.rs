//! The second version of the driver, which also counts what was read.
#![no_std]
#![no_main]

use hello::{Hello, Second};

sys::entry!(main);

fn main() -> u64 {
    sef::run(&mut Hello::<Second>::new())
}
