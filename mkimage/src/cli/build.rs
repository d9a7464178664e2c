//! `mkimage build`.

use super::Outcome;
use mkimage::build::{Binaries, build, save};
use mkimage::progress::Progress;
use mkimage::tree;
use std::path::PathBuf;

/// Build the programs that a manifest names, check them and pack them into an image.
#[derive(Debug, clap::Args)]
pub(super) struct Build {
    /// The image manifest
    #[arg(default_value = "etc/image.toml")]
    manifest: PathBuf,
    /// The image to write; unstripped programs go into debug/NAME beside it
    #[arg(short, long, default_value = "build/selix.img")]
    output: PathBuf,
    /// Take the ELF files from this directory, where they have the names of the binaries, and do not run cargo
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Also leave the files of the image as GRUB finds them, below this directory
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
}

impl Build {
    pub(super) fn run(self) -> Outcome {
        let progress = Progress::stderr();
        let binaries = self.programs.map_or(Binaries::Workspace, Binaries::Directory);
        let built = build(&self.manifest, &binaries, progress)?;
        save(&built, &self.output, progress)?;
        if let Some(dir) = self.tree {
            tree::write(&built.image, &dir)?;
        }
        Ok(())
    }
}
