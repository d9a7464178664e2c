//! What suites and victims agree on.
#![no_std]

mod deed;
pub mod random_trap;
pub mod suite;

pub use deed::{Ask, Client, Deed, Order, Survived};

/// Name of the suite in the boot table.
pub const SUITE: &str = "suite";
