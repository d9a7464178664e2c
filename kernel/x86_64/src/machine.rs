//! The machine as the core sees it.

use crate::frame::Frame;
use crate::ioapic::IoApics;
use crate::layout::direct;
use crate::memory::Memory;
use crate::paging::Table;
use crate::{ports, run, space};
use core::fmt;
use kernel_core::devices::{self, Devices, Width};
use kernel_core::frames::FrameNumber;
use kernel_core::lines::Trigger;
use kernel_core::{Fault, Machine, MemoryAccess, Stretch};

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
    pub(crate) io_apics: IoApics,
    pub(crate) ticks: u64,
    log: LogSink,
}

impl X86 {
    /// The machine with this memory, these interrupt controllers and this log.
    pub fn new(memory: &Memory, io_apics: IoApics, log: LogSink) -> Self {
        Self { root: memory.root, io_apics, ticks: 0, log }
    }
}

impl Machine for X86 {
    type Frame = Frame;

    fn read(&self, root: FrameNumber, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        space::read(root, address, into)
    }

    fn write(&mut self, root: FrameNumber, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        space::write(root, address, bytes)
    }

    fn reach(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Result<(), Fault> {
        space::reach(root, address, len, access)
    }

    #[inline(always)]
    fn stretch(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Option<Stretch> {
        space::stretch(root, address, len, access)
    }

    #[inline(always)]
    fn locate_byte(&self, root: FrameNumber, address: u64, access: MemoryAccess) -> Option<u64> {
        space::locate_byte(root, address, access)
    }

    fn name_of(&self, frame: FrameNumber) -> u64 {
        direct(frame.address())
    }

    #[inline(always)]
    fn copy(&mut self, from: u64, to: u64, len: u64) {
        space::copy(from, to, len);
    }

    fn fill(&mut self, to: u64, byte: u8, len: u64) {
        space::fill(to, byte, len);
    }

    #[inline(always)]
    fn load(&self, from: u64) -> u64 {
        space::load(from)
    }

    fn time_stamp(&self) -> u64 {
        // SAFETY: reads a counter.
        unsafe { core::arch::x86_64::_rdtsc() }
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

impl Devices for X86 {
    fn trigger(&self, line: u8) -> Option<Trigger> {
        self.io_apics.trigger(line)
    }

    fn mask_line(&mut self, line: u8) {
        self.io_apics.mask(line);
    }

    fn unmask_line(&mut self, line: u8) {
        self.io_apics.unmask(line);
    }

    fn is_kernel_port(&self, port: u16) -> bool {
        devices::is_kernel_port(port) || run::is_debug_exit(port)
    }

    fn port_in(&mut self, port: u16, width: Width) -> u32 {
        // SAFETY: the core asks for no port of the kernel's. What the other devices do, policy has given to the program.
        unsafe { ports::read(port, width) }
    }

    fn port_out(&mut self, port: u16, width: Width, value: u32) {
        // SAFETY: as for `port_in`.
        unsafe { ports::write(port, width, value) };
    }
}
