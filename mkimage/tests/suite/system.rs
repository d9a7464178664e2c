//! Manifests and policies that do not fit, and what is compiled from those that do.

use crate::sample::{self, POLICY, SERVED_POLICY, SERVED_PROGRAMS};
use abi::TrapMask;
use abi::boot::{BootEntry, BootFlags};
use abi::policy::{MAX_SERVICES, ServiceFlags};
use mkimage::manifest::{Manifest, ManifestError};
use mkimage::system::{System, read_policy};
use std::path::Path;

fn parse(manifest: &str, policy: &str) -> Result<System, ManifestError> {
    let manifest = Manifest::parse(manifest, Path::new("etc/x.toml")).unwrap_or_else(|error| panic!("{error}"));
    System::new(manifest, policy)
}

fn served_manifest() -> String {
    sample::manifest_text("") + SERVED_PROGRAMS
}

fn served_policy() -> String {
    POLICY.to_owned() + SERVED_POLICY
}

/// Asserts that they are refused at this place, with a message that contains `part`, and for nothing else.
#[track_caller]
fn refused(manifest: &str, policy: &str, at: &str, part: &str) {
    let error = parse(manifest, policy).expect_err("accepted");
    let message = error.to_string();
    assert_eq!(error.faults.len(), 1, "{message}");
    assert!(message.starts_with(&format!("{at}: ")), "{message}, not at {at}");
    assert!(message.contains(part), "{message}, without {part:?}");
}

/// The entries of the boot table.
fn entries(system: &System) -> Vec<BootEntry> {
    let files = vec![b"file".to_vec(); system.manifest.programs.len()];
    mkimage::boot_table::read(&mkimage::boot_table::compile(system, files).0).unwrap()
}

fn flags(entries: &[BootEntry]) -> Vec<(&str, BootFlags)> {
    entries.iter().map(|e| (e.name().unwrap(), BootFlags::from_bits(e.flags).unwrap())).collect()
}

#[test]
fn the_system_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/image.toml");
    let system = System::read(&path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(system.manifest.name, "selix");
    let unordered: Vec<_> = system.config.services.iter().filter(|service| service.unordered).collect();
    assert!(unordered.is_empty(), "who waits for whom is a fixed order: {unordered:#?}");
}

#[test]
fn a_boot_table_is_compiled_from_the_policy() {
    let system = sample::system(&sample::manifest_text(""), POLICY);
    let [echo, ping] = entries(&system)[..] else { panic!("two entries") };
    assert_eq!((echo.priority, echo.sends, echo.calls, echo.memory), (7, 0, 1 << 53, 0));
    assert_eq!(echo.traps, (TrapMask::RECEIVE | TrapMask::REPLY_RECEIVE).bits());
    assert_eq!((ping.priority, ping.sends, ping.calls), (3, 0b01, 1 << 25 | 1 << 44 | 1 << 53));
    assert_eq!(ping.traps, TrapMask::SENDREC.bits());
    assert_eq!(flags(&[echo, ping]), [("echo", BootFlags::empty()), ("ping", BootFlags::ROOT)]);
}

#[test]
fn where_a_memory_server_loads_there_is_a_policy_and_what_is_started_later() {
    let keeps = POLICY.replacen("service echo {", "service echo { copy; ipc later vm;", 1) + SERVED_POLICY;
    let system = parse(&served_manifest(), &keeps).unwrap();
    let table = entries(&system);
    let wanted = [
        ("echo", BootFlags::SERVED | BootFlags::KEPT),
        ("ping", BootFlags::ROOT),
        ("vm", BootFlags::PAGER),
        ("policy", BootFlags::FILE),
        ("later", BootFlags::FILE),
    ];
    assert_eq!(flags(&table), wanted);
    assert_eq!(table[0].sends, 0b100, "only to those that are there at boot");
    let later = table[4];
    assert_eq!((later.traps, later.sends, later.calls, later.memory), (0, 0, 0, 0), "that is said by the policy");
    assert_eq!(table[3].size as usize, system.policy().len());
    let policy = read_policy(&system.policy()).unwrap();
    let names: Vec<_> = policy.iter().map(|entry| entry.name().unwrap()).collect();
    assert_eq!(names, ["echo", "ping", "vm", "later"], "in the order of the text");
    assert!(policy[0].has(ServiceFlags::KEPT) && policy[3].has(ServiceFlags::KEPT));
    assert_eq!((policy[0].sends, policy[3].restarts), ([0b1100, 0], 3));
}

#[test]
fn without_a_memory_server_that_loads_there_is_no_policy() {
    let pager = "\n[[program]]\nname = \"vm\"\npackage = \"vm\"\n";
    let system = parse(&(sample::manifest_text("") + pager), &served_policy()).unwrap();
    let table = entries(&system);
    assert_eq!(flags(&table), [("echo", BootFlags::empty()), ("ping", BootFlags::ROOT), ("vm", BootFlags::PAGER)]);
}

#[test]
fn without_services_the_memory_server_only_loads() {
    let manifest =
        served_manifest().replace("boot = false\n", "").replacen("[kernel]", "services = false\n[kernel]", 1);
    let table = entries(&parse(&manifest, &served_policy()).unwrap());
    let wanted = [
        ("echo", BootFlags::SERVED),
        ("ping", BootFlags::ROOT),
        ("later", BootFlags::SERVED),
        ("vm", BootFlags::PAGER),
    ];
    assert_eq!(flags(&table), wanted);
}

#[test]
fn faults_of_the_policy_name_its_file() {
    let manifest = sample::manifest_text("");
    refused(&manifest, &POLICY.replace("times", "tames"), "etc/sample.conf:12:17", "no kernel call `tames`");
}

#[test]
fn every_program_has_a_block() {
    let manifest = sample::manifest_text("").replace("\"ping\"\npackage", "\"pong\"\npackage");
    let policy = format!("{POLICY}service rs {{ }};");
    let error = parse(&manifest, &policy).unwrap_err();
    let lines: Vec<_> = error.faults.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].contains("the root system process `ping`, which starts the others, is no program"), "{error}");
    assert!(lines[1].starts_with("14:8: `pong` has no block in etc/sample.conf: write there"), "{error}");
    let class = POLICY.replace("service echo", "class echo").replace("ipc echo;", "");
    refused(&sample::manifest_text(""), &class, "etc/x.toml:10:8", "`echo` has no block");
}

#[test]
fn only_the_memory_server_loads() {
    let policy = served_policy().replace("type pager", "type service");
    refused(&served_manifest(), &policy, "etc/x.toml:23:8", "`vm` needs `type pager` in the policy");
}

#[test]
fn root_and_memory_server_are_started_at_boot() {
    let manifest = served_manifest();
    let later = manifest.replacen("package = \"ping\"", "package = \"ping\"\nboot = false", 1);
    refused(&later, &served_policy(), "etc/x.toml:14:8", "`ping` has `type root`, and so has to be started at boot");
    let later = manifest.replacen("loads = true", "loads = true\nboot = false", 1);
    refused(&later, &served_policy(), "etc/x.toml:23:8", "`vm` has `type pager`");
}

#[test]
fn whoever_is_needed_at_boot_is_there_at_boot() {
    for (keyword, part) in [("sigmgr", "`later`, which gets its signals, is not"), ("backup", "after another, is not")]
    {
        let policy = served_policy().replacen("service echo {", &format!("service echo {{ {keyword} later;"), 1);
        refused(&served_manifest(), &policy, "etc/x.toml:10:8", part);
    }
    let policy = served_policy().replacen("service echo {", "service echo { scheduler later;", 1);
    assert!(parse(&served_manifest(), &policy).is_ok(), "the kernel schedules until it is there");
}

#[test]
fn a_recovery_script_is_there_and_kept() {
    let scripted = served_policy().replacen("service echo {", "service echo { script mend;", 1);
    let policy = scripted + "service mend { restart never; ipc ping; control echo; };";
    refused(
        &served_manifest(),
        &policy,
        "etc/x.toml:10:8",
        "`mend`, the recovery script of `echo`, has to be a program",
    );
    let boots = served_manifest() + "[[program]]\nname = \"mend\"\npackage = \"p\"\n";
    refused(&boots, &policy, "etc/x.toml:10:8", "with `boot = false`");
    assert!(parse(&(boots + "boot = false\n"), &policy).is_ok());
}

#[test]
fn a_table_has_room_for_the_policy() {
    let text = |programs: usize| {
        let names = (0..programs).map(|i| format!("p{i}"));
        let manifest: String =
            names.clone().map(|n| format!("[[program]]\nname = \"{n}\"\npackage = \"p\"\n")).collect();
        let policy: String = names.map(|name| format!("service {name} {{ }};\n")).collect();
        (served_manifest() + &manifest, served_policy() + &policy)
    };
    let (manifest, policy) = text(53);
    assert_eq!(entries(&parse(&manifest, &policy).unwrap()).len(), 58);
    let (manifest, policy) = text(54);
    refused(&manifest, &policy, "etc/x.toml:9:1", "58 entries, one of them for the policy, not 59");
}

#[test]
fn a_policy_can_describe_what_is_in_no_image() {
    let more: String = (0..MAX_SERVICES - 2).map(|i| format!("service s{i} {{ ipc ping; }};\n")).collect();
    let system = parse(&sample::manifest_text(""), &format!("{POLICY}{more}")).unwrap();
    assert_eq!(read_policy(&system.policy()).unwrap().len(), MAX_SERVICES);
    assert_eq!(entries(&system).len(), 2);
}
