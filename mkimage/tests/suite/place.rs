//! A directory to run `mkimage` in.

use crate::sample;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Exit code of what was refused or failed.
pub(crate) const FAILED: i32 = 1;
/// Exit code of wrong usage.
pub(crate) const USAGE: i32 = 2;

/// A directory with the sample's files, and what is made of them.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(sample::directory())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn mkimage(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mkimage"));
        command.current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    /// Runs a command that succeeds, and returns its stdout.
    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.mkimage(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that fails with this code, and returns its stderr.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.mkimage(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A place where an image has been built.
    pub(crate) fn built() -> Self {
        let place = Self::new();
        place.succeeds(BUILD);
        place
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Builds the sample's image.
pub(crate) const BUILD: &[&str] = &["build", "image.toml", "--programs", ".", "-o", "out/x.img"];
