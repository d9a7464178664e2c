//! The file header and the program header table.

use crate::error::{ElfError, FileFault, PlanError};
use crate::plan::Placement;
use crate::source::{Source, Window};
use arrayvec::ArrayVec;
use object::{LittleEndian, elf};

pub(crate) type FileHeader = elf::FileHeader64<LittleEndian>;
pub(crate) type ProgramHeader = elf::ProgramHeader64<LittleEndian>;

pub(crate) const LE: LittleEndian = LittleEndian;

/// Magic numbers of a.out: OMAGIC, NMAGIC, ZMAGIC, QMAGIC.
const AOUT_MAGICS: [u16; 4] = [0o407, 0o410, 0o413, 0o314];
/// What auxiliary vector and C libraries expect of the address of the program headers, in bytes.
const TABLE_ALIGN: u64 = align_of::<u64>() as u64;

/// The program header table.
pub(crate) type Table = ArrayVec<ProgramHeader, { crate::MAX_PROGRAM_HEADERS as usize }>;

/// What the file header says.
pub(crate) struct Headers {
    pub(crate) placement: Placement,
    pub(crate) entry: u64,
    pub(crate) table_offset: u64,
    pub(crate) table: Table,
}

pub(crate) async fn read<S: Source>(source: &mut S, window: &mut Window) -> Result<Headers, PlanError<S::Error>> {
    let header = file_header(source, window).await?;
    let placement = check_kind(&header).map_err(ElfError::File)?;
    let count = check_table(source.len(), &header).map_err(ElfError::File)?;
    let table_offset = header.e_phoff.get(LE);
    let mut table = Table::new();
    for index in 0..u64::from(count) {
        let at = table_offset + index * size_of::<ProgramHeader>() as u64;
        table.push(window.record(source, at).await.map_err(PlanError::Read)?);
    }
    Ok(Headers { placement, entry: header.e_entry.get(LE), table_offset, table })
}

/// The file header; a file without a whole one may yet be something known.
async fn file_header<S: Source>(source: &mut S, window: &mut Window) -> Result<FileHeader, PlanError<S::Error>> {
    let len = source.len();
    let mut magic = ArrayVec::<u8, { elf::ELFMAG.len() }>::new();
    for at in 0..len.min(elf::ELFMAG.len() as u64) {
        magic.push(window.record(source, at).await.map_err(PlanError::Read)?);
    }
    check_magic(&magic).map_err(ElfError::File)?;
    if len < size_of::<FileHeader>() as u64 {
        return Err(ElfError::File(FileFault::TooShort(len)).into());
    }
    window.record(source, 0).await.map_err(PlanError::Read)
}

/// Tells ELF from what people mistake for it.
fn check_magic(file: &[u8]) -> Result<(), FileFault> {
    if file.starts_with(&elf::ELFMAG) {
        return Ok(());
    }
    Err(match *file {
        [b'#', b'!', ..] => FileFault::Script,
        [b'M', b'Z', ..] => FileFault::WindowsProgram,
        [low, high, ..] if AOUT_MAGICS.contains(&u16::from_le_bytes([low, high])) => {
            FileFault::AOut(u16::from_le_bytes([low, high]))
        }
        _ if elf::ELFMAG.starts_with(file) => FileFault::TooShort(file.len() as u64),
        _ => FileFault::NotElf,
    })
}

fn check_kind(header: &FileHeader) -> Result<Placement, FileFault> {
    let ident = &header.e_ident;
    if ident.class != elf::ELFCLASS64 {
        return Err(FileFault::Class(ident.class.0));
    }
    if ident.data != elf::ELFDATA2LSB {
        return Err(FileFault::Encoding(ident.data.0));
    }
    let current = elf::EV_CURRENT.0;
    if let Some(other) = [ident.version.0.into(), header.e_version.get(LE)].into_iter().find(|&v| v != current.into()) {
        return Err(FileFault::Version(other));
    }
    if header.e_machine.get(LE) != elf::EM_X86_64 {
        return Err(FileFault::Machine(header.e_machine.get(LE).0));
    }
    match header.e_type.get(LE) {
        elf::ET_EXEC => Ok(Placement::Fixed),
        elf::ET_DYN => Ok(Placement::Relocatable),
        elf::ET_REL => Err(FileFault::ObjectFile),
        elf::ET_CORE => Err(FileFault::CoreDump),
        other => Err(FileFault::Type(other.0)),
    }
}

/// Checks where the program header table is; returns how many there are.
fn check_table(len: u64, header: &FileHeader) -> Result<u16, FileFault> {
    let (own_size, entry_size) = (header.e_ehsize.get(LE), header.e_phentsize.get(LE));
    if usize::from(own_size) != size_of::<FileHeader>() {
        return Err(FileFault::HeaderSize(own_size));
    }
    let (offset, count) = (header.e_phoff.get(LE), header.e_phnum.get(LE));
    if count == 0 {
        return Err(FileFault::NoHeaders);
    }
    if usize::from(entry_size) != size_of::<ProgramHeader>() {
        return Err(FileFault::EntrySize(entry_size));
    }
    if count == elf::PN_XNUM {
        return Err(FileFault::ExtendedCount);
    }
    if count > crate::MAX_PROGRAM_HEADERS {
        return Err(FileFault::TooManyHeaders(count));
    }
    if offset < size_of::<FileHeader>() as u64 {
        return Err(FileFault::TableInHeader(offset));
    }
    if !offset.is_multiple_of(TABLE_ALIGN) {
        return Err(FileFault::TableMisaligned(offset));
    }
    let end = offset.checked_add(u64::from(count) * u64::from(entry_size));
    if end.is_none_or(|end| end > len) {
        return Err(FileFault::TableOutside { offset, count, len });
    }
    Ok(count)
}
