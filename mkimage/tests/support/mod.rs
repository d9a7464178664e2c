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

/// The image of a manifest, by its path from the top folder; made once in each test process. Behind a `#` may stand the binary of
/// another memory server than the manifest names.
pub(crate) fn made(manifest: &str) -> Result<Arc<Made>, String> {
    type Cache = HashMap<String, Result<Arc<Made>, String>>;
    static CACHE: OnceLock<Mutex<Cache>> = OnceLock::new();
    let mut cache = CACHE.get_or_init(Mutex::default).lock().map_err(|_| "making another image panicked")?;
    cache.entry(manifest.to_owned()).or_insert_with(|| make(manifest).map(Arc::new)).clone()
}

fn make(manifest: &str) -> Result<Made, String> {
    let text = |error: &dyn std::error::Error| format!("{manifest}: {error}");
    let output = root().join("build/tests").join(manifest.replace(['/', '.', '#'], "-")).with_extension("img");
    std::fs::create_dir_all(output.parent().expect("it has a folder")).map_err(|e| text(&e))?;
    let file = match manifest.split_once('#') {
        None => root().join(manifest),
        Some((original, server)) => {
            let (changed, original) = (output.with_extension("toml"), root().join(original));
            let folder = original.parent().expect("it is in a folder");
            let original = std::fs::read_to_string(&original).map_err(|e| text(&e))?;
            let manifest = with_server(&original, server).ok_or_else(|| format!("{manifest}: has no memory server"))?;
            // The policy is named relative to the manifest.
            let manifest = manifest.replace("policy = \"", &format!("policy = \"{}/", folder.display()));
            std::fs::write(&changed, manifest).map_err(|e| text(&e))?;
            changed
        }
    };
    let built = build(&file, &Binaries::Workspace, Progress::Silent).map_err(|e| text(&e))?;
    save(&built, &output, Progress::Silent).map_err(|e| text(&e))?;
    let iso = output.with_extension("iso");
    iso::write(&built.image, &iso, Progress::Silent).map_err(|e| text(&e))?;
    Ok(Made { debug: debug_dir(&output, &built.image.name), image: built.image, iso })
}

/// A manifest whose memory server is another binary of its package. The image has that name, too.
fn with_server(manifest: &str, server: &str) -> Option<String> {
    const PACKAGE: &str = "package = \"vm\"\n";
    let (before, after) = manifest.split_once(PACKAGE)?;
    let (head, name, tail) = before.split_once("name = \"").and_then(|(head, rest)| {
        let (name, tail) = rest.split_once('"')?;
        Some((head, name, tail))
    })?;
    Some(format!("{head}name = \"{name}-{server}\"{tail}{PACKAGE}bin = \"{server}\"\n{after}"))
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
