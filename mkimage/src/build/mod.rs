//! Builds the programs of a manifest, checks them and packs them.

mod cargo;
mod plugin;

pub use cargo::{CargoError, TARGET};
pub use plugin::plugin;

use crate::elf;
use crate::fsutil::{self, Context, FileError};
use crate::image::Image;
use crate::manifest::{KERNEL_NAME, Program, Source};
use crate::progress::Progress;
use crate::system::{System, SystemError};
use std::path::{Path, PathBuf};

/// Where the ELF files come from.
#[derive(Clone, Debug)]
pub enum Binaries {
    /// Cargo builds them from the workspace that the manifest stands in.
    Workspace,
    /// They are there: a file for each binary in this directory.
    Directory(PathBuf),
}

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Manifest or policy cannot be read, or are refused.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Cargo failed.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// An ELF file is refused.
    #[error("{}: {error}", path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        error: elf::Refused,
    },
}

/// An image, and the files that it was made from, as they were before they were stripped.
#[derive(Debug)]
pub struct Built {
    /// The image.
    pub image: Image,
    /// Name in the image, and bytes, of the kernel and of each program.
    pub unstripped: Vec<(String, Vec<u8>)>,
}

/// Reads a manifest and its policy, and makes the image.
///
/// # Errors
/// Whatever stands in the way; nothing is written but cargo's own files.
pub fn build(manifest: &Path, binaries: &Binaries, progress: Progress) -> Result<Built, BuildError> {
    let system = System::read(manifest)?;
    match binaries {
        Binaries::Workspace => pack(&system, &cargo::build(&system.manifest, progress)?.dir, progress),
        Binaries::Directory(dir) => pack(&system, dir, progress),
    }
}

/// Makes the image of a system from the ELF files in a directory.
fn pack(system: &System, dir: &Path, progress: Progress) -> Result<Built, BuildError> {
    let manifest = &system.manifest;
    let mut unstripped = Vec::new();
    let mut load = |name: &str, source: &Source, kind: elf::Kind| {
        let path = dir.join(&source.bin);
        progress.step("packing", format_args!("{name} ({})", path.display()));
        let bytes = fsutil::read(&path)?;
        let stripped = elf::check_and_strip(kind, &bytes).map_err(|error| BuildError::Elf { path, error })?;
        unstripped.push((name.to_owned(), bytes));
        Ok::<_, BuildError>(stripped)
    };
    let kernel = load(KERNEL_NAME, &manifest.kernel, elf::Kind::Kernel)?;
    let mut load_program = |program: &Program| load(&program.name, &program.source, elf::Kind::Program);
    let programs = manifest.programs.iter().map(&mut load_program).collect::<Result<_, _>>()?;
    Ok(Built { image: Image::pack(system, kernel, programs), unstripped })
}

/// Writes an image, and the unstripped files, for `symbolize` and debuggers, into `debug/IMAGE NAME` beside it.
///
/// # Errors
/// That of the system; no file is left half written.
pub fn save(built: &Built, output: &Path, progress: Progress) -> Result<(), FileError> {
    let dir = debug_dir(output, &built.image.name);
    std::fs::create_dir_all(&dir).during("create directory", &dir)?;
    for (name, bytes) in &built.unstripped {
        fsutil::write_atomic(&dir.join(name), bytes)?;
    }
    progress.step("writing", format_args!("{} ({})", output.display(), built.image.version));
    fsutil::write_atomic(output, &built.image.to_bytes())
}

/// Where the unstripped files of an image are kept.
pub fn debug_dir(image: &Path, name: &str) -> PathBuf {
    fsutil::parent(image).join("debug").join(name)
}
