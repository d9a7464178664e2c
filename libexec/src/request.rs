//! What a new program is told, and where it goes.

use core::ffi::CStr;
use core::ops::Range;

/// How a program is to be started.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Which programs are good enough.
    pub accept: Accept,
    /// The pages of the stack. Nothing else is put there or into the page below.
    pub stack: Range<u64>,
    /// Random bits that choose the base of a relocatable program: see [`crate::Plan::random_base`]. With 0 it is
    /// [`abi::layout::PIE_BASE`].
    pub base: u64,
    /// The arguments, each with a zero byte at its end, one after the other.
    pub arguments: &'a [u8],
    /// The environment, packed as the arguments are.
    pub environment: &'a [u8],
    /// The name that the program was started by: `AT_EXECFN`.
    pub name: &'a CStr,
    /// What the auxiliary vector says that is not in the file.
    pub facts: Facts,
}

/// Which programs are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Those that were built for this version of our ABI.
    Native,
    /// And those that have no Selix note. They relocate themselves, and somebody has to answer their system calls.
    Foreign,
}

/// What the auxiliary vector says of the process and of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Real and effective user: `AT_UID`, `AT_EUID`.
    pub uid: u32,
    /// See [`Facts::uid`].
    pub euid: u32,
    /// Real and effective group: `AT_GID`, `AT_EGID`.
    pub gid: u32,
    /// See [`Facts::gid`].
    pub egid: u32,
    /// Whether the program got rights that its caller had not.
    pub trust: Trust,
    /// Bytes that nobody can guess; `AT_RANDOM` is their address. Not those of [`Request::base`].
    pub random: [u8; 16],
    /// Features of the processor: EDX of CPUID leaf 1, as `AT_HWCAP` has it on x86-64.
    pub hwcap: u64,
}

/// What `AT_SECURE` says of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The program has the rights of its caller, and may believe its environment (0).
    Caller,
    /// The program has more, by set-id bits, and should not (1).
    Nobody,
}
