//! Links a program of Selix with a page at the end of user space.

use std::path::Path;

fn main() {
    bare_link::with_script(&Path::new(env!("CARGO_MANIFEST_DIR")).join("brink.ld"));
}
