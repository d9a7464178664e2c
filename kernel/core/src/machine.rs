//! What the core asks of the machine under it.

use crate::Tables;
use crate::frames::FrameNumber;
use abi::{BODY_WORDS, Endpoint, Message, Status};
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
pub trait Frame {
    /// What the process asks for.
    fn request(&self) -> Request;
    /// The payload that it sends.
    fn body(&self) -> [u64; BODY_WORDS];
    /// Gives it a message, and success as the result of its trap.
    fn deliver(&mut self, message: &Message, status: Status);
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
pub trait Machine: Tables {
    /// Saved registers.
    type Frame: Frame;

    /// Copies from a program's memory, in the space of which `root` is the root table. Devices cannot be read.
    ///
    /// # Errors
    /// The first address that the program itself could not read. `into` may be written up to there.
    fn read(&self, root: FrameNumber, address: u64, into: &mut [u8]) -> Result<(), Fault>;

    /// Writes a line of the kernel's own to the log.
    fn log(&mut self, line: fmt::Arguments<'_>);

    /// Writes text of a program to the log, each line under the program's name. The text is foreign: any bytes.
    fn log_program(&mut self, name: &str, text: &[u8]);

    /// Timer ticks since boot.
    fn ticks(&self) -> u64;

    /// Timer ticks in a second.
    fn hz(&self) -> u64;
}
