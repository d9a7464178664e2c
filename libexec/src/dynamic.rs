//! The dynamic section: where the relocations are, and that there is nothing to link.

use crate::error::{DynamicFault, ElfError, HeaderFault, Table};
use crate::header::{LE, ProgramHeader};
use crate::relocation::{Rela, Relocations, Relr};
use crate::segment::Segments;
use object::{LittleEndian, elf, pod};

type Entry = elf::Dyn64<LittleEndian>;

/// What speaks of relocation tables that would have to be applied, and are not supported.
const UNSUPPORTED: [elf::DynamicTag; 7] = [
    elf::DT_REL,
    elf::DT_RELSZ,
    elf::DT_JMPREL,
    elf::DT_PLTRELSZ,
    elf::DT_ANDROID_REL,
    elf::DT_ANDROID_RELA,
    elf::DT_ANDROID_RELR,
];

/// A relocation table as the dynamic section describes it: address, bytes, bytes of an entry.
#[derive(Default)]
struct Place {
    address: Option<u64>,
    size: Option<u64>,
    entry_size: Option<u64>,
}

pub(crate) fn read<'a>(
    file: &'a [u8],
    segments: &Segments<'a>,
    index: u16,
    header: &ProgramHeader,
) -> Result<Relocations<'a>, ElfError> {
    let blame = |fault| ElfError::Header(index, fault);
    let bytes = segments.part(file, header).map_err(blame)?;
    let entries =
        pod::slice_from_all_bytes::<Entry>(bytes).map_err(|()| blame(HeaderFault::DynamicSize(bytes.len() as u64)))?;
    let end =
        entries.iter().position(|entry| entry.d_tag.get(LE) == elf::DT_NULL).ok_or(blame(HeaderFault::DynamicEnd))?;
    let (mut rela, mut relr) = (Place::default(), Place::default());
    for (i, entry) in entries.iter().take(end).enumerate() {
        note(entry, &mut rela, &mut relr).map_err(|fault| ElfError::Dynamic(i, fault))?;
    }
    let rela = rela.table::<Rela>(segments, Table::Rela).map_err(|fault| ElfError::Dynamic(end, fault))?;
    let relr = relr.table::<Relr>(segments, Table::Relr).map_err(|fault| ElfError::Dynamic(end, fault))?;
    Relocations::check(rela, relr, segments)
}

fn note(entry: &Entry, rela: &mut Place, relr: &mut Place) -> Result<(), DynamicFault> {
    let tag = entry.d_tag.get(LE);
    let field = match tag {
        elf::DT_NEEDED => return Err(DynamicFault::Needed),
        elf::DT_RELA => &mut rela.address,
        elf::DT_RELASZ => &mut rela.size,
        elf::DT_RELAENT => &mut rela.entry_size,
        elf::DT_RELR => &mut relr.address,
        elf::DT_RELRSZ => &mut relr.size,
        elf::DT_RELRENT => &mut relr.entry_size,
        _ if UNSUPPORTED.contains(&tag) => return Err(DynamicFault::Unsupported(tag.0)),
        _ => return Ok(()),
    };
    match field.replace(entry.d_val.get(LE)) {
        None => Ok(()),
        Some(_) => Err(DynamicFault::Twice(tag.0)),
    }
}

impl Place {
    fn table<'a, T: pod::Pod>(&self, segments: &Segments<'a>, table: Table) -> Result<&'a [T], DynamicFault> {
        let (address, size, entry_size) = match (self.address, self.size, self.entry_size) {
            (None, None, None) => return Ok(&[]),
            (Some(address), Some(size), Some(entry_size)) => (address, size, entry_size),
            _ => return Err(DynamicFault::Incomplete(table)),
        };
        if entry_size != size_of::<T>() as u64 {
            return Err(DynamicFault::EntrySize(table, entry_size));
        }
        let bytes = segments.contents(address, size).ok_or(DynamicFault::NotLoaded(table))?;
        pod::slice_from_all_bytes(bytes).map_err(|()| DynamicFault::Size(table, size))
    }
}
