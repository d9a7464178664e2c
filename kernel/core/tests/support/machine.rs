//! The machine under the kernel.

use super::TestDevices;
use abi::{BODY_WORDS, Endpoint, Message, Status};
use kernel_core::{Fault, Frame, Machine, Request};
use std::fmt;
use std::string::{String, ToString};
use std::vec::Vec;

/// The registers that take part in traps, with their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regs {
    pub(crate) rax: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rdx: u64,
    /// Those that carry the payload.
    pub(crate) body: [u64; BODY_WORDS],
}

impl Frame for Regs {
    fn request(&self) -> Request {
        Request {
            rax: self.rax,
            destination: Endpoint::from_raw(self.rdi as u32),
            header: self.rsi,
            source: Endpoint::from_raw(self.rdx as u32),
        }
    }

    fn body(&self) -> [u64; BODY_WORDS] {
        self.body
    }

    fn deliver(&mut self, message: &Message, status: Status) {
        *self =
            Self { rax: 0, rdi: message.peer.raw().into(), rsi: message.header(), rdx: status.0, body: message.body };
    }

    fn set_result(&mut self, result: i64) {
        self.rax = result as u64;
    }
}

/// Where each program has its memory.
pub(crate) const MEMORY_START: u64 = abi::layout::USER_START;
/// How many bytes: a little more than the longest text for the log.
pub(crate) const MEMORY: usize = protocol::kernel::MAX_DIAG + 16;

/// An address space: its number says what stands in its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    id: usize,
}

impl Space {
    pub(crate) fn new(id: usize) -> Self {
        Self { id }
    }

    /// Other bytes than those of the next spaces; `None` where not all of the range is memory.
    pub(crate) fn bytes(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let start = usize::try_from(address.checked_sub(MEMORY_START)?).ok()?;
        let end = start.checked_add(len)?;
        (end <= MEMORY).then(|| (start..end).map(|i| (i + self.id * 7) as u8).collect())
    }
}

/// Keeps what it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestMachine {
    pub(crate) ticks: u64,
    /// Lines of the kernel.
    pub(crate) lines: Vec<String>,
    /// Names of programs, and their texts.
    pub(crate) texts: Vec<(String, Vec<u8>)>,
    /// Numbers of the spaces that were given back, in that order.
    pub(crate) released: Vec<usize>,
    pub(crate) devices: TestDevices,
}

impl TestMachine {
    /// Not 1, so that it is not taken for the ticks.
    pub(crate) const HZ: u64 = 250;
}

impl Machine for TestMachine {
    type Frame = Regs;
    type Space = Space;

    fn read(&self, space: &Space, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        for (i, byte) in into.iter_mut().enumerate() {
            let address = address.checked_add(i as u64).ok_or(Fault { address: 0 })?;
            *byte = space.bytes(address, 1).ok_or(Fault { address })?[0];
        }
        Ok(())
    }

    fn release(&mut self, space: Space) {
        self.released.push(space.id);
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        self.lines.push(line.to_string());
    }

    fn log_program(&mut self, name: &str, text: &[u8]) {
        self.texts.push((name.to_string(), text.to_vec()));
    }

    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn hz(&self) -> u64 {
        Self::HZ
    }
}
