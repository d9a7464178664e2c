//! What the core asks of the machine under it.

use crate::devices::Devices;
use abi::{BODY_WORDS, Endpoint, Message, Status};
use crate::CpuId;
use core::fmt;

/// The registers that say what a process asks for. See [`abi::Trap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// All of the trap register.
    pub rax: u64,
    /// To whom.
    pub destination: Endpoint,
    /// Kind and tag, see [`Message::header`].
    pub header: u64,
    /// From whom.
    pub source: Endpoint,
}

/// The saved registers of a process. A process that sends keeps its message there until somebody takes it.
pub trait Frame: Clone + Default {
    /// What the process asks for.
    fn request(&self) -> Request;
    /// The payload that it sends.
    fn body(&self) -> [u64; BODY_WORDS];
    /// Gives it a message, and success as the result of its trap.
    fn deliver(&mut self, message: &Message, status: Status);
    /// Address and number of entries of the table that [`abi::Trap::SendA`] registers.
    fn table(&self) -> (u64, u64);
    /// Lets the process start a program: all registers are zero but these.
    fn start(&mut self, entry: u64, stack: u64);
    /// Lets the process, which has just trapped, make the same trap again when it goes on.
    fn rewind_trap(&mut self);
    /// Gives it a result and leaves its message registers as they are.
    fn set_result(&mut self, result: i64);
}

/// An address that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first such address.
    pub address: u64,
}

/// The machine under the core.
pub trait Machine: Devices {
    /// Saved registers.
    type Frame: Frame;
    /// An address space: owns its memory until it is released.
    type Space;

    /// Copies from a program's memory.
    ///
    /// # Errors
    /// The first address that the program itself could not read. `into` may be written up to there.
    fn read(&self, space: &Self::Space, address: u64, into: &mut [u8]) -> Result<(), Fault>;

    /// Copies to a program's memory.
    ///
    /// # Errors
    /// The first address that the program itself could not write. All before it is written.
    fn write(&mut self, space: &Self::Space, address: u64, bytes: &[u8]) -> Result<(), Fault>;

    /// Makes another processor leave user mode; returns when it has. It does not go back before it has been in the kernel.
    fn stop(&mut self, cpu: CpuId);

    /// The time-stamp counter of the processor that this runs on.
    fn time_stamp(&self) -> u64;

    /// Gives back all memory of a space that no process runs in any more.
    fn release(&mut self, space: Self::Space);

    /// Writes a line of the kernel's own to the log.
    fn log(&mut self, line: fmt::Arguments<'_>);

    /// Writes text of a program to the log, each line under the program's name. The text is foreign: any bytes.
    fn log_program(&mut self, name: &str, text: &[u8]);

    /// Timer ticks since boot.
    fn ticks(&self) -> u64;

    /// Timer ticks in a second.
    fn hz(&self) -> u64;
}
