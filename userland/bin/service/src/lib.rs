//! The command `service`: what it is told is read, done by asking the root system process, and shown. Whoever has a kernel gives it a
//! [`System`].
#![no_std]

mod act;
mod command;
mod help;
mod mistake;
mod options;
mod table;

pub use act::{System, run};
pub use command::Command;
pub use help::HELP;
pub use mistake::Mistake;
pub use table::{Row, print as print_table};

#[cfg(test)]
mod tests;
