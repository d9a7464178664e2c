//! `mkimage check`.

use super::Outcome;
use mkimage::elf::{self, Kind};
use mkimage::fsutil;
use std::path::{Path, PathBuf};

/// Check whether the system would load ELF files
///
/// The rules are those of the system's loader; besides, a note must say that a file was built for this ABI version.
///
/// Prints a line for each file. Exit code 1 if one is refused.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The ELF files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Check by the rules for a kernel: multiboot2 header, fixed addresses, segments that GRUB can place
    #[arg(long)]
    kernel: bool,
}

impl Check {
    pub(super) fn run(self) -> Outcome {
        let kind = if self.kernel { Kind::Kernel } else { Kind::Program };
        let mut refused = 0;
        for path in &self.files {
            match check(kind, path) {
                Ok(()) => println!("{}: ok", path.display()),
                Err(message) => {
                    refused += 1;
                    println!("{message}");
                }
            }
        }
        if refused > 0 {
            return Err(format!("{refused} of {} files refused", self.files.len()).into());
        }
        Ok(())
    }
}

fn check(kind: Kind, path: &Path) -> Result<(), String> {
    let bytes = fsutil::read(path).map_err(|e| e.to_string())?;
    elf::check(kind, &bytes).map_err(|e| format!("{}: {e}", path.display()))
}
