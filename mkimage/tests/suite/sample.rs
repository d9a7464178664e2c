//! Small images: a kernel, `echo` and `ping`, and one more with a memory server.

use crate::elf::Elf;
use mkimage::image::Image;
use mkimage::manifest::Manifest;
use mkimage::system::System;
use std::path::Path;

/// The manifest of the image, with these words on the command line.
pub(crate) fn manifest_text(cmdline: &str) -> String {
    format!(
        r#"format = 2
name = "sample"
cmdline = "{cmdline}"
policy = "sample.conf"

[kernel]
package = "kernel"

[[program]]
name = "echo"
package = "echo"

[[program]]
name = "ping"
package = "ping"
"#
    )
}

/// Its policy.
pub(crate) const POLICY: &str = r"service echo {
    traps receive reply_receive;
    system NONE exit;
    vm NONE;
};

service ping {
    type root;
    priority 3;
    traps sendrec;
    ipc echo;
    system NONE times diag_write exit;
    vm NONE;
};
";

/// What stands behind the manifest of the image that has a memory server, and a program that is not started at boot.
pub(crate) const SERVED_PROGRAMS: &str = r#"
[[program]]
name = "later"
package = "echo"
boot = false

[[program]]
name = "vm"
package = "vm"
loads = true
"#;

/// And behind its policy.
pub(crate) const SERVED_POLICY: &str = r#"
service vm {
    type pager;
    traps receive notify reply_receive;
};

service later {
    descr "is started later";
    class keeper;
    heartbeat 500;
    irq 4;
    io 3f8:8;
    ipc echo;
};

class keeper {
    copy;
    restart backoff 8 limit 3;
};
"#;

/// A manifest and a policy that fit.
pub(crate) fn system(manifest: &str, policy: &str) -> System {
    let manifest = Manifest::parse(manifest, Path::new("sample.toml")).unwrap();
    System::new(manifest, policy).unwrap()
}

pub(crate) fn kernel() -> Vec<u8> {
    Elf::kernel(b"\xf4\xeb\xfd kernel").bytes()
}

pub(crate) fn program(code: &str) -> Vec<u8> {
    Elf::program(abi::ABI_VERSION, code.as_bytes()).bytes()
}

/// An image whose programs differ by `mark`, and so do its version and every checksum.
pub(crate) fn image(mark: &str) -> Image {
    let kernel = Elf::kernel(mark.as_bytes()).bytes();
    let programs = vec![program(&format!("echo {mark}")), program(&format!("ping {mark}"))];
    Image::pack(&system(&manifest_text("hz=100"), POLICY), kernel, programs)
}

/// The same with a memory server, a policy, and a program that is not started at boot.
pub(crate) fn served_image() -> Image {
    let system =
        system(&(manifest_text("hz=100") + SERVED_PROGRAMS), &(POLICY.replace("vm NONE;", "") + SERVED_POLICY));
    Image::pack(&system, kernel(), ["echo", "ping", "later", "vm"].map(program).to_vec())
}

/// A directory with the ELF files of the image, its manifest and its policy, for the command line.
pub(crate) fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("kernel", kernel()), ("echo", program("echo")), ("ping", program("ping"))] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    std::fs::write(dir.path().join("image.toml"), manifest_text("hz=100")).unwrap();
    std::fs::write(dir.path().join("sample.conf"), POLICY).unwrap();
    dir
}
