//! The tables of docs/benchmarks.md, which tests hold the system to.

use crate::support::root;

/// The rows of a chapter that begin with a name: that, and the other cells.
pub(crate) fn rows(chapter: &str) -> Vec<(String, Vec<String>)> {
    let page = std::fs::read_to_string(root().join("docs/benchmarks.md")).expect("the page is there");
    let (_, rest) = page.split_once(&format!("\n## {chapter}\n")).unwrap_or_else(|| panic!("no chapter `{chapter}`"));
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), cells.map(str::to_owned).collect()))
    };
    rest.split("\n## ").next().unwrap_or_default().lines().filter_map(row).collect()
}

/// The number in a cell.
pub(crate) fn number(cell: &str) -> u64 {
    cell.replace(',', "").parse().unwrap_or_else(|_| panic!("`{cell}` in docs/benchmarks.md is no number"))
}
