//! What the core asks of the machine under it.

use crate::devices::Devices;
use crate::frames::FrameNumber;
use crate::{MemoryAccess, Tables};
use abi::{BODY_WORDS, Context, Endpoint, Message, Signal, Status};
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
    /// Kind and tag of what the process sends, or asks the kernel for.
    fn header(&self) -> u64 {
        self.request().header
    }
    /// The payload that it sends.
    fn body(&self) -> [u64; BODY_WORDS];
    /// The same, to put an answer there.
    fn body_mut(&mut self) -> &mut [u64; BODY_WORDS];
    /// Gives it all of a message but the payload, and success as the result of its trap.
    fn set_head(&mut self, source: Endpoint, header: u64, status: Status);
    /// Gives it a message, and success as the result of its trap.
    fn deliver(&mut self, message: &Message, status: Status) {
        self.set_head(message.peer, message.header(), status);
        *self.body_mut() = message.body;
    }
    /// Address and number of entries of the table that [`abi::Trap::SendA`] registers.
    fn table(&self) -> (u64, u64);
    /// Lets the process start a program: all registers are zero but these.
    fn start(&mut self, entry: u64, stack: u64);
    /// All registers, as a tracer or a signal handler sees them.
    fn context(&self) -> Context;
    /// Sets all of them, but what a program must not set: the system's bits of the flags, and reserved ones of the FPU.
    fn set_context(&mut self, context: &Context);
    /// Lets the process call a signal handler with the signal and the address of its frame.
    fn handle_signal(&mut self, handler: u64, stack: u64, signal: Signal, frame: u64);
    /// Lets the process stop after each instruction, or not.
    fn set_step(&mut self, on: bool);
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

/// Bytes of a program's memory that can be copied as one, by the names that the machine gives them. It holds as long as nothing
/// is mapped or unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The name of the first; those of the others follow.
    pub first: u64,
    /// How many.
    pub len: u64,
}

/// The machine under the core.
pub trait Machine: Devices + Tables {
    /// Saved registers.
    type Frame: Frame;

    /// Copies from a program's memory, in the space of which `root` is the root table. Devices cannot be read.
    ///
    /// # Errors
    /// The first address that the program itself could not read. `into` may be written up to there.
    fn read(&self, root: FrameNumber, address: u64, into: &mut [u8]) -> Result<(), Fault>;

    /// Copies to a program's memory.
    ///
    /// # Errors
    /// The first address that the program itself could not write. All before it is written.
    fn write(&mut self, root: FrameNumber, address: u64, bytes: &[u8]) -> Result<(), Fault>;

    /// Whether a program could access all of a range itself.
    ///
    /// # Errors
    /// The first address that it could not.
    fn reach(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Result<(), Fault>;

    /// Finds bytes of a range, from its first on, that a program could access itself: some of them, as many as are easily found.
    /// The range is at most [`MAX_COPIED`](protocol::kernel::MAX_COPIED) bytes long. `None` if the program could not access its first byte like this, or that is
    /// a device's.
    fn stretch(&self, root: FrameNumber, address: u64, len: u64, access: MemoryAccess) -> Option<Stretch>;

    /// The name of the byte at an address, as [`Machine::stretch`] finds it; those behind it follow until the end of the page.
    #[inline(always)]
    fn locate_byte(&self, root: FrameNumber, address: u64, access: MemoryAccess) -> Option<u64> {
        self.stretch(root, address, 1, access).map(|stretch| stretch.first)
    }

    /// The name of the first byte of a frame of a program's memory; those of the others follow.
    fn name_of(&self, frame: FrameNumber) -> u64;

    /// Copies bytes inside of located stretches; `from` and `to` are names of bytes.
    fn copy(&mut self, from: u64, to: u64, len: u64);

    /// Fills bytes inside of a located stretch.
    fn fill(&mut self, to: u64, byte: u8, len: u64);

    /// Reads an aligned word of a located page, once, while other processors may write it.
    fn load(&self, from: u64) -> u64;

    /// The time-stamp counter of the processor that this runs on.
    fn time_stamp(&self) -> u64;

    /// Writes a line of the kernel's own to the log.
    fn log(&mut self, line: fmt::Arguments<'_>);

    /// Writes a line of a program to the log, under the name of the program. The text is foreign: any bytes.
    fn log_program(&mut self, name: &str, text: &[u8]);

    /// Timer ticks since boot.
    fn ticks(&self) -> u64;

    /// Timer ticks in a second.
    fn hz(&self) -> u64;
}
