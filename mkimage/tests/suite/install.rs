//! Installations, interrupted after every single step.

use crate::sample;
use mkimage::fsutil::{Context, FileError};
use mkimage::image::Image;
use mkimage::install::{BootSet, CONFIG, Disk, Installed, PLAIN_CONFIG, PLAIN_DIR, RealDisk, install};
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

/// A disk that fails after some operations, and may be of a kind that cannot exchange directories. It does not wait for
/// the bytes to be written: that would take most of the time, and the kernel does not crash in the test.
struct Faulty {
    left: Cell<usize>,
    exchanges: bool,
}

impl Faulty {
    fn after(steps: usize, exchanges: bool) -> Self {
        Self { left: Cell::new(steps), exchanges }
    }

    fn never() -> Self {
        Self::after(usize::MAX, true)
    }

    fn step<T>(&self, path: &Path, operation: impl FnOnce() -> io::Result<T>) -> Result<T, FileError> {
        let outcome = match self.left.get().checked_sub(1) {
            None => Err(io::Error::other("power cut")),
            Some(left) => {
                self.left.set(left);
                operation()
            }
        };
        outcome.during("go on with", path)
    }
}

impl Disk for Faulty {
    fn create_dir(&self, dir: &Path) -> Result<(), FileError> {
        self.step(dir, || std::fs::create_dir_all(dir))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let written = self.step(path, || std::fs::write(path, bytes));
        if written.is_err() {
            // The cut comes in the middle.
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }
        written
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.step(to, || std::fs::rename(from, to))
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, FileError> {
        self.step(b, || Ok(()))?;
        if self.exchanges { RealDisk.exchange(a, b) } else { Ok(false) }
    }

    fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        self.step(path, || std::fs::remove_file(path))
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), FileError> {
        self.step(dir, || std::fs::remove_dir(dir))
    }
}

struct System(tempfile::TempDir);

impl System {
    /// A system with these images installed, one after the other.
    fn with(marks: &[&str]) -> Self {
        let system = Self(tempfile::tempdir().unwrap());
        for mark in marks {
            system.install(&sample::image(mark)).unwrap();
        }
        system
    }

    fn install(&self, image: &Image) -> Result<Installed, FileError> {
        install(image, self.0.path(), &Faulty::never())
    }

    fn boot(&self) -> PathBuf {
        self.0.path().join("boot/selix")
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.0.path().join(CONFIG)).unwrap()
    }

    /// The versions in the menu, in order.
    fn menu(&self) -> Vec<String> {
        let config = self.config();
        let entries = config.lines().filter_map(|line| line.split_once("--id selix-"));
        entries.map(|(_, rest)| rest.strip_suffix(" {").unwrap().to_owned()).collect()
    }

    /// Asserts that everything the configuration loads is there, and each entry a whole set.
    fn check_menu(&self) {
        let config = self.config();
        let mut loaded = 0;
        for line in config.lines().map(str::trim_start) {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["multiboot2" | "module2", path, ..] = words[..] {
                let path = path.strip_prefix("$selix_dir/").unwrap();
                assert!(self.boot().join(path).is_file(), "{path}");
                loaded += 1;
            }
        }
        let menu = self.menu();
        assert_eq!(loaded, 4 * menu.len());
        for version in menu {
            BootSet::read(&self.boot().join(&version)).unwrap_or_else(|e| panic!("{version}: {e}"));
        }
    }

    fn plain(&self) -> Result<BootSet, String> {
        BootSet::read(&self.boot().join(PLAIN_DIR))
    }

    /// Names of everything in the boot directory.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.boot()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn an_installed_image_is_in_the_menu() {
    let image = sample::image("a");
    let system = System::with(&[]);
    let installed = install(&image, system.0.path(), &RealDisk).unwrap();
    assert_eq!(installed.offered, [&*image.version]);
    assert_eq!((installed.removed.len(), installed.incomplete.len()), (0, 0));
    system.check_menu();
    for dir in [&*image.version, PLAIN_DIR] {
        for file in &image.files {
            assert_eq!(std::fs::read(system.boot().join(dir).join(&file.name)).unwrap(), file.bytes);
        }
    }
    let config = system.config();
    let kernel = format!("    multiboot2 $selix_dir/{}/kernel hz=100\n", image.version);
    assert!(config.contains(&kernel), "{config}");
    assert!(config.contains(&format!("    module2 $selix_dir/{}/ping ping\n", image.version)), "{config}");
    let plain = std::fs::read_to_string(system.boot().join(PLAIN_DIR).join(PLAIN_CONFIG)).unwrap();
    assert!(plain.contains("module2 $selix_dir/latest/boot-table boot-table\n"), "{plain}");
}

#[test]
fn the_newest_three_are_kept() {
    let versions = ["a", "b", "c", "d", "e"].map(|mark| sample::image(mark).version);
    let system = System::with(&["a", "b", "c", "d"]);
    assert_eq!(system.menu(), [&*versions[3], &versions[2], &versions[1]]);
    let installed = system.install(&sample::image("e")).unwrap();
    assert_eq!(installed.offered, [&*versions[4], &versions[3], &versions[2]]);
    assert_eq!(installed.removed, [&*versions[1]]);
    system.check_menu();
    let mut expected: Vec<String> = versions[2..].to_vec();
    expected.push(PLAIN_DIR.into());
    expected.sort();
    assert_eq!(system.names(), expected);
}

#[test]
fn installing_again_makes_the_set_the_newest() {
    let system = System::with(&["a", "b"]);
    let (a, b) = (sample::image("a"), sample::image("b"));
    assert_eq!(system.menu(), [&*b.version, &a.version]);
    system.install(&a).unwrap();
    assert_eq!(system.menu(), [&*a.version, &b.version]);
    assert_eq!(system.plain().unwrap().version, a.version);
    system.check_menu();
}

#[test]
fn damaged_sets_are_not_offered() {
    let (a, b, c) = (sample::image("a"), sample::image("b"), sample::image("c"));
    let system = System::with(&["a", "b"]);
    std::fs::write(system.boot().join(&a.version).join("echo"), "other").unwrap();
    std::fs::remove_file(system.boot().join(&b.version).join("kernel")).unwrap();
    std::fs::create_dir(system.boot().join("mine")).unwrap();
    let installed = system.install(&c).unwrap();
    assert_eq!(installed.offered, [&*c.version]);
    assert_eq!(installed.incomplete.len(), 3, "{installed:?}");
    assert!(installed.incomplete.iter().any(|i| i.reason == "echo: wrong size or checksum"), "{installed:?}");
    assert!(system.boot().join("mine").is_dir(), "what is not ours is left alone");
    system.check_menu();
    // Installed again, a damaged set is whole again.
    assert_eq!(system.install(&a).unwrap().offered, [&*a.version, &c.version]);
    system.check_menu();
}

#[test]
fn descriptions_are_not_trusted() {
    let system = System::with(&["a", "b"]);
    let description = system.boot().join(&sample::image("a").version).join("set.toml");
    let text = std::fs::read_to_string(&description).unwrap();
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("\"sample\"", "\"x\\\" { insmod evil\""),
        ("\"echo\"", "\"../echo\""),
        ("\"kernel\"", "\"ping\""),
        ("hz=100", "hz=100\\n}"),
        ("name = \"sample\"", "nome = \"sample\""),
        (&sample::image("a").version, &sample::image("b").version),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&description, text.replacen(from, to, 1)).unwrap();
        let installed = system.install(&sample::image("b")).unwrap();
        assert_eq!(installed.incomplete.len(), 1, "{to}");
        assert_eq!(system.menu(), [&*sample::image("b").version], "{to}");
    }
}

#[test]
fn other_files_are_left_alone() {
    let system = System::with(&[]);
    let grub = system.0.path().join("boot/grub");
    std::fs::create_dir_all(&grub).unwrap();
    std::fs::write(grub.join("grub.cfg"), "theirs").unwrap();
    std::fs::create_dir_all(system.boot()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("file"), "theirs").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), system.boot().join(".old")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), system.boot().join(PLAIN_DIR)).unwrap();
    system.install(&sample::image("a")).unwrap();
    assert_eq!(std::fs::read_to_string(grub.join("grub.cfg")).unwrap(), "theirs");
    assert_eq!(std::fs::read_to_string(elsewhere.path().join("file")).unwrap(), "theirs");
    assert_eq!(system.plain().unwrap().version, sample::image("a").version);
}

/// Installs `marks`, then `mark` with a power cut after each number of steps, and looks at what is there.
fn interrupt_everywhere(marks: &[&str], mark: &str, exchanges: bool) -> usize {
    let image = sample::image(mark);
    let older: Vec<String> = marks.iter().rev().map(|m| sample::image(m).version).collect();
    for steps in 0.. {
        let system = System::with(marks);
        let disk = Faulty::after(steps, exchanges);
        let done = install(&image, system.0.path(), &disk).is_ok();

        system.check_menu();
        let menu = system.menu();
        assert!(menu[0] == image.version || menu[0] == older[0], "{menu:?} after {steps} steps");
        match system.plain() {
            Ok(plain) => assert!(plain.version == image.version || plain.version == older[0], "after {steps} steps"),
            Err(why) => assert!(!exchanges, "{why} after {steps} steps"),
        }

        system.install(&image).unwrap();
        system.check_menu();
        assert_eq!(system.menu()[0], image.version);
        assert_eq!(system.plain().unwrap().version, image.version);
        let mut expected = system.menu();
        expected.push(PLAIN_DIR.into());
        expected.sort();
        assert_eq!(system.names(), expected, "after {steps} steps: nothing is left over");
        if done {
            return steps;
        }
    }
    unreachable!()
}

#[test]
fn interrupted_at_any_step_something_boots() {
    assert!(interrupt_everywhere(&["a"], "b", true) > 15);
    assert!(interrupt_everywhere(&["a", "b", "c"], "d", true) > 20);
    // The same again, and back to an older one.
    assert!(interrupt_everywhere(&["a", "b"], "b", true) > 10);
    assert!(interrupt_everywhere(&["a", "b"], "a", true) > 10);
}

#[test]
fn interrupted_on_a_file_system_that_cannot_exchange() {
    assert!(interrupt_everywhere(&["a", "b", "c"], "d", false) > 20);
}

#[test]
fn the_first_installation_can_be_interrupted_too() {
    for steps in 0.. {
        let system = System::with(&[]);
        let done = install(&sample::image("a"), system.0.path(), &Faulty::after(steps, true)).is_ok();
        if system.0.path().join(CONFIG).exists() {
            system.check_menu();
        }
        system.install(&sample::image("a")).unwrap();
        system.check_menu();
        assert_eq!(system.names().len(), 2);
        if done {
            break;
        }
    }
}
