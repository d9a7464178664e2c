//! An ELF file of a fixed layout, whose fields can be changed one by one.
//!
//! The file header and the program headers fill the first [`HEADER_AREA`] bytes. Then each part (text, data and so on) has
//! a slot of [`SLOT`] bytes in the file, and a stride of [`STRIDE`] bytes in memory. So all addresses are known before any
//! contents are made.

use object::elf;

/// Bytes for the file header and the program headers.
pub(crate) const HEADER_AREA: u64 = 0x400;
/// Bytes of the file for each part.
pub(crate) const SLOT: u64 = 0x100;
/// Distance in memory from one part to the next, less that in the file.
pub(crate) const STRIDE: u64 = 0x1_0000;
/// Alignment of segments.
pub(crate) const SEGMENT_ALIGN: u64 = 0x1000;

const FILE_HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

/// A number in a file: where, and how many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Offset in the file.
    pub offset: usize,
    /// Bytes: 1, 2, 4 or 8.
    pub size: usize,
}

const fn at(offset: u64, size: usize) -> Field {
    Field { offset: offset as usize, size }
}

/// Fields of the file header.
pub mod header {
    #![allow(missing_docs, reason = "the names are those of the gABI")]
    use super::{Field, at};

    pub const EI_MAG0: Field = at(0, 2);
    pub const EI_MAG3: Field = at(3, 1);
    pub const EI_CLASS: Field = at(4, 1);
    pub const EI_DATA: Field = at(5, 1);
    pub const EI_VERSION: Field = at(6, 1);
    pub const E_TYPE: Field = at(16, 2);
    pub const E_MACHINE: Field = at(18, 2);
    pub const E_VERSION: Field = at(20, 4);
    pub const E_ENTRY: Field = at(24, 8);
    pub const E_PHOFF: Field = at(32, 8);
    pub const E_SHOFF: Field = at(40, 8);
    pub const E_FLAGS: Field = at(48, 4);
    pub const E_EHSIZE: Field = at(52, 2);
    pub const E_PHENTSIZE: Field = at(54, 2);
    pub const E_PHNUM: Field = at(56, 2);
    pub const E_SHENTSIZE: Field = at(58, 2);
    pub const E_SHNUM: Field = at(60, 2);
    pub const E_SHSTRNDX: Field = at(62, 2);

    /// All of them.
    pub const ALL: [Field; 18] = [
        EI_MAG0,
        EI_MAG3,
        EI_CLASS,
        EI_DATA,
        EI_VERSION,
        E_TYPE,
        E_MACHINE,
        E_VERSION,
        E_ENTRY,
        E_PHOFF,
        E_SHOFF,
        E_FLAGS,
        E_EHSIZE,
        E_PHENTSIZE,
        E_PHNUM,
        E_SHENTSIZE,
        E_SHNUM,
        E_SHSTRNDX,
    ];
}

/// Fields of a program header, by its index in a table right behind the file header.
pub mod program {
    #![allow(missing_docs, reason = "the names are those of the gABI")]
    use super::{FILE_HEADER, Field, PROGRAM_HEADER, at};

    const fn field(index: usize, offset: u64, size: usize) -> Field {
        at(FILE_HEADER + index as u64 * PROGRAM_HEADER + offset, size)
    }
    pub const fn p_type(index: usize) -> Field {
        field(index, 0, 4)
    }
    pub const fn p_flags(index: usize) -> Field {
        field(index, 4, 4)
    }
    pub const fn p_offset(index: usize) -> Field {
        field(index, 8, 8)
    }
    pub const fn p_vaddr(index: usize) -> Field {
        field(index, 16, 8)
    }
    pub const fn p_filesz(index: usize) -> Field {
        field(index, 32, 8)
    }
    pub const fn p_memsz(index: usize) -> Field {
        field(index, 40, 8)
    }
    pub const fn p_align(index: usize) -> Field {
        field(index, 48, 8)
    }

    /// All of one program header.
    pub const fn all(index: usize) -> [Field; 7] {
        [
            p_type(index),
            p_flags(index),
            p_offset(index),
            p_vaddr(index),
            p_filesz(index),
            p_memsz(index),
            p_align(index),
        ]
    }
}

/// Fields of the dynamic section of [`crate::good::rela`] and [`crate::good::relr`], by the index of the entry.
pub mod dynamic {
    #![allow(missing_docs, reason = "the names are those of the gABI")]
    use super::{Field, at};
    use crate::good::{DATA, DYNAMIC_AT, slot};

    pub const fn d_tag(entry: usize) -> Field {
        at(slot(DATA) + DYNAMIC_AT + entry as u64 * 16, 8)
    }
    pub const fn d_val(entry: usize) -> Field {
        at(slot(DATA) + DYNAMIC_AT + entry as u64 * 16 + 8, 8)
    }
}

/// Fields of the relocations of [`crate::good::rela`], by their index.
pub mod rela {
    #![allow(missing_docs, reason = "the names are those of the gABI")]
    use super::{Field, at};
    use crate::good::{RODATA, TABLE_AT, slot};

    pub const fn r_offset(index: usize) -> Field {
        at(slot(RODATA) + TABLE_AT + index as u64 * 24, 8)
    }
    pub const fn r_info(index: usize) -> Field {
        at(slot(RODATA) + TABLE_AT + index as u64 * 24 + 8, 8)
    }
}

/// Words of the packed relocations of [`crate::good::relr`].
pub mod relr {
    use super::{Field, at};
    use crate::good::{RODATA, TABLE_AT, slot};

    /// An address or a bitmap.
    pub const fn word(index: usize) -> Field {
        at(slot(RODATA) + TABLE_AT + index as u64 * 8, 8)
    }
}

/// The bytes of an ELF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfFile(pub Vec<u8>);

impl ElfFile {
    /// The value of a field.
    ///
    /// # Panics
    /// If the field lies outside of the file.
    pub fn get(&self, field: Field) -> u64 {
        let mut value = [0; 8];
        value[..field.size].copy_from_slice(&self.0[field.offset..][..field.size]);
        u64::from_le_bytes(value)
    }

    /// The file with another value in a field.
    ///
    /// # Panics
    /// If the field lies outside of the file, or the value does not fit or is the one it has.
    #[must_use]
    pub fn set(mut self, field: Field, value: u64) -> Self {
        let old = self.get(field);
        self.0[field.offset..][..field.size].copy_from_slice(&value.to_le_bytes()[..field.size]);
        assert!(self.get(field) == value && old != value, "{value:#x} is no change of {field:?}");
        self
    }

    /// The first `len` bytes of the file.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        assert!(len < self.0.len());
        self.0.truncate(len);
        self
    }
}

/// A program header and, for `PT_LOAD`, what it loads.
pub(crate) struct Header {
    pub(crate) kind: elf::ProgramType,
    pub(crate) flags: elf::ProgramFlags,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) file_len: u64,
    pub(crate) mem_len: u64,
    pub(crate) align: u64,
}

/// Puts a file together. `parts` are the contents of the slots.
pub(crate) fn build(kind: elf::FileType, entry: u64, headers: &[Header], parts: &[Vec<u8>]) -> ElfFile {
    let mut bytes = file_header(kind, entry, headers.len() as u16);
    for header in headers {
        bytes.extend(header.kind.0.to_le_bytes());
        bytes.extend(header.flags.0.to_le_bytes());
        let physical = header.address;
        for word in [header.offset, header.address, physical, header.file_len, header.mem_len, header.align] {
            bytes.extend(word.to_le_bytes());
        }
    }
    for (start, part) in (HEADER_AREA..).step_by(SLOT as usize).zip(parts) {
        assert!(bytes.len() <= start as usize && part.len() <= SLOT as usize);
        bytes.resize(start as usize, 0);
        bytes.extend(part);
    }
    ElfFile(bytes)
}

fn file_header(kind: elf::FileType, entry: u64, count: u16) -> Vec<u8> {
    let mut bytes = elf::ELFMAG.to_vec();
    bytes.extend([elf::ELFCLASS64.0, elf::ELFDATA2LSB.0, elf::EV_CURRENT.0]);
    bytes.resize(header::E_TYPE.offset, 0);
    bytes.extend(kind.0.to_le_bytes());
    bytes.extend(elf::EM_X86_64.0.to_le_bytes());
    bytes.extend(u32::from(elf::EV_CURRENT.0).to_le_bytes());
    bytes.extend(entry.to_le_bytes());
    bytes.extend(FILE_HEADER.to_le_bytes());
    bytes.resize(header::E_EHSIZE.offset, 0);
    bytes.extend((FILE_HEADER as u16).to_le_bytes());
    bytes.extend((PROGRAM_HEADER as u16).to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.resize(FILE_HEADER as usize, 0);
    bytes
}
