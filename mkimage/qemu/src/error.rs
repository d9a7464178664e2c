//! What keeps a run from being made at all. What a run itself shows is a [`crate::Failure`], never one of these.

use std::io;
use std::path::{Path, PathBuf};

/// Why a machine could not be run, or its result not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that the runner needs is not installed.
    #[error("`{tool}` is not on the PATH: install the Debian package `{package}`")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// No UEFI firmware was found.
    #[error("no UEFI firmware (looked for {looked_for}): install the Debian package `ovmf`")]
    MissingFirmware {
        /// The files that would have done.
        looked_for: String,
    },
    /// The image to boot is not there.
    #[error("{}: no such image; build it first", .0.display())]
    MissingImage(PathBuf),
    /// Settings of a machine that exclude each other or that QEMU cannot have.
    #[error("this machine cannot be run: {0}")]
    Settings(String),
    /// Suites of which some could not run, or not be told apart.
    #[error("these suites cannot be run: {0}")]
    Suites(String),
    /// The operating system of the host refused something.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried, as in "cannot WHAT PATH".
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// QEMU's monitor did not do what it was asked.
    #[error("QEMU's monitor: {0}")]
    Monitor(String),
    /// A file that is no suite: its test names cannot be read.
    #[error("{}: {problem}", .file.display())]
    NotASuite {
        /// The suite's file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No picture could be taken, because the run ended before the screen was ready.
    #[error("no screenshot: {0}")]
    NoScreenshot(String),
}

impl Error {
    /// Makes the error for a failed operation on `path`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
