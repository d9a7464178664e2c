//! Programs of all shapes are loaded as planned, once, and cheaply.

use crate::support::loaded;
use abi::layout::{PAGE_SIZE, PIE_BASE};
use libexec::{Access, plan};
use libexec_testing::good::{self, DATA, MAX_PARTS, RODATA, TEXT};
use libexec_testing::loading::{check, load, request};
use libexec_testing::mutation::{mutate, mutation};
use libexec_testing::space::{Files, Origin, Region};
use libexec_testing::{ElfFile, program};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;

const MUTATED_FILES: u32 = 3_000;
const READ: Access = Access::READ;

#[test]
fn every_good_file_is_loaded_as_planned() {
    for (name, file) in good::all() {
        assert!(check(&file.0), "{name}");
    }
}

#[test]
fn one_to_sixteen_segments() {
    assert!(check(&good::single().0));
    for count in 2..=MAX_PARTS {
        let file = good::segments(count);
        assert_eq!(plan(&file.0).unwrap().segments().len(), count);
        assert!(check(&file.0), "{count} segments");
    }
}

#[test]
fn mutated_files_are_loaded_as_planned_or_not_at_all() {
    let seeds: Vec<_> = good::all().into_iter().map(|(_, file)| file).collect();
    let strategy = (0..seeds.len(), 0..seeds.len(), prop::collection::vec(mutation(), 1..=3));
    let config = Config { cases: MUTATED_FILES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let count = Cell::new(0);
    let tried = runner.run(&strategy, |(file, donor, changes)| {
        count.set(count.get() + u32::from(check(&mutate(&seeds[file], &seeds[donor], &changes).0)));
        Ok(())
    });
    tried.unwrap();
    assert!((MUTATED_FILES / 10..MUTATED_FILES).contains(&count.get()), "{} loaded", count.get());
}

/// What each call is for: nothing is done twice, and nothing that is not needed.
#[test]
fn a_fixed_program_takes_these_steps() {
    let (space, _) = loaded(&good::fixed().0, &request());
    let read_only = ["map_file", "reserve", "copy_in", "zero", "zero", "protect"];
    let headers = ["map_file", "reserve", "copy_in", "zero", "protect"];
    let data = &read_only[..5];
    let end = ["reserve_stack", "write", "set_entry"];
    assert_eq!(space.calls, [&["clear"], &headers[..], &read_only, &read_only, data, &end].concat());
}

#[test]
fn mapped_files_are_not_copied() {
    let (space, result) = load(&good::fixed().0, Files::Mapped, &request());
    result.unwrap();
    let maps = ["map_file"; 4];
    assert_eq!(space.calls, [&["clear"], &maps[..], &["reserve_stack", "write", "set_entry"]].concat());
}

/// Contents that end in the middle of a page, on a page's end, and nowhere; zeros in that page, and in more of them.
#[test]
fn zeros_behind_the_contents() {
    let fixed = good::fixed();
    for zeros in [0, 1, 0x9e7, 0x9e8, 0x9e9, 0x1000, 0x5000] {
        let len = fixed.get(program::p_filesz(DATA)) + zeros;
        let file = ElfFile(fixed.0.clone());
        let file = if file.get(program::p_memsz(DATA)) == len { file } else { file.set(program::p_memsz(DATA), len) };
        assert!(check(&file.0), "{zeros} zeros");
    }
    let none = fixed.set(program::p_filesz(DATA), 0);
    assert!(check(&none.0));
    let (space, _) = loaded(&none.0, &request());
    let data = space.regions().iter().find(|region| region.pages.start == 0x43_0000).unwrap();
    assert_eq!((data.origin, data.access), (Origin::Zero, READ | Access::WRITE));
}

#[test]
fn a_gibibyte_of_zeros_is_a_reservation() {
    let small = good::fixed();
    let file = small.clone().set(program::p_memsz(DATA), 1 << 30);
    let (space, image) = loaded(&file.0, &request());
    let contents_end = 0x43_1000;
    let end = (0x43_0600_u64 + (1 << 30)).next_multiple_of(PAGE_SIZE);
    let zeros = Region { pages: contents_end..end, access: READ | Access::WRITE, origin: Origin::Zero };
    assert!(space.regions().contains(&zeros), "{:x?}", space.regions());
    assert_eq!(image.image.end, end);
    let (without, _) = loaded(&small.0, &request());
    assert_eq!((space.calls.len(), space.touched()), (without.calls.len() + 1, without.touched()));
}

#[test]
fn zeros_are_reserved_with_their_final_access() {
    let file = good::fixed().set(program::p_memsz(RODATA), 0x3000);
    assert!(check(&file.0));
    let (space, _) = loaded(&file.0, &request());
    let zeros: Vec<_> = space.regions().iter().filter(|region| region.origin == Origin::Zero).collect();
    assert_eq!((zeros.len(), zeros[0].access), (1, READ));
}

/// Neither the page is writable while it is executable, nor the other way round: [`Space`] asserts it at each call. Here is
/// what comes of it.
#[test]
fn text_is_not_writable_and_data_not_executable() {
    let (space, _) = loaded(&good::fixed().0, &request());
    let at = |part| space.access(good::address(abi::layout::PROGRAM_BASE, part)).unwrap();
    assert_eq!([TEXT, RODATA, DATA].map(at), [READ | Access::EXECUTE, READ, READ | Access::WRITE]);
    assert_eq!(space.access(request().stack.start), Some(READ | Access::WRITE));
}

/// The words that are relocated are gathered where they are neighbours.
#[test]
fn relocations_are_written_in_runs() {
    let (space, program) = loaded(&good::relr().0, &request());
    assert_eq!(program.base, PIE_BASE);
    let writes = space.calls.iter().filter(|call| **call == "write").count();
    // Words 0 and 1, word 3, word 6, the one behind the contents; and the frame.
    assert_eq!(writes, 5);
    for (skip, value) in good::RELR_PLACES {
        assert_eq!(space.word(PIE_BASE + good::address(0, DATA) + skip), PIE_BASE + value);
    }
}

#[test]
fn a_program_that_relocates_itself_is_left_alone() {
    for file in [good::rela(), good::relr(), good::rela_and_relr()] {
        let foreign = file.set(program::p_type(good::NOTE), 0);
        assert!(check(&foreign.0));
        let (space, image) = loaded(&foreign.0, &request());
        assert_eq!(image.abi_version, None);
        let data = image.base + good::address(0, DATA);
        let words: Vec<_> = (0..8).map(|i| space.word(data + i * 8)).collect();
        assert_eq!(words, good::POINTERS);
    }
}

#[test]
fn the_initial_contents_of_thread_local_storage_are_where_the_headers_say() {
    let file = good::tls();
    let (space, image) = loaded(&file.0, &request());
    let at = image.base + file.get(program::p_vaddr(good::TLS));
    assert_eq!(space.bytes(at, 16), &file.0[good::slot(DATA) as usize..][..16]);
    let header = program::p_type(good::TLS).offset as u64;
    assert_eq!(space.bytes(image.image.start + header, 56), &file.0[header as usize..][..56]);
}
