//! `mkimage bench`.

use super::Outcome;
use mkimage::bench::{Figure, on_four_processors, read, table};
use mkimage::build::{self, Binaries};
use mkimage::progress::Progress;
use mkimage::{fsutil, iso};
use qemu::{Accelerator, Goal, Machine};
use std::path::PathBuf;

/// Measure the paths through the kernel, in guest instructions
///
/// Builds the measuring image, boots it in QEMU with counted instructions and prints a table. The figures are the same in
/// every run. Beside them stands how often a path does what is dear on real processors though it is one instruction.
#[derive(Debug, clap::Args)]
pub(super) struct Bench {
    /// The manifest of the measuring image
    #[arg(default_value = "userland/tests/bench/image.toml")]
    manifest: PathBuf,
    /// Where the figures are written, as a list in JSON
    #[arg(short, long, default_value = "build/bench.json")]
    output: PathBuf,
}

/// The figures of a run on this machine.
fn measure(machine: &Machine) -> Result<Vec<Figure>, Box<dyn std::error::Error>> {
    let run = qemu::run(machine, &Goal::Session)?;
    if !run.verdict.passed() {
        return Err(run.verdict.to_string().into());
    }
    Ok(read(&run.evidence.serial, &run.watched)?)
}

impl Bench {
    pub(super) fn run(self) -> Outcome {
        let progress = Progress::stderr();
        let image = build::build(&self.manifest, &Binaries::Workspace, progress)?.image;
        let plugin = build::plugin(fsutil::parent(&self.manifest), progress)?;
        let temp = tempfile::tempdir()?;
        let disc = temp.path().join("bench.iso");
        iso::write(&image, &disc, Progress::Silent)?;
        progress.step("measuring", "in QEMU, with counted instructions");
        let machine = Machine::new(&disc).accelerator(Accelerator::CountedTcg).watched_by(plugin, "events");
        let mut figures = measure(&machine)?;
        progress.step("measuring", "the same on four processors");
        figures.extend(on_four_processors(measure(&machine.smp(4))?));
        print!("{}", table(&figures));
        let mut json = serde_json::to_string_pretty(&figures)?;
        json.push('\n');
        fsutil::write_atomic(&self.output, json.as_bytes())?;
        Ok(())
    }
}
