//! Lets cargo build the plugin that watches guests inside QEMU, see `mkimage/plugin`.

use super::cargo::{CargoError, cargo, lock, metadata, run};
use crate::progress::Progress;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "qemu-plugin";
const FILE: &str = "libqemu_plugin.so";
/// Cargo's target directory for it, in the workspace. Cargo's own for the host may be locked by whoever runs this.
const TARGET_DIR: &str = "build/plugin";

/// Builds the plugin of the workspace that the directory lies in, and gives its path.
///
/// # Errors
/// That cargo cannot.
pub fn plugin(dir: &Path, progress: Progress) -> Result<PathBuf, CargoError> {
    let metadata = metadata(dir)?;
    let root = metadata.workspace_root.as_std_path();
    let target_dir = root.join(TARGET_DIR);
    let _lock = lock(&target_dir)?;
    let mut command = cargo(root);
    command.args(["build", "--locked", "--release", "--package", PACKAGE, "--target-dir"]).arg(&target_dir);
    if progress == Progress::Silent {
        command.arg("--quiet");
    }
    progress.step("building", PACKAGE);
    run(&mut command)?;
    Ok(target_dir.join("release").join(FILE))
}
