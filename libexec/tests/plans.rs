//! What the plans of good files say, and where programs may go.

use abi::layout::{PAGE_SIZE, PIE_BASE, PROGRAM_BASE, USER_END, USER_START};
use libexec::{Access, ElfError, HeaderFault, PlaceFault, Placement, Plan, ProgramHeaders, Tls, plan};
use libexec_testing::good::{
    self, BSS_LEN, DATA, HEADERS, MAX_PARTS, RELA_TARGETS, RELR_PLACES, RODATA, TEXT, address, slot,
};
use libexec_testing::{ElfFile, dynamic, program, property, relr};

const PT_TLS: u64 = 7;
const DT_NEEDED: u64 = 1;

fn relocations(file: &ElfFile, base: u64) -> Vec<(u64, u64)> {
    let plan = plan(&file.0).unwrap();
    let all = property::relocations(&file.0, &plan.at(base).unwrap());
    all.into_iter().map(|relocation| (relocation.address, relocation.value)).collect()
}

/// Bytes that the file has there.
fn bytes(file: &ElfFile, offset: u64, len: u64) -> &[u8] {
    &file.0[offset as usize..][..len as usize]
}

#[test]
fn a_fixed_program() {
    let file = good::fixed();
    let plan = plan(&file.0).unwrap();
    let read = Access::READ;
    let expected = [
        (HEADERS, PROGRAM_BASE, read),
        (TEXT, address(PROGRAM_BASE, TEXT), read | Access::EXECUTE),
        (RODATA, address(PROGRAM_BASE, RODATA), read),
        (DATA, address(PROGRAM_BASE, DATA), read | Access::WRITE),
    ];
    let segments = plan.segments().iter().map(|s| (usize::from(s.header), s.address, s.access));
    assert!(segments.eq(expected));
    let data = plan.segments()[DATA];
    assert_eq!((data.file_offset, data.file_len, data.mem_len), (slot(DATA), 24, 24 + BSS_LEN));
    assert_eq!((plan.placement(), plan.entry()), (Placement::Fixed, address(PROGRAM_BASE, TEXT)));
    assert_eq!((plan.abi_version(), plan.tls()), (Some(abi::ABI_VERSION), None));
    let headers = ProgramHeaders { address: Some(PROGRAM_BASE + 64), count: 7, entry_size: 56 };
    assert_eq!(plan.program_headers(), headers);
    assert_eq!(relocations(&file, 0), []);
}

#[test]
fn pages_are_whole_and_hold_the_segment() {
    let file = good::fixed();
    let data = plan(&file.0).unwrap().segments()[DATA];
    assert_eq!(data.pages(), 0x43_0000..0x43_1000);
    let file = file.set(program::p_memsz(DATA), 0x1000);
    let data = plan(&file.0).unwrap().segments()[DATA];
    assert_eq!((data.address, data.end(), data.pages()), (0x43_0600, 0x43_1600, 0x43_0000..0x43_2000));
}

#[test]
fn thread_local_storage() {
    let file = good::tls();
    let tls = plan(&file.0).unwrap().tls().unwrap();
    assert_eq!((tls.address, tls.mem_len, tls.align), (address(PROGRAM_BASE, DATA), 64, 32));
    assert_eq!((tls.file_offset, tls.file_len), (slot(DATA), 16));
    // Nothing but zeros: then it does not matter where it lies.
    let zeros = file.set(program::p_filesz(good::TLS), 0).set(program::p_vaddr(good::TLS), 0x50_0000);
    let tls = plan(&zeros.0).unwrap().tls().unwrap();
    assert_eq!((tls.file_len, tls.mem_len), (0, 64));
}

#[test]
fn thread_local_storage_moves_with_the_program() {
    let file = good::rela().set(program::p_type(good::SPARE), PT_TLS);
    let plan = plan(&file.0).unwrap();
    let moved = plan.at(PIE_BASE).unwrap().tls().unwrap();
    assert_eq!(moved, Tls { address: PIE_BASE + address(0, RODATA), ..plan.tls().unwrap() });
}

/// All of the code is one instruction over and over, so two bytes further there are the same bytes again.
#[test]
fn the_same_bytes_at_another_place_are_not_the_same() {
    let file = good::tls().set(program::p_offset(good::TLS), slot(TEXT));
    let there = file.clone().set(program::p_vaddr(good::TLS), address(PROGRAM_BASE, TEXT));
    let tls = plan(&there.0).unwrap().tls().unwrap();
    assert_eq!((tls.file_offset, tls.file_len), (slot(TEXT), 16));
    assert_eq!(bytes(&file, slot(TEXT), 16), bytes(&file, slot(TEXT) + 2, 16));
    let further = file.set(program::p_vaddr(good::TLS), address(PROGRAM_BASE, TEXT) + 2);
    assert_eq!(plan(&further.0).unwrap_err(), ElfError::Header(good::TLS as u16, HeaderFault::NotLoaded));
}

#[test]
fn the_dynamic_section_ends_where_it_says() {
    let file = good::rela().set(dynamic::d_tag(good::END), DT_NEEDED);
    let ended = file.set(dynamic::d_tag(good::FLAGS), 0);
    assert_eq!(relocations(&ended, PIE_BASE).len(), RELA_TARGETS.len());
}

#[test]
fn full_relocations_store_base_and_addend() {
    let file = good::rela();
    for base in [PIE_BASE, USER_START] {
        let moved = RELA_TARGETS.map(|(place, addend)| (base + place, base + addend));
        assert_eq!(relocations(&file, base), moved);
    }
}

#[test]
fn packed_relocations_add_the_base_to_what_is_there() {
    let file = good::relr();
    for base in [PIE_BASE, USER_START] {
        let moved = RELR_PLACES.map(|(skip, value)| (base + address(0, DATA) + skip, base + value));
        assert_eq!(relocations(&file, base), moved);
    }
}

/// The places in common come twice, and who stores in order leaves the full relocation there.
#[test]
fn full_relocations_come_after_packed_ones() {
    let file = good::rela_and_relr();
    let packed = RELR_PLACES.map(|(skip, value)| (PIE_BASE + address(0, DATA) + skip, PIE_BASE + value));
    let full = RELA_TARGETS.map(|(place, addend)| (PIE_BASE + place, PIE_BASE + addend));
    assert_eq!(relocations(&file, PIE_BASE), [&packed[..], &full].concat());
}

/// Half of the number is in the file, the other half are zeros behind it. The last bytes of the data are those of the
/// dynamic section's `DT_NULL`, whose value means nothing.
#[test]
fn packed_relocation_across_the_end_of_the_contents() {
    let file = good::relr().set(dynamic::d_val(good::END), 0x1122_3344_5566_7788);
    let place = address(0, DATA) + file.get(program::p_filesz(DATA)) - 4;
    let file = file.set(relr::word(2), place);
    assert_eq!(relocations(&file, PIE_BASE).last(), Some(&(PIE_BASE + place, PIE_BASE + 0x1122_3344)));
}

#[test]
fn sixteen_segments_are_the_limit() {
    let file = good::segments(MAX_PARTS);
    assert_eq!(plan(&file.0).unwrap().segments().len(), libexec::MAX_SEGMENTS);
}

#[test]
fn empty_segments_are_left_out() {
    let file = good::fixed().set(program::p_filesz(RODATA), 0).set(program::p_memsz(RODATA), 0);
    let headers: Vec<_> = plan(&file.0).unwrap().segments().iter().map(|s| usize::from(s.header)).collect();
    assert_eq!(headers, [HEADERS, TEXT, DATA]);
}

/// Linkers put the offset of a segment without contents wherever it suits the alignment.
#[test]
fn a_segment_without_contents_has_no_place_in_the_file() {
    let beyond = slot(DATA) + 0x10_0000;
    let file = good::fixed().set(program::p_filesz(DATA), 0).set(program::p_offset(DATA), beyond);
    assert_eq!(plan(&file.0).unwrap().segments()[DATA].file_len, 0);
}

#[test]
fn headers_that_are_not_loaded_have_no_address() {
    let file = good::fixed().set(program::p_filesz(HEADERS), 64 + 56);
    assert_eq!(plan(&file.0).unwrap().program_headers().address, None);
}

#[test]
fn a_foreign_program_has_no_abi_version() {
    let foreign = good::fixed().set(program::p_type(good::NOTE), 0);
    assert_eq!(plan(&foreign.0).unwrap().abi_version(), None);
}

#[test]
fn a_fixed_program_stays_where_it_is() {
    let file = good::fixed();
    let plan = plan(&file.0).unwrap();
    let placed = plan.at(0).unwrap();
    assert!(placed.segments().eq(plan.segments().iter().copied()));
    assert_eq!((placed.entry(), placed.base()), (plan.entry(), 0));
    for base in [1, PAGE_SIZE, PIE_BASE, u64::MAX] {
        assert_eq!(plan.at(base).unwrap_err(), ElfError::Place(PlaceFault::Fixed(base)));
    }
}

#[test]
fn a_relocatable_program_moves_as_a_whole() {
    let file = good::rela();
    let plan = plan(&file.0).unwrap();
    let placed = plan.at(PIE_BASE).unwrap();
    let moved: Vec<_> = plan.segments().iter().map(|s| (s.address + PIE_BASE, s.mem_len, s.file_offset)).collect();
    assert!(placed.segments().map(|s| (s.address, s.mem_len, s.file_offset)).eq(moved));
    assert_eq!(placed.entry(), PIE_BASE + plan.entry());
    assert_eq!(placed.program_headers().address, Some(PIE_BASE + 64));
}

fn refused(plan: &Plan, base: u64, fault: PlaceFault) {
    assert_eq!(plan.at(base).unwrap_err(), ElfError::Place(fault));
}

#[test]
fn a_base_is_a_multiple_of_the_alignment() {
    let file = good::rela();
    let small = plan(&file.0).unwrap();
    assert_eq!(small.align(), PAGE_SIZE);
    for base in [PIE_BASE + 1, PIE_BASE + PAGE_SIZE / 2, u64::MAX] {
        refused(&small, base, PlaceFault::Misaligned { base, align: PAGE_SIZE });
    }
    let align = 0x1_0000;
    let file = good::rela().set(program::p_align(HEADERS), align);
    let large = plan(&file.0).unwrap();
    assert_eq!(large.align(), align);
    assert!(large.at(PIE_BASE + align).is_ok());
    refused(&large, PIE_BASE + PAGE_SIZE, PlaceFault::Misaligned { base: PIE_BASE + PAGE_SIZE, align });
}

#[test]
fn a_placed_program_stays_in_user_space() {
    let file = good::rela();
    let plan = plan(&file.0).unwrap();
    let pages = plan.segments().last().unwrap().pages().end;
    assert!(plan.at(USER_START).is_ok());
    assert!(plan.at(USER_END - pages).is_ok());
    let wrapping = 0u64.wrapping_sub(PAGE_SIZE);
    for base in [0, USER_START - PAGE_SIZE, USER_END - pages + PAGE_SIZE, USER_END, 1 << 63, wrapping] {
        refused(&plan, base, PlaceFault::OutsideUserSpace(base));
    }
}

/// A relocatable program may leave its first pages empty; then base 0 is as good as any.
#[test]
fn a_relocatable_program_may_be_linked_high() {
    let high = 0x100_0000;
    let up = |file: ElfFile, i| {
        let at = file.get(program::p_vaddr(i));
        file.set(program::p_vaddr(i), at + high)
    };
    let file = [HEADERS, TEXT, RODATA, DATA].into_iter().fold(good::rela(), up);
    let file = file.set(program::p_type(good::DYNAMIC), 0);
    let file = file.set(libexec_testing::header::E_ENTRY, address(high, TEXT));
    assert!(plan(&file.0).unwrap().at(0).is_ok());
}
