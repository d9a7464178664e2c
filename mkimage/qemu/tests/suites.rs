//! Suites shown as cargo tests, with guests that pose as suites.

mod guest;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use abi::report::{SUITE_FAILED, SUITE_PASSED, TESTS_SECTION};
use guest::{Ending, Guest};
use libtest_mimic::{Arguments, Conclusion};
use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use qemu::suites::{Suite, trials};
use qemu::{Error, Machine};
use tempfile::TempDir;

const BOTH_PASS: &str = "\nselix: boot\nt: plan 2\nt: ok a\nt: ok b\nt: done 2 passed, 0 failed, 0 skipped\n";
const ONE_FAILS: &str = "\nselix: boot\nt: plan 2\nt: ok a\nt: not ok b: no\nt: done 1 passed, 1 failed, 0 skipped\n";

/// Files of suites that declare tests, and the logs of their runs.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn output(&self) -> PathBuf {
        self.0.path().join("output")
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        let output = fs::read_to_string(self.output()).unwrap();
        assert!(output.contains(text), "`{text}` is not in:\n{output}");
    }

    fn logs(&self) -> PathBuf {
        self.0.path().join("logs")
    }

    /// The program file of a suite with the section `names`.
    fn elf(&self, names: &str) -> PathBuf {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let section = object.add_section(Vec::new(), TESTS_SECTION.into(), SectionKind::ReadOnlyData);
        object.append_section_data(section, names.as_bytes(), 1);
        let file = self.0.path().join("suite.elf");
        fs::write(&file, object.write().unwrap()).unwrap();
        file
    }

    fn suite(&self, name: &str) -> Suite {
        Suite::new(name, self.elf("a\0b\0"))
    }

    /// Runs suites as a cargo test target does, with its output in a file.
    fn run(&self, suites: Vec<Suite>, change: impl Fn(&mut Arguments)) -> Conclusion {
        let output = self.output().to_str().unwrap().to_owned();
        let mut arguments = Arguments { logfile: Some(output), ..Arguments::default() };
        change(&mut arguments);
        libtest_mimic::run(&arguments, trials(suites, &self.logs()).unwrap())
    }

    #[track_caller]
    fn refused(&self, suites: Vec<Suite>, why: &str) -> Error {
        let error = trials(suites, &self.logs()).err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
        error
    }
}

/// A machine whose making is counted.
fn counted(guest: &Guest) -> (Arc<AtomicUsize>, impl Fn() -> Result<Machine, String> + Send + Sync + 'static) {
    let made = Arc::new(AtomicUsize::new(0));
    let (count, disk) = (Arc::clone(&made), guest.disk());
    let make = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Machine::disk(&disk))
    };
    (made, make)
}

#[test]
fn all_tests_of_a_suite_share_one_run() {
    let (folder, guest) = (Folder::new(), Guest::new(BOTH_PASS, Ending::Exit(SUITE_PASSED)));
    let (made, make) = counted(&guest);
    let conclusion = folder.run(vec![folder.suite("t").on_made("", make)], |_| ());
    assert_eq!((conclusion.num_passed, conclusion.num_failed), (3, 0));
    assert_eq!(made.load(Ordering::Relaxed), 1);
    let log = fs::read_to_string(folder.logs().join("t.serial.log")).unwrap();
    assert!(log.ends_with(BOTH_PASS), "{log}");
    assert!(fs::read_to_string(folder.logs().join("t.qemu.log")).unwrap().contains("verdict: passed"));
}

#[test]
fn a_failing_test_fails_itself_and_the_run_but_not_the_others() {
    let (folder, guest) = (Folder::new(), Guest::new(ONE_FAILS, Ending::Exit(SUITE_FAILED)));
    let suite = || vec![folder.suite("t").on("uefi", Machine::disk(guest.disk()))];
    for (test, passes) in [("t[uefi]::a", true), ("t[uefi]::b", false), ("t[uefi]::run", false)] {
        let conclusion = folder.run(suite(), |arguments| {
            arguments.filter = Some(test.to_owned());
            arguments.exact = true;
        });
        assert_eq!(conclusion.num_filtered_out, 2, "{test}");
        assert_eq!((conclusion.num_passed == 1, conclusion.num_failed == 0), (passes, passes), "{test}");
        if !passes {
            folder.shows("b: no\n");
            folder.shows(&format!("whole log: {}", folder.logs().join("t[uefi].serial.log").display()));
        }
    }
}

#[test]
fn what_is_filtered_out_or_only_listed_is_not_booted() {
    let (folder, guest) = (Folder::new(), Guest::new(BOTH_PASS, Ending::Exit(SUITE_PASSED)));
    let (wanted, make_wanted) = counted(&guest);
    let (unwanted, make_unwanted) = counted(&guest);
    let suites = vec![folder.suite("t").on_made("1", make_wanted).on_made("2", make_unwanted)];
    let conclusion = folder.run(suites, |arguments| arguments.filter = Some("t[1]::a".to_owned()));
    assert_eq!((conclusion.num_passed, conclusion.num_filtered_out), (1, 5));
    assert_eq!((wanted.load(Ordering::Relaxed), unwanted.load(Ordering::Relaxed)), (1, 0));

    let (listed, make_listed) = counted(&guest);
    let conclusion = folder.run(vec![folder.suite("t").on_made("", make_listed)], |arguments| arguments.list = true);
    assert!(!conclusion.has_failed());
    assert_eq!(listed.load(Ordering::Relaxed), 0);
}

#[test]
fn a_machine_that_cannot_be_made_fails_all_tests() {
    let folder = Folder::new();
    let suites = vec![
        folder.suite("unbuilt").on_made("", || Err("the image does not build".to_owned())),
        folder.suite("unthere").on("", Machine::new("no/such.iso")),
    ];
    let conclusion = folder.run(suites, |_| ());
    assert_eq!((conclusion.num_passed, conclusion.num_failed), (0, 6));
    folder.shows("the image does not build");
    folder.shows("no/such.iso: no such image");
}

#[test]
fn suites_of_which_nothing_could_run_are_refused() {
    let folder = Folder::new();
    let machine = || Machine::new("a.iso");
    folder.refused(vec![folder.suite("t")], "`t` has no machine");
    folder.refused(vec![folder.suite("t").on("", machine()).on("", machine())], "two of the name `t`");
    folder.refused(vec![folder.suite("t").on("x", machine()), folder.suite("t").on("x", machine())], "`t[x]`");
    folder.refused(vec![Suite::new("t", Path::new("no/such/elf")).on("", machine())], "no/such/elf");
    let error = folder.refused(vec![Suite::new("t", folder.elf("a\0run\0")).on("", machine())], "`run`");
    assert!(matches!(error, Error::NotASuite { .. }), "{error:?}");
}
