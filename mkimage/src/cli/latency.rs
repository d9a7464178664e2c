//! `mkimage latency`.

use super::Outcome;
use mkimage::build::{self, Binaries};
use mkimage::latency::{read, table};
use mkimage::manifest::KERNEL_NAME;
use mkimage::progress::Progress;
use mkimage::symbolize::Symbolizer;
use mkimage::{fsutil, iso};
use qemu::{Accelerator, Goal, Machine};
use std::path::PathBuf;

/// Find the longest times with interrupts off, in guest instructions
///
/// Builds each image, lets it run to its end in QEMU on one processor, and prints for each reason to enter the kernel the
/// longest time that it took, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Latency {
    /// Manifests of images that end by themselves, such as those of the suites
    #[arg(required = true)]
    manifests: Vec<PathBuf>,
}

impl Latency {
    pub(super) fn run(self) -> Outcome {
        let progress = Progress::stderr();
        for manifest in &self.manifests {
            let built = build::build(manifest, &Binaries::Workspace, progress)?;
            let plugin = build::plugin(fsutil::parent(manifest), progress)?;
            let temp = tempfile::tempdir()?;
            let disc = temp.path().join("image.iso");
            iso::write(&built.image, &disc, Progress::Silent)?;
            build::save(&built, &temp.path().join("image.img"), Progress::Silent)?;
            let mut symbols = Symbolizer::new(&build::debug_dir(&temp.path().join("image.img"), &built.image.name));
            progress.step("running", format_args!("{} in QEMU", built.image.name));
            let machine = Machine::new(&disc).accelerator(Accelerator::CountedTcg).watched_by(plugin, "longest");
            let run = qemu::run(&machine.no_timeout(), &Goal::Session)?;
            if !run.verdict.passed() {
                return Err(run.verdict.to_string().into());
            }
            let rows = read(&run.watched, |address| symbols.functions(KERNEL_NAME, address))?;
            print!("{}:\n{}", built.image.name, table(&rows));
        }
        Ok(())
    }
}
