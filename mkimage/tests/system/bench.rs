//! The costs of the kernel's paths and the memory server's are the same in every run, and those that docs/benchmarks.md tells.

use crate::page::{number, rows};
use crate::run;
use crate::support::{bios, made, plugin};
use mkimage::bench::{Figure, MANIFESTS, on_four_processors, read, told_on_four_processors};
use mkimage::events::Dear;
use qemu::{Accelerator, Goal};
use std::collections::BTreeMap;

/// By how much a cost may differ from the documented one, in percent.
const TOLERANCE: u64 = 5;

/// By how much a region or page may cost more where there are [`MANY`] than where there are [`FEW`], in percent.
const GROWTH: u64 = 30;
const FEW: u64 = COUNTS[1];
const MANY: u64 = COUNTS[3];
/// The columns of the page: so many regions or pages.
const COUNTS: [u64; 4] = [1, 16, 256, 4096];

fn measure(name: &str, manifest: &str, cpus: u32) -> Vec<Figure> {
    let made = made(manifest).expect("the image is built");
    let machine = bios(&made.iso).smp(cpus).accelerator(Accelerator::CountedTcg).watched_by(plugin(), "events");
    let run = run(name, &machine, &Goal::Session);
    read(&run.evidence.serial, &run.watched).unwrap_or_else(|error| panic!("{error}\n{}", run.evidence.serial))
}

/// The figures of all images, which have been measured twice.
fn measure_all() -> Vec<Figure> {
    let json = |figures: &[Figure]| serde_json::to_string_pretty(figures).expect("figures become JSON");
    let mut all = Vec::new();
    for (i, manifest) in MANIFESTS.into_iter().enumerate() {
        let figures = measure(&format!("bench-{i}-1"), manifest, 1);
        assert_eq!(json(&figures), json(&measure(&format!("bench-{i}-2"), manifest, 1)), "two runs differ");
        let is_told = told_on_four_processors(&figures);
        all.extend(figures);
        if is_told {
            all.extend(on_four_processors(measure(&format!("bench-{i}-4-cpus"), manifest, 4)));
        }
    }
    all
}

/// A cost is the documented one.
fn assert_cost(name: &str, median: u64, cell: &str) {
    let cost = number(cell);
    assert!(
        median.abs_diff(cost) * 100 <= cost * TOLERANCE,
        "`{name}` costs {median}, docs/benchmarks.md says {cost}: if that is meant, change it there and say why"
    );
}

/// The rows have a figure each, in the same order.
fn assert_names(rows: &[(String, Vec<String>)], figures: &[Figure]) {
    let (documented, measured): (Vec<_>, Vec<_>) =
        (rows.iter().map(|(name, _)| name).collect(), figures.iter().map(|figure| &figure.name).collect());
    assert_eq!(documented, measured, "rows of docs/benchmarks.md, and what is measured");
}

/// What each costs is what the page tells for so many of them, and where there are many of them it is little more.
fn assert_growth(figures: &[Figure]) {
    let rows = rows("Growth");
    let documented: BTreeMap<(&str, u64), &str> = rows
        .iter()
        .flat_map(|(path, cells)| {
            COUNTS.iter().zip(cells).map(|(count, cell)| ((path.as_str(), *count), cell.as_str()))
        })
        .collect();
    let measured: BTreeMap<(&str, u64), u64> =
        figures.iter().filter_map(|figure| Some((figure.growth()?, figure.median))).collect();
    assert!(documented.keys().eq(measured.keys()), "rows of docs/benchmarks.md {documented:?}, measured {measured:?}");
    for ((path, count), cell) in &documented {
        assert_cost(&format!("{path}@{count}"), measured[&(*path, *count)], cell);
    }
    for (path, _) in &rows {
        let costs = COUNTS.map(|count| measured[&(path.as_str(), count)]);
        let [_, few, _, many] = costs;
        assert!(
            many * 100 <= few * (100 + GROWTH),
            "`{path}` costs {few} for each of {FEW}, {many} for each of {MANY}"
        );
        let [_, first, last] = [0, 1, 2].map(|i| one_more((COUNTS[i], costs[i]), (COUNTS[i + 1], costs[i + 1])));
        assert!(last * 100 <= (first + 1) * (100 + GROWTH), "`{path}`: one more costs {first} at first, then {last}");
    }
}

/// What one more costs, from so many that cost so much each up to others. So the fixed part of a cost hides nothing.
fn one_more((few, low): (u64, u64), (many, high): (u64, u64)) -> u64 {
    (many * high).saturating_sub(few * low) / (many - few)
}

#[test]
fn costs_repeat_and_are_those_of_the_page() {
    let (growing, figures): (Vec<_>, Vec<_>) = measure_all().into_iter().partition(|figure| figure.growth().is_some());
    let costs = rows("Figures");
    assert_names(&costs, &figures);
    for (Figure { name, median, .. }, (_, cells)) in figures.iter().zip(&costs) {
        assert_cost(name, *median, &cells[1]);
    }
    assert_growth(&growing);
    let dear = rows("What counts as one and is dear");
    assert_names(&dear, &figures);
    for (Figure { name, dear, .. }, (_, cells)) in figures.iter().zip(&dear) {
        let counts = dear.counts().map(|count| count.to_string());
        let counted: Vec<_> = Dear::NAMES.iter().zip(&counts).collect();
        let documented: Vec<_> = Dear::NAMES.iter().zip(cells).collect();
        assert!(
            counts.iter().eq(&cells[..counts.len()]),
            "`{name}` does {counted:?}, docs/benchmarks.md says {documented:?}: if that is meant, change it there and say why"
        );
    }
}
