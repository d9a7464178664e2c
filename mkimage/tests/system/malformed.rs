//! Malformed ELF files, forced into an image whose boot table says that they are right: kernel and memory server refuse each
//! with the message that it deserves, and the boot stops in order.

use crate::wrong_sets::{refusal, refusal_of_server, replace};
use libexec_testing::malformed;

/// How many of them boot without `SELIX_SOAK`, at least; chosen evenly, since files with like faults stand together.
const SAMPLE: usize = 12;

#[test]
fn malformed_programs_stop_the_boot_with_their_message() {
    let files = malformed();
    let step = if std::env::var_os("SELIX_SOAK").is_some() { 1 } else { files.len() / SAMPLE };
    for (i, file) in files.into_iter().step_by(step).enumerate() {
        let name = format!("elf-{}", file.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        if i % 2 == 0 {
            let told = refusal(&name, |image| replace(image, "vm", file.bytes));
            assert_eq!(told, format!("the boot program vm cannot be loaded: {}", file.error), "{}", file.name);
        } else {
            let told = refusal_of_server(&name, |image| replace(image, "ping", file.bytes));
            let expected = format!("the boot program ping: {}", file.error);
            // A line of a program's log has an end.
            let is_right = told.strip_suffix("...").map_or(told == expected, |cut| expected.starts_with(cut));
            assert!(is_right, "{}: `{told}`, should be `{expected}`", file.name);
        }
    }
}
