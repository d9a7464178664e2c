//! Files that are right in every respect.

use crate::file::{ElfFile, HEADER_AREA, Header, SEGMENT_ALIGN, SLOT, STRIDE, build};
use abi::layout::PROGRAM_BASE;
use abi::note::AbiNote;
use object::elf;
use zerocopy::IntoBytes;

/// Index of the program header of the segment with the headers themselves.
pub const HEADERS: usize = 0;
/// The segment with the code.
pub const TEXT: usize = 1;
/// The segment with the note and with the relocations.
pub const RODATA: usize = 2;
/// The segment with variables.
pub const DATA: usize = 3;
/// The `PT_NOTE` program header.
pub const NOTE: usize = 4;
/// The `PT_GNU_STACK` program header.
pub const STACK: usize = 5;
/// A `PT_NULL` program header that describes the note once more.
pub const SPARE: usize = 6;
/// `PT_TLS` in [`tls`].
pub const TLS: usize = 7;
/// `PT_DYNAMIC` in [`rela`] and [`relr`].
pub const DYNAMIC: usize = 7;

/// Bytes of zeros behind the contents of the data segment.
pub const BSS_LEN: u64 = 0x300;
/// Where in the data segment the dynamic section lies, behind the places to relocate.
pub const DYNAMIC_AT: u64 = 0x40;
/// Where in the segment of constants the relocations lie, behind the note.
pub const TABLE_AT: u64 = 0x20;
/// Most segments that this layout has room for.
pub const MAX_PARTS: usize = 16;

/// Offset in the file of the segment of this program header, [`TEXT`] or above.
pub const fn slot(part: usize) -> u64 {
    HEADER_AREA + (part as u64 - 1) * SLOT
}

/// Address of the segment of this program header in a program that is linked to `base`.
pub const fn address(base: u64, part: usize) -> u64 {
    if part == HEADERS { base } else { base + part as u64 * STRIDE + slot(part) }
}

const R: elf::ProgramFlags = elf::PF_R;
const RX: elf::ProgramFlags = elf::ProgramFlags(elf::PF_R.0 | elf::PF_X.0);
const RW: elf::ProgramFlags = elf::ProgramFlags(elf::PF_R.0 | elf::PF_W.0);

/// `1: jmp 1b`, over and over.
fn code() -> Vec<u8> {
    [0xeb, 0xfe].repeat(16)
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn headers_segment(base: u64) -> Header {
    Header {
        kind: elf::PT_LOAD,
        flags: R,
        offset: 0,
        address: base,
        file_len: HEADER_AREA,
        mem_len: HEADER_AREA,
        align: SEGMENT_ALIGN,
    }
}

fn segment(base: u64, part: usize, flags: elf::ProgramFlags, contents: &[u8], zeros: u64) -> Header {
    let file_len = contents.len() as u64;
    Header {
        kind: elf::PT_LOAD,
        flags,
        offset: slot(part),
        address: address(base, part),
        file_len,
        mem_len: file_len + zeros,
        align: SEGMENT_ALIGN,
    }
}

/// A header for a part of a segment.
fn view(kind: elf::ProgramType, base: u64, part: usize, skip: u64, len: u64, align: u64) -> Header {
    Header {
        kind,
        flags: R,
        offset: slot(part) + skip,
        address: address(base, part) + skip,
        file_len: len,
        mem_len: len,
        align,
    }
}

/// A program with text, constants, data, and perhaps one more program header.
fn program(kind: elf::FileType, base: u64, table: &[u8], data: &[u8], more: Option<Header>) -> ElfFile {
    let note = AbiNote::CURRENT;
    let mut rodata = note.as_bytes().to_vec();
    rodata.resize(TABLE_AT as usize, 0);
    rodata.extend(table);
    let parts = [code(), rodata, data.to_vec()];
    let note_len = size_of_val(&note) as u64;
    let mut headers = vec![
        headers_segment(base),
        segment(base, TEXT, RX, &parts[0], 0),
        segment(base, RODATA, R, &parts[1], 0),
        segment(base, DATA, RW, &parts[2], BSS_LEN),
        view(elf::PT_NOTE, base, RODATA, 0, note_len, 4),
        Header { kind: elf::PT_GNU_STACK, flags: RW, offset: 0, address: 0, file_len: 0, mem_len: 0, align: 16 },
        view(elf::PT_NULL, base, RODATA, 0, note_len, 4),
    ];
    headers.extend(more);
    build(kind, address(base, TEXT), &headers, &parts)
}

/// A program with fixed addresses.
pub fn fixed() -> ElfFile {
    program(elf::ET_EXEC, PROGRAM_BASE, &[], &words(&[1, 2, 3]), None)
}

/// A program with fixed addresses and thread-local storage: 16 bytes of contents, 64 in memory, aligned to 32.
pub fn tls() -> ElfFile {
    let tls = Header { mem_len: 64, ..view(elf::PT_TLS, PROGRAM_BASE, DATA, 0, 16, 32) };
    program(elf::ET_EXEC, PROGRAM_BASE, &[], &words(&[1, 2, 3]), Some(tls))
}

/// What the places to relocate hold in [`rela`] and [`relr`].
pub const POINTERS: [u64; 8] = [0x1_0400, 0x1_0402, 7, 0x2_0500, 7, 7, 0x3_0600, 7];

/// A relocatable program with these dynamic entries before flags and end.
fn relocatable(tables: &[u8], places: &[(elf::DynamicTag, u64)]) -> ElfFile {
    let rest = [(elf::DT_FLAGS_1, elf::DF_1_PIE.0), (elf::DT_NULL, 0)];
    let entries = places.iter().chain(&rest).flat_map(|&(tag, value)| [tag.0.cast_unsigned(), value]);
    let dynamic = words(&entries.collect::<Vec<_>>());
    let data = [words(&POINTERS), dynamic.clone()].concat();
    let header = view(elf::PT_DYNAMIC, 0, DATA, DYNAMIC_AT, dynamic.len() as u64, 8);
    program(elf::ET_DYN, 0, tables, &data, Some(header))
}

/// The dynamic entries for a table of full relocations, and for one of packed relocations.
const RELA_TAGS: [elf::DynamicTag; 3] = [elf::DT_RELA, elf::DT_RELASZ, elf::DT_RELAENT];
const RELR_TAGS: [elf::DynamicTag; 3] = [elf::DT_RELR, elf::DT_RELRSZ, elf::DT_RELRENT];
/// Bytes of an entry of either table.
const RELA_SIZE: u64 = 24;
const RELR_SIZE: u64 = 8;

/// The dynamic entries for a table that begins `skip` bytes behind [`TABLE_AT`].
fn place(tags: [elf::DynamicTag; 3], skip: &[u8], table: &[u8], entry_size: u64) -> [(elf::DynamicTag, u64); 3] {
    let at = address(0, RODATA) + TABLE_AT + skip.len() as u64;
    let [table_tag, size_tag, entry_tag] = tags;
    [(table_tag, at), (size_tag, table.len() as u64), (entry_tag, entry_size)]
}

/// The dynamic entries of [`rela`] and [`relr`], by index: address, size and entry size of the table, flags, end.
pub const TABLE: usize = 0;
/// See [`TABLE`].
pub const TABLE_SIZE: usize = 1;
/// See [`TABLE`].
pub const ENTRY_SIZE: usize = 2;
/// See [`TABLE`].
pub const FLAGS: usize = 3;
/// See [`TABLE`].
pub const END: usize = 4;

fn rela_table() -> Vec<u8> {
    let relative = RELA_TARGETS.map(|(place, addend)| [place, elf::R_X86_64_RELATIVE.0.into(), addend]);
    [words(relative.as_flattened()), words(&[0, elf::R_X86_64_NONE.0.into(), 0])].concat()
}

fn relr_table() -> Vec<u8> {
    words(&[address(0, DATA), 0b100_1011, address(0, DATA) + SLOT])
}

/// A relocatable program with full relocations: [`RELA_TARGETS`], and an empty one.
pub fn rela() -> ElfFile {
    let table = rela_table();
    relocatable(&table, &place(RELA_TAGS, &[], &table, RELA_SIZE))
}

/// A relocatable program with packed relocations: [`RELR_PLACES`].
pub fn relr() -> ElfFile {
    let table = relr_table();
    relocatable(&table, &place(RELR_TAGS, &[], &table, RELR_SIZE))
}

/// A relocatable program with both tables; they have two places in common.
pub fn rela_and_relr() -> ElfFile {
    let (full, packed) = (rela_table(), relr_table());
    let places = [place(RELA_TAGS, &[], &full, RELA_SIZE), place(RELR_TAGS, &full, &packed, RELR_SIZE)].concat();
    relocatable(&[full, packed].concat(), &places)
}

/// Places and addends of [`rela`], at base 0: in the contents of the data segment, behind them, and at the very end.
pub const RELA_TARGETS: [(u64, u64); 3] = [
    (address(0, DATA), address(0, TEXT)),
    (address(0, DATA) + SLOT, address(0, RODATA)),
    (address(0, DATA) + DYNAMIC_AT + 5 * 16 + BSS_LEN - 8, 0),
];

/// Places of [`relr`], as offset in the data segment and value at base 0.
pub const RELR_PLACES: [(u64, u64); 5] =
    [(0, POINTERS[0]), (8, POINTERS[1]), (24, POINTERS[3]), (48, POINTERS[6]), (SLOT, 0)];

/// A program of `count` segments, with one `PT_NULL` program header behind them that would make another.
///
/// # Panics
/// If `count` is not 2 to [`MAX_PARTS`].
pub fn segments(count: usize) -> ElfFile {
    assert!((2..=MAX_PARTS).contains(&count));
    let parts = vec![code(); count];
    let flags = |part| if part == TEXT { RX } else { R };
    let loads = (TEXT..=count).map(|part| segment(PROGRAM_BASE, part, flags(part), &parts[part - 1], 0));
    let mut headers: Vec<_> = [headers_segment(PROGRAM_BASE)].into_iter().chain(loads).collect();
    headers[count].kind = elf::PT_NULL;
    build(elf::ET_EXEC, address(PROGRAM_BASE, TEXT), &headers, &parts)
}

/// A program of one segment, which holds the headers and the code.
pub fn single() -> ElfFile {
    let whole =
        Header { flags: RX, file_len: slot(TEXT) + SLOT, mem_len: slot(TEXT) + SLOT, ..headers_segment(PROGRAM_BASE) };
    let mut text = code();
    text.resize(SLOT as usize, 0);
    build(elf::ET_EXEC, PROGRAM_BASE + slot(TEXT), &[whole], &[text])
}

/// All of them, each of another shape.
pub fn all() -> Vec<(&'static str, ElfFile)> {
    vec![
        ("fixed", fixed()),
        ("tls", tls()),
        ("rela", rela()),
        ("relr", relr()),
        ("rela and relr", rela_and_relr()),
        ("single", single()),
        ("twelve segments", segments(12)),
        ("sixteen segments", segments(MAX_PARTS)),
    ]
}
