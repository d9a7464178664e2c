//! The in-system suites, each of their tests a test of this target. `suite[uefi]::test` ran on a machine with UEFI.

mod support;

use qemu::suites::Suite;
use std::process::ExitCode;
use support::suites::{Entry, SUITES};
use support::{logs, made};

/// The process that reports.
const REPORTER: &str = "suite";

fn main() -> ExitCode {
    let mut suites = Vec::new();
    for &Entry { name, manifest, machines } in SUITES {
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
