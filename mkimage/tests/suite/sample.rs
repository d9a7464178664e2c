//! A small image: a kernel, `echo` and `ping`.

use crate::elf::Elf;
use mkimage::image::Image;
use mkimage::manifest::Manifest;
use std::path::Path;

/// The manifest of the image, with these words on the command line.
pub(crate) fn manifest_text(cmdline: &str) -> String {
    format!(
        r#"format = 1
name = "sample"
cmdline = "{cmdline}"

[kernel]
package = "kernel"

[[program]]
name = "echo"
package = "echo"
traps = ["receive", "reply_receive"]
calls = ["exit"]

[[program]]
name = "ping"
package = "ping"
priority = 3
traps = ["sendrec"]
sends = ["echo"]
calls = ["times", "diag_write", "exit"]
root = true
"#
    )
}

pub(crate) fn kernel() -> Vec<u8> {
    Elf::kernel(b"\xf4\xeb\xfd kernel").bytes()
}

pub(crate) fn program(code: &str) -> Vec<u8> {
    Elf::program(abi::ABI_VERSION, code.as_bytes()).bytes()
}

/// An image whose programs differ by `mark`, and so do its version and every checksum.
pub(crate) fn image(mark: &str) -> Image {
    let manifest = Manifest::parse(&manifest_text("hz=100"), Path::new("sample.toml")).unwrap();
    let kernel = Elf::kernel(mark.as_bytes()).bytes();
    Image::pack(&manifest, kernel, vec![program(&format!("echo {mark}")), program(&format!("ping {mark}"))])
}

/// A directory with the ELF files of the image and its manifest, for the command line.
pub(crate) fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("kernel", kernel()), ("echo", program("echo")), ("ping", program("ping"))] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    std::fs::write(dir.path().join("image.toml"), manifest_text("hz=100")).unwrap();
    dir
}
