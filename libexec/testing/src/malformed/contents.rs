//! Wrong dynamic sections, relocations and notes.

use super::{Malformed, case, cases};
use crate::file::{ElfFile, Field, SLOT, dynamic::*, program, rela::*, relr};
use crate::good::*;
use libexec::ElfError::{Dynamic, Header, Headers, Relocation};
use libexec::{DynamicFault, HeaderFault, PairFault, RelocationFault, Table};
use object::elf;

/// The tag as it stands in the file.
const fn tag(tag: elf::DynamicTag) -> u64 {
    tag.0.cast_unsigned()
}

pub(super) fn dynamic() -> Vec<Malformed> {
    let full = rela();
    let of = |entry| move |fault| Dynamic(entry, fault);
    let header = |fault| Header(DYNAMIC as u16, fault);
    let outside_file = |offset, len| HeaderFault::OutsideFile { offset, len };
    let (offset, len) = (program::p_offset(DYNAMIC), program::p_filesz(DYNAMIC));
    let start = slot(DATA) + DYNAMIC_AT;
    let section = cases(
        &full,
        header,
        &[
            ("dynamic section of no whole entries", len, 79, HeaderFault::DynamicSize(79)),
            ("dynamic section without end", len, 64, HeaderFault::DynamicEnd),
            ("dynamic section of no bytes", len, 0, HeaderFault::DynamicEnd),
            ("dynamic section elsewhere in the file", offset, start - 16, HeaderFault::NotLoaded),
            ("dynamic section elsewhere in memory", program::p_vaddr(DYNAMIC), 0, HeaderFault::NotLoaded),
            ("dynamic section behind the file", offset, u64::MAX, outside_file(u64::MAX, 80)),
        ],
    );
    let unsupported = |tag: elf::DynamicTag| DynamicFault::Unsupported(tag.0);
    let flags = cases(
        &full,
        of(FLAGS),
        &[
            ("shared library", d_tag(FLAGS), tag(elf::DT_NEEDED), DynamicFault::Needed),
            ("second relocation table", d_tag(FLAGS), tag(elf::DT_RELA), DynamicFault::Twice(elf::DT_RELA.0)),
            ("relocations without addends", d_tag(FLAGS), tag(elf::DT_REL), unsupported(elf::DT_REL)),
            ("relocations of procedure linkage", d_tag(FLAGS), tag(elf::DT_JMPREL), unsupported(elf::DT_JMPREL)),
            ("size of relocations without addends", d_tag(FLAGS), tag(elf::DT_RELSZ), unsupported(elf::DT_RELSZ)),
            ("size of procedure linkage", d_tag(FLAGS), tag(elf::DT_PLTRELSZ), unsupported(elf::DT_PLTRELSZ)),
            ("Android's relocations", d_tag(FLAGS), tag(elf::DT_ANDROID_RELA), unsupported(elf::DT_ANDROID_RELA)),
        ],
    );
    let lone = full.clone().set(d_tag(FLAGS), tag(elf::DT_RELR));
    let two = full.clone().set(program::p_type(NOTE), elf::PT_DYNAMIC.0.into());
    let pairs = vec![
        case("packed relocations of address only", lone, Dynamic(END, DynamicFault::Incomplete(Table::Relr))),
        case("two dynamic sections", two, Headers(NOTE as u16, DYNAMIC as u16, PairFault::TwoDynamic)),
    ];
    [section, flags, pairs, tables(&full, Table::Rela, &FULL), tables(&relr(), Table::Relr, &PACKED)].concat()
}

/// What [`tables`] does to full relocations.
const FULL: [&str; 8] = [
    "relocations without address",
    "relocations without size",
    "relocations without entry size",
    "relocations of wrong entry size",
    "relocations of no whole entries",
    "relocations longer than memory",
    "relocations in zeros",
    "relocations outside memory",
];

/// What [`tables`] does to packed relocations.
const PACKED: [&str; 8] = [
    "packed relocations without address",
    "packed relocations without size",
    "packed relocations without entry size",
    "packed relocations of wrong entry size",
    "packed relocations of no whole entries",
    "packed relocations longer than memory",
    "packed relocations in zeros",
    "packed relocations outside memory",
];

fn tables(good: &ElfFile, table: Table, names: &[&'static str; 8]) -> Vec<Malformed> {
    let zeros = address(0, DATA) + SLOT;
    let unused = tag(elf::DT_DEBUG);
    let changes = [
        (d_tag(TABLE), unused, DynamicFault::Incomplete(table)),
        (d_tag(TABLE_SIZE), unused, DynamicFault::Incomplete(table)),
        (d_tag(ENTRY_SIZE), unused, DynamicFault::Incomplete(table)),
        (d_val(ENTRY_SIZE), 16, DynamicFault::EntrySize(table, 16)),
        (d_val(TABLE_SIZE), 23, DynamicFault::Size(table, 23)),
        (d_val(TABLE_SIZE), u64::MAX, DynamicFault::NotLoaded(table)),
        (d_val(TABLE), zeros, DynamicFault::NotLoaded(table)),
        (d_val(TABLE), u64::MAX, DynamicFault::NotLoaded(table)),
    ];
    let refused = |(&name, (field, value, fault))| case(name, good.clone().set(field, value), Dynamic(END, fault));
    names.iter().zip(changes).map(refused).collect()
}

pub(super) fn relocations() -> Vec<Malformed> {
    let (full, packed) = (rela(), relr());
    let first = |fault| Relocation(Table::Rela, 0, fault);
    let (text, rodata, data) = (address(0, TEXT), address(0, RODATA), address(0, DATA));
    let end = data + full.get(program::p_memsz(DATA));
    let kinds = cases(
        &full,
        first,
        &[
            ("relocation to a symbol", r_info(0), 6, RelocationFault::Kind(6)),
            ("indirect relocation", r_info(0), 37, RelocationFault::Kind(37)),
            ("relative relocation with a symbol", r_info(0), 1 << 32 | 8, RelocationFault::Kind(1 << 32 | 8)),
            ("empty relocation with a symbol", r_info(0), 1 << 32, RelocationFault::Kind(1 << 32)),
            ("relocation of code", r_offset(0), text, RelocationFault::Target(text)),
            ("relocation of constants", r_offset(0), rodata, RelocationFault::Target(rodata)),
            ("relocation across the end", r_offset(0), end - 7, RelocationFault::Target(end - 7)),
            ("relocation across the start", r_offset(0), data - 1, RelocationFault::Target(data - 1)),
            ("relocation between segments", r_offset(0), 0x8000, RelocationFault::Target(0x8000)),
            ("relocation that wraps", r_offset(0), u64::MAX - 3, RelocationFault::Target(u64::MAX - 3)),
        ],
    );
    let at = |index| move |fault| Relocation(Table::Relr, index, fault);
    let word = |index: usize| -> Field { relr::word(index) };
    let across = end - 4;
    let packed = [
        cases(
            &packed,
            at(0),
            &[
                ("packed relocations begin with a bitmap", word(0), 0b11, RelocationFault::Start),
                ("packed relocation of constants", word(0), rodata, RelocationFault::Target(rodata)),
                ("packed relocation outside memory", word(0), u64::MAX - 1, RelocationFault::Target(u64::MAX - 1)),
            ],
        ),
        cases(
            &packed,
            at(4),
            &[
                ("packed relocation twice", word(2), data + 48, RelocationFault::Order(data + 48)),
                ("packed relocations descend", word(2), data, RelocationFault::Order(data)),
                ("packed relocation across the end", word(2), across, RelocationFault::Target(across)),
            ],
        ),
        // Begins with the last but one word of memory, so that the bitmap's first bit is good and its next is not.
        cases(&packed, at(2), &[("bitmap that leaves memory", word(0), end - 16, RelocationFault::Target(end + 8))]),
    ];
    [vec![kinds], packed.to_vec()].concat().concat()
}

pub(super) fn notes() -> Vec<Malformed> {
    let good = fixed();
    let note = slot(RODATA) as usize;
    let (name_size, desc_size) = (Field { offset: note, size: 4 }, Field { offset: note + 4, size: 4 });
    let mut all = cases(
        &good,
        |fault| Header(NOTE as u16, fault),
        &[
            ("note of a huge name", name_size, 0xffff_ffff, HeaderFault::Note),
            ("note of a huge descriptor", desc_size, 0xffff_ffff, HeaderFault::Note),
            ("note one byte too long", desc_size, 5, HeaderFault::Note),
            ("note cut in its header", program::p_filesz(NOTE), 11, HeaderFault::Note),
            ("note cut in its descriptor", program::p_filesz(NOTE), 23, HeaderFault::Note),
            ("notes aligned to 16", program::p_align(NOTE), 16, HeaderFault::Note),
            (
                "notes behind the file",
                program::p_offset(NOTE),
                u64::MAX,
                HeaderFault::OutsideFile { offset: u64::MAX, len: 24 },
            ),
            ("ABI version of two bytes", desc_size, 2, HeaderFault::AbiNote),
            ("ABI version of no bytes", desc_size, 0, HeaderFault::AbiNote),
        ],
    );
    let two = good.set(program::p_type(SPARE), elf::PT_NOTE.0.into());
    all.push(case("two ABI versions", two, Headers(NOTE as u16, SPARE as u16, PairFault::TwoAbiNotes)));
    all
}
