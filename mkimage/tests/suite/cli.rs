//! The command line: what it prints, what it leaves, and its exit codes.

use crate::elf::Elf;
use crate::place::{BUILD, FAILED, Place, USAGE};
use crate::sample;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn build_leaves_image_tree_and_unstripped_files() {
    let place = Place::new();
    place.succeeds(&[BUILD, &["--tree", "tree"]].concat());
    let image = mkimage::image::Image::open(&place.path("out/x.img")).unwrap();
    for file in &image.files {
        assert_eq!(std::fs::read(place.path("tree/boot/selix").join(&file.name)).unwrap(), file.bytes);
    }
    let config = std::fs::read_to_string(place.path("tree/boot/grub/grub.cfg")).unwrap();
    assert!(config.contains("multiboot2 /boot/selix/kernel hz=100\n"), "{config}");
    assert_eq!(std::fs::read(place.path("out/debug/sample/ping")).unwrap(), sample::program("ping"));
    let first = std::fs::read(place.path("out/x.img")).unwrap();
    place.succeeds(BUILD);
    assert!(std::fs::read(place.path("out/x.img")).unwrap() == first, "the same again");
}

#[test]
fn a_refused_build_writes_nothing() {
    let place = Place::new();
    let before = place.names();
    let refused = |part: &str| {
        let message = place.fails(FAILED, BUILD);
        assert!(message.contains("mkimage: error: ") && message.contains(part), "{message}");
        assert_eq!(place.names(), before);
    };
    std::fs::write(place.path("ping"), Elf::program(9, b"ping").bytes()).unwrap();
    refused("./ping: was built for ABI version 9");
    std::fs::write(place.path("ping"), sample::kernel()).unwrap();
    refused("./ping: program header");
    std::fs::write(place.path("ping"), sample::program("ping")).unwrap();
    std::fs::write(place.path("kernel"), sample::program("kernel")).unwrap();
    refused("./kernel: has no multiboot2 header");
    std::fs::write(place.path("sample.conf"), sample::POLICY.replace("times", "tames")).unwrap();
    refused("./sample.conf:12:17: there is no kernel call `tames`");
    std::fs::write(place.path("sample.conf"), b"service \xff").unwrap();
    refused("./sample.conf: is not UTF-8");
    std::fs::write(place.path("sample.conf"), sample::POLICY.replace("service echo", "class echo")).unwrap();
    refused("./sample.conf:11:9: `echo` is a class: name a service");
    std::fs::write(place.path("image.toml"), b"name = \"\xff\"").unwrap();
    refused("image.toml: is not UTF-8");
    std::fs::write(place.path("image.toml"), sample::manifest_text("")).unwrap();
    std::fs::remove_file(place.path("sample.conf")).unwrap();
    let message = place.fails(FAILED, BUILD);
    assert!(message.contains("cannot read ./sample.conf: "), "{message}");
    let message = place.fails(FAILED, &["build", "none.toml"]);
    assert!(message.contains("cannot read none.toml: "), "{message}");
}

#[test]
fn a_missing_program_is_named() {
    let place = Place::new();
    std::fs::remove_file(place.path("echo")).unwrap();
    let message = place.fails(FAILED, BUILD);
    assert!(message.contains("cannot read ./echo: "), "{message}");
}

#[test]
fn packages_that_the_workspace_does_not_have() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir_in(workspace.join("tests")).unwrap();
    let manifest = dir.path().join("image.toml");
    let build = |text: String| {
        std::fs::write(&manifest, text).unwrap();
        std::fs::write(dir.path().join("sample.conf"), sample::POLICY).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_mkimage")).arg("build").arg(&manifest).output().unwrap();
        assert_eq!(output.status.code(), Some(FAILED));
        String::from_utf8(output.stderr).unwrap()
    };
    let message = build(sample::manifest_text("").replace("package = \"ping\"", "package = \"pong\""));
    assert!(message.contains("image.toml:15:11: there is no package `pong` in the workspace"), "{message}");
    let message = build(sample::manifest_text("").replace("package = \"ping\"", "package = \"protocol\""));
    assert!(message.contains("image.toml:15:11: the package `protocol` has no binary `protocol`"), "{message}");
}

#[test]
fn check_says_a_line_for_each_file() {
    let place = Place::new();
    assert_eq!(place.succeeds(&["check", "echo", "ping"]), "echo: ok\nping: ok\n");
    assert_eq!(place.succeeds(&["check", "--kernel", "kernel"]), "kernel: ok\n");
    let output = place.mkimage(&["check", "kernel", "echo", "image.toml", "none"]);
    assert_eq!(output.status.code(), Some(FAILED));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("kernel: program header 0: its addresses"), "{text}");
    assert_eq!(lines[1], "echo: ok");
    assert!(lines[2].starts_with("image.toml: is not an ELF file"), "{text}");
    assert!(lines[3].contains("none"), "{text}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("3 of 4 files refused"));
}

#[test]
fn check_refuses_each_malformed_file_with_its_message() {
    let place = Place::new();
    for malformed in libexec_testing::malformed() {
        std::fs::write(place.path("file"), &malformed.bytes).unwrap();
        let output = place.mkimage(&["check", "file"]);
        assert_eq!(output.status.code(), Some(FAILED), "{}", malformed.name);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("file: {}\n", malformed.error));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "mkimage: error: 1 of 1 files refused\n");
    }
}

#[test]
fn inspect_shows_a_table_or_json() {
    let place = Place::built();
    let table = place.succeeds(&["inspect", "out/x.img"]);
    assert!(table.contains("command line  hz=100\n") && table.contains("    sends to echo\n"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&place.succeeds(&["inspect", "--json", "out/x.img"])).unwrap();
    assert_eq!(json["files"][3]["policy"]["calls"], serde_json::json!(["times", "diag_write", "exit"]));
    let message = place.fails(FAILED, &["inspect", "echo"]);
    assert!(message.contains("echo is no image of Selix"), "{message}");
}

#[test]
fn install_says_what_to_add_to_the_configuration() {
    let place = Place::built();
    let text = place.succeeds(&["install", "out/x.img", "root"]);
    assert!(text.ends_with("source $prefix/selix.cfg\n"), "{text}");
    assert!(place.path("root/boot/grub/selix.cfg").is_file());
    std::fs::write(place.path("file"), "").unwrap();
    let message = place.fails(FAILED, &["install", "out/x.img", "file"]);
    assert!(message.contains("cannot create directory file/boot/selix"), "{message}");
}

#[test]
fn migrate_writes_the_current_format() {
    let place = Place::built();
    place.succeeds(&["migrate", "out/x.img", "new.img"]);
    assert!(std::fs::read(place.path("new.img")).unwrap() == std::fs::read(place.path("out/x.img")).unwrap());
    let mut bytes = std::fs::read(place.path("new.img")).unwrap();
    bytes[8] = 9;
    std::fs::write(place.path("future.img"), bytes).unwrap();
    let message = place.fails(FAILED, &["migrate", "future.img", "none.img"]);
    assert!(message.contains("UPDATING.md that names `image format 9`"), "{message}");
    assert!(!place.path("none.img").exists());
}

#[test]
fn migrate_writes_a_manifest_and_its_policy() {
    let place = Place::new();
    let old = "format = 1\nname = \"old\"\n[kernel]\npackage = \"kernel\"\n\
               [[program]]\nname = \"ping\"\npackage = \"ping\"\nroot = true\n";
    std::fs::write(place.path("old.toml"), old).unwrap();
    assert_eq!(
        place.succeeds(&["migrate", "old.toml"]),
        "old.toml: format 2\n./old.conf: the policy of its programs\n"
    );
    place.succeeds(&["build", "old.toml", "--programs", ".", "-o", "old.img"]);
    let message = place.fails(FAILED, &["migrate", "old.toml", "--policy", "new.conf"]);
    assert!(message.contains("old.toml:1:10: manifest format 2 is not known"), "{message}");
    std::fs::write(place.path("old.toml"), old).unwrap();
    let message = place.fails(FAILED, &["migrate", "old.toml"]);
    assert!(message.contains("./old.conf is there already"), "{message}");
    place.succeeds(&["migrate", "old.toml", "new.toml", "--policy", "etc.conf"]);
    assert_eq!(std::fs::read_to_string(place.path("old.toml")).unwrap(), old);
    place.succeeds(&["build", "new.toml", "--programs", ".", "-o", "new.img"]);
    let message = place.fails(FAILED, &["migrate", "new.img"]);
    assert!(message.contains("as `mkimage migrate OLD NEW`"), "{message}");
}

#[test]
fn migrate_merges_policies() {
    let place = Place::new();
    let write = |name: &str, text: &str| std::fs::write(place.path(name), text).unwrap();
    write("base.conf", sample::POLICY);
    write("local.conf", &sample::POLICY.replace("priority 3", "priority 4"));
    write("newer.conf", &sample::POLICY.replace("NONE exit", "NONE exit times"));
    let command = ["migrate", "local.conf", "merged.conf", "--base", "base.conf", "--newer", "newer.conf"];
    assert_eq!(place.succeeds(&command), "echo: from the newer\nping: as it was here\n");
    let merged = std::fs::read_to_string(place.path("merged.conf")).unwrap();
    assert_eq!(merged, sample::POLICY.replace("priority 3", "priority 4").replace("NONE exit", "NONE exit times"));

    write("newer.conf", &sample::POLICY.replace("priority 3", "priority 5"));
    let message = place.fails(FAILED, &command);
    assert!(message.contains("conflict in `ping`") && message.contains("1 conflicts in merged.conf"), "{message}");
    assert!(message.contains("    priority 4;") && message.contains("    priority 5;"), "{message}");
    std::fs::copy(place.path("merged.conf"), place.path("sample.conf")).unwrap();
    let message = place.fails(FAILED, BUILD);
    assert!(message.contains("./sample.conf:7:1: a merge left a conflict here"), "{message}");

    write("newer.conf", &sample::POLICY.replace("service echo", "service reply").replace("ipc echo", "ipc reply"));
    write("local.conf", &sample::POLICY.replace("ipc echo;", "ipc echo; irq 3;"));
    let message = place.fails(FAILED, &command);
    assert!(message.contains("conflict in `ping`"), "{message}");
    write("newer.conf", &sample::POLICY.replacen("service echo", "service reply", 1).replace("ipc echo", "ipc reply"));
    write("base.conf", &sample::POLICY.replace("ipc echo", "ipc reply"));
    write("local.conf", sample::POLICY);
    let message = place.fails(FAILED, &command);
    assert!(
        message.contains("the policy is not good:\nmerged.conf:") && message.contains("no service `echo`"),
        "{message}"
    );
}

#[test]
fn symbolize_names_functions_of_the_right_program() {
    // This program has debug information, so it stands for the programs of an image.
    let place = Place::new();
    let dir = place.path("debug");
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mkimage"), dir.join("ping")).unwrap();
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_mkimage")).unwrap();
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    let name = |s: &goblin::elf::Sym| elf.strtab.get_at(s.st_name).unwrap_or("").to_owned();
    let main = elf.syms.iter().find(|s| name(s).contains("mkimage") && name(s).contains("cli") && s.is_function());
    let address = main.unwrap().st_value;
    let known = format!("selix: ping stopped: page fault at 0x0, rip {address:#x}");
    let outside =
        format!("selix: debug/ping stopped: rip {address:#x}\nselix: ../debug/ping stopped: rip {address:#x}");
    let others =
        format!("{outside}\nselix: echo stopped: rip {address:#x}\n\nselix: up\nping: rip {address:#x}\n\u{e9}");
    std::fs::write(place.path("log"), format!("{others}\n{known}")).unwrap();

    let text = place.succeeds(&["symbolize", "--debug-dir", "debug", "log"]);
    let (unchanged, symbolized) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(unchanged, others);
    let added = symbolized.strip_prefix(&known).unwrap();
    assert!(added.contains("mkimage::cli::") && added.contains(" at ") && added.contains(".rs:"), "{added:?}");
    let message = place.fails(FAILED, &["symbolize", "log"]);
    assert!(message.contains("no directory build/debug/selix: build the image"), "{message}");
}

#[test]
fn symbolize_is_a_filter() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mkimage"));
    command.args(["symbolize", "--debug-dir"]).arg(place.path(""));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a\r\n\xff\n\nb").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a\r\n\u{fffd}\n\nb\n");
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["bild"],
        &["check"],
        &["inspect", "--xml"],
        &["install", "x"],
        &["migrate"],
        &["migrate", "x", "--base", "y"],
    ] {
        let message = place.fails(USAGE, arguments);
        assert!(message.contains("Usage: "), "{message}");
    }
}

#[test]
fn every_command_has_help() {
    let place = Place::new();
    let help = place.succeeds(&["--help"]);
    assert!(help.contains("Exit codes: 0 all is well, 1"), "{help}");
    for command in ["build", "iso", "run", "check", "inspect", "install", "migrate", "symbolize"] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        let text = place.succeeds(&[command, "--help"]);
        assert!(text.contains(&format!("Usage: mkimage {command}")), "{text}");
    }
}
