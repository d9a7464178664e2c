//! The dynamic section: where the relocations are, and that there is nothing to link.

use crate::error::{DynamicFault, ElfError, HeaderFault, PlanError, Table};
use crate::header::{LE, ProgramHeader};
use crate::plan::Relocator;
use crate::relocation::{Rela, Relr, Tables};
use crate::segment::Segments;
use crate::source::{Source, Window};
use core::ops::Range;
use object::{LittleEndian, elf};

type Entry = elf::Dyn64<LittleEndian>;
const ENTRY_SIZE: u64 = size_of::<Entry>() as u64;

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

/// Where the relocation tables are, for a program that does not relocate itself.
pub(crate) async fn tables<S: Source>(
    source: &mut S,
    window: &mut Window,
    segments: &Segments,
    index: u16,
    header: &ProgramHeader,
    relocator: Relocator,
) -> Result<Tables, PlanError<S::Error>> {
    let blame = |fault| ElfError::Header(index, fault);
    let section = segments.part(source.len(), header).map_err(blame)?;
    let size = section.end - section.start;
    if !size.is_multiple_of(ENTRY_SIZE) {
        return Err(blame(HeaderFault::DynamicSize(size)).into());
    }
    let (mut rela, mut relr) = (Place::default(), Place::default());
    for (i, at) in section.step_by(ENTRY_SIZE as usize).enumerate() {
        let entry: Entry = window.record(source, at).await.map_err(PlanError::Read)?;
        let blame = |fault| ElfError::Dynamic(i, fault);
        if entry.d_tag.get(LE) == elf::DT_NULL {
            let rela = rela.table::<Rela>(segments, Table::Rela).map_err(blame)?;
            let relr = relr.table::<Relr>(segments, Table::Relr).map_err(blame)?;
            return Ok(Tables { rela, relr });
        }
        match (entry.d_tag.get(LE), relocator) {
            (elf::DT_NEEDED, _) => return Err(blame(DynamicFault::Needed).into()),
            (tag, Relocator::Loader) => note(tag, entry.d_val.get(LE), &mut rela, &mut relr).map_err(blame)?,
            (_, Relocator::Program) => {}
        }
    }
    Err(blame(HeaderFault::DynamicEnd).into())
}

fn note(tag: elf::DynamicTag, value: u64, rela: &mut Place, relr: &mut Place) -> Result<(), DynamicFault> {
    let field = match tag {
        elf::DT_RELA => &mut rela.address,
        elf::DT_RELASZ => &mut rela.size,
        elf::DT_RELAENT => &mut rela.entry_size,
        elf::DT_RELR => &mut relr.address,
        elf::DT_RELRSZ => &mut relr.size,
        elf::DT_RELRENT => &mut relr.entry_size,
        _ if UNSUPPORTED.contains(&tag) => return Err(DynamicFault::Unsupported(tag.0)),
        _ => return Ok(()),
    };
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(DynamicFault::Twice(tag.0)),
    }
}

impl Place {
    fn table<T>(&self, segments: &Segments, table: Table) -> Result<Range<u64>, DynamicFault> {
        let (address, size, entry_size) = match (self.address, self.size, self.entry_size) {
            (None, None, None) => return Ok(0..0),
            (Some(address), Some(size), Some(entry_size)) => (address, size, entry_size),
            _ => return Err(DynamicFault::Incomplete(table)),
        };
        if entry_size != size_of::<T>() as u64 {
            return Err(DynamicFault::EntrySize(table, entry_size));
        }
        let start = segments.contents(address, size).ok_or(DynamicFault::NotLoaded(table))?;
        if !size.is_multiple_of(entry_size) {
            return Err(DynamicFault::Size(table, size));
        }
        Ok(start..start + size)
    }
}
