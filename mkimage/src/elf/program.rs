//! The rules for programs: those of the loader, and that they were built for this ABI.

use super::{Unreadable, parse};
use goblin::elf::Elf;
use goblin::elf::header::{EM_X86_64, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PF_W, PF_X, PT_INTERP, PT_LOAD};
use libexec::{ElfError, Placement, Plan};

/// Why a file is refused as a program.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The loader refuses it.
    #[error("{0}")]
    Load(#[from] ElfError),
    /// No ABI note.
    #[error("has no note with its ABI version: link it with the linker script for programs and the crate rt")]
    NoNote,
    /// Another ABI.
    #[error("was built for ABI version {0}, this is {version}: see UPDATING.md, build it again", version = abi::ABI_VERSION)]
    Abi(u32),
    /// The loader accepts it, goblin cannot read it.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The loader and goblin see different things in it.
    #[error("is read by goblin with another {0} than by the loader: it cannot be trusted, build it again")]
    Disagree(&'static str),
}

/// Checks that the loader accepts a program and that it was built for this ABI.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(bytes: &[u8]) -> Result<(), ProgramError> {
    let plan = libexec::plan(bytes)?;
    plan.at(match plan.placement() {
        Placement::Fixed => 0,
        Placement::Relocatable => abi::layout::PIE_BASE,
    })?;
    match plan.abi_version() {
        None => return Err(ProgramError::NoNote),
        Some(abi::ABI_VERSION) => {}
        Some(other) => return Err(ProgramError::Abi(other)),
    }
    cross_check(&plan, &parse(bytes)?)
}

/// A second opinion: goblin sees the program that the loader sees.
fn cross_check(plan: &Plan, elf: &Elf<'_>) -> Result<(), ProgramError> {
    let expect = |same: bool, what| if same { Ok(()) } else { Err(ProgramError::Disagree(what)) };
    expect(elf.is_64 && elf.little_endian && elf.header.e_machine == EM_X86_64, "machine")?;
    let kind = match plan.placement() {
        Placement::Fixed => ET_EXEC,
        Placement::Relocatable => ET_DYN,
    };
    expect(elf.header.e_type == kind, "type")?;
    expect(elf.entry == plan.entry(), "entry point")?;
    expect(!elf.program_headers.iter().any(|h| h.p_type == PT_INTERP), "interpreter")?;
    let loaded = || elf.program_headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_memsz > 0);
    expect(loaded().all(|h| h.p_flags & (PF_W | PF_X) != PF_W | PF_X), "access to its segments")?;
    let ranges = loaded().map(|h| (h.p_vaddr, h.p_memsz));
    expect(ranges.eq(plan.segments().iter().map(|s| (s.address, s.mem_len))), "place of its segments")
}
