//! The costs of the kernel's paths are the same in every run, and those that docs/benchmarks.md tells.

use crate::run;
use crate::support::{bios, made, root};
use mkimage::bench::{Figure, read};
use qemu::{Accelerator, Goal};

/// By how much a cost may differ from the documented one, in percent.
const TOLERANCE: u64 = 5;

fn measure(name: &str) -> Vec<Figure> {
    let made = made("userland/tests/bench/image.toml").expect("the image is built");
    let machine = bios(&made.iso).accelerator(Accelerator::CountedTcg);
    let run = run(name, &machine, &Goal::Session);
    read(&run.evidence.serial).unwrap_or_else(|error| panic!("{error}\n{}", run.evidence.serial))
}

/// Names and costs in the rows ``| `name` | path | cost |`` of the page.
fn documented(page: &str) -> Vec<(String, u64)> {
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let cost = cells.nth(1)?.replace(',', "").parse().ok()?;
        Some((name, cost))
    };
    page.lines().filter_map(row).collect()
}

#[test]
fn costs_repeat_and_are_those_of_the_page() {
    let figures = measure("bench-1");
    assert_eq!(figures, measure("bench-2"), "two runs differ");
    let page = std::fs::read_to_string(root().join("docs/benchmarks.md")).expect("the page is there");
    let documented = documented(&page);
    let names = |name: &str| documented.iter().find(|(other, _)| other == name);
    for Figure { name, median, .. } in &figures {
        let (_, cost) = names(name).unwrap_or_else(|| panic!("`{name}` has no row in docs/benchmarks.md"));
        let difference = median.abs_diff(*cost) * 100;
        assert!(
            difference <= cost * TOLERANCE,
            "`{name}` costs {median}, docs/benchmarks.md says {cost}: if that is meant, change it there and say why"
        );
    }
    assert_eq!(documented.len(), figures.len(), "docs/benchmarks.md has rows that nobody measures");
}
