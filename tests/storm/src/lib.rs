//! Random traps and kernel calls, as hostile programs make them. Random registers are mostly refused by the first check;
//! these are drawn so that most get past decoding: arguments by the fields that the protocol tables declare, and what they
//! name from what earlier calls were answered.
//!
//! The same code storms the kernel's state machine on the host and the kernel itself from ring 3. It needs no memory but its
//! own.
#![no_std]

#[cfg(test)]
extern crate std;

mod documented;
mod draw;
mod fields;
mod generator;
mod histogram;
mod known;
mod random;
mod sequels;
mod values;

pub use documented::{DOCUMENTED, Documented, OF_THE_ROOT, TRAPS, UNREACHABLE, Unreachable, reachable};
pub use generator::{Generator, Registers};
pub use histogram::{Histogram, Line, Row, rows};
pub use known::{Known, Ring, Samples};
pub use random::Random;
