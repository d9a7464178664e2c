//! What drivers are written with. A driver is a service ([`sef`](../sef/index.html)); this is what they have beyond that: they announce
//! themselves, and after an announcement they take only requests that were meant for this instance of them.
#![no_std]

mod announce;
mod character;

pub use announce::{Kind, announce};
pub use character::{Character, MOST_OPEN, Minors};
