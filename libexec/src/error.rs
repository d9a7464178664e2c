//! Why a file is refused: what is wrong, in which header, and what to do about it.

use core::fmt;

/// The first thing found wrong with a file or with the address for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// The file as a whole, or its file header.
    File(FileFault),
    /// The program header of this index.
    Header(u16, HeaderFault),
    /// Two program headers that do not go together.
    Headers(u16, u16, PairFault),
    /// The entry of this index in the dynamic section.
    Dynamic(usize, DynamicFault),
    /// The entry of this index in a relocation table.
    Relocation(Table, usize, RelocationFault),
    /// The address that the program should go to.
    Place(PlaceFault),
}

/// Why there is no plan of a file that is read in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError<S> {
    /// The file is no good.
    Elf(ElfError),
    /// It cannot be read.
    Read(S),
}

impl<S> From<ElfError> for PlanError<S> {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

/// What is wrong with a file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// The file header is cut off: the file has this many bytes.
    TooShort(u64),
    /// A script: begins with `#!`.
    Script,
    /// A program for DOS or Windows: begins with `MZ`.
    WindowsProgram,
    /// A program in the a.out format, with this magic number.
    AOut(u16),
    /// No ELF magic number, and nothing else that is known.
    NotElf,
    /// Not 64-bit: `e_ident[EI_CLASS]`.
    Class(u8),
    /// Not little-endian: `e_ident[EI_DATA]`.
    Encoding(u8),
    /// Unknown version of ELF: `e_ident[EI_VERSION]` or `e_version`.
    Version(u32),
    /// For another processor: `e_machine`.
    Machine(u16),
    /// An object file, not yet linked (`ET_REL`).
    ObjectFile,
    /// A core dump (`ET_CORE`).
    CoreDump,
    /// Another `e_type` than `ET_EXEC` and `ET_DYN`.
    Type(u16),
    /// Wrong size of the file header: `e_ehsize`.
    HeaderSize(u16),
    /// Wrong size of a program header: `e_phentsize`.
    EntrySize(u16),
    /// No program headers.
    NoHeaders,
    /// More than [`crate::MAX_PROGRAM_HEADERS`], by `e_phnum`.
    TooManyHeaders(u16),
    /// The number of program headers is in a section header (`PN_XNUM`).
    ExtendedCount,
    /// The program header table lies inside the file header, at this offset.
    TableInHeader(u64),
    /// The offset of the program header table is no multiple of 8.
    TableMisaligned(u64),
    /// The program header table reaches beyond the end of the file.
    TableOutside {
        /// Where it begins: `e_phoff`.
        offset: u64,
        /// Number of entries: `e_phnum`.
        count: u16,
        /// Bytes in the file.
        len: u64,
    },
    /// Nothing to load: no `PT_LOAD` program header, or only empty ones.
    NoSegments,
    /// The entry point is not among the bytes that the file gives to an executable segment.
    Entry(u64),
}

/// What is wrong with a program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// Asks for a program interpreter (`PT_INTERP`).
    Interpreter,
    /// Asks for an executable stack (`PT_GNU_STACK`).
    ExecutableStack,
    /// One `PT_LOAD` more than [`crate::MAX_SEGMENTS`].
    TooMany,
    /// Flags other than read, write and execute: `p_flags`.
    Flags(u32),
    /// The segment is not readable.
    Unreadable,
    /// The segment is both writable and executable.
    WritableCode,
    /// The contents reach beyond the end of the file.
    OutsideFile {
        /// Where they begin: `p_offset`.
        offset: u64,
        /// How many bytes: `p_filesz`.
        len: u64,
    },
    /// More bytes in the file than in memory.
    LargerInFile,
    /// The addresses wrap around.
    Wrap,
    /// The addresses leave what a program may map.
    OutsideUserSpace {
        /// First address.
        start: u64,
        /// First address behind it.
        end: u64,
    },
    /// The alignment is no power of two, or too large: `p_align`.
    Alignment(u64),
    /// Address and file offset differ modulo the alignment or modulo the size of a page.
    Misaligned,
    /// The contents are not part of any segment in memory at the address that the header gives.
    NotLoaded,
    /// The dynamic section is no whole number of entries.
    DynamicSize(u64),
    /// The dynamic section has no `DT_NULL` at its end.
    DynamicEnd,
    /// The notes cannot be told apart: a length is wrong, or the alignment is neither 4 nor 8.
    Note,
    /// The note with the ABI version is not four bytes long.
    AbiNote,
}

/// What is wrong with two program headers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairFault {
    /// The second segment begins below the first.
    Order,
    /// Both segments have bytes in the same page, or overlap.
    SharedPage,
    /// Both are `PT_TLS`.
    TwoTls,
    /// Both are `PT_DYNAMIC`.
    TwoDynamic,
    /// Both hold a note with an ABI version.
    TwoAbiNotes,
}

/// What is wrong with an entry of the dynamic section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicFault {
    /// Asks for a shared library (`DT_NEEDED`).
    Needed,
    /// The same tag as in an earlier entry.
    Twice(i64),
    /// Speaks of a relocation table that is not supported: that of `DT_REL` or `DT_JMPREL`, or Android's packed ones.
    Unsupported(i64),
    /// The table's address, size or entry size is missing; the index is the number of entries.
    Incomplete(Table),
    /// The table's entries have another size.
    EntrySize(Table, u64),
    /// The table is no whole number of entries.
    Size(Table, u64),
    /// The table is not among the bytes that the file gives to a segment.
    NotLoaded(Table),
}

/// A relocation table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Relocations with addends.
    Rela,
    /// Packed relative relocations. An error's index counts the places to relocate, not the words of the table.
    Relr,
}

/// What is wrong with a relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationFault {
    /// Neither `R_X86_64_RELATIVE` nor `R_X86_64_NONE`, or with a symbol: `r_info`.
    Kind(u64),
    /// The eight bytes at this address are not all in one writable segment.
    Target(u64),
    /// The table begins with a bitmap, and no address before it.
    Start,
    /// This address is not above the one before it.
    Order(u64),
}

/// What is wrong with the address for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceFault {
    /// A program with fixed addresses cannot be moved by this distance.
    Fixed(u64),
    /// The base is no multiple of the program's alignment.
    Misaligned {
        /// The base.
        base: u64,
        /// The alignment that it needs.
        align: u64,
    },
    /// At this base the program leaves what a program may map.
    OutsideUserSpace(u64),
}

const DAMAGED: &str = "the file is damaged: build or copy it again";
const RELINK: &str = "link it again, with the linker script for programs";
const STATIC: &str = "link it statically (`-static` or `-static-pie`)";
const TARGET: &str = "build it for x86-64";
const FORMAT: &str = "build it as a 64-bit ELF program";

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(fault) => write!(f, "{fault}"),
            Self::Header(i, fault) => write!(f, "program header {i}: {fault}"),
            Self::Headers(i, j, fault) => write!(f, "program headers {i} and {j}: {fault}"),
            Self::Dynamic(i, fault) => write!(f, "dynamic section, entry {i}: {fault}"),
            Self::Relocation(table, i, fault) => write!(f, "{table}, relocation {i}: {fault}"),
            Self::Place(fault) => write!(f, "{fault}"),
        }
    }
}

impl core::error::Error for ElfError {}

impl<S: fmt::Display> fmt::Display for PlanError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => error.fmt(f),
            Self::Read(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl<S: fmt::Debug + fmt::Display> core::error::Error for PlanError<S> {}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::MAX_PROGRAM_HEADERS;
        match *self {
            Self::TooShort(len) => write!(f, "ends within the file header, after {len} bytes; {DAMAGED}"),
            Self::Script => write!(f, "is a script, not a program; name the ELF file of its interpreter"),
            Self::WindowsProgram => write!(f, "is a program for DOS or Windows; {FORMAT}"),
            Self::AOut(magic) => write!(f, "is in the old a.out format (magic number {magic:#o}); {FORMAT}"),
            Self::NotElf => write!(f, "is not an ELF file (wrong magic number); {FORMAT}"),
            Self::Class(class) => write!(f, "is not a 64-bit ELF file (class {class}); {TARGET}"),
            Self::Encoding(data) => write!(f, "is not little-endian (data encoding {data}); {TARGET}"),
            Self::Version(version) => write!(f, "has unknown ELF version {version}; {DAMAGED}"),
            Self::Machine(machine) => write!(f, "is for another processor (machine {machine}); {TARGET}"),
            Self::ObjectFile => write!(f, "is an object file, not a program; link it"),
            Self::CoreDump => write!(f, "is a core dump, not a program; name the program that left it"),
            Self::Type(kind) => write!(f, "is not a program (ELF type {kind}); {STATIC}"),
            Self::HeaderSize(size) => write!(f, "has a file header of {size} bytes, should be 64; {DAMAGED}"),
            Self::EntrySize(size) => write!(f, "has program headers of {size} bytes, should be 56; {DAMAGED}"),
            Self::NoHeaders => write!(f, "has no program headers; link it as a program"),
            Self::TooManyHeaders(n) => {
                write!(f, "has {n} program headers, the limit is {MAX_PROGRAM_HEADERS}; {RELINK}")
            }
            Self::ExtendedCount => write!(
                f,
                "keeps its number of program headers in a section header, the limit is {MAX_PROGRAM_HEADERS}; {RELINK}"
            ),
            Self::TableInHeader(at) => write!(f, "has its program headers at {at}, inside the file header; {DAMAGED}"),
            Self::TableMisaligned(at) => write!(f, "has its program headers at {at}, no multiple of 8; {DAMAGED}"),
            Self::TableOutside { offset, count, len } => {
                write!(f, "ends at {len}, before the {count} program headers at {offset} do; {DAMAGED}")
            }
            Self::NoSegments => write!(f, "has nothing to load (no PT_LOAD program header); link it as a program"),
            Self::Entry(entry) => {
                write!(f, "has entry point {entry:#x}, which is no loaded code; define `_start` and link it again")
            }
        }
    }
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::MAX_SEGMENTS;
        match *self {
            Self::Interpreter => write!(f, "asks for a dynamic linker, and there is none; {STATIC}"),
            Self::ExecutableStack => write!(f, "asks for an executable stack; link it with `-z noexecstack`"),
            Self::TooMany => write!(f, "is the segment above the limit of {MAX_SEGMENTS}; {RELINK}"),
            Self::Flags(flags) => write!(f, "has unknown flags ({flags:#x}); {DAMAGED}"),
            Self::Unreadable => write!(f, "the segment is not readable; {RELINK}"),
            Self::WritableCode => write!(f, "the segment is both writable and executable; {RELINK}"),
            Self::OutsideFile { offset, len } => {
                write!(f, "its {len} bytes at {offset} reach beyond the end of the file; {DAMAGED}")
            }
            Self::LargerInFile => write!(f, "is larger in the file than in memory; {DAMAGED}"),
            Self::Wrap => write!(f, "its addresses wrap around; {DAMAGED}"),
            Self::OutsideUserSpace { start, end } => {
                write!(f, "its addresses {start:#x} to {end:#x} are not all a program's; {RELINK}")
            }
            Self::Alignment(align) => write!(f, "has alignment {align:#x}, no power of two or too large; {RELINK}"),
            Self::Misaligned => {
                write!(f, "address and file offset do not fit the alignment or the page size; {RELINK}")
            }
            Self::NotLoaded => write!(f, "its contents are not part of a loaded segment; {DAMAGED}"),
            Self::DynamicSize(size) => write!(f, "a dynamic section of {size} bytes, no multiple of 16; {DAMAGED}"),
            Self::DynamicEnd => write!(f, "a dynamic section without end (DT_NULL); {DAMAGED}"),
            Self::Note => write!(f, "malformed notes; {DAMAGED}"),
            Self::AbiNote => write!(f, "the note with the ABI version is not four bytes long; build the program again"),
        }
    }
}

impl fmt::Display for PairFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order => write!(f, "segments are not in ascending order; {RELINK}"),
            Self::SharedPage => write!(f, "segments overlap or share a page; {RELINK}"),
            Self::TwoTls => write!(f, "two PT_TLS, should be one; {DAMAGED}"),
            Self::TwoDynamic => write!(f, "two PT_DYNAMIC, should be one; {DAMAGED}"),
            Self::TwoAbiNotes => write!(f, "two notes with an ABI version, should be one; {RELINK}"),
        }
    }
}

impl fmt::Display for DynamicFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Needed => write!(f, "asks for a shared library (DT_NEEDED), and there are none; {STATIC}"),
            Self::Twice(tag) => write!(f, "tag {tag:#x} for the second time; {DAMAGED}"),
            Self::Unsupported(tag) => {
                write!(f, "tag {tag:#x}: relocations other than DT_RELA and DT_RELR; {STATIC}")
            }
            Self::Incomplete(table) => write!(f, "address, size or entry size of {table} is missing; {DAMAGED}"),
            Self::EntrySize(table, size) => write!(f, "{table} has entries of {size} bytes; {DAMAGED}"),
            Self::Size(table, size) => write!(f, "{table} has {size} bytes, no whole number of entries; {DAMAGED}"),
            Self::NotLoaded(table) => write!(f, "{table} is not part of a loaded segment; {DAMAGED}"),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rela => "DT_RELA",
            Self::Relr => "DT_RELR",
        })
    }
}

impl fmt::Display for RelocationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Kind(info) => {
                write!(f, "not a relative one (r_info {info:#x}); link it at fixed addresses (`-static -no-pie`)")
            }
            Self::Target(at) => write!(f, "address {at:#x} is not in a writable segment; {RELINK}"),
            Self::Start => write!(f, "a bitmap without an address before it; {DAMAGED}"),
            Self::Order(at) => write!(f, "address {at:#x} is not above the one before; {DAMAGED}"),
        }
    }
}

impl fmt::Display for PlaceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fixed(base) => write!(f, "has fixed addresses, cannot be moved by {base:#x}; use base 0"),
            Self::Misaligned { base, align } => write!(f, "cannot go to {base:#x}; use a multiple of {align:#x}"),
            Self::OutsideUserSpace(base) => write!(f, "does not fit into user space at {base:#x}; use another base"),
        }
    }
}
