//! The same sources give the same image, wherever they lie and whoever's cargo builds them.
//!
//! A target of its own: it lets cargo build every program of the system, once in a copy of the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What is not copied: what is built, and the history.
const LEFT_OUT: &[&str] = &["target", "build", ".git"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let (from, to) = (entry.path(), to.join(&name));
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// A cargo home in `dir`: another path to the packages that are there already.
fn cargo_home(dir: &Path) -> PathBuf {
    let home = dir.join("cargo home");
    std::fs::create_dir(&home).unwrap();
    let default = || Path::new(&std::env::var_os("HOME").unwrap()).join(".cargo");
    let real = std::env::var_os("CARGO_HOME").map_or_else(default, PathBuf::from);
    for name in ["registry", "config.toml", "config"] {
        if real.join(name).exists() {
            std::os::unix::fs::symlink(real.join(name), home.join(name)).unwrap();
        }
    }
    home
}

fn build(workspace: &Path, output: &Path, cargo_home: Option<&Path>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mkimage"));
    command.current_dir(workspace).args(["build", "--output"]).arg(output);
    // Flags that somebody has set for his own programs must not matter.
    command.env("RUSTFLAGS", "-Copt-level=1").env_remove("CARGO_TARGET_DIR");
    if let Some(home) = cargo_home {
        command.env("CARGO_HOME", home);
    }
    let built = command.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// All files below a directory, by their paths in it.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(current) = dirs.pop() {
        for entry in std::fs::read_dir(current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push((path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn two_folders_give_one_image() {
    let temp = tempfile::Builder::new().prefix("selix reproducible-").tempdir().unwrap();
    let elsewhere = temp.path().join("a copy");
    copy(&workspace(), &elsewhere);
    let (here, there) = (temp.path().join("here"), temp.path().join("there"));
    build(&workspace(), &here.join("x.img"), None);
    build(&elsewhere, &there.join("x.img"), Some(&cargo_home(temp.path())));

    let (here, there) = (files(&here), files(&there));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&here), names(&there));
    assert!(names(&here).contains(&"x.img".into()) && names(&here).contains(&"debug/selix/kernel".into()));
    let workspace = workspace();
    for ((path, ours), (_, theirs)) in here.iter().zip(&there) {
        assert!(ours == theirs, "{} differs", path.display());
        assert!(!contains(ours, workspace.to_str().unwrap()), "{} names the folder", path.display());
    }
}
