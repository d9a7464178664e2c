//! Files: read with errors that name them, written whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried, as in "cannot ...".
    pub action: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Adds to an [`io::Error`] what was tried with which file.
pub trait Context<T> {
    /// `action` completes "cannot ...".
    ///
    /// # Errors
    /// The same error, with its context.
    fn during(self, action: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T> Context<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { action, path: path.into(), source })
    }
}

/// Reads a whole file.
///
/// # Errors
/// That of the system, with the file's name.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).during("read", path)
}

/// Directory that a file stands in: `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new temporary file beside `path`, with the permissions that a plain file would get.
///
/// # Errors
/// That of the system, with the directory's name.
pub fn temp_beside(path: &Path) -> Result<tempfile::NamedTempFile, FileError> {
    use std::os::unix::fs::PermissionsExt;
    let dir = parent(path);
    std::fs::create_dir_all(dir).during("create directory", dir)?;
    tempfile::Builder::new()
        .prefix(".mkimage-")
        .permissions(std::fs::Permissions::from_mode(0o666)) // The umask is subtracted.
        .tempfile_in(dir)
        .during("create a temporary file in", dir)
}

/// Gives a temporary file its name, once its bytes are on the disk.
///
/// # Errors
/// That of the system, with the file's name; the temporary file is gone then.
pub fn persist(temp: tempfile::NamedTempFile, path: &Path) -> Result<(), FileError> {
    temp.as_file().sync_all().during("write", path)?;
    temp.persist(path).map_err(|e| e.error).during("replace", path)?;
    sync_dir(parent(path))
}

/// Writes a file whole or not at all: whoever reads it, at any time, sees the old bytes or the new ones.
///
/// # Errors
/// That of the system, with the file's name; the old file is unchanged then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut temp = temp_beside(path)?;
    temp.write_all(bytes).during("write", path)?;
    persist(temp, path)
}

/// Waits until the names in a directory are on the disk.
///
/// # Errors
/// That of the system, with the directory's name.
pub fn sync_dir(dir: &Path) -> Result<(), FileError> {
    std::fs::File::open(dir).and_then(|d| d.sync_all()).during("write directory", dir)
}
