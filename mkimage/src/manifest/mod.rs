//! The image manifest: which programs an image has, and which file says what each of them may do.
//!
//! [`Manifest::parse`] accepts a manifest wholly or refuses it with a [`Fault`] for each thing that is wrong, with its
//! line and column. docs/images.md describes the keys. What manifest and policy say together is checked by
//! [`crate::system`].

mod check;
pub(crate) mod raw;

pub use libconf::names::KERNEL_NAME;
pub use libconf::{Fault, Position};

use std::fmt;
use std::path::{Path, PathBuf};

/// Version of the manifest's keys.
pub const MANIFEST_FORMAT: i64 = 2;
/// Most bytes in a kernel command line.
pub const MAX_CMDLINE: usize = 1024;
/// Most characters in the name of an image.
pub const MAX_IMAGE_NAME: usize = 31;

/// A manifest without faults.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The file it was read from.
    pub path: PathBuf,
    /// Name of the image.
    pub name: String,
    /// Kernel command line: words with one blank between two.
    pub cmdline: String,
    /// The file with the policy, relative to the manifest.
    pub policy: String,
    /// Where it is named.
    pub policy_at: Position,
    /// Whether the root system process starts, watches and restarts the programs as services, by the policy. Else it goes by the boot table
    /// alone.
    pub services: bool,
    /// What the kernel is built from.
    pub kernel: Source,
    /// The programs, in the order of their slots.
    pub programs: Vec<Program>,
    /// Where the first of them stands.
    pub programs_at: Position,
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

/// A program of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name of its module, and of its service in the policy.
    pub name: String,
    /// Where it stands.
    pub at: Position,
    /// What it is built from.
    pub source: Source,
    /// Whether it is started at boot; else it is a file of the image.
    pub boots: bool,
    /// Whether it loads the others, but the root system process; else the kernel does.
    pub loads: bool,
}

/// A refused manifest, or policy.
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

    /// Where the policy is.
    pub fn policy_path(&self) -> PathBuf {
        crate::fsutil::parent(&self.path).join(&self.policy)
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
