//! The note with the ABI version, see [`abi::note`].

use crate::error::{ElfError, HeaderFault, PairFault, PlanError};
use crate::header::{LE, ProgramHeader};
use crate::segment::contents;
use crate::source::{Source, Window};
use abi::note::{NOTE_ABI, NOTE_NAME};
use core::ops::Range;
use object::{LittleEndian, U32, elf};

type NoteHeader = elf::NoteHeader64<LittleEndian>;
type Version = U32<LittleEndian>;

/// To how many bytes names and descriptors are padded in a segment of this alignment: to 4, or to 8 where GNU tools say so.
fn padding(align: u64) -> Option<u64> {
    match align {
        0..=4 => Some(4),
        8 => Some(8),
        _ => None,
    }
}

/// The ABI version that the program was built for, or `None` if it has no note of ours.
pub(crate) async fn abi_version<S: Source>(
    source: &mut S,
    window: &mut Window,
    table: &[ProgramHeader],
) -> Result<Option<u32>, PlanError<S::Error>> {
    let mut found = None;
    for (index, header) in (0..).zip(table) {
        if header.p_type.get(LE) != elf::PT_NOTE {
            continue;
        }
        let blame = |fault| ElfError::Header(index, fault);
        let mut rest = contents(source.len(), header).map_err(blame)?;
        let padding = padding(header.p_align.get(LE)).ok_or(blame(HeaderFault::Note))?;
        while !rest.is_empty() {
            let note = take_note(source, window, &mut rest, padding).await.map_err(PlanError::Read)?;
            let note = note.ok_or(blame(HeaderFault::Note))?;
            if !is_ours(source, window, &note).await.map_err(PlanError::Read)? {
                continue;
            }
            if note.desc.end - note.desc.start != size_of::<Version>() as u64 {
                return Err(blame(HeaderFault::AbiNote).into());
            }
            let version: Version = window.record(source, note.desc.start).await.map_err(PlanError::Read)?;
            if let Some((first, _)) = found.replace((index, version.get(LE))) {
                return Err(ElfError::Headers(first, index, PairFault::TwoAbiNotes).into());
            }
        }
    }
    Ok(found.map(|(_, version)| version))
}

/// A note: where its parts are in the file.
struct Note {
    kind: u32,
    name: Range<u64>,
    desc: Range<u64>,
}

/// Takes the first note off `rest`; `None` if it is cut off.
async fn take_note<S: Source>(
    source: &mut S,
    window: &mut Window,
    rest: &mut Range<u64>,
    padding: u64,
) -> Result<Option<Note>, S::Error> {
    const HEADER: u64 = size_of::<NoteHeader>() as u64;
    let (start, len) = (rest.start, rest.end - rest.start);
    if len < HEADER {
        return Ok(None);
    }
    let header: NoteHeader = window.record(source, start).await?;
    let (name_len, desc_len) = (u64::from(header.n_namesz.get(LE)), u64::from(header.n_descsz.get(LE)));
    // The descriptor begins, and the next note too, on a multiple of the padding, counted from the note.
    let desc_at = (HEADER + name_len).next_multiple_of(padding);
    let end = desc_at + desc_len;
    if HEADER + name_len > len || end > len {
        return Ok(None);
    }
    rest.start += end.next_multiple_of(padding).min(len);
    let part = |at: u64, len: u64| start + at..start + at + len;
    let kind = header.n_type.get(LE).0;
    Ok(Some(Note { kind, name: part(HEADER, name_len), desc: part(desc_at, desc_len) }))
}

async fn is_ours<S: Source>(source: &mut S, window: &mut Window, note: &Note) -> Result<bool, S::Error> {
    if note.kind != NOTE_ABI || note.name.end - note.name.start != NOTE_NAME.len() as u64 {
        return Ok(false);
    }
    let name: [u8; NOTE_NAME.len()] = window.record(source, note.name.start).await?;
    Ok(name == NOTE_NAME)
}
