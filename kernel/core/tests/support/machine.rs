//! The machine under the kernel.

use super::{TestDevices, TestMemory};
use abi::layout::PAGE_SIZE;
use abi::{BODY_WORDS, Endpoint, Message, Status};
use kernel_core::frames::FrameNumber;
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

/// What stands in the memory of the program whose space has this root table: other bytes than with the next; `None` where
/// not all of the range is memory.
pub(crate) fn bytes(root: usize, address: u64, len: usize) -> Option<Vec<u8>> {
    let start = usize::try_from(address.checked_sub(MEMORY_START)?).ok()?;
    let end = start.checked_add(len)?;
    (end <= MEMORY).then(|| (start..end).map(|i| (i + root * 7) as u8).collect())
}

/// Keeps what it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestMachine {
    pub(crate) ticks: u64,
    /// Lines of the kernel.
    pub(crate) lines: Vec<String>,
    /// Names of programs, and their texts.
    pub(crate) texts: Vec<(String, Vec<u8>)>,
    pub(crate) devices: TestDevices,
    /// Page tables, and what CPUs remember of them.
    pub(crate) memory: TestMemory,
}

/// The time, the kernel's lines, and programs' texts.
type Seen<'m> = (u64, &'m [String], &'m [(String, Vec<u8>)]);

impl TestMachine {
    /// Not 1, so that it is not taken for the ticks.
    pub(crate) const HZ: u64 = 250;

    /// What a model knows of, too: the time and the log.
    pub(crate) fn seen(&self) -> Seen<'_> {
        (self.ticks, &self.lines, &self.texts)
    }
}

impl Machine for TestMachine {
    type Frame = Regs;

    fn read(&self, root: FrameNumber, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        let root = (root.address() / PAGE_SIZE) as usize;
        for (i, byte) in into.iter_mut().enumerate() {
            let address = address.checked_add(i as u64).ok_or(Fault { address: 0 })?;
            *byte = bytes(root, address, 1).ok_or(Fault { address })?[0];
        }
        Ok(())
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
