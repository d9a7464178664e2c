//! Malformed files get their error, cut files never more than they hold, and good files a plan.

use libexec::{ElfError, FileFault, plan};
use libexec_testing::{good, malformed};
use std::collections::HashSet;

#[test]
fn every_malformed_file_gets_its_error() {
    let files = malformed();
    let wrong: Vec<_> = files
        .iter()
        .filter(|file| plan(&file.bytes).err() != Some(file.error))
        .map(|file| format!("{}: expected {:?}, got {:?}", file.name, file.error, plan(&file.bytes).err()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_malformed_files_are_many_and_differ() {
    let files = malformed();
    let names: HashSet<_> = files.iter().map(|file| file.name).collect();
    let contents: HashSet<_> = files.iter().map(|file| &file.bytes).collect();
    assert!(files.len() >= 100);
    assert_eq!((names.len(), contents.len()), (files.len(), files.len()));
}

#[test]
fn every_error_says_what_to_do() {
    for file in malformed() {
        let text = file.error.to_string();
        let advice = text.split_once("; ").map_or("", |(_, advice)| advice);
        assert!(!advice.is_empty(), "{}: {text}", file.name);
    }
}

#[test]
fn messages_name_the_header_at_fault() {
    let file = malformed().into_iter().find(|file| file.name == "writable code").unwrap();
    let expected = "program header 1: the segment is both writable and executable; \
                    link it again, with the linker script for programs";
    assert_eq!(file.error.to_string(), expected);
}

/// A file that is cut off is refused as soon as anything is missing that the plan needs; what is left of the good plan is
/// the same plan.
#[test]
fn cut_files_are_refused_or_whole() {
    for (name, file) in good::all() {
        let whole = plan(&file.0).unwrap();
        let segments = whole.segments();
        let needed = segments.iter().map(|s| (s.file_offset + s.file_len) as usize).max().unwrap();
        for len in 0..file.0.len() {
            match plan(&file.0[..len]) {
                Ok(cut) => assert_eq!((len >= needed, cut.segments()), (true, segments), "{name}, {len} bytes"),
                Err(error) => assert!(len < needed && says_cut(error), "{name}, {len} bytes: {error}"),
            }
        }
    }
}

fn says_cut(error: ElfError) -> bool {
    use libexec::HeaderFault::OutsideFile;
    matches!(
        error,
        ElfError::File(FileFault::TooShort(_) | FileFault::TableOutside { .. })
            | ElfError::Header(_, OutsideFile { .. })
    )
}

/// The bytes of a file may lie anywhere in memory.
#[test]
fn alignment_of_the_bytes_does_not_matter() {
    for (name, file) in good::all() {
        let whole = plan(&file.0).unwrap();
        for shift in 1..8 {
            let shifted = [&[0; 8][..shift], &file.0].concat();
            let again = plan(&shifted[shift..]).unwrap();
            assert_eq!((again.entry(), again.segments()), (whole.entry(), whole.segments()), "{name}");
        }
    }
}
