//! The kernel calls of a tracer: stop a process, look into it, change it, and let it go on.
//!
//! A process that steps or traces its traps stops with [`abi::Signal::TRAP`], which its signal manager gets.

use abi::Endpoint;

crate::protocol! {
    trace = 0x780;

    /// Stops a process, and forgets what it was traced for.
    1 fn stop(Stop { process: Endpoint }) -> Stopped {};
    /// Lets it go on. `EINVAL` if no tracer stopped it.
    2 fn resume(Resume { process: Endpoint }) -> Resumed {};
    /// Lets it go on, traced no longer. A trap that was held back is made as if nobody had traced. Errors as of
    /// [`Resume`].
    3 fn detach(Detach { process: Endpoint }) -> Detached {};
    /// Lets it execute one instruction. Errors as of [`Resume`].
    4 fn step(Step { process: Endpoint }) -> Stepped {};
    /// Lets it go on until it makes a trap, and then once more until that is done. Errors as of [`Resume`].
    5 fn until_trap(UntilTrap { process: Endpoint }) -> TrapAwaited {};
    /// Reads its memory. `EINVAL` for a length of 0 or of more than [`MAX_PEEK`], `EFAULT` if it is not there.
    6 fn peek(Peek { process: Endpoint, len: u32, address: u64 }) -> Peeked { bytes: [u8; 48] };
    /// Writes its memory. `EINVAL` for a length of 0 or of more than [`MAX_POKE`], `EFAULT` if it cannot be written.
    7 fn poke(Poke { process: Endpoint, len: u32, address: u64, bytes: [u8; 40] }) -> Poked {};
    /// Reads a register: the one with this place in [`abi::Context`], counted in words. `EFAULT` beyond the flags, `EBUSY` if
    /// the process could run.
    8 fn get_register(GetRegister { process: Endpoint, index: u32 }) -> Register { value: u64 };
    /// Sets it; of the flags only those that a program can set itself. `EINVAL` for an address of code that no program can have,
    /// other errors as of [`GetRegister`]; `EBUSY` too if the process waits for a message.
    9 fn set_register(SetRegister { process: Endpoint, index: u32, value: u64 }) -> RegisterSet {};
}

/// Most bytes of one [`Peek`].
pub const MAX_PEEK: usize = 48;
/// Most bytes of one [`Poke`].
pub const MAX_POKE: usize = 40;
