//! Wrong file headers, and files that are something else.

use super::{Malformed, case, cases};
use crate::file::{header::*, program};
use crate::good::{self, DATA, RODATA, TEXT, address, slot};
use abi::layout::PROGRAM_BASE;
use libexec::ElfError::File;
use libexec::FileFault;

pub(super) fn files() -> Vec<Malformed> {
    let good = good::fixed();
    let len = good.0.len() as u64;
    let outside = |offset, count| FileFault::TableOutside { offset, count, len };
    let (rodata, data) = (address(PROGRAM_BASE, RODATA), address(PROGRAM_BASE, DATA));
    let behind_text = address(PROGRAM_BASE, TEXT) + good.get(program::p_filesz(TEXT));
    let mut all = cases(
        &good,
        File,
        &[
            ("script", EI_MAG0, u16::from_le_bytes(*b"#!").into(), FileFault::Script),
            ("Windows program", EI_MAG0, u16::from_le_bytes(*b"MZ").into(), FileFault::WindowsProgram),
            ("a.out OMAGIC", EI_MAG0, 0o407, FileFault::AOut(0o407)),
            ("a.out NMAGIC", EI_MAG0, 0o410, FileFault::AOut(0o410)),
            ("a.out ZMAGIC", EI_MAG0, 0o413, FileFault::AOut(0o413)),
            ("a.out QMAGIC", EI_MAG0, 0o314, FileFault::AOut(0o314)),
            ("magic number", EI_MAG3, b'G'.into(), FileFault::NotElf),
            ("no class", EI_CLASS, 0, FileFault::Class(0)),
            ("32-bit", EI_CLASS, 1, FileFault::Class(1)),
            ("no encoding", EI_DATA, 0, FileFault::Encoding(0)),
            ("big-endian", EI_DATA, 2, FileFault::Encoding(2)),
            ("ident version", EI_VERSION, 0, FileFault::Version(0)),
            ("file version", E_VERSION, 2, FileFault::Version(2)),
            ("for i386", E_MACHINE, 3, FileFault::Machine(3)),
            ("for AArch64", E_MACHINE, 183, FileFault::Machine(183)),
            ("no type", E_TYPE, 0, FileFault::Type(0)),
            ("object file", E_TYPE, 1, FileFault::ObjectFile),
            ("core dump", E_TYPE, 4, FileFault::CoreDump),
            ("processor's own type", E_TYPE, 0xff00, FileFault::Type(0xff00)),
            ("file header of 32-bit size", E_EHSIZE, 52, FileFault::HeaderSize(52)),
            ("program headers of 32-bit size", E_PHENTSIZE, 32, FileFault::EntrySize(32)),
            ("program headers too large", E_PHENTSIZE, 57, FileFault::EntrySize(57)),
            ("no program headers", E_PHNUM, 0, FileFault::NoHeaders),
            ("one program header above the limit", E_PHNUM, 65, FileFault::TooManyHeaders(65)),
            ("most program headers without escape", E_PHNUM, 0xfffe, FileFault::TooManyHeaders(0xfffe)),
            ("extended program header count", E_PHNUM, 0xffff, FileFault::ExtendedCount),
            ("no program header table", E_PHOFF, 0, FileFault::TableInHeader(0)),
            ("program headers in the file header", E_PHOFF, 56, FileFault::TableInHeader(56)),
            ("misaligned program headers", E_PHOFF, 65, FileFault::TableMisaligned(65)),
            ("program headers behind the file", E_PHOFF, len, outside(len, 7)),
            ("program headers at the far end", E_PHOFF, u64::MAX - 7, outside(u64::MAX - 7, 7)),
            ("entry at zero", E_ENTRY, 0, FileFault::Entry(0)),
            ("entry in constants", E_ENTRY, rodata, FileFault::Entry(rodata)),
            ("entry in variables", E_ENTRY, data, FileFault::Entry(data)),
            ("entry behind the code", E_ENTRY, behind_text, FileFault::Entry(behind_text)),
            ("entry in the kernel", E_ENTRY, u64::MAX, FileFault::Entry(u64::MAX)),
        ],
    );
    let table_cut = 64 + 56 * 3 + 10;
    let table_error = FileFault::TableOutside { offset: 64, count: 7, len: table_cut as u64 };
    let no_load = good::single().set(program::p_type(0), 0);
    let empty = good::single().set(program::p_filesz(0), 0);
    let entry = PROGRAM_BASE + slot(TEXT);
    all.extend([
        case("empty file", good.clone().cut(0), File(FileFault::TooShort(0))),
        case("cut in the magic number", good.clone().cut(3), File(FileFault::TooShort(3))),
        case("cut in the file header", good.clone().cut(63), File(FileFault::TooShort(63))),
        case("cut in the program headers", good.cut(table_cut), File(table_error)),
        case("nothing to load", no_load, File(FileFault::NoSegments)),
        case("entry in zeros", empty, File(FileFault::Entry(entry))),
    ]);
    all
}
