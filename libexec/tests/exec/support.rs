//! What the tests of exec share.

use libexec::{Loaded, Request};
use libexec_testing::loading::load;
use libexec_testing::space::{Files, Space};

/// Loads a good file by copying.
pub(crate) fn loaded(bytes: &[u8], request: &Request<'_>) -> (Space, Loaded) {
    let (space, result) = load(bytes, Files::Copied, request);
    (space, result.unwrap())
}

/// Strings, packed.
pub(crate) fn packed<S: AsRef<[u8]>>(strings: &[S]) -> Vec<u8> {
    strings.iter().flat_map(|string| [string.as_ref(), b"\0"].concat()).collect()
}
