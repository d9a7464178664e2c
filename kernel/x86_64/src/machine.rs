//! The machine as the core sees it.

use crate::frame::Frame;
use crate::memory::Memory;
use crate::paging;
use crate::space::Space;
use core::fmt;
use kernel_core::{Fault, Machine};

/// Timer ticks in a second.
pub(crate) const HZ: u64 = 100;

/// Where the log goes: the kernel's binary knows.
#[derive(Clone, Copy)]
pub struct LogSink {
    /// Writes a line of the kernel's.
    pub line: fn(fmt::Arguments<'_>),
    /// Writes text of a program under its name.
    pub program: fn(&str, &[u8]),
}

/// The machine.
pub struct X86 {
    /// Its memory.
    pub memory: Memory,
    pub(crate) ticks: u64,
    log: LogSink,
}

impl X86 {
    /// The machine with this memory and log.
    pub fn new(memory: Memory, log: LogSink) -> Self {
        Self { memory, ticks: 0, log }
    }
}

impl Machine for X86 {
    type Frame = Frame;
    type Space = Space;

    fn read(&self, space: &Space, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        space.read(address, into)
    }

    fn release(&mut self, space: Space) {
        if paging::current() == space.root() {
            // SAFETY: the kernel's own space maps the kernel like every other.
            unsafe { paging::load(self.memory.root) };
        }
        space.release(&mut self.memory.frames);
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        (self.log.line)(line);
    }

    fn log_program(&mut self, name: &str, text: &[u8]) {
        (self.log.program)(name, text);
    }

    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn hz(&self) -> u64 {
        HZ
    }
}
