//! Lets cargo build the programs of an image, so that the folder they are built in leaves no trace in them.

use crate::fsutil::{Context, FileError};
use crate::manifest::{Manifest, ManifestError, Source};
use crate::progress::Progress;
use cargo_metadata::{Metadata, MetadataCommand};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target that everything is built for.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The profile of programs, in the workspace's Cargo.toml.
const PROFILE: &str = "os";
/// Cargo's target directory for programs, in the workspace: apart from that of the host's tools.
const TARGET_DIR: &str = "build/os";
/// Locked while a build uses the target directory.
const LOCK_FILE: &str = ".mkimage-lock";
/// Separates the flags in `CARGO_ENCODED_RUSTFLAGS`.
const FLAG_SEPARATOR: &str = "\x1f";

/// Why cargo did not build the programs.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// Cargo does not know the workspace.
    #[error("cargo cannot read the workspace of {}: {source}", dir.display())]
    Metadata {
        /// The directory in it.
        dir: PathBuf,
        /// What cargo said.
        source: cargo_metadata::Error,
    },
    /// The target directory could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest names what the workspace does not have.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A tool could not be run.
    #[error("cannot run `{tool}`: {source}: install Rust, with cargo in the PATH")]
    Run {
        /// The tool.
        tool: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A tool ended with an error, and has said why.
    #[error("`{command}` failed: see its messages above")]
    Failed {
        /// The command line.
        command: String,
    },
}

/// The ELF files that cargo has built. As long as this lives, no other build replaces them.
pub(super) struct Fresh {
    /// The directory that they are in, under the names of the binaries.
    pub(super) dir: PathBuf,
    _lock: File,
}

/// Builds every binary that the manifest names, in one invocation of its own: cargo unifies the features of all packages
/// of an invocation, and a host tool's must not reach the programs.
pub(super) fn build(manifest: &Manifest, progress: Progress) -> Result<Fresh, CargoError> {
    let metadata = metadata(crate::fsutil::parent(&manifest.path))?;
    for source in manifest.sources() {
        find_binary(manifest, &metadata, source)?;
    }
    let root = metadata.workspace_root.as_std_path();
    // Fetching unpacks the sources of all dependencies: only then are the folders known that must not show.
    run(cargo(root).args(["fetch", "--locked", "--quiet", "--target", TARGET]))?;

    let target_dir = root.join(TARGET_DIR);
    let lock = lock(&target_dir)?;
    let mut command = cargo(root);
    command.args(["build", "--locked", "--profile", PROFILE, "--target", TARGET, "--target-dir"]).arg(&target_dir);
    let packages: BTreeSet<&str> = manifest.sources().map(|s| s.package.as_str()).collect();
    let bins: BTreeSet<&str> = manifest.sources().map(|s| s.bin.as_str()).collect();
    command.args(packages.iter().flat_map(|p| ["--package", p]));
    command.args(bins.iter().flat_map(|b| ["--bin", b]));
    command.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(root)?);
    progress.step("building", bins.into_iter().collect::<Vec<_>>().join(", "));
    run(&mut command)?;
    Ok(Fresh { dir: target_dir.join(TARGET).join(PROFILE), _lock: lock })
}

/// Waits until no other build uses the target directory. Cargo's own lock ends before the files are read.
pub(super) fn lock(target_dir: &Path) -> Result<File, FileError> {
    std::fs::create_dir_all(target_dir).during("create directory", target_dir)?;
    let path = target_dir.join(LOCK_FILE);
    let file = File::create(&path).during("create", &path)?;
    file.lock().during("lock", &path)?;
    Ok(file)
}

/// The workspace that a directory lies in.
pub(super) fn metadata(dir: &Path) -> Result<Metadata, CargoError> {
    let failed = |source| CargoError::Metadata { dir: dir.into(), source };
    MetadataCommand::new().current_dir(dir).no_deps().exec().map_err(failed)
}

fn find_binary(manifest: &Manifest, metadata: &Metadata, source: &Source) -> Result<(), CargoError> {
    let refuse = |message| Err(manifest.fault(source.at, message).into());
    let Some(package) = metadata.packages.iter().find(|p| p.name.as_str() == source.package) else {
        return refuse(format!("there is no package `{}` in the workspace", source.package));
    };
    if !package.targets.iter().any(|t| t.is_bin() && t.name == source.bin) {
        return refuse(format!("the package `{}` has no binary `{}`", source.package, source.bin));
    }
    Ok(())
}

pub(super) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    command
}

pub(super) fn run(command: &mut Command) -> Result<(), CargoError> {
    // What a tool prints is for people, and stdout may be somebody's input.
    let status = command.stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(CargoError::Failed { command: command_line(command) }),
        Err(source) => Err(CargoError::Run { tool: command.get_program().to_string_lossy().into(), source }),
    }
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Flags for every crate of the image. They are given by environment, which keeps cargo from looking for others.
fn rust_flags(root: &Path) -> Result<OsString, CargoError> {
    let mut flags: Vec<OsString> = vec!["-Cforce-frame-pointers=yes".into()];
    let mut remap = |from: &OsStr, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    };
    if let Some(home) = cargo_home() {
        remap(home.as_os_str(), "/cargo");
        // A registry's folder is named after the host that it was fetched from. The last prefix that fits counts.
        for registry in registries(&home) {
            remap(registry.as_os_str(), "/cargo/registry");
        }
    }
    let (sysroot, commit) = compiler(root)?;
    // As the compiler calls its own sources where they are not installed.
    remap(sysroot.join("lib/rustlib/src/rust").as_os_str(), &format!("/rustc/{commit}"));
    remap(root.as_os_str(), "/selix");
    Ok(flags.join(OsStr::new(FLAG_SEPARATOR)))
}

fn cargo_home() -> Option<PathBuf> {
    let default = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default)
}

fn registries(cargo_home: &Path) -> Vec<PathBuf> {
    let dir = std::fs::read_dir(cargo_home.join("registry/src"));
    let mut all: Vec<PathBuf> = dir.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    // Through a link, the compiler is told the one path or the other.
    let real: Vec<PathBuf> = all.iter().filter_map(|path| path.canonicalize().ok()).collect();
    all.extend(real);
    all
}

/// Where the compiler is installed, and which commit it was built from.
fn compiler(root: &Path) -> Result<(PathBuf, String), CargoError> {
    let ask = |arguments: &[&str]| {
        let tool = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
        let output = Command::new(&tool).args(arguments).current_dir(root).output();
        let output = output.map_err(|source| CargoError::Run { tool: tool.clone(), source })?;
        if !output.status.success() {
            return Err(CargoError::Failed { command: format!("{tool} {}", arguments.join(" ")) });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    };
    let sysroot = ask(&["--print=sysroot"])?;
    let version = ask(&["--version", "--verbose"])?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    Ok((sysroot.into(), commit.to_owned()))
}
