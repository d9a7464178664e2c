//! Program start, traps, panic: the one low-level user crate.
//!
//! A program is `#![no_std] #![no_main]`, names its main function with [`entry!`], and gets from here the code before
//! `main`, the ABI note, the panic handler and the traps. These exist only where panics abort, as in all builds of
//! programs; on the host, where panics unwind, `std` has its own, and crates above this one can be tested.
#![no_std]

mod arguments;
mod file;
mod kernel_call;
mod lent;
mod line;
mod log;
mod others;
mod ports;
#[cfg(panic = "abort")]
mod program;
pub mod random;
mod senda;
mod start;
mod trap;

pub use arguments::arguments;
#[doc(hidden)]
pub use arguments::started_with;
pub use file::boot_file;
pub use kernel_call::{call_unchecked, kernel_call};
pub use lent::Lent;
pub use line::Line;
pub use log::{log, write_line};
pub use others::{Others, fill_in, read_from, read_physical, write_to};
pub use ports::{PortWidth, list_of_ports, read_ports, write_ports};
pub use senda::{AsyncSlot, senda};
pub use start::exit;
pub use trap::{Received, Registers, notify, receive, reply_receive, send, send_nb, sendrec, trap, trap_unchecked};
