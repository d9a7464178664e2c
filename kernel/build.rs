//! Links the kernel with its own linker script.

fn main() {
    bare_link::with_script(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("link.ld"));
}
