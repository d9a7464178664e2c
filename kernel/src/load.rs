//! Loading a boot program: until there is a memory server, the kernel does it for all of them.

use abi::layout::{PAGE_SIZE, PIE_BASE, STACK_SIZE, STACK_TOP};
use core::fmt;
use kernel_core::Fault;
use kernel_x86_64::Frame;
use kernel_x86_64::memory::Memory;
use kernel_x86_64::space::{self, MapError, Space};
use libexec::{Access, ElfError, Placed, Placement};

/// Why a program cannot be loaded.
pub(crate) enum Error {
    /// The file is no good.
    Elf(ElfError),
    /// It was built for another ABI, or for none of ours.
    Abi(Option<u32>),
    /// A page cannot be mapped.
    Map(u64, MapError),
    /// The file describes memory that it does not have.
    Fault(Fault),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => error.fmt(f),
            Self::Abi(Some(found)) => {
                write!(f, "it is built for ABI {found}, this kernel has {}: see UPDATING.md", abi::ABI_VERSION)
            }
            Self::Abi(None) => f.write_str("it has no Selix ABI note: build it with the rt crate"),
            Self::Map(address, MapError::NoMemory) => write!(f, "no memory is left for the page at {address:#x}"),
            Self::Map(address, error) => write!(f, "the page at {address:#x} cannot be mapped: {error:?}"),
            Self::Fault(Fault { address }) => write!(f, "it has no memory at {address:#x}"),
        }
    }
}

impl From<ElfError> for Error {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Loads an ELF file into a space of its own, with a stack.
///
/// # Errors
/// See [`Error`]; the boot ends then, so nothing is given back.
pub(crate) fn load(elf: &[u8], memory: &mut Memory) -> Result<(Frame, Space), Error> {
    let plan = libexec::plan(elf)?;
    if plan.abi_version() != Some(abi::ABI_VERSION) {
        return Err(Error::Abi(plan.abi_version()));
    }
    let placed = plan.at(match plan.placement() {
        Placement::Fixed => 0,
        Placement::Relocatable => PIE_BASE,
    })?;
    let mut space = Space::new(memory).ok_or(Error::Map(0, MapError::NoMemory))?;
    map_segments(&placed, &mut space, memory)?;
    for relocation in placed.relocations() {
        space.write_any(relocation.address, &relocation.value.to_le_bytes())?;
    }
    map_pages(&mut space, memory, STACK_TOP - STACK_SIZE..STACK_TOP, space::Access::Write)?;
    // An empty System V frame: no arguments, no environment, no auxiliary vector; all words are zero.
    const EMPTY_FRAME: u64 = 64;
    Ok((Frame::starting_at(placed.entry(), STACK_TOP - EMPTY_FRAME), space))
}

fn map_segments(placed: &Placed<'_, '_>, space: &mut Space, memory: &mut Memory) -> Result<(), Error> {
    for segment in placed.segments() {
        let access = if segment.access.contains(Access::WRITE) {
            space::Access::Write
        } else if segment.access.contains(Access::EXECUTE) {
            space::Access::Execute
        } else {
            space::Access::Read
        };
        map_pages(space, memory, segment.pages(), access)?;
        space.write_any(segment.address, segment.contents)?;
    }
    Ok(())
}

fn map_pages(
    space: &mut Space,
    memory: &mut Memory,
    range: core::ops::Range<u64>,
    access: space::Access,
) -> Result<(), Error> {
    for page in range.step_by(PAGE_SIZE as usize) {
        space.map_new(memory, page, access).map_err(|error| Error::Map(page, error))?;
    }
    Ok(())
}
