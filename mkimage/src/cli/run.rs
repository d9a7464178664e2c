//! `mkimage run`.

use super::Outcome;
use clap::value_parser;
use mkimage::image::{Image, ImageError, format_of};
use mkimage::progress::Progress;
use mkimage::symbolize::Symbolizer;
use mkimage::{build, fsutil, iso};
use qemu::{Accelerator, Display, Firmware, Machine};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Boot an image or an ISO in QEMU, with its serial port in the terminal
///
/// Addresses in a panic are followed by function, file and line. Ctrl-C ends the run. Exit code 1 if the system
/// panicked, hung, or ended otherwise than it should. With --screenshot it takes a picture instead.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The image or ISO
    #[arg(default_value = "build/selix.img")]
    file: PathBuf,
    /// Boot with UEFI instead of a BIOS
    #[arg(long)]
    uefi: bool,
    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    smp: u32,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = value_parser!(u32).range(1..))]
    memory: u32,
    /// Execute on the host's processor instead of QEMU's translator
    #[arg(long)]
    kvm: bool,
    /// Wait for gdb on port 1234 before the first instruction
    #[arg(long)]
    gdb: bool,
    /// End the run after this time; without it, it may go on for ever, or for two minutes with --screenshot
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Show the screen in a window
    #[arg(long)]
    display: bool,
    /// Show no screen; this is the default
    #[arg(long, conflicts_with = "display")]
    headless: bool,
    /// Write the screen to this PNG file as soon as the line of --until has come, and end the run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["display", "gdb"])]
    screenshot: Option<PathBuf>,
    /// Beginning of the line on the serial port that the screenshot waits for
    #[arg(long, value_name = "LINE", default_value = "selix: up", requires = "screenshot")]
    until: String,
    /// The unstripped ELF files of the image; by default, where `build` left them
    #[arg(long, value_name = "DIR")]
    debug_dir: Option<PathBuf>,
}

impl Run {
    pub(super) fn run(self) -> Outcome {
        let temp = tempfile::tempdir()?;
        let bootable = Bootable::of(&self.file, temp.path())?;
        if let Some(picture) = &self.screenshot {
            qemu::screenshot(&self.machine(&bootable.iso), &self.until, picture)?;
            return Ok(());
        }
        let debug_dir = self.debug_dir.clone().unwrap_or(bootable.debug_dir);
        if self.gdb {
            let kernel = debug_dir.join(mkimage::manifest::KERNEL_NAME);
            eprintln!("mkimage: waiting for `gdb -ex 'target remote :1234' {}`", kernel.display());
        }
        let mut symbolizer = Symbolizer::new(&debug_dir);
        let run = qemu::interactive(&self.machine(&bootable.iso), std::io::stdout(), |line| symbolizer.line(line))?;
        if run.verdict.passed() { Ok(()) } else { Err(run.verdict.to_string().into()) }
    }

    fn machine(&self, iso: &Path) -> Machine {
        let machine = Machine::new(iso)
            .smp(self.smp)
            .memory_mib(self.memory)
            .firmware(if self.uefi { Firmware::Uefi } else { Firmware::Bios })
            .accelerator(if self.kvm { Accelerator::Kvm } else { Accelerator::Tcg })
            .display(if self.display { Display::Window } else { Display::None });
        let machine = if self.gdb { machine.wait_for_gdb() } else { machine };
        match self.timeout {
            Some(seconds) => machine.timeout(Duration::from_secs(seconds)),
            // Nobody watches while a picture is waited for.
            None if self.screenshot.is_some() => machine,
            None => machine.no_timeout(),
        }
    }
}

/// What is booted, and where its symbols are.
struct Bootable {
    iso: PathBuf,
    debug_dir: PathBuf,
}

impl Bootable {
    /// `file` itself if it is no image, else an ISO made of it in `temp`.
    fn of(file: &Path, temp: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        if format_of(&fsutil::read(file)?) == Err(ImageError::Magic) {
            return Ok(Self { iso: file.into(), debug_dir: build::debug_dir(file, DEFAULT_IMAGE) });
        }
        let image = Image::open(file)?;
        let iso = temp.join("selix.iso");
        iso::write(&image, &iso, Progress::Silent)?;
        Ok(Self { iso, debug_dir: build::debug_dir(file, &image.name) })
    }
}

/// Name of the image that an ISO is taken to have been made from.
const DEFAULT_IMAGE: &str = "selix";
