//! Measures what programs wait for that ask the memory server: page faults, maps, forks, and a program's beginning.
#![no_std]
#![no_main]

mod family;
mod file;
mod growth;
mod memory;
mod program;

use bench::{Trouble, finish};

sys::entry!(main);

fn main() -> u64 {
    finish(measure_all())
}

fn measure_all() -> Result<(), Trouble> {
    let mut memory = memory::Memory::find()?;
    let mut family = family::Family::find()?;
    memory::measure(&mut memory)?;
    family::measure(&mut memory, &mut family)?;
    program::measure(&memory, &mut family)?;
    growth::measure(&mut memory, &mut family)
}
