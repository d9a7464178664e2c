//! The files of the repository.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Folders with nothing of ours in them: what is built, and what git keeps for itself.
const FOREIGN: &[&str] = &[".git", "build", "target"];

/// The top folder of the repository. Told by cargo when the tests run, so that a folder that was moved after they were
/// built is found.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("these tests run under cargo");
        Path::new(&here).ancestors().nth(2).expect("this package is in tests/house").to_owned()
    });
    &ROOT
}

/// Every file of the repository, relative to its top, sorted.
pub fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("a folder of the repository can be read") {
        let entry = entry.expect("an entry of a folder can be read");
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() && !FOREIGN.iter().any(|name| entry.file_name() == *name) {
            collect(&entry.path(), found);
        } else if kind.is_file() && entry.file_name() != ".git" {
            found.push(entry.path().strip_prefix(root()).expect("it is below the top").to_owned());
        }
    }
}
