//! How packages are kept: one version, one edition, one license, pinned dependencies, lints, no unsafe code.

use house::{Package, files, manifest, packages};
use std::path::Path;
use toml::{Table, Value};

/// Packages that may contain unsafe code, and so have lints of their own. A place that ends with `/` is a folder of
/// packages, each of which may decide.
const MAY_BE_UNSAFE: &[&str] = &[
    "libbare",
    "kernel",
    "kernel/x86_64",
    "mkimage/plugin",
    "tests/vm",
    "userland/lib/heap",
    "userland/lib/rt",
    "userland/lib/suite",
    "userland/lib/sys",
    "userland/tests/",
];

const INHERITED: &[&str] = &["version", "edition", "license", "rust-version", "publish"];
const DEPENDENCY_TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// The value at the end of this path of keys.
fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, folders) = path.split_last()?;
    folders.iter().try_fold(table, |t, key| t.get(*key)?.as_table())?.get(*last)
}

fn is(table: &Table, path: &[&str], wanted: &str) -> bool {
    at(table, path).and_then(Value::as_str) == Some(wanted)
}

fn inherits(table: &Table, path: &[&str]) -> bool {
    at(table, path).and_then(|v| v.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// Every table of dependencies of a manifest, also those for one target.
fn dependency_tables(table: &Table) -> Vec<&Table> {
    let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let places = std::iter::once(table).chain(targets.filter_map(Value::as_table));
    places.flat_map(|p| DEPENDENCY_TABLES.iter().filter_map(|name| p.get(*name)?.as_table())).collect()
}

fn may_be_unsafe(folder: &str) -> bool {
    MAY_BE_UNSAFE.iter().any(|place| folder == *place || place.ends_with('/') && folder.starts_with(place))
}

/// What is wrong with the lints of a package.
fn wrong_lints(folder: &str, table: &Table) -> Option<&'static str> {
    let inherits = at(table, &["lints", "workspace"]).and_then(Value::as_bool) == Some(true);
    if inherits {
        None
    } else if !may_be_unsafe(folder) {
        Some("must have `[lints] workspace = true`: it is not one of the packages that may be unsafe")
    } else if !is(table, &["lints", "clippy", "undocumented_unsafe_blocks"], "deny") {
        Some("has lints of its own: they must deny clippy's `undocumented_unsafe_blocks`")
    } else if !is(table, &["lints", "rust", "missing_docs"], "warn") {
        Some("has lints of its own: they must warn of `missing_docs`")
    } else {
        None
    }
}

/// Whether a dependency in the workspace's list is ours, or fixed to one version.
fn is_pinned(dependency: &Value) -> bool {
    let version = dependency.as_str().or_else(|| dependency.get("version")?.as_str());
    dependency.get("path").is_some() && version.is_none() || version.is_some_and(|v| v.starts_with('='))
}

#[track_caller]
fn for_each_manifest(wrong: impl Fn(&Package, &Table) -> Vec<String>) {
    let all: Vec<_> = packages().iter().flat_map(|p| wrong(p, &manifest(&p.folder))).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn the_workspace_forbids_unsafe_code() {
    assert!(is(&manifest(""), &["workspace", "lints", "rust", "unsafe_code"], "forbid"));
}

#[test]
fn every_package_has_the_lints_of_the_workspace_or_good_ones_of_its_own() {
    for_each_manifest(|p, table| {
        wrong_lints(&p.folder, table).map(|what| format!("{}: {what}", p.folder)).into_iter().collect()
    });
}

#[test]
fn bad_lints_are_found() {
    let own = "[lints.rust]\nmissing_docs = \"warn\"\n[lints.clippy]\nundocumented_unsafe_blocks = \"deny\"";
    let check = |folder: &str, text: &str| wrong_lints(folder, &text.parse().expect("good TOML")).is_some();
    assert!(!check("kernel/core", "[lints]\nworkspace = true"));
    assert!(check("kernel/core", own));
    assert!(check("kernel/core", "[lints]\nworkspace = false"));
    assert!(check("userland/tests", own), "the folder is no package");
    assert!(!check("userland/tests/traps", own));
    assert!(!check("kernel/x86_64", own));
    assert!(check("kernel/x86_64", ""));
    assert!(check("kernel/x86_64", &own.replace("deny", "warn")));
    assert!(check("kernel/x86_64", &own.replace("missing_docs", "dead_code")));
}

#[test]
fn every_package_inherits_what_is_the_same_for_all() {
    for_each_manifest(|p, table| {
        let missing = INHERITED.iter().filter(|key| !inherits(table, &["package", key]));
        missing.map(|key| format!("{}: write `{key}.workspace = true`", p.folder)).collect()
    });
}

#[test]
fn every_package_takes_its_dependencies_from_the_workspace() {
    for_each_manifest(|p, table| {
        let names = dependency_tables(table).into_iter().flat_map(|t| t.keys().filter(|name| !inherits(t, &[name])));
        names.map(|name| format!("{}: write `{name}.workspace = true`", p.folder)).collect()
    });
}

#[test]
fn every_dependency_is_pinned() {
    let top = manifest("");
    let all = at(&top, &["workspace", "dependencies"]).and_then(Value::as_table).expect("a list of dependencies");
    let loose: Vec<_> = all.iter().filter(|(_, value)| !is_pinned(value)).map(|(name, _)| name).collect();
    assert!(loose.is_empty(), "pin one version of {loose:?} with `=`");
}

#[test]
fn dependencies_of_packages_outside_the_workspace_are_pinned_too() {
    let members: Vec<_> = packages().into_iter().map(|p| p.folder).collect();
    let manifests = files().into_iter().filter(|f| f.ends_with("Cargo.toml"));
    let folders = manifests.map(|f| f.parent().and_then(Path::to_str).expect("a folder with a name").to_owned());
    for folder in folders.filter(|f| !f.is_empty() && !members.contains(f)) {
        let table = manifest(&folder);
        for (name, value) in dependency_tables(&table).into_iter().flatten() {
            assert!(is_pinned(value), "{folder}: pin one version of {name} with `=`");
        }
    }
}

#[test]
fn loose_versions_are_found() {
    let check = |text: &str| is_pinned(text.parse::<Table>().expect("good TOML").get("a").expect("it has an `a`"));
    assert!(check("a = \"=1.2.3\""));
    assert!(check("a = { version = \"=1.2.3\" }"));
    assert!(check("a = { path = \"a\" }"));
    assert!(!check("a = \"1.2.3\""));
    assert!(!check("a = { version = \"^1.2\" }"));
    assert!(!check("a = { git = \"a\" }"));
    assert!(!check("a = { path = \"a\", version = \"1\" }"));
}

#[test]
fn dependencies_for_one_target_are_seen() {
    let table =
        "[dependencies]\na = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\nb = \"1\"".parse().expect("good TOML");
    assert_eq!(dependency_tables(&table).len(), 2);
}
