//! The file header and the program header table.

use crate::error::{ElfError, FileFault};
use crate::plan::Placement;
use object::{LittleEndian, elf, pod};

pub(crate) type FileHeader = elf::FileHeader64<LittleEndian>;
pub(crate) type ProgramHeader = elf::ProgramHeader64<LittleEndian>;

pub(crate) const LE: LittleEndian = LittleEndian;

/// Magic numbers of a.out: OMAGIC, NMAGIC, ZMAGIC, QMAGIC.
const AOUT_MAGICS: [u16; 4] = [0o407, 0o410, 0o413, 0o314];
/// What auxiliary vector and C libraries expect of the address of the program headers, in bytes.
const TABLE_ALIGN: u64 = align_of::<u64>() as u64;

/// What the file header says.
pub(crate) struct Headers<'a> {
    pub(crate) placement: Placement,
    pub(crate) entry: u64,
    pub(crate) table_offset: u64,
    pub(crate) table: &'a [ProgramHeader],
}

pub(crate) fn read(file: &[u8]) -> Result<Headers<'_>, ElfError> {
    check_magic(file).map_err(ElfError::File)?;
    let (header, _) =
        pod::from_bytes::<FileHeader>(file).map_err(|()| ElfError::File(FileFault::TooShort(file.len())))?;
    let placement = check_kind(header).map_err(ElfError::File)?;
    let table = program_headers(file, header).map_err(ElfError::File)?;
    Ok(Headers { placement, entry: header.e_entry.get(LE), table_offset: header.e_phoff.get(LE), table })
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
        _ if elf::ELFMAG.starts_with(file) => FileFault::TooShort(file.len()),
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

fn program_headers<'a>(file: &'a [u8], header: &FileHeader) -> Result<&'a [ProgramHeader], FileFault> {
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
    usize::try_from(offset)
        .ok()
        .and_then(|start| file.get(start..))
        .and_then(|bytes| pod::slice_from_bytes(bytes, count.into()).ok())
        .map(|(table, _)| table)
        .ok_or(FileFault::TableOutside { offset, count, len: file.len() })
}
