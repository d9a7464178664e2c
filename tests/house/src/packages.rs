//! The packages of the workspace.

use crate::root;
use cargo_metadata::camino::Utf8Path;
use cargo_metadata::{DependencyKind, MetadataCommand};

/// A package of the workspace, named by its folder: that is where its place in the order of dependencies comes from.
#[derive(Clone, Debug)]
pub struct Package {
    /// Folder, relative to the top of the repository, such as `kernel/core`.
    pub folder: String,
    /// Whether it is built and tested when no package is named: so on the host.
    pub is_default: bool,
    /// Whether it has a program, and cargo would build a test of it.
    pub has_tested_program: bool,
    /// Folders of the packages of this workspace that it depends on, and what for.
    pub depends_on: Vec<(String, DependencyKind)>,
}

/// All packages of the workspace.
pub fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo can read the workspace");
    let package = |p: &cargo_metadata::Package| Package {
        folder: folder(p.manifest_path.parent().expect("a manifest is in a folder")),
        is_default: metadata.workspace_default_members.contains(&p.id),
        has_tested_program: p.targets.iter().any(|t| t.is_bin() && t.test),
        depends_on: p.dependencies.iter().filter_map(|d| Some((folder(d.path.as_ref()?), d.kind))).collect(),
    };
    metadata.packages.iter().map(package).collect()
}

/// A folder as we name it.
fn folder(path: &Utf8Path) -> String {
    let top = root().to_str().expect("the path of the repository is text");
    path.strip_prefix(top).expect("packages of ours are in the repository").to_string()
}

/// The manifest in a folder of the repository (`""` for the top).
pub fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
