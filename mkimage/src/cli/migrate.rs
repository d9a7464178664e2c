//! `mkimage migrate`.

use super::Outcome;
use mkimage::{fsutil, migrate};
use std::path::PathBuf;

/// Read an image of any older format and write it in the current one
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// The image to read
    old: PathBuf,
    /// The image to write
    new: PathBuf,
}

impl Migrate {
    pub(super) fn run(self) -> Outcome {
        let bytes = fsutil::read(&self.old)?;
        let image = migrate::read(&bytes).map_err(|e| format!("{} {e}", self.old.display()))?;
        if let Err(error) = image.verify() {
            eprintln!("mkimage: warning: {} {error}", self.old.display());
        }
        Ok(fsutil::write_atomic(&self.new, &image.to_bytes())?)
    }
}
