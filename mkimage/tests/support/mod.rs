//! Images and machines for the tests that boot the system.

#![allow(dead_code)] // Each test target uses its part.

pub(crate) mod suites;

use mkimage::build::{self, Binaries, build, debug_dir, save};
use mkimage::image::Image;
use mkimage::iso;
use mkimage::progress::Progress;
use qemu::{Firmware, Machine};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

/// The top folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("mkimage lies in the top folder")
}

/// Where the runs leave their logs.
pub(crate) fn logs() -> PathBuf {
    root().join("build/logs")
}

/// What was made from a manifest.
pub(crate) struct Made {
    /// The image itself.
    pub(crate) image: Image,
    /// The same, ready to boot.
    pub(crate) iso: PathBuf,
    /// The unstripped files.
    pub(crate) debug: PathBuf,
}

/// The image of a manifest, by its path from the top folder; made once in each test process.
pub(crate) fn made(manifest: &str) -> Result<Arc<Made>, String> {
    type Cache = HashMap<String, Result<Arc<Made>, String>>;
    static CACHE: OnceLock<Mutex<Cache>> = OnceLock::new();
    let mut cache = CACHE.get_or_init(Mutex::default).lock().map_err(|_| "making another image panicked")?;
    cache.entry(manifest.to_owned()).or_insert_with(|| make(manifest).map(Arc::new)).clone()
}

fn make(manifest: &str) -> Result<Made, String> {
    let text = |error: &dyn std::error::Error| format!("{manifest}: {error}");
    let built = build(&root().join(manifest), &Binaries::Workspace, Progress::Silent).map_err(|e| text(&e))?;
    let output = root().join("build/tests").join(manifest.replace(['/', '.'], "-")).with_extension("img");
    std::fs::create_dir_all(output.parent().expect("it has a folder")).map_err(|e| text(&e))?;
    save(&built, &output, Progress::Silent).map_err(|e| text(&e))?;
    let iso = output.with_extension("iso");
    iso::write(&built.image, &iso, Progress::Silent).map_err(|e| text(&e))?;
    Ok(Made { debug: debug_dir(&output, &built.image.name), image: built.image, iso })
}

/// The plugin that watches guests; built once in each test process.
pub(crate) fn plugin() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| build::plugin(root(), Progress::Silent).expect("the plugin is built"))
}

/// A machine with BIOS that boots an ISO.
pub(crate) fn bios(iso: &Path) -> Machine {
    Machine::new(iso)
}

/// A machine with UEFI that boots an ISO.
pub(crate) fn uefi(iso: &Path) -> Machine {
    Machine::new(iso).firmware(Firmware::Uefi)
}
