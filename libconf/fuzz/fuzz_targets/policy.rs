//! Any bytes as a text: what `libconf/tests/property` demands must hold for it.
//!
//! A corpus to begin with are the policies of the images: `cp ../../etc/*.conf ../../userland/tests/*/*.conf target/corpus/`. Then, in
//! `libconf` and with a nightly compiler and cargo-fuzz: `cargo fuzz run policy fuzz/target/corpus`. A stable compiler does without the
//! sanitizer; see `libexec/fuzz/fuzz_targets/plan.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/property/mod.rs"]
mod property;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        property::check(text);
    }
});
