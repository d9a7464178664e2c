//! A service that does wrong on request, and what a client of any service tells of how it goes.
#![no_std]

mod assist;
pub mod progress;

pub use assist::{Assist, Beginning};
