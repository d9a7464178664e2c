//! The in-system suites.

use super::{bios, uefi};
use qemu::{Cpu, Machine};
use std::path::Path;
use std::time::Duration;

/// How to make a machine that boots an ISO.
pub(crate) type MakeMachine = fn(&Path) -> Machine;

/// A suite: its name here, its manifest, and the machines that it runs on, by their labels.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) manifest: &'static str,
    pub(crate) machines: &'static [(&'static str, MakeMachine)],
}

const PLAIN: (&str, MakeMachine) = ("", bios);
const UEFI: (&str, MakeMachine) = ("uefi", uefi);
const TWO: (&str, MakeMachine) = ("2-cpus", |iso| bios(iso).smp(2));
const FOUR: (&str, MakeMachine) = ("4-cpus", |iso| bios(iso).smp(4));
const EIGHT: (&str, MakeMachine) = ("8-cpus", |iso| bios(iso).smp(8));
const UEFI_FOUR: (&str, MakeMachine) = ("uefi-4-cpus", |iso| uefi(iso).smp(4));
/// A processor without SMEP, SMAP and UMIP.
const OLD: (&str, MakeMachine) = ("old-cpu", |iso| bios(iso).cpu(Cpu::Plain));

/// With as little memory as there should be at least.
const SMALL: (&str, MakeMachine) = ("", |iso| bios(iso).memory_mib(64).timeout(patience()));
const SMALL_FOUR: (&str, MakeMachine) = ("4-cpus", |iso| bios(iso).memory_mib(64).smp(4).timeout(patience()));
/// They wait for what takes longer than other suites.
const PATIENT: (&str, MakeMachine) = ("", |iso| bios(iso).timeout(patience()));
const PATIENT_FOUR: (&str, MakeMachine) = ("4-cpus", |iso| bios(iso).smp(4).timeout(patience()));

/// Far more than they take, also a storm of full length.
fn patience() -> Duration {
    let minutes = if std::env::var_os("SELIX_SOAK").is_some() { 4 * 60 } else { 10 };
    Duration::from_secs(minutes * 60)
}

/// All of them.
pub(crate) const SUITES: &[Entry] = &[
    Entry { name: "ipc", manifest: "userland/tests/ipc/image.toml", machines: &[PLAIN, UEFI, FOUR, OLD] },
    Entry { name: "memory", manifest: "userland/tests/hostile/memory.toml", machines: &[PLAIN, UEFI, OLD] },
    Entry { name: "instructions", manifest: "userland/tests/hostile/instructions.toml", machines: &[PLAIN] },
    Entry { name: "control", manifest: "userland/tests/hostile/control.toml", machines: &[PLAIN, OLD] },
    Entry { name: "traps", manifest: "userland/tests/hostile/traps.toml", machines: &[PLAIN] },
    Entry { name: "storm", manifest: "userland/tests/hostile/storm.toml", machines: &[PATIENT, PATIENT_FOUR] },
    Entry { name: "smp", manifest: "userland/tests/smp/image.toml", machines: &[PLAIN, TWO, FOUR, EIGHT, UEFI_FOUR] },
    Entry { name: "kcalls", manifest: "userland/tests/kcalls/image.toml", machines: &[PLAIN, UEFI, FOUR, OLD] },
    Entry { name: "smp-kernel", manifest: "userland/tests/kcalls/smp.toml", machines: &[TWO, FOUR, EIGHT, UEFI_FOUR] },
    Entry { name: "safecopy", manifest: "userland/tests/safecopy/image.toml", machines: &[PLAIN, UEFI, FOUR, OLD] },
    Entry { name: "safemap", manifest: "userland/tests/safemap/image.toml", machines: &[PLAIN, UEFI, FOUR, OLD] },
    Entry { name: "vm", manifest: "userland/tests/vm/image.toml", machines: &[SMALL, UEFI, FOUR, OLD] },
    Entry { name: "vm-checked", manifest: "userland/tests/vm/checked.toml", machines: &[SMALL, SMALL_FOUR] },
    Entry { name: "ds", manifest: "userland/tests/ds/image.toml", machines: &[SMALL, FOUR] },
    Entry { name: "pm", manifest: "userland/tests/pm/image.toml", machines: &[SMALL, UEFI, FOUR, OLD] },
    Entry { name: "registers", manifest: "userland/tests/registers/image.toml", machines: &[PLAIN, UEFI, FOUR, OLD] },
];
