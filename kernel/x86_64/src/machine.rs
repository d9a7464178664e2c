//! The machine as the core sees it.

use crate::frame::Frame;
use crate::memory::Memory;
use crate::paging::Table;
use crate::space;
use core::fmt;
use kernel_core::frames::FrameNumber;
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
    /// The root table of the kernel's own address space.
    pub(crate) root: Table,
    pub(crate) ticks: u64,
    log: LogSink,
}

impl X86 {
    /// The machine with this memory and log.
    pub fn new(memory: &Memory, log: LogSink) -> Self {
        Self { root: memory.root, ticks: 0, log }
    }
}

impl Machine for X86 {
    type Frame = Frame;

    fn read(&self, root: FrameNumber, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        space::read(root, address, into)
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
