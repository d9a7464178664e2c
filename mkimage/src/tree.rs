//! The files of an image as GRUB finds them: `boot/selix/kernel`, `boot/selix/NAME`, `boot/grub/grub.cfg`.

use crate::fsutil::{self, FileError};
use crate::grub;
use crate::image::Image;
use std::path::Path;

/// Writes the tree of an image below a directory. Files of other images stay if they have other names.
///
/// # Errors
/// That of the system; each file is whole or as it was.
pub fn write(image: &Image, dir: &Path) -> Result<(), FileError> {
    let boot = dir.join(grub::BOOT_DIR);
    for file in &image.files {
        fsutil::write_atomic(&boot.join(&file.name), &file.bytes)?;
    }
    let title = format!("Selix {} ({})", image.version, image.name);
    let config = grub::iso_config(&title, &image.cmdline, image.modules().map(|f| f.name.as_str()));
    fsutil::write_atomic(&dir.join("boot/grub/grub.cfg"), config.as_bytes())
}
