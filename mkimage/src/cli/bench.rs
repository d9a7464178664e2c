//! `mkimage bench`.

use super::Outcome;
use mkimage::bench::{Figure, MANIFESTS, on_four_processors, read, table, told_on_four_processors};
use mkimage::build::{self, Binaries};
use mkimage::progress::Progress;
use mkimage::{fsutil, iso};
use qemu::{Accelerator, Goal, Machine};
use std::path::{Path, PathBuf};

/// Measure the paths through the kernel and the memory server, in guest instructions
///
/// Builds the measuring images, boots them in QEMU with counted instructions and prints a table. The figures are the same in
/// every run. Beside them stands how often a path does what is dear on real processors though it is one instruction.
#[derive(Debug, clap::Args)]
pub(super) struct Bench {
    /// The manifests of the measuring images
    #[arg(default_values = MANIFESTS)]
    manifests: Vec<PathBuf>,
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

/// The figures of an image.
fn measure_image(manifest: &Path, progress: Progress) -> Result<Vec<Figure>, Box<dyn std::error::Error>> {
    let image = build::build(manifest, &Binaries::Workspace, progress)?.image;
    let plugin = build::plugin(fsutil::parent(manifest), progress)?;
    let temp = tempfile::tempdir()?;
    let disc = temp.path().join("bench.iso");
    iso::write(&image, &disc, Progress::Silent)?;
    progress.step("measuring", format_args!("{} in QEMU, with counted instructions", image.name));
    let machine = Machine::new(&disc).accelerator(Accelerator::CountedTcg).watched_by(plugin, "events");
    let mut figures = measure(&machine)?;
    if told_on_four_processors(&figures) {
        progress.step("measuring", "the same on four processors");
        figures.extend(on_four_processors(measure(&machine.smp(4))?));
    }
    Ok(figures)
}

impl Bench {
    pub(super) fn run(self) -> Outcome {
        let progress = Progress::stderr();
        let mut figures = Vec::new();
        for manifest in &self.manifests {
            figures.extend(measure_image(manifest, progress)?);
        }
        print!("{}", table(&figures));
        let mut json = serde_json::to_string_pretty(&figures)?;
        json.push('\n');
        fsutil::write_atomic(&self.output, json.as_bytes())?;
        Ok(())
    }
}
