//! Malformed files, each made from a good one by one change.

mod contents;
mod headers;
mod whole;

use crate::file::{ElfFile, Field};
use libexec::ElfError;

/// A file to refuse.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// What is wrong with it.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// The error that it deserves.
    pub error: ElfError,
}

/// All of them; the names differ.
pub fn malformed() -> Vec<Malformed> {
    [
        whole::files(),
        headers::segments(),
        headers::others(),
        contents::dynamic(),
        contents::relocations(),
        contents::notes(),
    ]
    .concat()
}

fn case(name: &'static str, file: ElfFile, error: ElfError) -> Malformed {
    Malformed { name, bytes: file.0, error }
}

/// A change of one field of a file, and the error that it leads to.
type Change<E> = (&'static str, Field, u64, E);

fn cases<E: Copy>(good: &ElfFile, error: impl Fn(E) -> ElfError, changes: &[Change<E>]) -> Vec<Malformed> {
    changes
        .iter()
        .map(|&(name, field, value, fault)| case(name, good.clone().set(field, value), error(fault)))
        .collect()
}
