//! What the tests of the house look at: its packages, as cargo and as their manifests describe them, and its files.

mod files;
mod packages;

pub use files::{files, root};
pub use packages::{Package, manifest, packages};
