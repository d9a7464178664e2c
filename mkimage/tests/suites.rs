//! The in-system suites, each of their tests a test of this target. `suite[uefi]::test` ran on a machine with UEFI.

mod support;

use qemu::suites::Suite;
use std::process::ExitCode;
use support::suites::{Entry, SUITES};
use support::{logs, made};

/// The process that reports.
const REPORTER: &str = "suite";
/// Names of the suites to build and run, with commas between them; all of them if it is not there.
const ONLY: &str = "SELIX_SUITES";

fn main() -> ExitCode {
    let mut suites = Vec::new();
    let only = std::env::var(ONLY).ok();
    let only: Option<Vec<&str>> = only.as_ref().map(|names| names.split(',').collect());
    if let Some(unknown) = only.iter().flatten().find(|name| !SUITES.iter().any(|suite| suite.name == **name)) {
        eprintln!("error: {ONLY} names `{unknown}`, which is no suite: see mkimage/tests/support/suites.rs");
        return ExitCode::FAILURE;
    }
    let is_wanted = |name| only.as_ref().is_none_or(|names| names.contains(&name));
    for &Entry { name, manifest, machines } in SUITES.iter().filter(|suite| is_wanted(suite.name)) {
        // The tests are named in the program file, so that must be there before one of them is asked for.
        let elf = match made(manifest) {
            Ok(made) => made.debug.join(REPORTER),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        };
        let mut suite = Suite::new(REPORTER, elf).titled(name);
        for &(label, machine) in machines {
            suite = suite.on_made(label, move || Ok(machine(&made(manifest)?.iso)));
        }
        suites.push(suite);
    }
    qemu::suites::main(suites, &logs())
}
