//! ELF files: what a program and the kernel must be like, and what of them goes into an image.

pub mod kernel;
pub mod program;
mod strip;

pub use strip::{StripError, strip};

use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD};
use goblin::elf::{Elf, ProgramHeader};
use std::fmt;

/// What an ELF file is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kernel: see [`kernel::check`].
    Kernel,
    /// A program: see [`program::check`].
    Program,
}

/// Why an ELF file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// As a kernel.
    #[error(transparent)]
    Kernel(#[from] kernel::KernelError),
    /// As a program.
    #[error(transparent)]
    Program(#[from] program::ProgramError),
    /// For an image.
    #[error(transparent)]
    Strip(#[from] StripError),
}

/// Checks an ELF file by the rules for what it is to be.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(kind: Kind, bytes: &[u8]) -> Result<(), Refused> {
    match kind {
        Kind::Kernel => Ok(kernel::check(bytes)?),
        Kind::Program => Ok(program::check(bytes)?),
    }
}

/// The same, and gives what goes into an image.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_and_strip(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    check(kind, bytes)?;
    Ok(strip(bytes)?)
}

/// Why goblin cannot read bytes as an ELF file.
#[derive(Debug, thiserror::Error)]
#[error("is no ELF file that can be read: {0}")]
pub struct Unreadable(String);

/// A part of an ELF file that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Virtual address.
    pub address: u64,
    /// Physical address; means something for the kernel only.
    pub physical: u64,
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes of them that come from the file.
    pub file: u64,
    /// What it may be used for.
    pub access: Access,
}

/// What a segment may be used for. Shown as `rwx`, with `-` for what is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Executing.
    pub execute: bool,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.execute, "x")];
        letters.iter().try_for_each(|&(allowed, letter)| f.write_str(if allowed { letter } else { "-" }))
    }
}

/// Lets goblin read an ELF file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Elf<'_>, Unreadable> {
    Elf::parse(bytes).map_err(|e| Unreadable(e.to_string()))
}

/// The loaded segments of an ELF file, in the order of its headers.
///
/// # Errors
/// That it is no ELF file.
pub fn segments(bytes: &[u8]) -> Result<Vec<Segment>, Unreadable> {
    Ok(parse(bytes)?.program_headers.iter().filter(|h| h.p_type == PT_LOAD).map(segment).collect())
}

fn segment(header: &ProgramHeader) -> Segment {
    let allows = |flag| header.p_flags & flag != 0;
    Segment {
        address: header.p_vaddr,
        physical: header.p_paddr,
        memory: header.p_memsz,
        file: header.p_filesz,
        access: Access { read: allows(PF_R), write: allows(PF_W), execute: allows(PF_X) },
    }
}
