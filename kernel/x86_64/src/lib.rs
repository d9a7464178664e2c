//! The machine under the kernel: how x86-64 starts, enters and leaves the kernel, maps memory, ticks and shows text.
//! It implements the traits of `kernel-core` and decides nothing.
//!
//! Rules that all of it keeps (docs: decisions, "One target"):
//! - ring 0 runs with interrupts off; the idle loop alone waits with them on, on a stack of its own;
//! - every vector has an interrupt stack, since compiled code uses the red zone;
//! - kernel code uses no floating point; vector registers are wiped before anybody else runs;
//! - memory is reached through the direct map only, and programs' memory only by walking their page tables.
#![no_std]

pub mod acpi;
pub mod apic;
pub mod backtrace;
pub mod boot_info;
pub mod check;
pub mod cpu;
mod entry;
mod exception;
mod frame;
pub mod ioapic;
pub mod layout;
pub mod lock;
mod machine;
pub mod memory;
mod paging;
mod ports;
pub mod power;
pub mod run;
pub mod screen;
pub mod serial;
pub mod smp;
pub mod space;
mod start;
mod tables;
pub mod traced;
pub mod watchdog;

pub use boot_info::BootInfo;
pub use frame::Frame;
pub use machine::{LogSink, X86};
