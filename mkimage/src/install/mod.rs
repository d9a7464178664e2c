//! Installs an image where an existing GRUB boots it. docs/images.md describes the directory.
//!
//! A boot set appears under its version by one rename, when it is whole; the configuration names whole sets only and is
//! replaced by one rename; the plain copies are a directory that is exchanged for the new one. So whenever an
//! installation is interrupted, something boots, and the next installation clears up.

mod config;
mod disk;
mod set;

pub use config::{CONFIG, INCLUDE_LINE};
pub use disk::{Disk, RealDisk};
pub use set::{BootSet, DESCRIPTION};

use crate::fsutil::{Context, FileError};
use crate::grub::BOOT_DIR;
use crate::image::Image;
use std::path::{Path, PathBuf};

/// How many boot sets are kept.
pub const KEPT_SETS: usize = 3;
/// Directory of the plain copies: its path never changes, for a configuration that is written once.
pub const PLAIN_DIR: &str = "latest";
/// GRUB commands in [`PLAIN_DIR`] that load the files beside them.
pub const PLAIN_CONFIG: &str = "boot.cfg";

/// Something new that is not yet whole. Left-overs are removed.
const NEW: &str = ".new";
/// Something old that is being removed.
const OLD: &str = ".old";
/// The same for single files.
const NEW_FILE: &str = ".new-file";

/// What an installation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Versions that the menu offers now, the new one first.
    pub offered: Vec<String>,
    /// Versions that were removed, being too old.
    pub removed: Vec<String>,
    /// What is left alone, and what the menu does not offer.
    pub incomplete: Vec<Incomplete>,
}

/// A directory beside the boot sets that is no whole one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incomplete {
    /// The directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Installs an image below `root`, which is `/` or the mount point of a system.
///
/// # Errors
/// That of the file operation that failed. What was bootable before still is.
pub fn install(image: &Image, root: &Path, disk: &dyn Disk) -> Result<Installed, FileError> {
    let installer = Installer { disk, root, dir: root.join(BOOT_DIR) };
    disk.create_dir(&installer.dir)?;
    installer.clear_up()?;
    let sequence = installer.find()?.sets.first().map_or(0, |newest| newest.sequence).saturating_add(1);
    installer.add(image, &BootSet::of(image, sequence))?;

    let Found { mut sets, incomplete } = installer.find()?;
    let surplus = sets.split_off(sets.len().min(KEPT_SETS));
    installer.configure(&sets)?;
    installer.replace_plain_copies(image, &sets)?;
    for set in &surplus {
        installer.remove(&installer.dir.join(&set.version))?;
    }
    let versions = |sets: Vec<BootSet>| sets.into_iter().map(|s| s.version).collect();
    Ok(Installed { offered: versions(sets), removed: versions(surplus), incomplete })
}

/// What is in the boot directory.
struct Found {
    /// The whole boot sets, newest first.
    sets: Vec<BootSet>,
    incomplete: Vec<Incomplete>,
}

struct Installer<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    dir: PathBuf,
}

impl Installer<'_> {
    /// Removes what an interrupted installation left.
    fn clear_up(&self) -> Result<(), FileError> {
        for name in [NEW, OLD, NEW_FILE] {
            self.remove_tree(&self.dir.join(name))?;
        }
        Ok(())
    }

    fn find(&self) -> Result<Found, FileError> {
        let (mut sets, mut incomplete) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(&self.dir).during("list", &self.dir)? {
            let path = entry.during("list", &self.dir)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == PLAIN_DIR || name.starts_with('.') || !path.is_dir() {
                continue;
            }
            match BootSet::read(&path) {
                Ok(set) if set.version == name => sets.push(set),
                Ok(set) => incomplete.push(Incomplete { path, reason: format!("it is version {}", set.version) }),
                Err(reason) => incomplete.push(Incomplete { path, reason }),
            }
        }
        sets.sort_by(|a, b| (b.sequence, &b.version).cmp(&(a.sequence, &a.version)));
        incomplete.sort();
        Ok(Found { sets, incomplete })
    }

    /// Makes the image a boot set: the newest, also if it has been installed before.
    fn add(&self, image: &Image, set: &BootSet) -> Result<(), FileError> {
        let dir = self.dir.join(&set.version);
        if BootSet::read(&dir).is_ok_and(|present| present.file == set.file) {
            return self.replace_file(&dir.join(DESCRIPTION), set.to_text().as_bytes());
        }
        self.write_set(image, set)?;
        self.remove(&dir)?; // It was not whole, so nobody boots it.
        self.disk.rename(&self.dir.join(NEW), &dir)
    }

    /// Writes the files of a boot set into [`NEW`].
    fn write_set(&self, image: &Image, set: &BootSet) -> Result<(), FileError> {
        let new = self.dir.join(NEW);
        self.disk.create_dir(&new)?;
        for file in &image.files {
            self.disk.write(&new.join(&file.name), &file.bytes)?;
        }
        self.disk.write(&new.join(DESCRIPTION), set.to_text().as_bytes())
    }

    fn configure(&self, sets: &[BootSet]) -> Result<(), FileError> {
        let path = self.root.join(CONFIG);
        self.disk.create_dir(crate::fsutil::parent(&path))?;
        self.replace_file(&path, config::text(sets).as_bytes())
    }

    /// Replaces the plain copies by those of the newest set, in one step where the file system can do that.
    fn replace_plain_copies(&self, image: &Image, sets: &[BootSet]) -> Result<(), FileError> {
        let Some(newest) = sets.first() else { return Ok(()) };
        self.write_set(image, newest)?;
        let new = self.dir.join(NEW);
        self.disk.write(&new.join(PLAIN_CONFIG), config::plain_text(newest).as_bytes())?;
        let plain = self.dir.join(PLAIN_DIR);
        if plain.exists() && self.disk.exchange(&new, &plain)? {
            return self.remove_tree(&new);
        }
        // Between the two renames the plain copies are away; the menu does not need them.
        if plain.exists() {
            self.disk.rename(&plain, &self.dir.join(OLD))?;
        }
        self.disk.rename(&new, &plain)?;
        self.remove_tree(&self.dir.join(OLD))
    }

    /// A file of the new bytes or, if interrupted, still of the old ones.
    fn replace_file(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let new = self.dir.join(NEW_FILE);
        self.disk.write(&new, bytes)?;
        self.disk.rename(&new, path)
    }

    /// Removes a boot set, which is none any more from the first step on.
    fn remove(&self, dir: &Path) -> Result<(), FileError> {
        if !dir.exists() {
            return Ok(());
        }
        let old = self.dir.join(OLD);
        self.remove_tree(&old)?;
        self.disk.rename(dir, &old)?;
        self.remove_tree(&old)
    }

    /// Removes whatever has this name; a symbolic link, not what it points to.
    fn remove_tree(&self, path: &Path) -> Result<(), FileError> {
        let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
        if !metadata.is_dir() {
            return self.disk.remove_file(path);
        }
        for entry in std::fs::read_dir(path).during("list", path)? {
            self.remove_tree(&entry.during("list", path)?.path())?;
        }
        self.disk.remove_dir(path)
    }
}
