//! Compiles the policy of a manifest into a boot table, and reads one back.

use crate::manifest::Manifest;
use abi::boot::{BootEntry, BootHeader, TableError};
use zerocopy::IntoBytes;

/// The boot table of a manifest; `files` are the programs' ELF files as the image has them, in the same order.
///
/// # Panics
/// If there is not one file for each program.
pub fn compile(manifest: &Manifest, files: &[Vec<u8>]) -> Vec<u8> {
    assert_eq!(manifest.programs.len(), files.len(), "one file for each program");
    let entries: Vec<BootEntry> = manifest
        .programs
        .iter()
        .zip(files)
        .map(|(program, file)| BootEntry {
            name: BootEntry::encode_name(&program.name).expect("the manifest has valid names only"),
            size: file.len() as u64,
            crc32: crc32fast::hash(file),
            traps: program.traps.bits(),
            sends: program.sends,
            calls: program.calls,
            priority: program.priority,
            cpu: program.cpu,
            flags: program.flags.bits(),
            reserved: [0; 4],
            memory: program.memory,
        })
        .collect();
    [BootHeader::of(&entries).as_bytes(), entries.as_bytes()].concat()
}

/// The entries of a boot table, wherever its bytes lie.
///
/// # Errors
/// Those of [`abi::boot::parse`].
pub fn read(bytes: &[u8]) -> Result<Vec<BootEntry>, TableError> {
    // The entries are read in place and hold 64-bit numbers, so they are moved to an address that suits those.
    let mut aligned = vec![0u64; bytes.len().div_ceil(size_of::<u64>())];
    aligned.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    abi::boot::parse(&aligned.as_bytes()[..bytes.len()]).map(<[_]>::to_vec)
}
