//! `tools/deps` on machines that lack something. Each machine is a folder with the commands it has; `apt-get` there
//! notes how it was called. The files it looks for, such as firmware and GRUB's modules, are those of the machine that the test
//! runs on: `make deps` has put them there.

use house::root;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// What the script itself is written with.
const SHELL: &[&str] = &["bash", "env"];
/// The commands among what it looks for.
const COMMANDS: &[&str] = &["cargo", "cc", "qemu-system-x86_64", "grub-mkrescue", "xorriso", "mformat"];
/// User ids of Debian.
const ROOT: u32 = 0;
const NOBODY: u32 = 65534;

struct Machine(TempDir);

impl Machine {
    /// A machine with a shell and with all these commands, which do nothing.
    fn with(commands: &[&str]) -> Self {
        let machine = Self(TempDir::new().expect("a folder for commands"));
        for name in SHELL {
            symlink(which(name), machine.0.path().join(name)).expect("a link");
        }
        for name in commands {
            machine.add(name, "");
        }
        machine
    }

    /// Adds a command.
    fn add(&self, name: &str, script: &str) {
        let path = self.0.path().join(name);
        fs::write(&path, format!("#!{}\n{script}\n", which("bash"))).expect("a command");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a command that can be run");
    }

    /// Adds an `apt-get` that notes its arguments and does this; and a `sudo`, for who is not root.
    fn add_apt(&self, script: &str) {
        self.add("apt-get", &format!("echo \"$@\" >> {}\n{script}", self.notes().display()));
        self.add("sudo", "shift\nexec \"$@\"");
        self.add("true", "");
    }

    fn notes(&self) -> PathBuf {
        self.0.path().join("notes")
    }

    fn deps(&self) -> Output {
        self.run(Command::new(which("bash")).arg(root().join("tools/deps")))
    }

    /// Like [`Self::deps`], by somebody who is not root, even if the test is run by root. The script is copied, since
    /// they might not be let into the folder of the sources.
    fn deps_without_root(&self) -> Output {
        let folder = self.0.path();
        let script = folder.join("deps");
        fs::copy(root().join("tools/deps"), &script).expect("a copy of the script");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a folder for everybody");
        let owner = fs::metadata(folder).expect("it is there").uid();
        let user = if owner == ROOT { NOBODY } else { owner };
        self.run(Command::new(which("setpriv")).arg(format!("--reuid={user}")).arg(which("bash")).arg(script))
    }

    /// Lets the script see to gdb as well: where it looks for that can be chosen, unlike a file.
    fn run(&self, command: &mut Command) -> Output {
        command.arg("gdb").env("PATH", self.0.path()).output().expect("the script runs")
    }
}

fn which(command: &str) -> String {
    let path = std::env::var("PATH").expect("there is a PATH");
    let found = path.split(':').map(|folder| format!("{folder}/{command}")).find(|file| Path::new(file).exists());
    found.unwrap_or_else(|| panic!("this test needs {command}"))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_cargo_it_says_so() {
    let output = Machine::with(&[]).deps();
    assert!(!output.status.success());
    assert!(errors(&output).contains("install stable Rust"), "{}", errors(&output));
}

#[test]
fn without_apt_it_names_the_packages() {
    let output = Machine::with(COMMANDS).deps();
    assert!(!output.status.success());
    let errors = errors(&output);
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("gdb") && errors.contains("package manager") && !errors.contains("xorriso"), "{errors}");
}

#[test]
fn what_is_missing_is_installed() {
    let machine = Machine::with(COMMANDS);
    machine.add_apt(&format!("{} {} {}", which("ln"), "-sf /bin/true", machine.0.path().join("gdb").display()));
    let output = machine.deps();
    let notes = fs::read_to_string(machine.notes()).expect("apt-get was called");
    let calls: Vec<_> = notes.lines().collect();
    assert_eq!(calls.len(), 2, "{notes}");
    assert!(calls[0].ends_with(" update"), "{notes}");
    assert!(calls[1].contains(" install --yes ") && calls[1].ends_with(" gdb"), "{notes}");
    assert!(!calls[1].contains("xorriso"), "{notes}");
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn a_failing_apt_is_an_error_with_the_command_to_run() {
    let machine = Machine::with(COMMANDS);
    machine.add_apt("exit 100");
    let output = machine.deps();
    assert!(!output.status.success());
    let errors = errors(&output);
    assert!(
        errors.contains("could not install") && errors.contains("try: apt-get update && apt-get install "),
        "{errors}"
    );
    let notes = fs::read_to_string(machine.notes()).expect("apt-get was called");
    assert_eq!(notes.lines().count(), 1, "no installation without a list of packages: {notes}");
}

#[test]
fn who_may_not_install_is_told_the_command() {
    for sudo in [None, Some("exit 1")] {
        let machine = Machine::with(COMMANDS);
        machine.add_apt("");
        let place = machine.0.path().join("sudo");
        match sudo {
            None => fs::remove_file(place).expect("it was added"),
            Some(script) => machine.add("sudo", script),
        }
        let output = machine.deps_without_root();
        assert_eq!(output.status.code(), Some(1), "sudo: {sudo:?}");
        let errors = errors(&output);
        assert_eq!(
            errors, "deps: missing: gdb; as root, run: apt-get update && apt-get install gdb\n",
            "sudo: {sudo:?}"
        );
        assert!(!machine.notes().exists(), "apt-get was called; sudo: {sudo:?}");
    }
}

#[test]
fn an_installation_that_brings_nothing_is_an_error() {
    let machine = Machine::with(COMMANDS);
    machine.add_apt("");
    let output = machine.deps();
    assert!(!output.status.success());
    assert!(errors(&output).contains("still not there"), "{}", errors(&output));
}

#[test]
fn nothing_is_done_where_all_is_there() {
    let machine = Machine::with(COMMANDS);
    machine.add("gdb", "");
    machine.add_apt("exit 1");
    let output = machine.deps();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", errors(&output));
    assert!(!machine.notes().exists(), "apt-get was called");
}
