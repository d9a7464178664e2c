//! The image manifest: which programs an image boots, and what each of them may do.
//!
//! [`Manifest::parse`] accepts a manifest wholly or refuses it with a [`Fault`] for each thing that is wrong, with its
//! line and column. docs/images.md describes the keys.

mod check;
pub(crate) use check::{call_names, flag_names, memory_names, trap_names};
mod raw;

use abi::TrapMask;
use abi::boot::BootFlags;
use std::fmt;
use std::path::{Path, PathBuf};

/// Version of the manifest's keys.
pub const MANIFEST_FORMAT: i64 = 1;
/// Priority of a program that names none.
pub const DEFAULT_PRIORITY: u8 = 7;
/// Processor of a program whose manifest names none.
pub const DEFAULT_CPU: u8 = 0;
/// Most bytes in a kernel command line.
pub const MAX_CMDLINE: usize = 1024;
/// Most characters in the name of an image.
pub const MAX_IMAGE_NAME: usize = 31;
/// Name of the kernel's file in images and boot sets.
pub const KERNEL_NAME: &str = "kernel";

/// A manifest without faults.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The file it was read from.
    pub path: PathBuf,
    /// Name of the image.
    pub name: String,
    /// Kernel command line: words with one blank between two.
    pub cmdline: String,
    /// What the kernel is built from.
    pub kernel: Source,
    /// The programs, in the order of their slots.
    pub programs: Vec<Program>,
}

/// A binary of a package of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The package.
    pub package: String,
    /// Its binary.
    pub bin: String,
    /// Where the manifest names the package.
    pub at: Position,
}

/// A boot program and its authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name of its module.
    pub name: String,
    /// What it is built from.
    pub source: Source,
    /// Scheduling queue.
    pub priority: u8,
    /// Number of the processor that it runs on.
    pub cpu: u8,
    /// What it is to the system.
    pub flags: BootFlags,
    /// Traps it may use.
    pub traps: TrapMask,
    /// Programs it may send to: a bit for each place in the table.
    pub sends: u64,
    /// Kernel calls it may make: a bit for each number, or for a group.
    pub calls: u64,
    /// Calls of the memory server that it may make: a bit for each number.
    pub memory: u64,
}

/// A place in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl Position {
    /// The position of a byte of `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Position,
    /// What, and what to do.
    pub message: String,
}

/// A refused manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, in the order of the lines; at least one.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {}", self.path.display(), fault.at, fault.message)?;
        }
        Ok(())
    }
}

impl Manifest {
    /// Reads and checks the text of a manifest; `path` is for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, or the first thing if it is no TOML of the right shape.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ManifestError> {
        let refuse = |faults| ManifestError { path: path.into(), faults };
        let raw = raw::parse(text).map_err(|fault| refuse(vec![fault]))?;
        check::check(raw, text, path).map_err(|mut faults| {
            faults.sort_by_key(|f| f.at);
            refuse(faults)
        })
    }

    /// The kernel's source and those of the programs.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.kernel).chain(self.programs.iter().map(|p| &p.source))
    }

    /// A refusal of one of its parts.
    pub fn fault(&self, at: Position, message: String) -> ManifestError {
        ManifestError { path: self.path.clone(), faults: vec![Fault { at, message }] }
    }
}

/// Whether `text` can be the name of an image: 1 to [`MAX_IMAGE_NAME`] of `a-z 0-9 - _`.
pub fn is_image_name(text: &str) -> bool {
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=MAX_IMAGE_NAME).contains(&text.len()) && text.bytes().all(valid)
}

/// Whether `text` can be a kernel command line: at most [`MAX_CMDLINE`] bytes of printable ASCII without quotes and
/// backslashes, which boot loaders treat each in its own way, in words with one blank between two.
pub fn is_cmdline(text: &str) -> bool {
    let valid = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\'' | b'\\' | b'`');
    let single_blanks = text.is_empty() || text.split(' ').all(|word| !word.is_empty());
    text.len() <= MAX_CMDLINE && text.bytes().all(valid) && single_blanks
}
