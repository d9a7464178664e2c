//! Program start, traps, panic: the one low-level user crate.
//!
//! A program is `#![no_std] #![no_main]`, names its main function with [`entry!`], and gets from here the code before
//! `main`, the ABI note, the panic handler and the traps. These exist only where panics abort, as in all builds of
//! programs; on the host, where panics unwind, `std` has its own, and crates above this one can be tested.
#![no_std]

mod lent;
mod line;
mod log;
#[cfg(panic = "abort")]
mod program;
mod senda;
mod start;
mod trap;

pub use lent::Lent;
pub use line::Line;
pub use log::{log, write_line};
pub use senda::{AsyncSlot, senda};
pub use start::exit;
pub use trap::{Received, Registers, kernel_call, notify, receive, reply_receive, send, send_nb, sendrec, trap};
