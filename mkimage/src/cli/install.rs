//! `mkimage install`.

use super::Outcome;
use mkimage::image::Image;
use mkimage::install::{CONFIG, INCLUDE_LINE, Incomplete, RealDisk, install};
use mkimage::progress::Progress;
use std::path::PathBuf;

/// Install an image below a directory, where an existing GRUB boots it
///
/// Writes a versioned boot set and plain copies below DIR/boot/selix and menu entries into DIR/boot/grub/selix.cfg, and
/// keeps the newest three sets. May be interrupted at any time: something bootable is there, and a second run ends it.
#[derive(Debug, clap::Args)]
pub(super) struct Install {
    /// The image
    image: PathBuf,
    /// The root directory of the system that boots it
    dir: PathBuf,
}

impl Install {
    pub(super) fn run(self) -> Outcome {
        let image = Image::open(&self.image)?;
        Progress::stderr().step("installing", format_args!("{} below {}", image.version, self.dir.display()));
        let installed = install(&image, &self.dir, &RealDisk)?;
        for Incomplete { path, reason } in installed.incomplete {
            eprintln!("mkimage: warning: {} is no whole boot set and not offered ({reason})", path.display());
        }
        for version in installed.removed {
            println!("removed {version}");
        }
        println!("installed {}", installed.offered.join(", before it "));
        println!("The menu entries are in {}. Once, add this line to grub.cfg:", self.dir.join(CONFIG).display());
        println!("{INCLUDE_LINE}");
        Ok(())
    }
}
