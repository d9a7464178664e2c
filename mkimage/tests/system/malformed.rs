//! Malformed ELF files, forced into an image whose boot table says that they are right: the kernel's loader refuses each
//! with the message that it deserves, and stops the boot in order.

use crate::wrong_sets::{refusal, replace};
use libexec_testing::malformed;

/// How many of them boot without `SELIX_SOAK`, at least; chosen evenly, since files with like faults stand together.
const SAMPLE: usize = 12;

#[test]
fn malformed_programs_stop_the_boot_with_their_message() {
    let files = malformed();
    let step = if std::env::var_os("SELIX_SOAK").is_some() { 1 } else { files.len() / SAMPLE };
    for file in files.into_iter().step_by(step) {
        let name = format!("elf-{}", file.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        let told = refusal(&name, |image| replace(image, "ping", file.bytes));
        let expected = format!("the boot program ping cannot be loaded: {}", file.error);
        assert_eq!(told, expected, "{}", file.name);
    }
}
