//! A static program of 100 KiB, as a file in memory. Its first instruction reads the time-stamp counter; then it tells what it
//! has read, and what it finds at the ends of its file and behind.

use abi::layout::{PAGE_SIZE, PROGRAM_BASE};
use abi::note::AbiNote;
use abi::{Endpoint, Trap};
use core::arch::global_asm;
use core::ops::Range;
use zerocopy::{Immutable, IntoBytes};

/// What it has in its file: headers and text, read-only data, data.
const TEXT: Range<usize> = 0..15 * PAGE;
const CONSTANTS: Range<usize> = TEXT.end..TEXT.end + 5 * PAGE;
const DATA: Range<usize> = CONSTANTS.end..CONSTANTS.end + 5 * PAGE;
const PAGE: usize = PAGE_SIZE as usize;
/// What it has behind its data.
const BSS: usize = 3 * PAGE;
const LEN: usize = DATA.end;
const _: () = assert!(LEN == 100 << 10);

/// Where its first instruction is, behind the headers, and whom it tells: the first word of its data.
const ENTRY: usize = 0x200;
const NOTE: usize = 0x180;
/// Words that it tells.
const FIRST: usize = CONSTANTS.start;
const LAST: usize = DATA.end - size_of::<u64>();
const ZERO: usize = DATA.end + BSS - size_of::<u64>();
pub(crate) const FIRST_WORD: u64 = 0x1122_3344_5566_7788;
pub(crate) const LAST_WORD: u64 = 0x99aa_bbcc_ddee_ff00;

/// The kind of the message.
const KIND: u32 = 0x7380;

const fn address(offset: usize) -> u64 {
    PROGRAM_BASE + offset as u64
}

global_asm!(
    ".pushsection .rodata.program, \"a\"",
    ".global program_start",
    ".global program_end",
    "program_start:",
    "rdtsc",
    "shl rdx, 32",
    "lea r8, [rdx + rax]",
    "mov edi, [{to}]",
    "mov r9, [{first}]",
    "mov r10, [{last}]",
    "mov r12, [{zero}]",
    "mov esi, {kind}",
    "mov eax, {sendrec}",
    "syscall",
    "ud2",
    "program_end:",
    ".popsection",
    to = const address(DATA.start), first = const address(FIRST), last = const address(LAST),
    zero = const address(ZERO), kind = const KIND, sendrec = const Trap::SendRec.rax(),
);

unsafe extern "C" {
    static program_start: u8;
    static program_end: u8;
}

/// The instructions.
fn code() -> &'static [u8] {
    let (start, end) = (&raw const program_start, &raw const program_end);
    // SAFETY: the assembler has put the bytes of the program between both symbols, in memory that is only read.
    unsafe { core::slice::from_raw_parts(start, end.offset_from_unsigned(start)) }
}

/// The header of a file, as in the System V gABI.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct FileHeader {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    headers: u64,
    sections: u64,
    flags: u32,
    size: u16,
    header_size: u16,
    header_count: u16,
    section_size: u16,
    section_count: u16,
    section_names: u16,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_len: u64,
    mem_len: u64,
    align: u64,
}

const LOAD: u32 = 1;
const NOTES: u32 = 4;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

fn header(kind: u32, flags: u32, range: Range<usize>, more: usize, align: u64) -> ProgramHeader {
    let (offset, len) = (range.start as u64, range.len() as u64);
    let (address, mem_len) = (address(range.start), len + more as u64);
    ProgramHeader { kind, flags, offset, address, physical: address, file_len: len, mem_len, align }
}

fn headers() -> (FileHeader, [ProgramHeader; 4]) {
    let headers = [
        header(LOAD, READ | EXECUTE, TEXT, 0, PAGE_SIZE),
        header(LOAD, READ, CONSTANTS, 0, PAGE_SIZE),
        header(LOAD, READ | WRITE, DATA, BSS, PAGE_SIZE),
        header(NOTES, READ, NOTE..NOTE + size_of::<AbiNote>(), 0, 4),
    ];
    let file = FileHeader {
        ident: [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], // 64 bits, little-endian, version 1.
        kind: 2,                                                             // At a fixed address.
        machine: 62,                                                         // x86-64.
        version: 1,
        entry: address(ENTRY),
        headers: size_of::<FileHeader>() as u64,
        sections: 0,
        flags: 0,
        size: size_of::<FileHeader>() as u16,
        header_size: size_of::<ProgramHeader>() as u16,
        header_count: headers.len() as u16,
        section_size: 0,
        section_count: 0,
        section_names: 0,
    };
    (file, headers)
}

/// The file; it begins with a page.
#[repr(align(4096))]
pub(crate) struct File([u8; LEN]);

impl File {
    /// Nothing yet.
    pub(crate) const EMPTY: Self = Self([0; LEN]);

    /// Makes it the program that sends its message to `to`.
    pub(crate) fn fill(&mut self, to: Endpoint) -> &[u8] {
        let (file, headers) = headers();
        for (word, i) in self.0.chunks_exact_mut(size_of::<u32>()).zip(1_u32..) {
            word.copy_from_slice(&i.to_le_bytes());
        }
        let mut put = |at: usize, bytes: &[u8]| self.0[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, file.as_bytes());
        put(size_of::<FileHeader>(), headers.as_bytes());
        put(NOTE, AbiNote::CURRENT.as_bytes());
        put(ENTRY, code());
        put(FIRST, &FIRST_WORD.to_le_bytes());
        put(DATA.start, &to.raw().to_le_bytes());
        put(LAST, &LAST_WORD.to_le_bytes());
        &self.0
    }
}
