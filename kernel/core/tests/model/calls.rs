//! The kernel calls of the model, decoded by hand.

use super::{Model, endpoint_of};
use crate::support::{Regs, TestMachine, bytes};
use abi::boot::NAME_LEN;
use abi::{Endpoint, Errno};

/// The kinds of the kernel calls.
const TIMES: u64 = 0x619;
const BOOT_ENTRY: u64 = 0x61a;
const ABORT: u64 = 0x61b;
const WHOAMI: u64 = 0x61d;
const DIAG_WRITE: u64 = 0x62c;
const EXIT: u64 = 0x635;
pub(super) const BASE: u64 = 0x600;
/// All of those that the model knows.
pub(crate) const KERNEL_CALLS: [u64; 6] = [TIMES, BOOT_ENTRY, ABORT, WHOAMI, DIAG_WRITE, EXIT];
/// The kind of an answer that says success.
const OK: u64 = 0x8000;
/// Most bytes for the log.
const LONGEST_TEXT: u64 = 1024;
/// Number of ways to abort.
const WAYS: u32 = 3;

impl Model {
    pub(super) fn kernel_call(&mut self, me: usize, call: Regs) -> Result<(), Errno> {
        let kind = call.rsi & 0xffff;
        if !KERNEL_CALLS.contains(&kind) {
            return Err(Errno::BadRequest);
        }
        if self.processes[me].entry.calls >> (kind - BASE) & 1 == 0 {
            return Err(Errno::CallDenied);
        }
        let [first, second, ..] = call.body;
        let words = match kind {
            TIMES => vec![self.machine.ticks, TestMachine::HZ],
            BOOT_ENTRY if first < self.processes.len() as u64 => self.identity(first as usize),
            BOOT_ENTRY => return Err(Errno::Dom),
            WHOAMI => self.identity(me),
            DIAG_WRITE => self.diag_write(me, first, second)?,
            ABORT if first as u32 >= WAYS => return Err(Errno::Inval),
            ABORT => {
                self.aborted = Some((first as u32, (first >> 32) as u32));
                return Ok(());
            }
            _ => {
                self.machine.lines.push(format!("{} exited, status {first}", self.processes[me].name()));
                self.end(me);
                return Ok(());
            }
        };
        let mut body = [0; 7];
        body[..words.len()].copy_from_slice(&words);
        let tag = call.rsi & 0xffff_0000;
        self.processes[me].regs =
            Regs { rax: 0, rdi: Endpoint::SYSTEM.raw().into(), rsi: OK | tag, body, ..Regs::default() };
        Ok(())
    }

    /// Name and endpoint as words.
    fn identity(&self, process: usize) -> Vec<u64> {
        let name: [u8; NAME_LEN] = self.processes[process].entry.name;
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        vec![word(&name[..8]), word(&name[8..]), endpoint_of(process).raw().into()]
    }

    fn diag_write(&mut self, me: usize, address: u64, len: u64) -> Result<Vec<u64>, Errno> {
        if !(1..=LONGEST_TEXT).contains(&len) {
            return Err(Errno::Inval);
        }
        let process = &self.processes[me];
        let text = bytes(process.root, address, len as usize).ok_or(Errno::Fault)?;
        self.machine.texts.push((process.name(), text));
        Ok(Vec::new())
    }
}
