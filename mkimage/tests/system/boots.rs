//! The shipped image boots on all kinds of machines and does its work there.

use crate::support::{bios, made, uefi};
use crate::{SHIPPED, run};
use qemu::{Cpu, Goal, Machine};
use std::path::Path;

/// What the client says when all its calls were answered rightly.
const AT_WORK: &str = "ping: echo answers: 1000 calls, all payloads right";

/// How the memory server begins to say that random bytes are weak.
const WEAK: &str = "vm: this processor has no generator";

/// MiB that programs can have at least on a machine with 64.
const ENOUGH_OF_64: u64 = 40;

/// How many MiB the memory server says are free for programs.
fn free_for_programs(log: &str) -> Option<u64> {
    let line = log.lines().find_map(|line| line.strip_prefix("vm: "))?;
    line.strip_suffix(" MiB are free for programs")?.split(' ').next()?.parse().ok()
}

/// Boots and returns the log.
fn boots(name: &str, machine: impl Fn(&Path) -> Machine) -> String {
    let image = made(SHIPPED).unwrap();
    let run = run(&format!("boots-{name}"), &machine(&image.iso), &Goal::Line(AT_WORK.into()));
    assert!(run.verdict.passed(), "{}\n{}", run.verdict, run.evidence.serial);
    let up = run.evidence.serial.lines().any(|line| line.starts_with("selix: up"));
    assert!(up, "no line tells that the system is up:\n{}", run.evidence.serial);
    let free = free_for_programs(&run.evidence.serial);
    assert!(free.is_some_and(|free| free > ENOUGH_OF_64), "{free:?} MiB are free:\n{}", run.evidence.serial);
    run.evidence.serial
}

#[test]
fn with_bios() {
    let log = boots("bios", bios);
    assert!(!log.contains(WEAK), "{log}");
}

#[test]
fn with_uefi() {
    boots("uefi", uefi);
}

#[test]
fn with_64_mib() {
    boots("bios-64", |iso| bios(iso).memory_mib(64));
}

#[test]
fn with_uefi_and_64_mib() {
    boots("uefi-64", |iso| uefi(iso).memory_mib(64));
}

#[test]
fn with_6_gib() {
    boots("bios-6144", |iso| bios(iso).memory_mib(6144));
}

#[test]
fn with_uefi_and_6_gib() {
    boots("uefi-6144", |iso| uefi(iso).memory_mib(6144));
}

#[test]
fn with_four_processors() {
    boots("bios-4-cpus", |iso| bios(iso).smp(4));
}

#[test]
fn with_uefi_and_four_processors() {
    boots("uefi-4-cpus", |iso| uefi(iso).smp(4));
}

#[test]
fn with_qemus_plain_processor() {
    let log = boots("bios-plain", |iso| bios(iso).cpu(Cpu::Plain));
    assert!(log.contains(WEAK), "it has no random numbers:\n{log}");
}

#[test]
fn with_uefi_and_qemus_plain_processor() {
    boots("uefi-plain", |iso| uefi(iso).cpu(Cpu::Plain));
}

#[test]
fn with_counted_instructions() {
    boots("counted", |iso| bios(iso).accelerator(qemu::Accelerator::CountedTcg));
}

#[test]
fn a_dead_echo_is_noticed() {
    let made = made("userland/bin/ping/dead-echo.toml").expect("the image is built");
    let run = run("dead-echo", &bios(&made.iso), &Goal::Line("ping: echo is dead after 0 calls".into()));
    assert!(run.verdict.passed(), "{}", run.verdict);
}
