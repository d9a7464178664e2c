//! Any bytes: what `libexec_testing::property` and `libexec_testing::loading` demand must hold for them.
//!
//! A corpus to begin with: `cargo run -p libexec-testing --example corpus -- libexec/fuzz/target/corpus`. Then, in
//! `libexec` and with a nightly compiler and cargo-fuzz: `cargo fuzz run plan fuzz/target/corpus`. A stable compiler does
//! without the sanitizer; in `libexec/fuzz`:
//!
//! ```text
//! S=-Cllvm-args=-sanitizer-coverage
//! RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module $S-level=4 $S-inline-8bit-counters $S-pc-table $S-trace-compares \
//!     -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks" \
//!     cargo run --release --target x86_64-unknown-linux-gnu -- target/corpus -max_len=4096 -max_total_time=60
//! ```
#![no_main]

use libexec_testing::{loading, property};
use libfuzzer_sys::fuzz_target;
use std::sync::Once;

/// Keeps the hook of the fuzzer, which aborts, from ending the run where goblin panics: that is caught, and no finding. A
/// panic that nobody catches still ends the run.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))));
    property::check(bytes);
    loading::check(bytes);
});
