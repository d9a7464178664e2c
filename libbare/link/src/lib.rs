//! Linker arguments of freestanding programs, for their build scripts. A program's build script calls [`program`], the
//! kernel's [`with_script`].

use std::path::Path;

/// Links the binaries of the calling package as programs: static, at fixed addresses, with our linker script.
pub fn program() {
    with_script(&Path::new(env!("CARGO_MANIFEST_DIR")).join("program.ld"));
}

/// Links the binaries of the calling package with this linker script, and with nothing that is not ours.
pub fn with_script(script: &Path) {
    println!("cargo::rerun-if-changed={}", script.display());
    let script = format!("-Wl,--script={}", script.display());
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,noexecstack",
        "-Wl,--build-id=none",
        "-Wl,--gc-sections",
        &script,
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
