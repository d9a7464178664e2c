//! Dependencies point one way. The order is told by folders, so that a new package finds its place by where it is put.

use cargo_metadata::DependencyKind;
use house::{Package, packages};

/// A place in the order: a folder, or all folders in it where it ends with `/*`. The first that fits counts.
struct Layer {
    place: &'static str,
    /// What its packages may be built from.
    from: &'static [&'static str],
    /// What their tests may use beside that.
    tests: &'static [&'static str],
}

const fn layer(place: &'static str, from: &'static [&'static str]) -> Layer {
    Layer { place, from, tests: &[] }
}

/// Programs of the system are linked by our build script, and stand on the libraries and on nothing else. None of them
/// may use another, and nobody may use them.
const PROGRAM: &[&str] = &["include/abi", "include/protocol", "libbare/link", "userland/lib/*"];
const SERVER: &[&str] = &["include/abi", "include/protocol", "libbare/link", "userland/lib/*", "libexec"];
/// Suites share libraries of their own.
const SUITE: &[&str] = &[
    "include/abi",
    "include/protocol",
    "libbare/link",
    "userland/lib/*",
    "userland/drivers/*",
    "userland/tests/*",
    "tests/storm",
];

const LAYERS: &[Layer] = &[
    layer("include/abi", &[]),
    layer("include/protocol", &["include/abi"]),
    layer("libbare", &[]),
    layer("libbare/link", &[]),
    layer("libconf", &["include/abi", "include/protocol"]),
    Layer { place: "libexec", from: &["include/abi"], tests: &["libexec/testing"] },
    layer("libexec/testing", &["include/abi", "libexec"]),
    Layer { place: "kernel/core", from: &["include/abi", "include/protocol"], tests: &["tests/storm"] },
    layer("kernel/x86_64", &["include/abi", "include/protocol", "kernel/core"]),
    layer(
        "kernel",
        &["include/abi", "include/protocol", "libbare", "libbare/link", "libexec", "kernel/core", "kernel/x86_64"],
    ),
    layer("kernel/sim", &["include/abi", "include/protocol", "libexec", "kernel/core", "userland/servers/*"]),
    layer("userland/lib/rt", &["include/abi", "include/protocol", "libbare"]),
    layer("userland/lib/sys", &["include/abi", "include/protocol", "userland/lib/rt"]),
    layer("userland/lib/exec", &["include/abi", "include/protocol", "libexec", "userland/lib/rt", "userland/lib/sys"]),
    layer("userland/lib/sef", &["include/abi", "include/protocol", "userland/lib/rt", "userland/lib/sys"]),
    layer("userland/lib/*", &["include/abi", "include/protocol", "userland/lib/*"]),
    layer("userland/servers/*", SERVER),
    layer("userland/fs/*", PROGRAM),
    layer("userland/drivers/*", PROGRAM),
    layer("userland/bin/*", PROGRAM),
    layer("userland/tests/*", SUITE),
    layer("mkimage/plugin", &[]),
    Layer { place: "mkimage/qemu", from: &["include/abi"], tests: &["mkimage"] },
    Layer {
        place: "mkimage",
        from: &["include/abi", "include/protocol", "libconf", "libexec", "mkimage/qemu"],
        tests: &["libexec/testing"],
    },
    layer("tests/storm", &["include/abi", "include/protocol"]),
    Layer {
        place: "tests/vm",
        from: &[],
        tests: &["include/abi", "include/protocol", "kernel/core", "tests/storm", "userland/servers/vm"],
    },
    Layer { place: "tests/house", from: &[], tests: &["include/abi", "include/protocol"] },
];

/// What runs on the bare machine, by the same kind of places. All else builds and is tested on the host.
const FREESTANDING: &[&str] = &[
    "kernel",
    "kernel/x86_64",
    "userland/servers/*",
    "userland/fs/*",
    "userland/drivers/*",
    "userland/bin/*",
    "userland/tests/*",
];

/// May be on either side: a library is a default member if it can be tested on the host.
const EITHER: &[&str] = &["userland/lib/*"];

fn is_in(folder: &str, place: &str) -> bool {
    match place.strip_suffix("/*") {
        Some(parent) => folder.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/')),
        None => folder == place,
    }
}

fn is_in_one_of(folder: &str, places: &[&str]) -> bool {
    places.iter().any(|place| is_in(folder, place))
}

/// What is wrong with the dependencies of a package.
fn wrong_edges(package: &Package) -> Vec<String> {
    let Some(layer) = LAYERS.iter().find(|l| is_in(&package.folder, l.place)) else {
        return vec![format!("{} has no place in the order of dependencies: give it one in LAYERS", package.folder)];
    };
    let is_allowed = |to: &str, kind| {
        is_in_one_of(to, layer.from) || kind == DependencyKind::Development && is_in_one_of(to, layer.tests)
    };
    let wrong = package.depends_on.iter().filter(|(to, kind)| !is_allowed(to, *kind));
    wrong.map(|(to, kind)| format!("{} must not depend on {to} ({kind:?})", package.folder)).collect()
}

/// A package as it might be, to try the rules on.
fn imagined(folder: &str, to: &str, kind: DependencyKind) -> Package {
    Package { folder: folder.into(), is_default: false, has_tested_program: false, depends_on: vec![(to.into(), kind)] }
}

#[test]
fn dependencies_point_one_way() {
    let wrong: Vec<_> = packages().iter().flat_map(wrong_edges).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_forbidden_directions_are_forbidden() {
    for (from, to) in [
        ("kernel/core", "kernel/x86_64"),
        ("kernel/core", "kernel"),
        ("kernel/core", "libexec"),
        ("include/abi", "include/protocol"),
        ("include/protocol", "kernel/core"),
        ("include/protocol", "libbare"),
        ("libexec", "include/protocol"),
        ("libconf", "libexec"),
        ("kernel", "libconf"),
        ("userland/bin/ping", "kernel/core"),
        ("userland/lib/sys", "kernel/core"),
        ("userland/lib/rt", "userland/lib/sys"),
        ("userland/servers/pm", "userland/servers/vm"),
        ("userland/servers/echo", "userland/bin/ping"),
        ("userland/bin/ping", "userland/servers/echo"),
        ("userland/tests/traps", "userland/servers/echo"),
        ("userland/bin/ping", "userland/tests/probe"),
        ("userland/lib/block", "userland/servers/vfs"),
        ("kernel", "userland/lib/rt"),
        ("kernel", "mkimage"),
        ("libexec", "mkimage"),
        ("mkimage/qemu", "mkimage"),
        ("mkimage", "kernel/core"),
    ] {
        for kind in [DependencyKind::Normal, DependencyKind::Build] {
            assert_eq!(wrong_edges(&imagined(from, to, kind)).len(), 1, "{from} -> {to}");
        }
    }
    let core_tests = imagined("kernel/core", "kernel/x86_64", DependencyKind::Development);
    assert_eq!(wrong_edges(&core_tests).len(), 1, "its tests must not either");
}

#[test]
fn the_wanted_directions_are_allowed() {
    for (from, to) in [
        ("kernel/x86_64", "kernel/core"),
        ("kernel", "libexec"),
        ("userland/lib/sys", "userland/lib/rt"),
        ("userland/lib/suite", "userland/lib/sys"),
        ("userland/servers/vm", "libexec"),
        ("userland/tests/traps", "userland/lib/suite"),
        ("userland/tests/traps", "userland/tests/probe"),
        ("mkimage", "mkimage/qemu"),
    ] {
        assert_eq!(wrong_edges(&imagined(from, to, DependencyKind::Normal)), [""; 0], "{from} -> {to}");
    }
    assert_eq!(wrong_edges(&imagined("mkimage/qemu", "mkimage", DependencyKind::Development)), [""; 0]);
}

#[test]
fn a_package_in_an_unknown_folder_is_reported() {
    let stray = imagined("somewhere/else", "include/abi", DependencyKind::Normal);
    assert!(wrong_edges(&stray)[0].contains("has no place"));
}

#[test]
fn default_members_are_what_runs_on_the_host() {
    for package in packages() {
        let folder = &package.folder;
        if is_in_one_of(folder, FREESTANDING) {
            assert!(!package.is_default, "{folder} is for the bare machine: it must not be a default member");
        } else if !is_in_one_of(folder, EITHER) {
            assert!(package.is_default, "{folder} builds on the host: make it a default member");
        }
    }
}

#[test]
fn freestanding_programs_have_no_host_tests() {
    let with_tests = |p: &Package| is_in_one_of(&p.folder, FREESTANDING) && p.has_tested_program;
    let wrong: Vec<_> = packages().into_iter().filter(with_tests).map(|p| p.folder).collect();
    assert!(wrong.is_empty(), "set `test = false` on the programs of {wrong:?}");
}
