//! What the kernel, the programs and the image builder agree on. Types and numbers only: no behaviour, no allocation.
//!
//! A change here changes the interface of every program in every image: it needs an entry in `UPDATING.md`, and one that
//! makes existing programs wrong needs a new [`ABI_VERSION`].
#![no_std]

pub mod asynchronous;
pub mod boot;
mod context;
mod endpoint;
mod errno;
pub mod event;
pub mod filter;
pub mod grant;
pub mod layout;
mod message;
pub mod note;
pub mod policy;
mod privilege;
pub mod report;
mod signal;
mod trap;

pub use context::{Context, FPU_LEN, SignalFrame};
pub use endpoint::Endpoint;
pub use errno::Errno;
pub use message::{BODY_LEN, BODY_WORDS, Kind, Message};
pub use privilege::{PRIVILEGES, PrivilegeFlags, PrivilegeId, PrivilegeSpec};
pub use signal::Signal;
pub use trap::{Status, TRAP_BASE, Trap, TrapMask};

/// Version of everything in this crate. Programs carry it in an ELF note (see [`note`]), images in their boot table;
/// the kernel and `mkimage` refuse any other.
pub const ABI_VERSION: u32 = 2;
