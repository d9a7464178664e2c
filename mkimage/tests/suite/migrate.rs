//! Images of every format that there has been can be read, and manifests converted.

use crate::elf::Elf;
use crate::sample;
use abi::boot::TableError;
use mkimage::image::{FORMAT, Image, ImageError, Role, VerifyError};
use mkimage::migrate;
use mkimage::system::System;
use std::path::{Path, PathBuf};

const FORMAT_1: &[u8] = include_bytes!("../fixtures/format-1.img");

#[test]
fn format_1() {
    let image = migrate::read(FORMAT_1).unwrap();
    assert_eq!((image.abi, &*image.name, &*image.version, &*image.cmdline), (1, "sample", "0.1.0-50e8d4f5", "hz=100"));
    let files: Vec<_> = image.files.iter().map(|f| (f.role, &*f.name, &*f.bytes)).collect();
    let program = |code: &str| Elf::program(1, code.as_bytes()).bytes();
    let (kernel, echo, ping) = (sample::kernel(), program("echo"), program("ping"));
    assert_eq!(files.len(), 4);
    assert_eq!(files[0], (Role::Kernel, "kernel", &*kernel));
    assert_eq!((files[1].0, files[1].1, crc32fast::hash(files[1].2)), (Role::BootTable, "boot-table", 0x5d37_a2ea));
    assert_eq!(files[2], (Role::Program, "echo", &*echo));
    assert_eq!(files[3], (Role::Program, "ping", &*ping));
}

#[test]
fn a_migrated_image_is_in_the_current_format() {
    let migrated = migrate::read(FORMAT_1).unwrap().to_bytes();
    assert_eq!(mkimage::image::format_of(&migrated), Ok(FORMAT));
    assert_eq!(migrate::read(&migrated).unwrap(), migrate::read(FORMAT_1).unwrap());
    // Of the current format, so nothing is to be changed.
    assert_eq!(migrated, FORMAT_1);
}

#[test]
fn what_a_migrated_image_boots_is_not_changed() {
    // Its programs are built for another ABI, and no root system process is among them: only a new build helps.
    let image = migrate::read(FORMAT_1).unwrap();
    let refusal = image.verify().unwrap_err();
    assert_eq!(refusal, VerifyError::Abi(1));
    assert!(refusal.to_string().contains("see UPDATING.md, build it again"));
    let renumbered = Image { abi: abi::ABI_VERSION, ..image };
    assert_eq!(renumbered.verify(), Err(VerifyError::Table(TableError::Format(1))));
}

#[test]
fn unknown_formats_are_refused_by_the_name_of_their_entry() {
    for format in [0, FORMAT + 1, u32::MAX] {
        let mut bytes = FORMAT_1.to_vec();
        bytes[8..12].copy_from_slice(&format.to_le_bytes());
        let error = migrate::read(&bytes).unwrap_err();
        assert_eq!(error, ImageError::Format(format));
        assert!(error.to_string().contains(&format!("UPDATING.md that names `image format {format}`")));
    }
    assert_eq!(migrate::read(b"SELIXIM"), Err(ImageError::Magic));
    assert_eq!(migrate::read(b""), Err(ImageError::Magic));
}

/// A manifest of format 1 with all that there was.
const MANIFEST_1: &str = r#"# An image.
format = 1
name = "old"
cmdline = "hz=100"

[kernel]
package = "kernel"

# The first
# of all.
[[program]]
name = "rs"
package = "rs"
root = true
priority = 0
traps = ["receive", "sendrec", "reply_receive"]
sends = ["vm"]
calls = [
    "privctl", # Gives privileges.
    "exit",
]

[[program]]
name = "vm"
package = "vm"
pager = true
loads = true
sends = ["rs"]
traps = ["receive"]

[[program]]
name = "a"
package = "p"
bin = "a"
cpu = 2
traps = ["sendrec"]
sends = ["b"]
memory = ["brk", "for_others"]

[[program]]
name = "b"
package = "p"
traps = ["sendrec", "receive"]
sends = ["a"]
calls = ["exit", "diag_write", "whoami", "times", "setalarm", "setgrant", "safecopyfrom", "safecopyto", "vsafecopy", "safememset", "statectl", "fork"]
"#;

/// The entries of the boot table that a manifest of format 1 and its successor stand for.
fn entries(manifest: &str, policy: &str) -> Vec<abi::boot::BootEntry> {
    let system = sample::system(manifest, policy);
    let files = vec![vec![1]; system.manifest.programs.len()];
    mkimage::boot_table::read(&mkimage::boot_table::compile(&system, files).0).unwrap()
}

#[test]
fn a_manifest_of_format_1_becomes_one_of_format_2_and_a_policy() {
    let migrated = migrate::manifest::convert(MANIFEST_1, Path::new("old.toml"), "old.conf").unwrap();
    let wanted = r#"# An image.
format = 2
policy = "old.conf"
services = false
name = "old"
cmdline = "hz=100"

[kernel]
package = "kernel"

# The first
# of all.
[[program]]
name = "rs"
package = "rs"

[[program]]
name = "vm"
package = "vm"
loads = true

[[program]]
name = "a"
package = "p"
bin = "a"

[[program]]
name = "b"
package = "p"
"#;
    assert_eq!(migrated.manifest, wanted);
    assert_eq!(migrated.unordered, ["a"]);
    let wanted = r"# What the programs of the image `old` may do. What is not listed here is denied.

# The first
# of all.
service rs {
    type root;
    priority 0;
    restart never;
    traps receive sendrec reply_receive;
    ipc vm;
    system NONE exit privctl;
    vm NONE;
};

service vm {
    type pager;
    restart never;
    traps receive;
    ipc rs;
    system NONE;
};

service a {
    cpu 2;
    restart never;
    traps sendrec;
    ipc b;
    system NONE;
    vm NONE brk for_others;
    unordered;
};

service b {
    restart never;
    traps receive sendrec;
    ipc a;
    system fork;
    vm NONE;
};
";
    assert_eq!(migrated.policy, wanted);
    let table = entries(&migrated.manifest, &migrated.policy);
    let [rs, vm, a, b] = table[..] else { panic!("{table:?}") };
    assert_eq!((rs.sends, vm.sends, a.sends, b.sends), (0b10, 0b1, 0b1000, 0b100));
    assert_eq!((rs.priority, a.cpu, a.memory, b.calls.count_ones()), (0, 2, 1 << 63 | 1 << 2, 12));
    assert_eq!((rs.traps, vm.calls, vm.memory, a.calls), (1 << 2 | 1 << 3 | 1 << 7, 0, 0, 0));
}

#[test]
fn faults_of_an_old_manifest_are_told_at_their_places() {
    let refused = |from: &str, to: &str, part: &str| {
        assert!(MANIFEST_1.contains(from), "{from}");
        let changed = MANIFEST_1.replacen(from, to, 1);
        let error = migrate::manifest::convert(&changed, Path::new("old.toml"), "old.conf").unwrap_err().to_string();
        assert!(error.contains(part), "{error}, without {part}");
    };
    refused("format = 1", "format = 2", "old.toml:2:10: manifest format 2 is not known");
    refused("\"privctl\"", "\"privctrl\"", "old.toml:19:5: there is no kernel call `privctrl`");
    refused("\"vm\"]", "\"wm\"]", "old.toml:17:10: there is no program `wm`");
    refused("\"brk\"", "\"break\"", "there is no call of the memory server `break`");
    refused("\"sendrec\"", "\"sendall\"", "there is no trap `sendall`");
    refused("priority = 0", "priority = 16", "old.toml:15:12: this is 0 to 15, not 16");
    refused("root = true", "root = false", "no service has `type root`");
    refused("name = \"a\"", "name = \"A\"", "is no name of a program");
    refused("pager = true", "pagers = true", "unknown field `pagers`");
}

#[test]
fn programs_in_one_line_are_refused_rather_than_lost() {
    let text = "format = 1\nname = \"x\"\nprogram = [{ name = \"a\", package = \"a\", root = true }]\n[kernel]\npackage = \"k\"\n";
    let error = migrate::manifest::convert(text, Path::new("old.toml"), "old.conf").unwrap_err().to_string();
    assert!(error.contains("missing field `program`"), "{error}");
}

/// The manifests of images below a folder.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_manifest = |path: &PathBuf| {
        let is_toml = path.extension().is_some_and(|ending| ending == "toml");
        is_toml && std::fs::read_to_string(path).unwrap().contains("[[program]]")
    };
    let here = files.into_iter().filter(is_manifest);
    here.chain(folders.iter().flat_map(|folder| manifests(folder))).collect()
}

#[test]
fn every_manifest_of_the_repository_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all: Vec<PathBuf> = ["etc", "userland"].iter().flat_map(|folder| manifests(&root.join(folder))).collect();
    assert!(all.len() > 30, "only {} manifests were found", all.len());
    for manifest in all {
        System::read(&manifest).unwrap_or_else(|e| panic!("{e}"));
    }
}
