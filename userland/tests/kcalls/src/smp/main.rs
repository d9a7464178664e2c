//! x
#![no_std]
#![no_main]
sys::entry!(main);
fn main() -> u64 { 0 }
