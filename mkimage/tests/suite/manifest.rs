//! Manifests that are wrong, each with the place and the words of its refusal.

use crate::sample;
use abi::TrapMask;
use abi::boot::BootFlags;
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
    let manifest = parse(&sample::manifest_text(" hz=100   quiet ")).unwrap();
    assert_eq!((&*manifest.name, &*manifest.cmdline), ("sample", "hz=100 quiet"));
    assert_eq!((&*manifest.kernel.package, &*manifest.kernel.bin), ("kernel", "kernel"));
    assert_eq!(manifest.kernel.at, Position { line: 6, column: 11 });
    let [echo, ping] = &manifest.programs[..] else { panic!("{manifest:?}") };
    assert_eq!((&*echo.name, echo.priority, echo.sends, echo.calls), ("echo", 7, 0, 1 << 53));
    assert_eq!(echo.traps, TrapMask::RECEIVE | TrapMask::REPLY_RECEIVE);
    assert_eq!((&*ping.name, ping.priority, ping.sends), ("ping", 3, 0b01));
    assert_eq!((ping.traps, ping.calls), (TrapMask::SENDREC, 1 << 25 | 1 << 44 | 1 << 53));
    assert_eq!((echo.flags, ping.flags), (BootFlags::empty(), BootFlags::ROOT));
}

#[test]
fn nothing_is_allowed_by_default() {
    let text = "format = 1\nname = \"x\"\n[kernel]\npackage = \"k\"\n\
                [[program]]\nname = \"a\"\npackage = \"b\"\nbin = \"c\"\nroot = true\npager = false";
    let manifest = parse(text).unwrap();
    let [program] = &manifest.programs[..] else { panic!("{manifest:?}") };
    assert_eq!((program.traps, program.sends, program.calls), (TrapMask::empty(), 0, 0));
    assert_eq!(program.flags, BootFlags::ROOT);
    assert_eq!((&*program.source.package, &*program.source.bin), ("b", "c"));
    assert_eq!(manifest.cmdline, "");
}

#[test]
fn the_manifest_of_the_system_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/image.toml");
    let manifest = Manifest::parse(&std::fs::read_to_string(&path).unwrap(), &path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(manifest.name, "selix");
}

#[test]
fn no_toml() {
    refused("", "1:1", "missing field `format`");
    refused("format = ", "1:10", "");
    refused("format = 1\nname = \"a", "2:10", "");
    refused(&changed("[kernel]", "[kernel"), "5:8", "");
    refused(&changed("calls = [\"exit\"]", "calls = [\"exit\""), "14:1", "");
    refused("format = 1\0", "1:10", "");
}

#[test]
fn formats() {
    refused("format = 2\nfuture = true", "1:10", "see the entries of UPDATING.md that name `manifest format`");
    refused("\n format = 0", "2:11", "manifest format 0 is not known");
    refused(&changed("format = 1", "format = \"1\""), "1:10", "invalid type: string");
    refused(&changed("format = 1", "format = 1.0"), "1:10", "invalid type: floating point");
    refused(&changed("format = 1", "format = 99999999999999999999"), "1:10", "");
}

#[test]
fn unknown_and_missing_keys() {
    refused(&changed("cmdline", "cmd_line"), "3:1", "unknown field `cmd_line`");
    refused(&changed("priority = 3", "priorty = 3"), "17:1", "unknown field `priorty`");
    refused(&changed("[kernel]\n", "[kernel]\nname = \"x\"\n"), "6:1", "unknown field `name`");
    refused(&changed("[kernel]", "[kernal]"), "5:2", "unknown field `kernal`");
    refused(&changed("name = \"sample\"\n", ""), "1:1", "missing field `name`");
    refused(&changed("package = \"echo\"\n", ""), "8:1", "missing field `package`");
    refused(&changed("[kernel]\npackage = \"kernel\"\n", ""), "1:1", "missing field `kernel`");
    refused("format = 1\nname = \"x\"\n[kernel]\npackage = \"k\"", "1:1", "missing field `program`");
    refused(&changed("priority = 3", "priority = 3\npriority = 4"), "18:1", "duplicate key");
    refused(&changed("[[program]]", "[program]"), "14:3", "duplicate key");
}

#[test]
fn wrong_types() {
    refused(&changed("\"sample\"", "7"), "2:8", "invalid type: integer");
    refused(&changed("priority = 3", "priority = \"high\""), "17:12", "invalid type: string");
    refused(&changed("calls = [\"exit\"]", "calls = \"exit\""), "12:9", "invalid type: string");
    refused(&changed("calls = [\"exit\"]", "calls = [\"exit\", 3]"), "12:18", "invalid type: integer");
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
fn sources() {
    refused(&changed("package = \"kernel\"", "package = \"../kernel\""), "6:11", "no name of a package");
    refused(&changed("package = \"ping\"", "package = \"\""), "16:11", "no name of a package");
    refused(&changed("package = \"ping\"", "package = \"ping\"\nbin = \"-p\\u0000\""), "17:7", "no name of a package");
}

#[test]
fn programs() {
    refused(&changed("name = \"ping\"", "name = \"Ping\""), "15:8", "no name of a program");
    refused(&changed("name = \"ping\"", "name = \"sixteen-letters-\""), "15:8", "1 to 15");
    refused(&changed("name = \"ping\"", "name = \"echo\""), "15:8", "there is a program `echo` before");
    refused(&changed("name = \"ping\"", "name = \"boot-table\""), "15:8", "name of another boot file");
    refused(&changed("name = \"ping\"", "name = \"selix\""), "15:8", "before the kernel's lines");
    refused(&changed("name = \"ping\"", "name = \"kernel\""), "15:8", "name of another boot file");
    refused(&changed("priority = 3", "priority = 16"), "17:12", "0 (most urgent) to 15, not 16");
    refused(&changed("priority = 3", "priority = -1"), "17:12", "not -1");
    refused(&changed("priority = 3", "priority = 259"), "17:12", "not 259");
    refused(&changed("priority = 3", "cpu = 8"), "17:7", "0 (the first) to 7, not 8");
    refused(&changed("priority = 3", "cpu = -1"), "17:7", "not -1");
    refused("format = 1\nname = \"x\"\nprogram = []\n[kernel]\npackage = \"k\"", "3:11", "1 to 58 programs, not 0");
}

#[test]
fn masks() {
    refused(&changed("\"sendrec\"", "\"sendrec\", \"sendall\""), "18:21", "no trap `sendall`: known are send, receive");
    refused(&changed("\"sendrec\"", "\"SENDREC\""), "18:10", "no trap `SENDREC`");
    refused(&changed("\"sendrec\"", "\"kernel_call\""), "18:10", "no trap `kernel_call`");
    refused(&changed("\"sendrec\"", "\"sendrec\", \"sendrec\""), "18:21", "`sendrec` stands in this list twice");
    refused(&changed("sends = [\"echo\"]", "sends = [\"*\"]"), "19:10", "`*` is not allowed: name each program");
    refused(&changed("sends = [\"echo\"]", "sends = [\"eco\"]"), "19:10", "`eco`: known are echo, ping");
    refused(&changed("sends = [\"echo\"]", "sends = [\"echo\", \"echo\"]"), "19:18", "twice");
    refused(&changed("\"times\"", "\"time\""), "20:10", "no kernel call `time`: known are fork, exec, ");
    refused(&changed("\"times\"", "\"kernel.times\""), "20:10", "no kernel call `kernel.times`");
    refused(&changed("\"times\"", "\"reverse\""), "20:10", "no kernel call `reverse`");
}

#[test]
fn calls_may_be_named_by_their_group() {
    let manifest =
        parse(&changed("\"times\"", "\"privctl\", \"irqctl\", \"getinfo\", \"vmctl\", \"statectl\"")).unwrap();
    let groups = protocol::kernel::GROUPS.iter().filter(|group| group.protocol.name != "trace");
    let rights = groups.fold(1 << 44 | 1 << 53, |rights, group| rights | 1 << group.number);
    assert_eq!(manifest.programs[1].calls, rights);
    refused(&changed("\"times\"", "\"allow\""), "20:10", "no kernel call `allow`");
    refused(&changed("\"times\"", "\"kernel\""), "20:10", "no kernel call `kernel`");
}

#[test]
fn asynchronous_messages_are_a_trap_like_others() {
    let manifest = parse(&changed("\"sendrec\"", "\"senda\"")).unwrap();
    assert_eq!(manifest.programs[1].traps, TrapMask::SENDA);
}

#[test]
fn one_program_is_the_root_system_process() {
    refused(&changed("root = true", ""), "8:1", "no program has `root = true`");
    refused(&changed("root = true", "root = false"), "8:1", "no program has `root = true`");
    refused(&changed("calls = [\"exit\"]", "root = true"), "21:8", "before this one is the root system process");
    refused(&changed("root = true", "root = 1"), "21:8", "invalid type: integer");
}

#[test]
fn one_program_at_most_is_the_memory_server() {
    let manifest = parse(&changed("root = true", "root = true\npager = true")).unwrap();
    assert_eq!(manifest.programs[1].flags, BootFlags::ROOT | BootFlags::PAGER);
    let twice = changed("root = true", "root = true\npager = true").replace("calls = [\"exit\"]", "pager = true");
    refused(&twice, "22:9", "before this one is the memory server");
    refused(&changed("root = true", "root = true\npager = \"yes\""), "22:9", "invalid type: string");
}

#[test]
fn the_memory_server_loads_the_others_if_it_should() {
    let vm = "\n[[program]]\nname = \"vm\"\npackage = \"vm\"\npager = true\nloads = true\n";
    let text = sample::manifest_text("") + vm;
    let manifest = parse(&text).unwrap();
    let flags: Vec<_> = manifest.programs.iter().map(|program| program.flags).collect();
    assert_eq!(flags, [BootFlags::SERVED, BootFlags::ROOT, BootFlags::PAGER]);
    let manifest = parse(&text.replace("loads = true", "loads = false")).unwrap();
    assert_eq!(manifest.programs[0].flags, BootFlags::empty());
    refused(&text.replace("pager = true\n", ""), "26:9", "it needs `pager = true`");
}

#[test]
fn the_right_to_grant_memory_of_others_is_given_by_name() {
    let manifest = parse(&changed("calls = [\"exit\"]", "grants_for_others = true")).unwrap();
    let flags: Vec<_> = manifest.programs.iter().map(|program| program.flags).collect();
    assert_eq!(flags, [BootFlags::GRANTS_FOR_OTHERS, BootFlags::ROOT]);
    let manifest = parse(&changed("calls = [\"exit\"]", "grants_for_others = false")).unwrap();
    assert_eq!(manifest.programs[0].flags, BootFlags::empty());
    refused(&changed("calls = [\"exit\"]", "grants_for_others = 1"), "12:21", "invalid type: integer");
    let root = changed("root = true", "root = true\ngrants_for_others = true");
    refused(&root, "22:21", "the root system process gives this to others");
    // Whoever has it is loaded like others.
    let vm = "\n[[program]]\nname = \"vm\"\npackage = \"vm\"\npager = true\nloads = true\ngrants_for_others = true\n";
    let manifest = parse(&(changed("calls = [\"exit\"]", "grants_for_others = true") + vm)).unwrap();
    assert_eq!(manifest.programs[0].flags, BootFlags::SERVED | BootFlags::GRANTS_FOR_OTHERS);
    assert_eq!(manifest.programs[2].flags, BootFlags::PAGER | BootFlags::GRANTS_FOR_OTHERS);
}

#[test]
fn calls_of_the_memory_server_are_named() {
    let manifest = parse(&changed("calls = [\"exit\"]", "memory = [\"exit\", \"mmap\", \"for_others\"]")).unwrap();
    assert_eq!(manifest.programs[0].memory, 1 | 1 << 10 | 1 << 63);
    assert_eq!(manifest.programs[1].memory, 0);
    let wrong = changed("calls = [\"exit\"]", "memory = [\"times\"]");
    refused(&wrong, "12:11", "no call of the memory server `times`: known are exit, fork,");
    refused(&changed("calls = [\"exit\"]", "memory = [\"brk\", \"brk\"]"), "12:18", "stands in this list twice");
}

#[test]
fn columns_count_characters() {
    refused(&changed("sends = [\"echo\"]", "sends = [\"echo\", \"é\", ]"), "19:18", "`é`");
    refused(&changed("sends = [\"echo\"]", "sends = [ # ü\n\t\"x\"]"), "20:2", "`x`");
}

#[test]
fn all_faults_are_shown_in_the_order_of_lines() {
    let text = changed("priority = 3", "priority = 99").replace("\"exit\"", "\"exif\"").replace("sample", "Sample");
    let error = parse(&text).unwrap_err();
    let lines: Vec<usize> = error.faults.iter().map(|f| f.at.line).collect();
    assert_eq!(lines, [2, 12, 17, 20]);
    assert_eq!(error.to_string().lines().count(), 4);
}

#[test]
fn as_many_programs_as_a_table_holds() {
    let program =
        |i: usize| format!("[[program]]\nname = \"p{i}\"\npackage = \"p\"\nsends = [\"p57\"]\nroot = {}\n", i == 9);
    let text = |count: usize| {
        let programs: String = (0..count).map(program).collect();
        format!("format = 1\nname = \"x\"\n[kernel]\npackage = \"k\"\n{programs}")
    };
    assert_eq!(parse(&text(58)).unwrap().programs[0].sends, 1 << 57);
    refused(&text(59), "5:1", "1 to 58 programs, not 59");
}
