//! Bootable ISO images, for BIOS and for UEFI, by `grub-mkrescue`.

mod fat;

use crate::fsutil::{self, Context, FileError};
use crate::image::Image;
use crate::progress::Progress;
use crate::tree;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules of GRUB that the configuration needs (`all_video` stands for the video drivers of each platform), and those for partition tables that `grub-mkrescue` makes it ask for; all
/// that there are would be 20 MiB.
const MODULES: &str = "normal iso9660 fat multiboot2 serial test search search_fs_uuid search_fs_file configfile all_video \
                       part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos part_plan \
                       part_sun part_sunpc";
/// The date of everything in an ISO, as GRUB and xorriso write it: fixed, so that the same image gives the same ISO.
const DATE: &str = "2000010100000000";
/// The same in seconds, for the tools that ask `SOURCE_DATE_EPOCH`.
const DATE_EPOCH: &str = "946684800";
/// The same for xorriso's own commands.
const DATE_XORRISO: &str = "=946684800";
const VOLUME: &str = "SELIX";

/// What making an ISO needs beside this program.
const NEEDED: &[Needed] = &[
    Needed { package: "grub-common", is: Found::Command("grub-mkrescue") },
    Needed { package: "xorriso", is: Found::Command("xorriso") },
    Needed { package: "mtools", is: Found::Command("mformat") },
    Needed { package: "grub-pc-bin", is: Found::File("/usr/lib/grub/i386-pc/multiboot2.mod") },
    Needed { package: "grub-efi-amd64-bin", is: Found::File("/usr/lib/grub/x86_64-efi/multiboot2.mod") },
];

struct Needed {
    package: &'static str,
    is: Found,
}

enum Found {
    Command(&'static str),
    File(&'static str),
}

/// Why no ISO could be made.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Tools are missing.
    #[error("making an ISO needs the Debian packages {0}: install them with `apt-get install {0}`")]
    Missing(String),
    /// `grub-mkrescue` could not be run.
    #[error("cannot run grub-mkrescue: {0}")]
    Run(std::io::Error),
    /// `grub-mkrescue` failed.
    #[error("grub-mkrescue failed ({status}):\n{messages}")]
    Failed {
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        messages: String,
    },
    /// `grub-mkrescue` made another ISO than expected.
    #[error("grub-mkrescue left out the part for UEFI: install grub-efi-amd64-bin and mtools again")]
    NoUefi,
}

/// Writes the ISO of an image.
///
/// # Errors
/// Whatever stands in the way; the file is whole or as it was.
pub fn write(image: &Image, output: &Path, progress: Progress) -> Result<(), IsoError> {
    check_tools()?;
    let temp = tempfile::Builder::new().prefix("mkimage-").tempdir();
    let temp = temp.during("create a directory in", &std::env::temp_dir())?;
    let root = temp.path().join("tree");
    tree::write(image, &root)?;
    let file = temp.path().join("iso");
    progress.step("writing", format_args!("{} ({})", output.display(), image.version));
    let result = mkrescue(&root, &file).env("TMPDIR", temp.path()).output().map_err(IsoError::Run)?;
    if !result.status.success() {
        let messages = String::from_utf8_lossy(&result.stderr).into_owned();
        return Err(IsoError::Failed { status: result.status, messages });
    }
    let mut bytes = fsutil::read(&file)?;
    fat::fix_serial(&mut bytes).ok_or(IsoError::NoUefi)?;
    Ok(fsutil::write_atomic(output, &bytes)?)
}

fn mkrescue(root: &Path, output: &Path) -> Command {
    let mut command = Command::new("grub-mkrescue");
    command.env("SOURCE_DATE_EPOCH", DATE_EPOCH).env("LC_ALL", "C").env("TZ", "UTC");
    command.args([&format!("--install-modules={MODULES}"), "--locales=", "--themes=", "--fonts="]);
    command.arg("--output").arg(output).arg(root);
    command.arg(format!("--modification-date={DATE}"));
    command.args(["--", "-volid", VOLUME, "-volume_date", "all_file_dates", DATE_XORRISO]);
    command
}

fn check_tools() -> Result<(), IsoError> {
    let missing: Vec<&str> = NEEDED.iter().filter(|n| !n.is.there()).map(|n| n.package).collect();
    if missing.is_empty() { Ok(()) } else { Err(IsoError::Missing(missing.join(" "))) }
}

impl Found {
    fn there(&self) -> bool {
        match self {
            Self::File(path) => Path::new(path).exists(),
            Self::Command(name) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                std::env::split_paths(&path).map(|dir| dir.join(name)).any(|file: PathBuf| file.is_file())
            }
        }
    }
}
