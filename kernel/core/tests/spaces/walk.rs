//! What a processor would find in the page tables, found without the kernel's help.

use super::P;
use crate::support::{Entry, TestMemory};
use kernel_core::frames::FrameNumber;
use kernel_core::tables::{ENTRIES, Page};
use std::collections::BTreeMap;

/// All that a root table leads to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Pages by their addresses.
    pub(super) pages: BTreeMap<u64, Page>,
    /// Tables below the root.
    pub(super) tables: Vec<FrameNumber>,
}

/// Walks everything below a root table.
pub(super) fn walk(memory: &TestMemory, root: FrameNumber) -> Found {
    let mut found = Found::default();
    walk_table(memory, root, 3, 0, &mut found);
    found
}

fn walk_table(memory: &TestMemory, table: FrameNumber, level: u32, start: u64, found: &mut Found) {
    for (&(_, index), entry) in memory.entries.range((table, 0)..(table, ENTRIES)) {
        let address = start + ((index as u64 * P) << (9 * level));
        match *entry {
            Entry::Kernel => assert!(level == 3 && index >= ENTRIES / 2, "the kernel's half"),
            Entry::Table(below) => {
                assert!(level > 0 && (level < 3 || index < ENTRIES / 2), "a table at a wrong place");
                found.tables.push(below);
                walk_table(memory, below, level - 1, address, found);
            }
            Entry::Page(page) => {
                assert_eq!(level, 0, "a large page");
                found.pages.insert(address, page);
            }
        }
    }
}
