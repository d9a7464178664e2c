//! Interrupts are never off for long.

use crate::page::{number, rows};
use crate::run;
use crate::support::suites::SUITES;
use crate::support::{bios, made, plugin};
use mkimage::latency::{Row, read, table};
use mkimage::manifest::KERNEL_NAME;
use mkimage::symbolize::Symbolizer;
use qemu::{Accelerator, Goal};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most instructions that interrupts may be off.
const LIMIT: u64 = 20_000;
/// By how much those that docs/benchmarks.md admits may grow, in percent.
const TOLERANCE: u64 = 5;
/// Suites that run without `SELIX_SOAK`.
const SHORT: [&str; 2] = ["ipc", "control"];
/// Suites that take hours with `SELIX_SOAK`, and enter the kernel for nothing that others do not.
const ENDLESS: [&str; 1] = ["storm"];
/// The plugin makes everything slower.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The longest times of a suite, on one processor.
fn measure(name: &str, manifest: &str) -> Vec<Row> {
    let made = made(manifest).expect("the image is built");
    let machine = bios(&made.iso).accelerator(Accelerator::CountedTcg).watched_by(plugin(), "longest");
    let run = run(&format!("latency-{name}"), &machine.timeout(PATIENCE), &Goal::Session);
    let mut symbols = Symbolizer::new(&made.debug);
    let rows = read(&run.watched, |address| symbols.functions(KERNEL_NAME, address));
    rows.unwrap_or_else(|error| panic!("{name}: {error}\n{}", run.evidence.serial))
}

#[test]
fn interrupts_are_off_no_longer_than_the_page_admits() {
    let all = std::env::var_os("SELIX_SOAK").is_some();
    let mut longest: BTreeMap<String, Row> = BTreeMap::new();
    for suite in
        SUITES.iter().filter(|suite| if all { !ENDLESS.contains(&suite.name) } else { SHORT.contains(&suite.name) })
    {
        for row in measure(suite.name, suite.manifest) {
            let known = longest.entry(row.cause.clone()).or_insert_with(|| row.clone());
            if known.instructions < row.instructions {
                *known = row;
            }
        }
    }
    println!("{}", table(&longest.values().cloned().collect::<Vec<_>>()));
    // Their lines in the log make them known, if nothing else.
    assert!(longest.contains_key("kernel.diag_write"), "the suites wrote nothing? {longest:?}");

    let admitted: BTreeMap<String, u64> = rows("Longest times with interrupts off")
        .into_iter()
        .map(|(cause, cells)| (cause, number(&cells[0])))
        .collect();
    for row in longest.values().filter(|row| row.instructions >= LIMIT) {
        let limit = admitted.get(&row.cause).unwrap_or(&LIMIT);
        let is_known = row.instructions * 100 <= limit * (100 + TOLERANCE) && admitted.contains_key(&row.cause);
        assert!(is_known, "longer than the {limit} that are admitted:\n{}", table(std::slice::from_ref(row)));
    }
    for cause in admitted.keys() {
        let is_long = longest.get(cause).is_some_and(|row| row.instructions >= LIMIT);
        assert!(is_long, "`{cause}` stays below {LIMIT} now: take it out of docs/benchmarks.md");
    }
}
