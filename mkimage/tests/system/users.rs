//! Users of the shipped system that end by faults: the process manager ends them, and the system goes on.

use crate::support::{bios, made, root};
use crate::{SHIPPED, run};
use qemu::{Goal, Machine};
use std::fs;
use std::path::Path;

const POLICY: &str = "etc/system.conf";
/// Where the manifest is written to, seen from the top folder.
const MANIFEST: &str = "build/tests/faulty/image.toml";
/// The last line: the first process of the program ends as its children did.
const END: &str = "init: faulty was ended by signal 11";

/// The manifest of the shipped image with one user more, which may do what all users may.
fn with_a_faulty_user() -> &'static str {
    let file = root().join(MANIFEST);
    fs::create_dir_all(file.parent().expect("it is in a folder")).expect("a folder for the manifest");
    let read = |path| fs::read_to_string(root().join(path)).expect("it is in the repository");
    let image = read(SHIPPED).replace("name = \"selix\"", "name = \"faulty\"");
    let program = "\n[[program]]\nname = \"faulty\"\npackage = \"faulty\"\n";
    fs::write(&file, image + program).expect("the manifest is written");
    let policy = read(POLICY) + "\nservice faulty { class user; };\n";
    fs::write(file.with_file_name("system.conf"), policy).expect("the policy is written");
    MANIFEST
}

fn goes_on(name: &str, machine: impl Fn(&Path) -> Machine) {
    let image = made(with_a_faulty_user()).expect("the image is built");
    let run = run(name, &machine(&image.iso), &Goal::Line(END.into()));
    let serial = &run.evidence.serial;
    assert!(run.verdict.passed(), "{}\n{serial}", run.verdict);
    let of = |start: &str| serial.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    assert_eq!(of("faulty: "), ["faulty: 1100 children have ended by their faults"]);
    assert_eq!(of("init: "), ["init: ping exited, status 0", END]);
    assert_eq!(of("ping: "), ["ping: echo answers: 1000 calls, all payloads right"]);
    let [of_root] = of("rs: ")[..] else { panic!("the root system process has to do with users:\n{serial}") };
    assert!(of_root.ends_with(" services are up"), "{of_root}");
    // The kernel tells of faults only if nobody else does.
    assert_eq!(of("selix: faulty "), [""; 0]);
}

#[test]
fn users_end_by_their_faults_and_nothing_else_does() {
    goes_on("faulty", |iso| bios(iso).memory_mib(64));
}

#[test]
fn on_several_processors_too() {
    goes_on("faulty-4-cpus", |iso| bios(iso).memory_mib(128).smp(4));
}
