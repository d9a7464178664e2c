//! Wrong program headers.

use super::{Malformed, case, cases};
use crate::file::{HEADER_AREA, SLOT, program::*};
use crate::good::{self, DATA, HEADERS, MAX_PARTS, NOTE, RODATA, STACK, TEXT, TLS, address, slot};
use abi::layout::{PROGRAM_BASE, USER_END, USER_START};
use libexec::ElfError::{Header, Headers};
use libexec::{HeaderFault, PairFault};
use object::elf;

/// An address in the kernel's half that fits the page offset of the data segment.
const KERNEL: u64 = 0xffff_8000_0000_0600;
/// A multiple of the page size.
const FAR: u64 = 0x10_0000;

pub(super) fn segments() -> Vec<Malformed> {
    let good = good::fixed();
    let at = |part| address(PROGRAM_BASE, part);
    let of = |part| move |fault| Header(part as u16, fault);
    let text_len = good.get(p_filesz(TEXT));
    let (data_len, data_memory) = (good.get(p_filesz(DATA)), good.get(p_memsz(DATA)));
    let outside_file = |offset, len| HeaderFault::OutsideFile { offset, len };
    let outside_user = |start, end| HeaderFault::OutsideUserSpace { start, end };
    let too_long = USER_END - at(DATA) + 1;
    let text = cases(
        &good,
        of(TEXT),
        &[
            ("unknown flags", p_flags(TEXT), 0x105, HeaderFault::Flags(0x105)),
            ("no access", p_flags(TEXT), 0, HeaderFault::Unreadable),
            ("execute only", p_flags(TEXT), 1, HeaderFault::Unreadable),
            ("writable code", p_flags(TEXT), 7, HeaderFault::WritableCode),
            ("memory one byte short", p_memsz(TEXT), text_len - 1, HeaderFault::LargerInFile),
            ("no memory for contents", p_memsz(TEXT), 0, HeaderFault::LargerInFile),
            ("alignment of 3", p_align(TEXT), 3, HeaderFault::Alignment(3)),
            ("alignment above the largest page", p_align(TEXT), 1 << 31, HeaderFault::Alignment(1 << 31)),
            ("alignment of all ones", p_align(TEXT), u64::MAX, HeaderFault::Alignment(u64::MAX)),
            ("address one byte further", p_vaddr(TEXT), at(TEXT) + 1, HeaderFault::Misaligned),
            ("contents eight bytes further", p_offset(TEXT), slot(TEXT) + 8, HeaderFault::Misaligned),
            ("less aligned than asked for", p_align(TEXT), 0x2_0000, HeaderFault::Misaligned),
        ],
    );
    let data = cases(
        &good,
        of(DATA),
        &[
            ("write only", p_flags(DATA), 2, HeaderFault::Unreadable),
            ("executable variables", p_flags(DATA), 7, HeaderFault::WritableCode),
            ("contents behind the file", p_offset(DATA), slot(DATA) + FAR, outside_file(slot(DATA) + FAR, data_len)),
            ("contents at the far end", p_offset(DATA), KERNEL, outside_file(KERNEL, data_len)),
            ("contents one byte beyond the file", p_filesz(DATA), data_len + 1, outside_file(slot(DATA), data_len + 1)),
            ("contents of all memory", p_filesz(DATA), u64::MAX, outside_file(slot(DATA), u64::MAX)),
            ("memory that wraps", p_memsz(DATA), u64::MAX, HeaderFault::Wrap),
            ("memory that ends at 2^64", p_memsz(DATA), 0u64.wrapping_sub(at(DATA)), HeaderFault::Wrap),
            ("address in the kernel", p_vaddr(DATA), KERNEL, outside_user(KERNEL, KERNEL + data_memory)),
            ("one byte above user space", p_memsz(DATA), too_long, outside_user(at(DATA), USER_END + 1)),
        ],
    );
    let low = USER_START - 0x1000;
    let headers = cases(
        &good,
        of(HEADERS),
        &[
            ("address zero", p_vaddr(HEADERS), 0, outside_user(0, HEADER_AREA)),
            ("below user space", p_vaddr(HEADERS), low, outside_user(low, low + HEADER_AREA)),
        ],
    );
    let next_page = at(RODATA) - at(RODATA) % 0x1000;
    let pairs = cases(
        &good,
        |fault| Headers(TEXT as u16, RODATA as u16, fault),
        &[
            ("descending segments", p_vaddr(RODATA), PROGRAM_BASE + 0x2000 + slot(RODATA), PairFault::Order),
            ("two segments in one page", p_vaddr(RODATA), at(TEXT) + SLOT, PairFault::SharedPage),
            ("overlapping segments", p_memsz(TEXT), 0x2_0000, PairFault::SharedPage),
            ("one byte in the next segment's page", p_memsz(TEXT), next_page - at(TEXT) + 1, PairFault::SharedPage),
        ],
    );
    [text, data, headers, pairs, limits()].concat()
}

fn limits() -> Vec<Malformed> {
    let load = u64::from(elf::PT_LOAD.0);
    let seventeen = good::segments(MAX_PARTS).set(p_type(MAX_PARTS), load);
    // Where a relocatable program can go is its base's matter; here it is longer than user space.
    let start = address(0, DATA) + USER_END;
    let end = start + good::rela().get(p_memsz(DATA));
    let fault = HeaderFault::OutsideUserSpace { start, end };
    vec![
        case("seventeen segments", seventeen, Header(MAX_PARTS as u16, HeaderFault::TooMany)),
        case("longer than user space", good::rela().set(p_vaddr(DATA), start), Header(DATA as u16, fault)),
    ]
}

pub(super) fn others() -> Vec<Malformed> {
    let good = good::tls();
    let of = |part| move |fault| Header(part as u16, fault);
    let at = address(PROGRAM_BASE, DATA);
    let outside_file = |offset, len| HeaderFault::OutsideFile { offset, len };
    let demands = [
        case(
            "dynamic linker",
            good.clone().set(p_type(NOTE), elf::PT_INTERP.0.into()),
            Header(NOTE as u16, HeaderFault::Interpreter),
        ),
        case(
            "executable stack",
            good.clone().set(p_flags(STACK), 7),
            Header(STACK as u16, HeaderFault::ExecutableStack),
        ),
        case(
            "two thread-local storages",
            good.clone().set(p_type(NOTE), elf::PT_TLS.0.into()),
            Headers(NOTE as u16, TLS as u16, PairFault::TwoTls),
        ),
    ];
    let tls = cases(
        &good,
        of(TLS),
        &[
            ("thread-local contents too long", p_filesz(TLS), 65, HeaderFault::LargerInFile),
            ("thread-local contents elsewhere in memory", p_vaddr(TLS), at + 8, HeaderFault::NotLoaded),
            ("thread-local contents elsewhere in the file", p_offset(TLS), slot(DATA) + 8, HeaderFault::NotLoaded),
            ("thread-local contents in zeros", p_vaddr(TLS), at + SLOT, HeaderFault::NotLoaded),
            ("thread-local contents behind the file", p_offset(TLS), FAR, outside_file(FAR, 16)),
            (
                "thread-local address in the kernel",
                p_vaddr(TLS),
                KERNEL,
                HeaderFault::OutsideUserSpace { start: KERNEL, end: KERNEL + 64 },
            ),
            ("thread-local memory that wraps", p_memsz(TLS), u64::MAX, HeaderFault::Wrap),
            ("thread-local alignment of 3", p_align(TLS), 3, HeaderFault::Alignment(3)),
            ("thread-local alignment above a page", p_align(TLS), 0x2000, HeaderFault::Alignment(0x2000)),
        ],
    );
    [demands.to_vec(), tls].concat()
}
