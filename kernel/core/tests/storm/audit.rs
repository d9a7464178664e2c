//! What must hold of memory, found out without asking the kernel: the page tables are walked as a processor does it.

use crate::machine::{Computer, DEVICE, KERNEL, RAM};
use abi::layout::PAGE_SIZE;
use kernel_core::frames::{FrameKind, FrameNumber};
use kernel_core::tables::{Backing, ENTRIES, KERNEL_HALF};
use kernel_core::{Kernel, Tables};
use std::collections::{BTreeMap, BTreeSet};

/// A sum over all frames that are nobody's: the kernel's, and those of devices.
pub(crate) fn checksum(machine: &Computer) -> u64 {
    let words = (KERNEL.start..DEVICE.end).flat_map(|frame| machine.frame(frame));
    words.fold(0xcbf2_9ce4_8422_2325, |sum, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3))
}

struct Audit<'a, 't> {
    kernel: &'a Kernel<'t, Computer>,
    machine: &'a Computer,
    tables: BTreeSet<FrameNumber>,
    mappings: BTreeMap<FrameNumber, u32>,
}

/// Walks every space: tables are page tables, each in one place; what is mapped is programs' memory or a device, as often as
/// the kernel has counted.
pub(crate) fn audit(kernel: &Kernel<'_, Computer>, machine: &Computer) {
    let mut audit = Audit { kernel, machine, tables: BTreeSet::new(), mappings: BTreeMap::new() };
    for space in kernel.spaces.live() {
        audit.table(kernel.spaces.root(space).expect("it lives"), 3);
    }
    for number in 0..RAM.end {
        let frame = FrameNumber::containing(number * PAGE_SIZE).expect("it is low");
        let info = kernel.spaces.frames().info(frame).expect("it is in the table");
        let mapped = audit.mappings.get(&frame).copied().unwrap_or(0);
        assert_eq!(info.mappings(), mapped, "{frame:?} is {info:?}");
        let kinds = [(KERNEL, FrameKind::Kernel), (DEVICE, FrameKind::Reserved)];
        for (range, kind) in kinds {
            assert!(!range.contains(&number) || info.kind() == kind, "{frame:?} is {info:?}");
        }
    }
}

impl Audit<'_, '_> {
    fn kind(&self, frame: FrameNumber) -> FrameKind {
        self.kernel.spaces.frames().kind(frame).unwrap_or(FrameKind::Reserved)
    }

    fn table(&mut self, table: FrameNumber, level: u32) {
        assert_eq!(self.kind(table), FrameKind::PageTable, "{table:?}");
        assert!(self.tables.insert(table), "{table:?} is in two places");
        let entries = if level == 3 { KERNEL_HALF } else { ENTRIES };
        for index in 0..entries {
            if level > 0 {
                if let Some(below) = self.machine.below(table, index) {
                    self.table(below, level - 1);
                }
            } else if let Some(page) = self.machine.page(table, index) {
                match page.rights.backing {
                    Backing::Memory => {
                        assert_eq!(self.kind(page.frame), FrameKind::User, "{:?} is mapped", page.frame);
                        *self.mappings.entry(page.frame).or_default() += 1;
                    }
                    Backing::Device => {
                        assert!(self.kernel.spaces.frames().check_device(page.frame).is_ok(), "{:?}", page.frame);
                    }
                }
            }
        }
    }
}
