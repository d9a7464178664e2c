//! Matching the modules that the boot loader brought with the boot table.

use crate::SpaceId;
use crate::frames::FrameNumber;
use abi::boot::{BootEntry, MAX_PROGRAMS, TABLE_MODULE, TableError};
use arrayvec::ArrayVec;
use core::fmt;

/// Most modules that a boot loader may bring: every program and the boot table.
pub const MAX_MODULES: usize = MAX_PROGRAMS + 1;

/// A module: the name that the boot loader was told, and the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// The whole string that stands behind the file in the loader's configuration.
    pub name: &'a str,
    /// The file.
    pub bytes: &'a [u8],
}

/// Why the modules are no boot set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError<'a> {
    /// There is no module with the boot table.
    NoTable,
    /// The boot table is no good.
    Table(TableError),
    /// A program of the table has no module.
    Missing(&'a str),
    /// A module that the table does not name.
    Surplus(&'a str),
    /// Two modules have the same name.
    Duplicate(&'a str),
    /// The module has another length than the table says.
    Length {
        /// Whose.
        name: &'a str,
        /// Bytes that the table says.
        expected: u64,
        /// Bytes there are.
        found: usize,
    },
    /// The module has the right length and other bytes than the table says.
    Damaged(&'a str),
}

impl fmt::Display for BootError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoTable => write!(f, "no module is named {TABLE_MODULE}")?,
            Self::Table(error) => return write!(f, "the module {TABLE_MODULE} {error}"),
            Self::Missing(name) => write!(f, "the module {name} is missing")?,
            Self::Surplus(name) => write!(f, "the boot table does not name the module {name}")?,
            Self::Duplicate(name) => write!(f, "two modules are named {name}")?,
            Self::Length { name, expected, found } => {
                write!(f, "the module {name} has {found} bytes, the boot table says {expected}")?;
            }
            Self::Damaged(name) => write!(f, "the module {name} is not the file that the boot table was made for")?,
        }
        f.write_str(": make the image again, or mend the loader's configuration")
    }
}

/// A program to boot.
#[derive(Clone, Copy, Debug)]
pub struct BootProgram<'a> {
    /// What the table says of it.
    pub entry: &'a BootEntry,
    /// Its ELF file.
    pub elf: &'a [u8],
}

/// The memory of a program that is made at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMemory {
    /// The space that it was loaded into.
    Space(SpaceId),
    /// It has none: its file begins in this frame, and the memory server will load it.
    File(FrameNumber),
}

/// The programs of the boot table with their modules, in the order of the table. The order of the modules is free.
///
/// # Errors
/// The first thing found wrong: nothing may be missing, surplus, doubled or damaged.
pub fn match_modules<'a>(modules: &[Module<'a>]) -> Result<ArrayVec<BootProgram<'a>, MAX_PROGRAMS>, BootError<'a>> {
    for (i, module) in modules.iter().enumerate() {
        if modules[..i].iter().any(|other| other.name == module.name) {
            return Err(BootError::Duplicate(module.name));
        }
    }
    let find = |name| modules.iter().find(|module| module.name == name);
    let table = find(TABLE_MODULE).ok_or(BootError::NoTable)?;
    let entries = abi::boot::parse(table.bytes).map_err(BootError::Table)?;
    let surplus = |m: &&Module<'_>| m.name != TABLE_MODULE && !entries.iter().any(|e| e.name() == Some(m.name));
    if let Some(module) = modules.iter().find(surplus) {
        return Err(BootError::Surplus(module.name));
    }
    let mut programs = ArrayVec::new();
    for entry in entries {
        let name = entry.name().unwrap_or_default();
        let elf = find(name).ok_or(BootError::Missing(name))?.bytes;
        if elf.len() as u64 != entry.size {
            return Err(BootError::Length { name, expected: entry.size, found: elf.len() });
        }
        if crc32fast::hash(elf) != entry.crc32 {
            return Err(BootError::Damaged(name));
        }
        programs.push(BootProgram { entry, elf });
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use abi::boot::{BootFlags, BootHeader};
    use std::vec::Vec;
    use zerocopy::IntoBytes;

    fn table(programs: &[(&str, &[u8])]) -> Vec<u64> {
        let mut entries: Vec<_> = programs
            .iter()
            .map(|(name, elf)| BootEntry {
                name: BootEntry::encode_name(name).unwrap(),
                size: elf.len() as u64,
                crc32: crc32fast::hash(elf),
                traps: 0,
                sends: 0,
                calls: 0,
                priority: 0,
                cpu: 0,
                flags: 0,
                memory: 0,
                reserved: [0; 4],
            })
            .collect();
        entries[0].flags = BootFlags::ROOT.bits();
        let bytes = [BootHeader::of(&entries).as_bytes(), entries.as_bytes()].concat();
        bytes.chunks(8).map(|c| u64::from_ne_bytes(c.try_into().unwrap())).collect()
    }

    const A: Module<'_> = Module { name: "a", bytes: b"file of a" };
    const B: Module<'_> = Module { name: "b", bytes: b"file of b" };

    fn with<'a>(table: &'a [u64], modules: &[Module<'a>]) -> Result<Vec<&'a [u8]>, BootError<'a>> {
        let mut all = std::vec![Module { name: TABLE_MODULE, bytes: table.as_bytes() }];
        all.extend_from_slice(modules);
        match_modules(&all).map(|programs| programs.iter().map(|p| p.elf).collect())
    }

    #[test]
    fn modules_match_by_name_in_any_order() {
        let t = table(&[("a", A.bytes), ("b", B.bytes)]);
        assert_eq!(with(&t, &[A, B]), Ok(std::vec![A.bytes, B.bytes]));
        assert_eq!(with(&t, &[B, A]), Ok(std::vec![A.bytes, B.bytes]));
        let last = [B, A, Module { name: TABLE_MODULE, bytes: t.as_bytes() }];
        assert_eq!(match_modules(&last).unwrap().len(), 2);
    }

    #[test]
    fn every_mismatch_has_its_error() {
        let t = table(&[("a", A.bytes), ("b", B.bytes)]);
        assert_eq!(match_modules(&[A, B]).unwrap_err(), BootError::NoTable);
        assert_eq!(match_modules(&[]).unwrap_err(), BootError::NoTable);
        assert_eq!(with(&t, &[A]), Err(BootError::Missing("b")));
        assert_eq!(with(&t, &[A, B, A]), Err(BootError::Duplicate("a")));
        assert_eq!(with(&t, &[A, B, Module { name: "", ..A }]), Err(BootError::Surplus("")));
        assert_eq!(with(&t, &[A, B, Module { name: "b ", ..A }]), Err(BootError::Surplus("b ")));
        let long = Module { name: "b", bytes: b"file of b+" };
        assert_eq!(with(&t, &[A, long]), Err(BootError::Length { name: "b", expected: 9, found: 10 }));
        let other = Module { name: "b", bytes: b"file of B" };
        assert_eq!(with(&t, &[A, other]), Err(BootError::Damaged("b")));
        let twice = Module { name: TABLE_MODULE, bytes: t.as_bytes() };
        assert_eq!(with(&t, &[A, B, twice]), Err(BootError::Duplicate(TABLE_MODULE)));
        let empty = Module { name: TABLE_MODULE, bytes: b"" };
        assert!(matches!(match_modules(&[empty, A]), Err(BootError::Table(TableError::Length { .. }))));
    }

    #[test]
    fn messages_name_the_culprit() {
        let text = std::format!("{}", BootError::Missing("vm"));
        assert!(text.contains("module vm is missing") && text.contains("image"), "{text}");
    }
}
