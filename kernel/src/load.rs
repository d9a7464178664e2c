//! Loading a boot program: the kernel does it for those that are there before the memory server is.

use abi::Errno;
use abi::layout::{PAGE_SIZE, PIE_BASE, STACK_SIZE, STACK_TOP, USER_START};
use core::fmt;
use kernel_core::boot::BootMemory;
use kernel_core::tables::Access;
use kernel_core::{Fault, SpaceId, Spaces};
use kernel_x86_64::layout::direct;
use kernel_x86_64::{Frame, X86, space};
use libexec::{ElfError, Placed, Placement};

/// Why a program cannot be loaded.
pub(crate) enum Error {
    /// The file is no good.
    Elf(ElfError),
    /// It was built for another ABI, or for none of ours.
    Abi(Option<u32>),
    /// Its file shares a page with something else.
    Shared,
    /// A page cannot be mapped.
    Map(u64, Errno),
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
            Self::Shared => f.write_str("the boot loader put it into pages with something else: use GRUB"),
            Self::Map(address, Errno::NoMem) => write!(f, "no memory is left for the page at {address:#x}"),
            Self::Map(address, error) => write!(f, "the page at {address:#x} cannot be mapped: {error}"),
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
pub(crate) fn load(elf: &[u8], spaces: &mut Spaces<'_>, machine: &mut X86) -> Result<(Frame, BootMemory), Error> {
    let plan = libexec::plan(elf)?;
    if plan.abi_version() != Some(abi::ABI_VERSION) {
        return Err(Error::Abi(plan.abi_version()));
    }
    let placed = plan.at(match plan.placement() {
        Placement::Fixed => 0,
        Placement::Relocatable => PIE_BASE,
    })?;
    let space = spaces.create_own(machine).map_err(|errno| Error::Map(0, errno))?;
    let mut program = Program { space, spaces, machine };
    program.map_segments(&placed)?;
    for relocation in placed.relocations() {
        program.write(relocation.address, &relocation.value.to_le_bytes())?;
    }
    program.map_pages(STACK_TOP - STACK_SIZE..STACK_TOP, Access::Write)?;
    // An empty System V frame: no arguments, no environment, no auxiliary vector; all words are zero.
    const EMPTY_FRAME: u64 = 64;
    Ok((Frame::starting_at(placed.entry(), STACK_TOP - EMPTY_FRAME), BootMemory::Space(space)))
}

/// Hands an ELF file over to the memory server, which will load it: nobody executes at the address of the frame.
///
/// # Errors
/// [`Error::Shared`].
pub(crate) fn keep(elf: &[u8], spaces: &mut Spaces<'_>) -> Result<(Frame, BootMemory), Error> {
    let start = elf.as_ptr() as u64 - direct(0);
    if !start.is_multiple_of(PAGE_SIZE) {
        return Err(Error::Shared);
    }
    let first = spaces.hand_over(start..start + elf.len() as u64).map_err(|_| Error::Shared)?;
    Ok((Frame::starting_at(USER_START, STACK_TOP), BootMemory::File(first)))
}

/// A program that is being loaded, and what that takes.
struct Program<'a, 't> {
    space: SpaceId,
    spaces: &'a mut Spaces<'t>,
    machine: &'a mut X86,
}

impl Program<'_, '_> {
    fn map_segments(&mut self, placed: &Placed<'_, '_>) -> Result<(), Error> {
        for segment in placed.segments() {
            let access = if segment.access.contains(libexec::Access::WRITE) {
                Access::Write
            } else if segment.access.contains(libexec::Access::EXECUTE) {
                Access::Execute
            } else {
                Access::Read
            };
            self.map_pages(segment.pages(), access)?;
            self.write(segment.address, segment.contents)?;
        }
        Ok(())
    }

    fn map_pages(&mut self, range: core::ops::Range<u64>, access: Access) -> Result<(), Error> {
        for page in range.step_by(PAGE_SIZE as usize) {
            self.spaces.map_new(self.machine, self.space, page, access).map_err(|errno| Error::Map(page, errno))?;
        }
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        let root = self.spaces.root(self.space).ok_or(Fault { address })?;
        // SAFETY: the space that the root belongs to lives.
        Ok(unsafe { space::write_any(root, address, bytes) }?)
    }
}
