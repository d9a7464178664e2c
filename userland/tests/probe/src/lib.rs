//! Runs a trap or a stretch of time with every register of the processor set to a chosen value, and shows every register
//! afterwards. For tests of what the kernel does to registers.
#![no_std]

mod rules;
mod run;
mod state;

pub use rules::{after_spin, after_trap};
pub use run::{Counter, spin, trap, user_selector};
pub use state::{Fpu, Register, State};
pub use storm::Random;
