//! Reads from a suite's file which tests it has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use abi::report::TESTS_SECTION;
use goblin::elf::Elf;
use goblin::elf::section_header::SHT_NOBITS;

use crate::Error;
use crate::report::is_name;

/// The names of the tests that the suite in the ELF file `file` declares, in the file's order. The file must have its
/// sections still.
///
/// # Errors
///
/// [`Error::NotASuite`] for a file that is not ELF, has no such section or has anything else than names in it;
/// [`Error::Io`] for one that cannot be read.
pub fn declared_tests(file: &Path) -> Result<Vec<String>, Error> {
    let bytes = fs::read(file).map_err(Error::io("read", file))?;
    names_in_elf(&bytes).map_err(|problem| Error::NotASuite { file: file.to_owned(), problem })
}

fn names_in_elf(file: &[u8]) -> Result<Vec<String>, String> {
    let elf = Elf::parse(file).map_err(|error| format!("no ELF file: {error}"))?;
    let is_ours = |name: usize| elf.shdr_strtab.get_at(name) == Some(TESTS_SECTION);
    let mut sections = elf.section_headers.iter().filter(|section| is_ours(section.sh_name));
    let section = sections
        .next()
        .ok_or_else(|| format!("has no section `{TESTS_SECTION}`: it is stripped, or no suite, or has no tests"))?;
    if sections.next().is_some() {
        return Err(format!("has more than one section `{TESTS_SECTION}`"));
    }
    let bytes = section.file_range().filter(|_| section.sh_type != SHT_NOBITS).and_then(|range| file.get(range));
    names(bytes.ok_or_else(|| format!("the contents of section `{TESTS_SECTION}` are not in the file"))?)
}

/// Splits the section's contents.
fn names(section: &[u8]) -> Result<Vec<String>, String> {
    let Some(contents) = section.strip_suffix(&[0]) else {
        return Err(format!("section `{TESTS_SECTION}` is empty, or its last name has no zero byte at its end"));
    };
    let mut seen = BTreeSet::new();
    let name = |bytes: &[u8]| match str::from_utf8(bytes) {
        Ok(name) if is_name(name) && seen.insert(name.to_owned()) => Ok(name.to_owned()),
        Ok(name) if is_name(name) => Err(format!("section `{TESTS_SECTION}` has two tests of the name `{name}`")),
        _ => Err(format!("section `{TESTS_SECTION}`: `{}` is no name of a test", bytes.escape_ascii())),
    };
    contents.split(|&byte| byte == 0).map(name).collect()
}

#[cfg(test)]
mod tests {
    use object::write::Object;
    use object::{Architecture, BinaryFormat, Endianness, SectionKind};

    use super::*;

    /// An ELF file with these sections.
    fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        for (name, contents) in sections {
            let section = object.add_section(Vec::new(), name.as_bytes().to_vec(), SectionKind::ReadOnlyData);
            object.append_section_data(section, contents, 1);
        }
        object.write().unwrap()
    }

    #[track_caller]
    fn refused(file: &[u8], why: &str) {
        let problem = names_in_elf(file).unwrap_err();
        assert!(problem.contains(why), "{problem}");
    }

    #[test]
    fn names_come_in_the_order_of_the_file() {
        let file = elf(&[(".rodata", b"x\0"), (TESTS_SECTION, b"reads_memory\0deep::er\0a\0")]);
        assert_eq!(names_in_elf(&file).unwrap(), ["reads_memory", "deep::er", "a"]);
    }

    #[test]
    fn files_that_declare_no_tests_are_refused() {
        refused(b"", "no ELF file");
        refused(b"#!/bin/sh\n", "no ELF file");
        refused(&elf(&[(".rodata", b"a\0")]), "has no section");
        refused(&elf(&[(TESTS_SECTION, b"")]), "is empty");
        refused(&elf(&[(TESTS_SECTION, b"a\0"), (TESTS_SECTION, b"b\0")]), "more than one");
    }

    #[test]
    fn contents_that_are_not_names_are_refused() {
        refused(&elf(&[(TESTS_SECTION, b"a\0b")]), "no zero byte");
        refused(&elf(&[(TESTS_SECTION, b"\0")]), "`` is no name");
        refused(&elf(&[(TESTS_SECTION, b"a\0\0b\0")]), "`` is no name");
        refused(&elf(&[(TESTS_SECTION, b"a b\0")]), "`a b` is no name");
        refused(&elf(&[(TESTS_SECTION, b"\xff\n\0")]), r"`\xff\n` is no name");
        refused(&elf(&[(TESTS_SECTION, b"a\0b\0a\0")]), "two tests of the name `a`");
    }

    #[test]
    fn a_cut_file_is_refused_at_every_length() {
        let file = elf(&[(TESTS_SECTION, b"a\0b\0")]);
        for length in 0..file.len() {
            assert!(names_in_elf(&file[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = declared_tests(Path::new("no/such/suite")).unwrap_err().to_string();
        assert!(error.contains("no/such/suite"), "{error}");
    }
}
