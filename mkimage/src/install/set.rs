//! A boot set: a directory with a kernel, its modules, and a description by which they can be checked.

use crate::image::{File, Image, is_version};
use crate::manifest::{KERNEL_NAME, is_cmdline, is_image_name};
use abi::boot::{BootEntry, TABLE_MODULE};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the description in the directory of a boot set.
pub const DESCRIPTION: &str = "set.toml";
/// Version of the description's keys.
const FORMAT: u32 = 1;

/// The description of a boot set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootSet {
    format: u32,
    /// Grows from one installation to the next: the newest set has the highest.
    pub sequence: u64,
    /// Name of the image.
    pub name: String,
    /// Version, and name of the directory.
    pub version: String,
    /// Kernel command line.
    pub cmdline: String,
    /// The kernel and its modules in their order.
    pub file: Vec<SetFile>,
}

/// A file of a boot set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// CRC-32 (IEEE) of them.
    pub crc32: u32,
}

impl BootSet {
    /// The description of an image's files.
    pub fn of(image: &Image, sequence: u64) -> Self {
        let describe =
            |f: &File| SetFile { name: f.name.clone(), size: f.bytes.len() as u64, crc32: crc32fast::hash(&f.bytes) };
        Self {
            format: FORMAT,
            sequence,
            name: image.name.clone(),
            version: image.version.clone(),
            cmdline: image.cmdline.clone(),
            file: image.files.iter().map(describe).collect(),
        }
    }

    /// The text of the description.
    pub fn to_text(&self) -> String {
        toml::to_string(self).expect("numbers and strings can be written")
    }

    /// Reads the boot set in a directory and checks all of its files.
    ///
    /// # Errors
    /// Why it would not boot, in words.
    pub fn read(dir: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(dir.join(DESCRIPTION)).map_err(|e| format!("{DESCRIPTION}: {e}"))?;
        let set: Self = toml::from_str(&text).map_err(|e| format!("{DESCRIPTION}: {}", e.message()))?;
        set.check_names().map_err(|what| format!("{DESCRIPTION}: bad {what}"))?;
        for file in &set.file {
            let bytes = std::fs::read(dir.join(&file.name)).map_err(|e| format!("{}: {e}", file.name))?;
            if (bytes.len() as u64, crc32fast::hash(&bytes)) != (file.size, file.crc32) {
                return Err(format!("{}: wrong size or checksum", file.name));
            }
        }
        Ok(set)
    }

    /// The names of the modules, in order.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.file.iter().map(|f| f.name.as_str()).filter(|name| *name != KERNEL_NAME)
    }

    /// Names become names of files and words for GRUB, so nothing else than what an image can have is let through.
    fn check_names(&self) -> Result<(), &'static str> {
        let check = |good: bool, what| if good { Ok(()) } else { Err(what) };
        check(self.format == FORMAT, "format")?;
        check(is_image_name(&self.name), "name")?;
        check(is_version(&self.version), "version")?;
        check(is_cmdline(&self.cmdline), "command line")?;
        let names: Vec<&str> = self.file.iter().map(|f| f.name.as_str()).collect();
        let valid = names.iter().all(|name| BootEntry::encode_name(name).is_some());
        check(valid && names.starts_with(&[KERNEL_NAME, TABLE_MODULE]), "list of files")
    }
}
