//! The rules for programs: those of the loader, and that they were built for this ABI.

use super::{Unreadable, parse, segments};
use abi::note::{NOTE_ABI, NOTE_NAME};
use goblin::elf::Elf;
use goblin::elf::header::{EM_X86_64, ET_DYN, ET_EXEC};
use goblin::elf::program_header::PT_INTERP;

/// Why a file is refused as a program.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No ELF file.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Not for this machine.
    #[error("is no little-endian 64-bit ELF program for x86-64")]
    Machine,
    /// Wants a dynamic linker.
    #[error("asks for the dynamic linker `{0}`: programs are linked statically (see libbare/link)")]
    Interpreter(String),
    /// A segment that is both.
    #[error("has a segment that is both writable and executable, at {0:#x}")]
    WritableCode(u64),
    /// An entry point outside.
    #[error("has its entry point {0:#x} outside its executable segments")]
    Entry(u64),
    /// No ABI note.
    #[error("has no note with its ABI version: link it with our linker script and the crate rt")]
    NoNote,
    /// More than one ABI note, or one that is not four bytes long.
    #[error("has a malformed or doubled note with its ABI version")]
    BadNote,
    /// Another ABI.
    #[error("was built for ABI version {0}, this is {version}: see UPDATING.md, build it again", version = abi::ABI_VERSION)]
    Abi(u32),
}

/// Checks that the loader accepts a program and that it was built for this ABI.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(bytes: &[u8]) -> Result<(), ProgramError> {
    let elf = parse(bytes)?;
    cross_check(&elf, bytes)?;
    match abi_version(&elf, bytes)? {
        abi::ABI_VERSION => Ok(()),
        other => Err(ProgramError::Abi(other)),
    }
}

/// What goblin can tell: a second opinion beside the loader's own rules.
fn cross_check(elf: &Elf<'_>, bytes: &[u8]) -> Result<(), ProgramError> {
    let right_type = matches!(elf.header.e_type, ET_EXEC | ET_DYN) && elf.header.e_machine == EM_X86_64;
    if !(elf.is_64 && elf.little_endian && right_type) {
        return Err(ProgramError::Machine);
    }
    if elf.program_headers.iter().any(|h| h.p_type == PT_INTERP) {
        return Err(ProgramError::Interpreter(elf.interpreter.unwrap_or("?").into()));
    }
    let segments = segments(bytes)?;
    if let Some(bad) = segments.iter().find(|s| s.access.write && s.access.execute) {
        return Err(ProgramError::WritableCode(bad.address));
    }
    let holds_entry = |s: &super::Segment| elf.entry.checked_sub(s.address).is_some_and(|offset| offset < s.memory);
    if !segments.iter().any(|s| s.access.execute && holds_entry(s)) {
        return Err(ProgramError::Entry(elf.entry));
    }
    Ok(())
}

/// The ABI version in the program's one note of that type.
fn abi_version(elf: &Elf<'_>, bytes: &[u8]) -> Result<u32, ProgramError> {
    let mut version = None;
    for note in elf.iter_note_headers(bytes).into_iter().flatten() {
        let note = note.map_err(|_| ProgramError::BadNote)?;
        if note.name.as_bytes() != &NOTE_NAME[..NOTE_NAME.len() - 1] || note.n_type != NOTE_ABI {
            continue;
        }
        let found = u32::from_le_bytes(note.desc.try_into().map_err(|_| ProgramError::BadNote)?);
        if version.replace(found).is_some() {
            return Err(ProgramError::BadNote);
        }
    }
    version.ok_or(ProgramError::NoNote)
}
