//! The shipped policy is minimal: what it allows is used, in a suite or at boot, or there is a reason. And what it does not allow is denied, and
//! the root system process says so.

use crate::support::{bios, made, root};
use crate::{DEBUG_EXIT, SHIPPED, disk, run};
use abi::policy::{ServiceFlags, ServicePolicy, services};
use libconf::{Config, names};
use qemu::Goal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Suites in which the services do all that they can do. Their own policies may allow more, for tests.
const SUITES: [&str; 3] =
    ["userland/tests/services/image.toml", "userland/tests/ds/image.toml", "userland/tests/pm/image.toml"];
/// With a line for each use of a right, they are slow.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The last words of `ping`, after which nothing more happens in the shipped image.
const END: &str = "init: ping exited, status 0";
const USE: &str = "selix: use: ";

/// Rights that no run shows: whose, which, and why they are there.
const UNSEEN: &[(&str, &str, &str)] = &[
    ("rs", "system abort", "it ends the system only when that cannot go on"),
    ("vm", "system clear", "it ends a process that it has made and cannot give what it needs"),
    ("vm", "system exit", "it ends only when it cannot begin"),
    ("pm", "system exec", "programs are given to processes by a file server, which is not there yet"),
    ("pm", "system abort", "it ends the system only when the first user process has ended"),
    ("pm", "system diag_write", "it says only what cannot be"),
    ("pm", "system exit", "it ends only when it cannot begin"),
    ("service", "vm for_others", "it is no call, but about whom `usage` may be"),
];

/// The names of the rights in a mask, without those that are basic if all of these are there.
fn beyond(
    keyword: &str,
    all: impl Iterator<Item = (&'static str, u64)> + Clone,
    basic: &[&str],
    mask: u64,
) -> Vec<String> {
    let common = all.clone().filter(|(name, _)| basic.contains(name)).fold(0, |common, (_, bit)| common | bit);
    let own = if mask & common == common { mask & !common } else { mask };
    all.filter(|(_, bit)| own & bit != 0).map(|(name, _)| format!("{keyword} {name}")).collect()
}

/// The rights that a service has beyond those that all have.
fn rights(config: &Config, policy: &ServicePolicy) -> Vec<String> {
    let mut rights = beyond("system", names::calls(), &names::BASIC_CALLS, policy.calls);
    rights.extend(beyond("vm", names::memory(), &names::BASIC_MEMORY, policy.memory));
    rights.extend(services(&policy.sends).map(|place| format!("ipc {}", config.services[place].name)));
    if policy.has(ServiceFlags::SENDS_TO_USERS) {
        rights.push("ipc USER".to_owned());
    }
    rights
}

/// What is used in a run, as `NAME KEYWORD RIGHT`.
fn used(log: &str) -> BTreeSet<String> {
    log.lines().filter_map(|line| line.trim_end().strip_prefix(USE)).map(str::to_owned).collect()
}

/// The log of a run in which rights are told of when they are used.
fn log(manifest: &str, goal: &Goal) -> String {
    let mut image = made(manifest).expect("the image is built").image.clone();
    image.cmdline = format!("{DEBUG_EXIT} trace=use");
    let disk = disk(&image);
    let run = run(&format!("rights-{}", image.name), &bios(&disk.iso).timeout(PATIENCE), goal);
    assert!(run.verdict.passed(), "{}\n{}", run.verdict, run.evidence.serial);
    run.evidence.serial
}

#[test]
fn the_shipped_policy_allows_what_is_used_and_denials_are_named() {
    let text = std::fs::read_to_string(root().join("etc/system.conf")).expect("there is a policy");
    let config = Config::parse(&text).expect("it is right");
    let mut all = used(&log(SHIPPED, &Goal::Line(END.into())));
    for manifest in SUITES {
        let log = log(manifest, &Goal::Session);
        all.extend(used(&log));
        if manifest.contains("services") {
            denials_are_named(&log);
        }
    }
    let mut wrong = Vec::new();
    for service in &config.services {
        for right in rights(&config, &service.policy) {
            // All users share what they may do, and are told of once.
            let is_user = service.policy.has(ServiceFlags::USER);
            let is_used = config
                .services
                .iter()
                .filter(|other| other.name == service.name || is_user && other.policy.has(ServiceFlags::USER))
                .any(|other| all.contains(&format!("{} {right}", other.name)));
            let reason = UNSEEN.iter().find(|(name, what, _)| *name == service.name && *what == right);
            match reason {
                None if !is_used => wrong.push(format!("{} never uses `{right}`", service.name)),
                Some((_, _, why)) if is_used => {
                    wrong.push(format!("{} uses `{right}`, which is said to be unseen because {why}", service.name));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "etc/system.conf:\n{}", wrong.join("\n"));
    for (name, right, _) in UNSEEN {
        let service = config.find(name).map(|(_, service)| rights(&config, &service.policy));
        assert!(service.is_some_and(|all| all.iter().any(|own| own == right)), "{name} has no `{right}` at all");
    }
}

/// The suite has a service try what its policy does not allow: see `userland/tests/services/src/suite/denials.rs`.
fn denials_are_named(log: &str) {
    for line in [
        "rs: assist may not send to hello",
        "rs: assist may not use the port 0x3f8",
        "rs: assist may not make the kernel call kill",
        "rs: assist may not have the interrupt 1",
        "rs: assist may not make the call pin of the memory server",
    ] {
        assert!(log.lines().any(|found| found.starts_with(line)), "no line `{line}` in:\n{log}");
    }
}
