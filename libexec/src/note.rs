//! The note with the ABI version, see [`abi::note`].

use crate::error::{ElfError, HeaderFault, PairFault};
use crate::header::{Headers, LE};
use crate::segment::contents;
use abi::note::{NOTE_ABI, NOTE_NAME};
use object::{LittleEndian, elf, pod};

type NoteHeader = elf::NoteHeader64<LittleEndian>;

/// To how many bytes names and descriptors are padded in a segment of this alignment: to 4, or to 8 where GNU tools say so.
fn padding(align: u64) -> Option<usize> {
    match align {
        0..=4 => Some(4),
        8 => Some(8),
        _ => None,
    }
}

/// The ABI version that the program was built for, or `None` if it has no note of ours.
pub(crate) fn abi_version(file: &[u8], headers: &Headers<'_>) -> Result<Option<u32>, ElfError> {
    let mut found = None;
    for (index, header) in (0..).zip(headers.table) {
        if header.p_type.get(LE) != elf::PT_NOTE {
            continue;
        }
        let blame = |fault| ElfError::Header(index, fault);
        let bytes = contents(file, header).map_err(blame)?;
        let padding = padding(header.p_align.get(LE)).ok_or(blame(HeaderFault::Note))?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let note = take_note(&mut rest, padding).ok_or(blame(HeaderFault::Note))?;
            if note.name != NOTE_NAME || note.kind != NOTE_ABI {
                continue;
            }
            let version = note.desc.try_into().map_err(|_| blame(HeaderFault::AbiNote))?;
            if let Some((first, _)) = found.replace((index, u32::from_le_bytes(version))) {
                return Err(ElfError::Headers(first, index, PairFault::TwoAbiNotes));
            }
        }
    }
    Ok(found.map(|(_, version)| version))
}

/// A note.
struct Note<'a> {
    kind: u32,
    name: &'a [u8],
    desc: &'a [u8],
}

/// Takes the first note off `rest`; `None` if it is cut off.
fn take_note<'a>(rest: &mut &'a [u8], padding: usize) -> Option<Note<'a>> {
    let (header, body) = pod::from_bytes::<NoteHeader>(rest).ok()?;
    let (name_len, desc_len) = (header.n_namesz.get(LE) as usize, header.n_descsz.get(LE) as usize);
    // The descriptor begins, and the next note too, on a multiple of the padding, counted from the note.
    let desc_at = (size_of::<NoteHeader>() + name_len).next_multiple_of(padding);
    let name = body.get(..name_len)?;
    let desc = rest.get(desc_at..)?.get(..desc_len)?;
    let end = (desc_at + desc_len).next_multiple_of(padding).min(rest.len());
    *rest = &rest[end..];
    Some(Note { kind: header.n_type.get(LE).0, name, desc })
}
