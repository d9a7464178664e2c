//! The UEFI firmware: where Debian keeps it, and a private copy of its variables.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// The folders in which Debian's `ovmf` puts its files, and has put them.
const FOLDERS: [&str; 3] = ["/usr/share/OVMF", "/usr/share/ovmf", "/usr/share/qemu"];
/// Pairs of code and variable store, best first. The two of a pair fit each other only.
const PAIRS: [(&str, &str); 2] = [("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd")];
/// Name of a run's own variable store.
const PRIVATE_VARIABLES: &str = "variables.fd";

/// The files of the firmware, ready for one run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Uefi {
    /// The firmware itself, which is only read.
    pub(crate) code: PathBuf,
    /// Its variables, which it writes.
    pub(crate) variables: PathBuf,
}

impl Uefi {
    /// Finds the firmware and copies its variable store into `scratch`, so that runs do not see each other's.
    ///
    /// # Errors
    ///
    /// [`Error::MissingFirmware`], or [`Error::Io`] when the copy fails.
    pub(crate) fn prepare(scratch: &Path) -> Result<Self, Error> {
        let (code, template) = find(&FOLDERS.map(Path::new))?;
        let variables = scratch.join(PRIVATE_VARIABLES);
        fs::copy(&template, &variables).map_err(Error::io("copy", &template))?;
        Ok(Self { code, variables })
    }
}

/// The best pair of code and variable store that one of `folders` has.
fn find(folders: &[&Path]) -> Result<(PathBuf, PathBuf), Error> {
    PAIRS
        .iter()
        .flat_map(|(code, variables)| folders.iter().map(move |folder| (folder.join(code), folder.join(variables))))
        .find(|(code, variables)| code.is_file() && variables.is_file())
        .ok_or_else(|| Error::MissingFirmware { looked_for: format!("{} in {}", PAIRS[0].0, folders[0].display()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_firmware_names_the_package() {
        let empty = tempfile::tempdir().unwrap();
        let error = find(&[empty.path()]).unwrap_err().to_string();
        assert!(error.contains("`ovmf`"), "{error}");
    }

    #[test]
    fn code_without_its_variables_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["OVMF_CODE_4M.fd", "OVMF_CODE.fd", "OVMF_VARS.fd"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let (code, variables) = find(&[folder.path()]).unwrap();
        assert_eq!(code, folder.path().join("OVMF_CODE.fd"));
        assert_eq!(variables, folder.path().join("OVMF_VARS.fd"));
    }
}
