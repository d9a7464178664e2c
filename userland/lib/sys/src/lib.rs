//! What programs are written with: kernel calls, typed clients, the serve loop, grants.
#![no_std]

pub mod grants;
mod ipc;
mod kernel;
mod serve;
mod user;

pub use ipc::Ipc;
pub use kernel::{
    KernelTransport, abort, boot_programs, exit, getinfo, irqctl, kernel, lookup, name_of, privctl, statectl, ticks,
    trace, vmctl, whoami,
};
pub use rt::{PortWidth, arguments, entry, list_of_ports, read_ports, write_ports};
pub use serve::{Port, Stopped, Traps, serve, serve_over};
pub use user::{exit_user, process_manager};

#[doc(hidden)]
pub use rt::log as log_line;

/// Writes a line to the kernel log, with the syntax of `format!`. A line is one kernel call and at most
/// [`protocol::kernel::MAX_DIAG`] bytes; the rest is cut off.
#[macro_export]
macro_rules! log {
    ($($arg:tt)*) => { $crate::log_line(::core::format_args!($($arg)*)) };
}
