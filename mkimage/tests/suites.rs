//! The in-system suites, each of their tests a test of this target. `suite[uefi]::test` ran on a machine with UEFI.

mod support;

use qemu::suites::Suite;
use qemu::{Cpu, Machine};
use std::path::Path;
use std::process::ExitCode;
use support::{bios, logs, made, uefi};

/// How to make a machine that boots an ISO.
type MakeMachine = fn(&Path) -> Machine;

/// A suite: its name here, its manifest, and the machines that it runs on, by their labels.
struct Entry {
    name: &'static str,
    manifest: &'static str,
    machines: &'static [(&'static str, MakeMachine)],
}

const PLAIN: (&str, MakeMachine) = ("", bios);
const UEFI: (&str, MakeMachine) = ("uefi", uefi);
const TWO: (&str, MakeMachine) = ("2-cpus", |iso| bios(iso).smp(2));
const FOUR: (&str, MakeMachine) = ("4-cpus", |iso| bios(iso).smp(4));
const EIGHT: (&str, MakeMachine) = ("8-cpus", |iso| bios(iso).smp(8));
const UEFI_FOUR: (&str, MakeMachine) = ("uefi-4-cpus", |iso| uefi(iso).smp(4));
/// A processor without SMEP, SMAP and UMIP.
const OLD: (&str, MakeMachine) = ("old-cpu", |iso| bios(iso).cpu(Cpu::Plain));

const SUITES: &[Entry] = &[
    Entry { name: "ipc", manifest: "userland/tests/ipc/image.toml", machines: &[PLAIN, UEFI, FOUR, OLD] },
    Entry { name: "memory", manifest: "userland/tests/hostile/memory.toml", machines: &[PLAIN, UEFI, OLD] },
    Entry { name: "instructions", manifest: "userland/tests/hostile/instructions.toml", machines: &[PLAIN] },
    Entry { name: "control", manifest: "userland/tests/hostile/control.toml", machines: &[PLAIN, OLD] },
    Entry { name: "traps", manifest: "userland/tests/hostile/traps.toml", machines: &[PLAIN] },
    Entry { name: "smp", manifest: "userland/tests/smp/image.toml", machines: &[PLAIN, TWO, FOUR, EIGHT, UEFI_FOUR] },
    Entry { name: "registers", manifest: "userland/tests/registers/image.toml", machines: &[PLAIN, UEFI, FOUR, OLD] },
];

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
