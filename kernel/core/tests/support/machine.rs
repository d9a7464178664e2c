//! The machine under the kernel.

use super::{TestDevices, TestMemory};
use abi::layout::{PAGE_SIZE, USER_END};
use abi::{BODY_WORDS, Context, Endpoint, Message, Signal, Status};
use core::cell::Cell;
use kernel_core::frames::FrameNumber;
use kernel_core::{Fault, Frame, Machine, MemoryAccess, Request, Stretch};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::string::{String, ToString};
use std::vec::Vec;
use zerocopy::FromZeros;

/// The registers that take part in traps, with their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regs {
    pub(crate) rax: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rdx: u64,
    /// Those that carry the payload.
    pub(crate) body: [u64; BODY_WORDS],
    /// Where the program goes on.
    pub(crate) rip: u64,
    /// Its stack pointer.
    pub(crate) rsp: u64,
    /// Whether it stops after each instruction.
    pub(crate) steps: bool,
}

impl Regs {
    /// The same trap, made by the instruction before this address.
    pub(crate) fn at(self, rip: u64) -> Self {
        Self { rip, ..self }
    }
}

/// Bytes of the instruction that traps.
pub(crate) const TRAP_LEN: u64 = 2;

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
        let (rdi, rsi, rdx) = (message.peer.raw().into(), message.header(), status.0);
        *self = Self { rax: 0, rdi, rsi, rdx, body: message.body, ..*self };
    }

    fn body_mut(&mut self) -> &mut [u64; BODY_WORDS] {
        &mut self.body
    }

    fn set_head(&mut self, source: Endpoint, header: u64, status: Status) {
        (self.rax, self.rdi, self.rsi, self.rdx) = (0, source.raw().into(), header, status.0);
    }

    fn table(&self) -> (u64, u64) {
        (self.rdi, self.rdx)
    }

    fn start(&mut self, entry: u64, stack: u64) {
        *self = Self { rip: entry, rsp: stack, ..Self::default() };
    }

    fn context(&self) -> Context {
        let [r8, r9, r10, r12, r13, r14, r15] = self.body;
        let Self { rax, rdi, rsi, rdx, rip, rsp, .. } = *self;
        Context { rax, rdi, rsi, rdx, rip, rsp, r8, r9, r10, r12, r13, r14, r15, ..Context::new_zeroed() }
    }

    fn set_context(&mut self, context: &Context) {
        let Context { rax, rdi, rsi, rdx, rip, rsp, r8, r9, r10, r12, r13, r14, r15, .. } = *context;
        *self = Self { rax, rdi, rsi, rdx, rip, rsp, body: [r8, r9, r10, r12, r13, r14, r15], ..*self };
    }

    fn handle_signal(&mut self, handler: u64, stack: u64, signal: Signal, frame: u64) {
        (self.rip, self.rsp, self.rdi, self.rsi) = (handler, stack, signal.number().into(), frame);
    }

    fn set_step(&mut self, on: bool) {
        self.steps = on;
    }

    fn rewind_trap(&mut self) {
        self.rip = self.rip.wrapping_sub(TRAP_LEN);
    }

    fn set_result(&mut self, result: i64) {
        self.rax = result as u64;
    }
}

/// Where each program has its memory.
pub(crate) const MEMORY_START: u64 = abi::layout::USER_START;
/// How many bytes: more than any call looks at, and not a whole number of pages.
pub(crate) const MEMORY: usize = 18 * PAGE_SIZE as usize + 16;

/// What stands at first in the memory of the program whose space has this root table: other bytes than with the next; `None` where
/// not all of the range is memory.
pub(crate) fn bytes(root: usize, address: u64, len: usize) -> Option<Vec<u8>> {
    let start = usize::try_from(address.checked_sub(MEMORY_START)?).ok()?;
    let end = start.checked_add(len)?;
    (end <= MEMORY).then(|| (start..end).map(|i| (i + root * 7) as u8).collect())
}

/// The number of a frame.
fn number(frame: FrameNumber) -> usize {
    (frame.address() / PAGE_SIZE) as usize
}

/// Stands for the root table of a space in the names of bytes of physical memory.
const PHYSICAL: usize = 1 << 16;

/// Bits of an address in the name of a byte; the root table is above.
const ADDRESS_BITS: u32 = USER_END.ilog2() + 1;

/// The space and the address of a byte, by its name.
fn named(byte: u64) -> (usize, u64) {
    ((byte >> ADDRESS_BITS) as usize, byte & ((1 << ADDRESS_BITS) - 1))
}

/// The first address of the page.
pub(crate) fn page_of(address: u64) -> u64 {
    address & !(PAGE_SIZE - 1)
}

/// What another processor writes while this one reads words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meanwhile {
    /// So many words are read before.
    pub(crate) after: Cell<usize>,
    /// Where it is: the root table and the address.
    pub(crate) root: usize,
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Meanwhile {
    /// What stands at an address now, if it is another than before.
    fn byte(&self, root: usize, address: u64) -> Option<u8> {
        let at = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.bytes.get(at).copied().filter(|_| root == self.root && self.after.get() == 0)
    }

    fn word_is_read(&self) {
        self.after.set(self.after.get().saturating_sub(1));
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
    pub(crate) devices: TestDevices,
    /// What was written to programs' memory: by root table and address.
    pub(crate) written: BTreeMap<(usize, u64), u8>,
    /// Pages of programs' memory that are not there: the same.
    pub(crate) absent: BTreeSet<(usize, u64)>,
    /// Those that cannot be written.
    pub(crate) read_only: BTreeSet<(usize, u64)>,
    /// The time-stamp counter.
    pub(crate) cycles: u64,
    /// Page tables, and what CPUs remember of them.
    pub(crate) memory: TestMemory,
    pub(crate) meanwhile: Option<Meanwhile>,
}

/// The time, the kernel's lines, and programs' texts.
type Seen<'m> = (u64, &'m [String], &'m [(String, Vec<u8>)]);

impl TestMachine {
    /// Not 1, so that it is not taken for the ticks.
    pub(crate) const HZ: u64 = 250;

    /// What stands at an address now.
    pub(crate) fn byte(&self, root: usize, address: u64) -> Option<u8> {
        if self.absent.contains(&(root, page_of(address))) {
            return None;
        }
        if root == PHYSICAL {
            return Some(self.written.get(&(root, address)).copied().unwrap_or(0));
        }
        self.written.get(&(root, address)).copied().or_else(|| Some(bytes(root, address, 1)?[0]))
    }

    fn may_write(&self, root: usize, address: u64) -> bool {
        self.byte(root, address).is_some() && !self.read_only.contains(&(root, page_of(address)))
    }

    /// What a model knows of, too: the time and the log.
    pub(crate) fn seen(&self) -> Seen<'_> {
        (self.ticks, &self.lines, &self.texts)
    }
}

impl Machine for TestMachine {
    type Frame = Regs;

    fn read(&self, root: FrameNumber, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        let root = number(root);
        for (i, byte) in into.iter_mut().enumerate() {
            let address = address.checked_add(i as u64).ok_or(Fault { address: 0 })?;
            *byte = self.byte(root, address).ok_or(Fault { address })?;
        }
        Ok(())
    }

    fn write(&mut self, root: FrameNumber, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        let root = number(root);
        for (i, byte) in bytes.iter().enumerate() {
            let address = address.checked_add(i as u64).ok_or(Fault { address: 0 })?;
            if !self.may_write(root, address) {
                return Err(Fault { address });
            }
            self.written.insert((root, address), *byte);
        }
        Ok(())
    }

    fn reach(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Result<(), Fault> {
        let root = number(root);
        let reached = |address: &u64| match access {
            MemoryAccess::Write => self.may_write(root, *address),
            _ => self.byte(root, *address).is_some(),
        };
        let end = address.checked_add(len).ok_or(Fault { address: 0 })?;
        (address..end).find(|address| !reached(address)).map_or(Ok(()), |address| Err(Fault { address }))
    }

    fn stretch(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Option<Stretch> {
        assert!(len <= protocol::kernel::MAX_COPIED, "a call does bounded work");
        let len = len.min(PAGE_SIZE - address % PAGE_SIZE);
        self.reach(root, address, len, access).ok()?;
        Some(Stretch { first: (number(root) as u64) << ADDRESS_BITS | address, len })
    }

    fn name_of(&self, frame: FrameNumber) -> u64 {
        (PHYSICAL as u64) << ADDRESS_BITS | frame.address()
    }

    fn copy(&mut self, from: u64, to: u64, len: u64) {
        assert!(len > 0 && page_of(from) == page_of(from + len - 1) && page_of(to) == page_of(to + len - 1));
        let byte = |byte: u64| {
            let (root, address) = named(byte);
            self.byte(root, address).expect("it was located")
        };
        let bytes: Vec<u8> = (from..from + len).map(byte).collect();
        self.written.extend((to..).map(named).zip(bytes));
    }

    fn fill(&mut self, to: u64, byte: u8, len: u64) {
        assert!(len > 0 && page_of(to) == page_of(to + len - 1));
        self.written.extend((to..to + len).map(|at| (named(at), byte)));
    }

    fn load(&self, from: u64) -> u64 {
        assert!(from.is_multiple_of(8));
        let (root, address) = named(from);
        let other = |at| self.meanwhile.as_ref().and_then(|change| change.byte(root, at));
        let byte = |at| other(at).or_else(|| self.byte(root, at)).expect("it was located");
        let word = u64::from_le_bytes(core::array::from_fn(|i| byte(address + i as u64)));
        self.meanwhile.iter().for_each(Meanwhile::word_is_read);
        word
    }

    fn time_stamp(&self) -> u64 {
        self.cycles
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
