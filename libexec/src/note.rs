//! The note with the ABI version, see [`abi::note`].

use crate::error::{ElfError, HeaderFault, PairFault};
use crate::header::{FileHeader, Headers, LE};
use crate::segment::contents;
use abi::note::{NOTE_ABI, NOTE_NAME};
use object::elf;
use object::read::elf::NoteIterator;

/// The ABI version that the program was built for, or `None` if it has no note of ours.
pub(crate) fn abi_version(file: &[u8], headers: &Headers<'_>) -> Result<Option<u32>, ElfError> {
    let mut found = None;
    for (index, header) in (0..).zip(headers.table) {
        if header.p_type.get(LE) != elf::PT_NOTE {
            continue;
        }
        let blame = |fault| ElfError::Header(index, fault);
        let bytes = contents(file, header).map_err(blame)?;
        let notes = NoteIterator::<FileHeader>::new(LE, header.p_align.get(LE), bytes);
        for note in notes.map_err(|_| blame(HeaderFault::Note))? {
            let note = note.map_err(|_| blame(HeaderFault::Note))?;
            if note.name_bytes() != NOTE_NAME || note.n_type(LE).0 != NOTE_ABI {
                continue;
            }
            let version = note.desc().try_into().map_err(|_| blame(HeaderFault::AbiNote))?;
            if let Some((first, _)) = found.replace((index, u32::from_le_bytes(version))) {
                return Err(ElfError::Headers(first, index, PairFault::TwoAbiNotes));
            }
        }
    }
    Ok(found.map(|(_, version)| version))
}
