//! The costs of the kernel's paths are the same in every run, and those that docs/benchmarks.md tells.

use crate::page::{number, rows};
use crate::run;
use crate::support::{bios, made, plugin};
use mkimage::bench::{Figure, on_four_processors, read};
use mkimage::events::Dear;
use qemu::{Accelerator, Goal};

/// By how much a cost may differ from the documented one, in percent.
const TOLERANCE: u64 = 5;

fn measure(name: &str, cpus: u32) -> Vec<Figure> {
    let made = made("userland/tests/bench/image.toml").expect("the image is built");
    let machine = bios(&made.iso).smp(cpus).accelerator(Accelerator::CountedTcg).watched_by(plugin(), "events");
    let run = run(name, &machine, &Goal::Session);
    read(&run.evidence.serial, &run.watched).unwrap_or_else(|error| panic!("{error}\n{}", run.evidence.serial))
}

/// The rows have a figure each, in the same order.
fn assert_names(rows: &[(String, Vec<String>)], figures: &[Figure]) {
    let (documented, measured): (Vec<_>, Vec<_>) =
        (rows.iter().map(|(name, _)| name).collect(), figures.iter().map(|figure| &figure.name).collect());
    assert_eq!(documented, measured, "rows of docs/benchmarks.md, and what is measured");
}

#[test]
fn costs_repeat_and_are_those_of_the_page() {
    let mut figures = measure("bench-1", 1);
    let json = |figures: &[Figure]| serde_json::to_string_pretty(figures).expect("figures become JSON");
    assert_eq!(json(&figures), json(&measure("bench-2", 1)), "two runs differ");
    figures.extend(on_four_processors(measure("bench-4-cpus", 4)));

    let costs = rows("Figures");
    assert_names(&costs, &figures);
    for (Figure { name, median, .. }, (_, cells)) in figures.iter().zip(&costs) {
        let cost = number(&cells[1]);
        let difference = median.abs_diff(cost) * 100;
        assert!(
            difference <= cost * TOLERANCE,
            "`{name}` costs {median}, docs/benchmarks.md says {cost}: if that is meant, change it there and say why"
        );
    }
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
