//! Manifests that are wrong, each with the place and the words of its refusal.

use crate::sample;
use mkimage::manifest::{Manifest, ManifestError, Position};
use std::path::Path;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, Path::new("etc/x.toml"))
}

/// The sample manifest with one text replaced, which must stand in it.
fn changed(from: &str, to: &str) -> String {
    let text = sample::manifest_text("hz=100");
    assert!(text.contains(from), "{from:?}");
    text.replacen(from, to, 1)
}

/// Asserts that a manifest is refused at `line:column` with a message that contains `part`, and for nothing else.
#[track_caller]
fn refused(text: &str, at: &str, part: &str) {
    let error = parse(text).expect_err("accepted");
    let message = error.to_string();
    assert_eq!(error.faults.len(), 1, "{message}");
    assert!(message.starts_with(&format!("etc/x.toml:{at}: ")), "{message}, not at {at}");
    assert!(message.contains(part), "{message}, without {part:?}");
}

#[test]
fn a_good_manifest_says_what_it_says() {
    let text = sample::manifest_text(" hz=100   quiet ") + sample::SERVED_PROGRAMS;
    let manifest = parse(&text).unwrap();
    assert_eq!((&*manifest.name, &*manifest.cmdline), ("sample", "hz=100 quiet"));
    assert_eq!((&*manifest.kernel.package, &*manifest.kernel.bin), ("kernel", "kernel"));
    assert_eq!(manifest.kernel.at, Position { line: 7, column: 11 });
    assert_eq!(manifest.policy_path(), Path::new("etc/sample.conf"));
    let programs: Vec<_> = manifest.programs.iter().map(|p| (&*p.name, p.boots, p.loads)).collect();
    assert_eq!(programs, [("echo", true, false), ("ping", true, false), ("later", false, false), ("vm", true, true)]);
    let later = &manifest.programs[2];
    assert_eq!((&*later.source.package, &*later.source.bin, later.at.line), ("echo", "echo", 18));
}

#[test]
fn what_is_not_said_is_not_so() {
    let text = "format = 2\nname = \"x\"\npolicy = \"/p\"\n[kernel]\npackage = \"k\"\n\
                [[program]]\nname = \"a\"\npackage = \"b\"\nbin = \"c\"\nloads = false\nboot = true";
    let manifest = parse(text).unwrap();
    let [program] = &manifest.programs[..] else { panic!("{manifest:?}") };
    assert_eq!((program.boots, program.loads), (true, false));
    assert_eq!((&*program.source.package, &*program.source.bin), ("b", "c"));
    assert_eq!((&*manifest.cmdline, &*manifest.policy_path()), ("", Path::new("/p")));
}

#[test]
fn no_toml() {
    refused("", "1:1", "missing field `format`");
    refused("format = ", "1:10", "");
    refused("format = 2\nname = \"a", "2:10", "");
    refused(&changed("[kernel]", "[kernel"), "6:8", "");
    refused(&changed("package = \"ping\"", "package = \"ping"), "15:16", "");
    refused("format = 2\0", "1:10", "");
}

#[test]
fn formats() {
    let advice = "see the entries of UPDATING.md that name `manifest format`";
    refused("format = 3\nfuture = true", "1:10", advice);
    refused("\n format = 0", "2:11", "manifest format 0 is not known");
    refused("format = 1\n", "1:10", "run `mkimage migrate MANIFEST`, and see the entry of UPDATING.md");
    refused(&changed("format = 2", "format = \"2\""), "1:10", "invalid type: string");
    refused(&changed("format = 2", "format = 2.0"), "1:10", "invalid type: floating point");
    refused(&changed("format = 2", "format = 99999999999999999999"), "1:10", "");
}

#[test]
fn unknown_and_missing_keys() {
    refused(&changed("cmdline", "cmd_line"), "3:1", "unknown field `cmd_line`");
    refused(&changed("name = \"ping\"", "name = \"ping\"\npriority = 3"), "15:1", "unknown field `priority`");
    refused(&changed("[kernel]\n", "[kernel]\nname = \"x\"\n"), "7:1", "unknown field `name`");
    refused(&changed("[kernel]", "[kernal]"), "6:2", "unknown field `kernal`");
    refused(&changed("name = \"sample\"\n", ""), "1:1", "missing field `name`");
    refused(&changed("policy = \"sample.conf\"\n", ""), "1:1", "missing field `policy`");
    refused(&changed("package = \"echo\"\n", ""), "9:1", "missing field `package`");
    refused(&changed("[kernel]\npackage = \"kernel\"\n", ""), "1:1", "missing field `kernel`");
    refused("format = 2\nname = \"x\"\npolicy = \"p\"\n[kernel]\npackage = \"k\"", "1:1", "missing field `program`");
    refused(&changed("name = \"ping\"", "name = \"ping\"\nname = \"pong\""), "15:1", "duplicate key");
    refused(&changed("[[program]]", "[program]"), "13:3", "duplicate key");
}

#[test]
fn wrong_types() {
    refused(&changed("\"sample\"", "7"), "2:8", "invalid type: integer");
    refused(&changed("\"sample.conf\"", "true"), "4:10", "invalid type: boolean");
    refused(&changed("name = \"ping\"", "name = \"ping\"\nboot = 0"), "15:8", "invalid type: integer");
}

#[test]
fn names_of_images_and_command_lines() {
    refused(&changed("\"sample\"", "\"\""), "2:8", "no name of an image");
    refused(&changed("\"sample\"", "\"Sample\""), "2:8", "a-z 0-9 - _");
    refused(&changed("\"sample\"", "\"a/b\""), "2:8", "no name of an image");
    let long = format!("\"{}\"", "a".repeat(32));
    refused(&changed("\"sample\"", &long), "2:8", "1 to 31");
    refused(&changed("hz=100", "say='hello'"), "3:11", "without quotes");
    refused(&changed("hz=100", "a\\nb"), "3:11", "printable ASCII");
    refused(&changed("hz=100", "größe=1"), "3:11", "printable ASCII");
    refused(&changed("hz=100", &"a".repeat(1025)), "3:11", "at most 1024");
    parse(&changed("hz=100", &"a".repeat(1024))).unwrap();
}

#[test]
fn names_of_policies() {
    refused(&changed("\"sample.conf\"", "\"\""), "4:10", "name the file with the policy, relative to this one");
    refused(&changed("\"sample.conf\"", "\"a\\u0000\""), "4:10", "name the file with the policy");
}

#[test]
fn sources() {
    refused(&changed("package = \"kernel\"", "package = \"../kernel\""), "7:11", "no name of a package");
    refused(&changed("package = \"ping\"", "package = \"\""), "15:11", "no name of a package");
    refused(&changed("package = \"ping\"", "package = \"ping\"\nbin = \"-p\\u0000\""), "16:7", "no name of a package");
}

#[test]
fn programs() {
    refused(&changed("name = \"ping\"", "name = \"Ping\""), "14:8", "no name of a program");
    refused(&changed("name = \"ping\"", "name = \"ping\\u0000\""), "14:8", "no name of a program");
    refused(&changed("name = \"ping\"", "name = \"sixteen-letters-\""), "14:8", "1 to 15");
    refused(&changed("name = \"ping\"", "name = \"echo\""), "14:8", "there is a program `echo` before");
    refused(&changed("name = \"ping\"", "name = \"boot-table\""), "14:8", "name of another boot file");
    refused(&changed("name = \"ping\"", "name = \"policy\""), "14:8", "name of another boot file");
    refused(&changed("name = \"ping\"", "name = \"selix\""), "14:8", "before the kernel's lines");
    refused(&changed("name = \"ping\"", "name = \"kernel\""), "14:8", "name of another boot file");
    let none = "format = 2\nname = \"x\"\npolicy = \"p\"\nprogram = []\n[kernel]\npackage = \"k\"";
    refused(none, "4:11", "1 to 58 programs, not 0");
}

#[test]
fn one_program_at_most_loads_the_others() {
    let text = sample::manifest_text("") + sample::SERVED_PROGRAMS;
    let twice = text.replacen("package = \"echo\"", "package = \"echo\"\nloads = true", 1);
    refused(&twice, "26:9", "a program before this one loads the others");
}

#[test]
fn services_need_a_memory_server_and_are_what_waits_for_them() {
    let text = sample::manifest_text("") + sample::SERVED_PROGRAMS;
    assert!(parse(&text).unwrap().services && !parse(&sample::manifest_text("")).unwrap().services);
    refused(&text.replace("loads = true", ""), "20:8", "this image has no program with `loads = true`");
    let none = |text: &str| text.replacen("[kernel]", "services = false\n[kernel]", 1);
    refused(&none(&text), "21:8", "this image has `services = false`");
    assert!(!parse(&none(&text.replace("boot = false\n", ""))).unwrap().services);
    let wanted = sample::manifest_text("").replacen("[kernel]", "services = true\n[kernel]", 1);
    refused(&wanted, "6:12", "services need a memory server");
}

#[test]
fn columns_count_characters() {
    refused(&changed("\"sample.conf\"", "\"\u{e9}\u{e9}\"; x"), "4:14", "");
}

#[test]
fn all_faults_are_shown_in_the_order_of_lines() {
    let text = changed("\"ping\"\npackage", "\"echo\"\npackage").replace("hz=100", "'").replace("sample", "Sample");
    let error = parse(&text).unwrap_err();
    let lines: Vec<usize> = error.faults.iter().map(|f| f.at.line).collect();
    assert_eq!(lines, [2, 3, 14]);
    assert_eq!(error.to_string().lines().count(), 3);
}

#[test]
fn as_many_programs_as_a_table_holds() {
    let program = |i: usize| format!("[[program]]\nname = \"p{i}\"\npackage = \"p\"\n");
    let text = |count: usize| {
        let programs: String = (0..count).map(program).collect();
        format!("format = 2\nname = \"x\"\npolicy = \"p\"\n[kernel]\npackage = \"k\"\n{programs}")
    };
    assert_eq!(parse(&text(58)).unwrap().programs.len(), 58);
    refused(&text(59), "6:1", "1 to 58 programs, not 59");
}
