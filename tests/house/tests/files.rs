//! How files are kept.

use house::{files, root};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Most lines of a file that somebody writes. A longer one does more than one thing.
const MOST_LINES: usize = 700;

/// Endings of the names of files that somebody writes; those without an ending are scripts.
const WRITTEN: &[&str] = &["rs", "S", "ld", "gdb", "sh", "toml", "md"];

/// Folders that any machine may have, and that say nothing about one.
const COMMON: &[&str] = &["/", "/tmp", "/home", "/opt", "/srv", "/mnt", "/usr/src", "/var/tmp"];

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(root().join(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn is_written(file: &Path) -> bool {
    match file.extension() {
        Some(ending) => WRITTEN.iter().any(|e| ending == *e),
        None => is_script(file) || file == Path::new("Makefile"),
    }
}

fn is_script(file: &Path) -> bool {
    read(file).starts_with(b"#!")
}

/// Whether a path stands in a text: from its own beginning, not as part of a longer one.
fn names(text: &[u8], path: &str) -> bool {
    let continues = |before: u8| before.is_ascii_alphanumeric() || b"._-/~}*".contains(&before);
    let starts = text.windows(path.len()).enumerate().filter(|(_, w)| *w == path.as_bytes()).map(|(i, _)| i);
    starts.into_iter().any(|i| i == 0 || !continues(text[i - 1]))
}

/// Paths that tell about the machine that this runs on, or about somebody's.
fn telling_paths() -> Vec<String> {
    let around = root().ancestors().take(2).map(Path::to_owned);
    let own = around.chain(std::env::var_os("HOME").map(PathBuf::from));
    let own = own.filter(|p| p.is_absolute() && !COMMON.iter().any(|c| p == Path::new(c)));
    let all = own.map(|p| format!("{}/", p.display())).chain(["home", "Users"].map(|name| format!("/{name}/")));
    all.collect()
}

#[test]
fn no_file_is_too_long() {
    let lines = |file: &PathBuf| read(file).iter().filter(|&&b| b == b'\n').count();
    let long: Vec<_> = files().into_iter().filter(|f| is_written(f) && lines(f) > MOST_LINES).collect();
    assert!(long.is_empty(), "longer than {MOST_LINES} lines: {long:?}");
}

#[test]
fn no_file_names_a_machine() {
    let paths = telling_paths();
    for file in files() {
        let text = read(&file);
        let named: Vec<_> = paths.iter().filter(|path| names(&text, path)).collect();
        assert!(named.is_empty(), "{} contains {named:?}: nothing of a machine belongs in the project", file.display());
    }
}

#[test]
fn a_path_is_found_where_it_begins() {
    assert!(names(b"see /some/x", "/some/"));
    assert!(names(b"/some/x", "/some/"));
    assert!(names(b"\0/some/x", "/some/"));
    assert!(!names(b"a/some/x", "/some/"));
    assert!(!names(b"$(X)./some/x", "/some/"));
    assert!(!names(b"/som", "/some/"));
}

#[test]
fn scripts_can_be_run_and_read() {
    let scripts: Vec<_> = files().into_iter().filter(|f| f.extension().is_none() && is_script(f)).collect();
    assert!(scripts.iter().any(|f| f == Path::new(".ci/run")), "it is one of {scripts:?}");
    for script in scripts {
        let path = root().join(&script);
        let mode = path.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{}: make it executable", script.display());
        let status = Command::new("bash").arg("-n").arg(&path).status().expect("bash runs");
        assert!(status.success(), "{}: bash cannot read it", script.display());
    }
}

#[test]
fn every_folder_of_ours_is_looked_into() {
    let all = files();
    for known in ["Makefile", "Cargo.lock", ".ci/run", "include/abi/src/lib.rs", "tests/house/tests/files.rs"] {
        assert!(all.iter().any(|f| f.as_os_str() == OsStr::new(known)), "{known} is not among the files");
    }
}
