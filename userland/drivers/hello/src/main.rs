//! The first version of the driver.
#![no_std]
#![no_main]

use hello::{First, Hello};

sys::entry!(main);

fn main() -> u64 {
    sef::run(&mut Hello::<First>::new())
}
