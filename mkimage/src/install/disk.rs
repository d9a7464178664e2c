//! The few file operations of an installation, so that a test can interrupt it after each of them.

use crate::fsutil::{self, Context, FileError};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::io::Write;
use std::path::Path;

/// Changes files. Each operation is done wholly or not at all, but for [`Disk::write`].
pub trait Disk {
    /// Makes a directory and those above it; one that exists is no error.
    ///
    /// # Errors
    /// That of the system.
    fn create_dir(&self, dir: &Path) -> Result<(), FileError>;

    /// Writes a new file and waits until its bytes are on the disk. Interrupted, it may leave a part.
    ///
    /// # Errors
    /// That of the system.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError>;

    /// Gives a file or directory another name; a file that has that name is replaced.
    ///
    /// # Errors
    /// That of the system.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError>;

    /// Exchanges two directories. Returns whether the file system can do that.
    ///
    /// # Errors
    /// That of the system.
    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, FileError>;

    /// Removes a file.
    ///
    /// # Errors
    /// That of the system.
    fn remove_file(&self, path: &Path) -> Result<(), FileError>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// That of the system.
    fn remove_dir(&self, dir: &Path) -> Result<(), FileError>;
}

/// The real one. Names are on the disk when an operation returns.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> Result<(), FileError> {
        std::fs::create_dir_all(dir).during("create directory", dir)?;
        fsutil::sync_dir(fsutil::parent(dir))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let mut file = std::fs::File::create(path).during("create", path)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).during("write", path)?;
        fsutil::sync_dir(fsutil::parent(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        std::fs::rename(from, to).during("replace", to)?;
        fsutil::sync_dir(fsutil::parent(to))
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, FileError> {
        use rustix::io::Errno;
        match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
            Ok(()) => fsutil::sync_dir(fsutil::parent(b)).map(|()| true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            Err(error) => Err(std::io::Error::from(error)).during("replace", b),
        }
    }

    fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        std::fs::remove_file(path).during("remove", path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), FileError> {
        std::fs::remove_dir(dir).during("remove directory", dir)
    }
}
