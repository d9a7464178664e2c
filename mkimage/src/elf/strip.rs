//! Leaves out of an ELF file what is not loaded: symbols, debug information, section headers.

use super::{Unreadable, parse};
use object::LittleEndian;
use object::elf::FileHeader64;
use object::{U16, U64};
use std::mem::offset_of;

type Header = FileHeader64<LittleEndian>;

/// The file up to the last byte that its program headers refer to, without section headers. Everything that a loader
/// looks at is unchanged.
///
/// # Errors
/// That it is no 64-bit ELF file, or that its program headers refer to bytes that are not there.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>, StripError> {
    let elf = parse(bytes)?;
    if !elf.is_64 {
        return Err(StripError::Class);
    }
    let headers = elf.header.e_phoff.checked_add(u64::from(elf.header.e_phnum) * u64::from(elf.header.e_phentsize));
    let ends = elf.program_headers.iter().map(|h| h.p_offset.checked_add(h.p_filesz)).chain([headers]);
    let end = ends.collect::<Option<Vec<u64>>>().and_then(|ends| ends.into_iter().max());
    let end = end.and_then(|end| usize::try_from(end).ok()).map(|end| end.max(size_of::<Header>()));
    let kept = end.and_then(|end| bytes.get(..end)).ok_or(StripError::Truncated)?;

    let mut stripped = kept.to_vec();
    let mut clear = |offset: usize, len: usize| stripped[offset..offset + len].fill(0);
    clear(offset_of!(Header, e_shoff), size_of::<U64<LittleEndian>>());
    clear(offset_of!(Header, e_shentsize), size_of::<U16<LittleEndian>>());
    clear(offset_of!(Header, e_shnum), size_of::<U16<LittleEndian>>());
    clear(offset_of!(Header, e_shstrndx), size_of::<U16<LittleEndian>>());
    Ok(stripped)
}

/// Why a file cannot be stripped.
#[derive(Debug, thiserror::Error)]
pub enum StripError {
    /// No ELF file.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Not for 64-bit machines.
    #[error("is no 64-bit ELF file")]
    Class,
    /// Shorter than its program headers say.
    #[error("ends before the last byte that its program headers refer to")]
    Truncated,
}
