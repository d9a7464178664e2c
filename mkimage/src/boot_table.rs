//! Compiles manifest and policy into a boot table, and reads one back.

use crate::system::{System, nothing};
use abi::boot::{BootEntry, BootFlags, BootHeader, TableError};
use abi::policy::POLICY_FILE;
use zerocopy::IntoBytes;

/// The boot table of a system, and the files that it names, by their names and in its order: the programs that boot, and where there are services,
/// the policy and the programs that do not. `files` are the programs' ELF files as the image has them, in the
/// order of the manifest.
///
/// # Panics
/// If there is not one file for each program.
pub fn compile(system: &System, files: Vec<Vec<u8>>) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let programs = &system.manifest.programs;
    assert_eq!(programs.len(), files.len(), "one file for each program");
    let named = programs.iter().zip(files).map(|(program, file)| (system.entry(program), program.name.clone(), file));
    let (mut all, later): (Vec<_>, Vec<_>) = named.partition(|(entry, ..)| !entry.has(BootFlags::FILE));
    if system.manifest.services {
        let entry = BootEntry { flags: BootFlags::FILE.bits(), ..nothing(POLICY_FILE) };
        all.push((entry, POLICY_FILE.to_owned(), system.policy()));
    }
    all.extend(later);
    let entries: Vec<BootEntry> = all
        .iter()
        .map(|(entry, _, file)| BootEntry { size: file.len() as u64, crc32: crc32fast::hash(file), ..*entry })
        .collect();
    let table = [BootHeader::of(&entries).as_bytes(), entries.as_bytes()].concat();
    (table, all.into_iter().map(|(_, name, file)| (name, file)).collect())
}

/// The entries of a boot table, wherever its bytes lie.
///
/// # Errors
/// Those of [`abi::boot::parse`].
pub fn read(bytes: &[u8]) -> Result<Vec<BootEntry>, TableError> {
    abi::boot::parse(&aligned(bytes).as_bytes()[..bytes.len()]).map(<[_]>::to_vec)
}

/// Bytes at an address that suits 64-bit numbers, with zeros behind them: entries are read in place.
pub(crate) fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut aligned = vec![0u64; bytes.len().div_ceil(size_of::<u64>())];
    aligned.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    aligned
}
