//! The memory server: it decides who has which memory, and which frame is where. The kernel keeps the page tables and does what is asked
//! of it, so everything here is books: the free frames, what names each of the others, and for each process its regions
//! and the frames of its pages.
//!
//! A call checks everything first and reserves what it may need, memory of the server itself too. Then it cannot fail any more,
//! or takes back what it has done. The logic knows no traps: whatever carries its kernel calls is given to it.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod asks;
mod cache;
mod cached;
mod change;
mod check;
mod events;
mod file_maps;
mod files;
mod frames;
mod from_file;
mod heap;
mod info;
mod keep;
mod kept;
mod life;
mod load;
mod machine;
mod map;
mod objects;
mod pages;
mod process;
mod region;
mod serve;
mod set;
mod share;
mod sorted;
mod start;
mod supply;
mod waits;

pub use check::{Checked, Inconsistency};
pub use events::Segv;
pub use heap::{Heap, OVERHEAD};
pub use load::{BootProgram, Chance, LoadError, OwnMemory};
pub use machine::Refusal;
pub use process::Authority;
pub use serve::USER_CALLS;

use alloc::collections::BTreeMap;
use machine::Machine;
use objects::Objects;
use process::{Limits, Process, Processes};

/// The memory server.
#[derive(Debug)]
pub struct Vm<T, H> {
    machine: Machine<T, H>,
    processes: Processes,
    objects: Objects,
    /// Files that came with the boot, by their places in the boot table.
    kept: BTreeMap<u64, kept::File>,
    /// How much a process may have that no other limit was set for.
    limits: Limits,
    /// Who has got a signal after it had waited.
    segv: Option<Segv>,
}

/// What memory is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To be read.
    Read,
    /// To be written.
    Write,
    /// To be executed.
    Execute,
}

impl Need {
    /// As the kernel tells it.
    fn of(access: u8) -> Self {
        match access {
            0 => Self::Read,
            1 => Self::Write,
            _ => Self::Execute,
        }
    }
}
