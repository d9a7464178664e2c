//! `mkimage iso`.

use super::Outcome;
use mkimage::image::Image;
use mkimage::iso;
use mkimage::progress::Progress;
use std::path::PathBuf;

/// Make a bootable ISO of an image, for machines with a BIOS and with UEFI.
#[derive(Debug, clap::Args)]
pub(super) struct Iso {
    /// The image
    #[arg(default_value = "build/selix.img")]
    image: PathBuf,
    /// The ISO to write
    #[arg(short, long, default_value = "build/selix.iso")]
    output: PathBuf,
}

impl Iso {
    pub(super) fn run(self) -> Outcome {
        let image = Image::open(&self.image)?;
        Ok(iso::write(&image, &self.output, Progress::stderr())?)
    }
}
