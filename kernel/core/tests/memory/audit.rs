//! Compares the machine's memory with the model's. Page tables are walked as a processor does it.

use crate::machine::Computer;
use crate::model::{Cell, Model, SpaceName};
use crate::system::System;
use abi::layout::PAGE_SIZE;
use kernel_core::Tables;
use kernel_core::frames::{FrameKind, FrameNumber};
use kernel_core::tables::{Access, ENTRIES, KERNEL_HALF, Page};
use std::collections::BTreeMap;
use std::rc::Rc;
use zerocopy::IntoBytes;

/// All pages of a space, by their addresses.
pub(crate) fn pages(machine: &Computer, root: FrameNumber) -> Vec<(u64, Page)> {
    fn walk(machine: &Computer, table: FrameNumber, level: u32, start: u64, found: &mut Vec<(u64, Page)>) {
        let words = machine.frame(table.address() / PAGE_SIZE);
        let entries = if level == 3 { KERNEL_HALF } else { ENTRIES };
        for index in (0..entries).filter(|index| words[*index] != 0) {
            let address = start + ((index as u64) << (12 + 9 * level));
            if level == 0 {
                found.extend(machine.page(table, index).map(|page| (address, page)));
            } else if let Some(below) = machine.below(table, index) {
                walk(machine, below, level - 1, address, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(machine, root, 3, 0, &mut found);
    found
}

fn root(system: &System<'_>, space: SpaceName) -> FrameNumber {
    let spaces = &system.kernel.spaces;
    spaces.root(spaces.find(space).expect("it is a space")).expect("it lives")
}

/// A space has the pages that the model says, each with what stands there and the rights that its program has.
pub(crate) fn compare_space(system: &System<'_>, model: &Model, space: SpaceName) {
    let found = pages(&system.machine, root(system, space));
    let expected = &model.spaces[&space];
    let addresses: Vec<u64> = found.iter().map(|(address, _)| *address).collect();
    assert!(addresses.iter().eq(expected.keys()), "{space:#x} has {addresses:x?}, and not {:x?}", expected.keys());
    for ((address, page), expected) in found.iter().zip(expected.values()) {
        let writes = page.rights.access == Access::Write;
        assert_eq!(writes, expected.write, "who may write {address:#x} of {space:#x}: {page:?}");
        let bytes = system.machine.frame(page.frame.address() / PAGE_SIZE).as_bytes();
        let cell = expected.cell.borrow();
        if bytes != &cell[..] {
            let first = bytes.iter().zip(cell.iter()).position(|(a, b)| a != b).expect("they differ");
            panic!(
                "byte {first:#x} of page {address:#x} of {space:#x} is {:#x}, and not {:#x}",
                bytes[first], cell[first]
            );
        }
    }
}

/// The same for all spaces. Two pages have the same frame if they are the same memory; and else only as long as neither of
/// them can be written.
pub(crate) fn compare(system: &System<'_>, model: &Model) {
    let mut frames: BTreeMap<FrameNumber, Vec<(&Cell, bool)>> = BTreeMap::new();
    let mut cells: BTreeMap<*const u8, FrameNumber> = BTreeMap::new();
    for (space, expected) in &model.spaces {
        compare_space(system, model, *space);
        for ((_, page), expected) in pages(&system.machine, root(system, *space)).iter().zip(expected.values()) {
            let writable = page.rights.access == Access::Write && !page.rights.withheld;
            frames.entry(page.frame).or_default().push((&expected.cell, writable));
            let frame = *cells.entry(Rc::as_ptr(&expected.cell).cast()).or_insert(page.frame);
            assert_eq!(frame, page.frame, "the same memory has two frames");
        }
    }
    for (frame, seen) in &frames {
        let alike = seen.iter().all(|(cell, _)| Rc::ptr_eq(cell, seen[0].0));
        assert!(alike || seen.iter().all(|(_, writable)| !writable), "{frame:?} can be written, and is not one page's");
    }
    let lent: u64 = model.mappings.iter().map(|mapping| mapping.len / PAGE_SIZE).sum();
    assert!(count(system, FrameKind::Aside) as u64 >= lent, "each page that is borrowed stands for another one");
}

/// How many frames there are of a kind.
pub(crate) fn count(system: &System<'_>, kind: FrameKind) -> usize {
    let frames = crate::machine::RAM.filter_map(|number| FrameNumber::containing(number * PAGE_SIZE));
    frames.filter(|frame| system.kernel.spaces.frames().kind(*frame) == Ok(kind)).count()
}

/// Whether two pages have the same frame now.
pub(crate) fn share(system: &System<'_>, a: (SpaceName, u64), b: (SpaceName, u64)) -> bool {
    let frame = |(space, address): (SpaceName, u64)| {
        let index = |level: u32| (address >> (12 + 9 * level)) as usize % ENTRIES;
        let table = root(system, space);
        let leaf = (1..=3).rev().try_fold(table, |table, level| system.machine.below(table, index(level)))?;
        Some(system.machine.page(leaf, index(0))?.frame)
    };
    frame(a).is_some() && frame(a) == frame(b)
}
