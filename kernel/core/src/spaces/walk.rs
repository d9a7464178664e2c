//! The way through the page tables of a space.
//!
//! Every table but the root has an entry in use: one that is emptied goes to the stock of its space at once.

use super::{SpaceId, Spaces};
use crate::Tables;
use crate::frames::FrameNumber;
use crate::tables::{ENTRIES, KERNEL_HALF};
use abi::layout::PAGE_SIZE;
use core::ops::Range;

/// The level of a root table. Those of level 0 map pages.
const ROOT: u32 = 3;

/// The index at a level of the entry that leads to an address.
pub(super) fn index(address: u64, level: u32) -> usize {
    ((address / PAGE_SIZE) >> (level * ENTRIES.ilog2())) as usize % ENTRIES
}

/// How many pages begin in a range.
pub(super) fn pages_in(range: &Range<u64>) -> u64 {
    (range.end - range.start) / PAGE_SIZE
}

/// The part of a range of pages that starts like it and that one entry of a level maps: of level 0 a page, of level 1 what
/// a leaf table does.
pub(super) fn window(range: &Range<u64>, level: u32) -> Range<u64> {
    let size = PAGE_SIZE << (level * ENTRIES.ilog2());
    range.start..range.end.min((range.start / size + 1) * size)
}

/// How far the tables go towards an address.
pub(super) struct Reached {
    pub(super) table: FrameNumber,
    pub(super) level: u32,
}

impl Spaces<'_> {
    /// The last table that there is on the way to an address.
    #[inline]
    pub(super) fn reach(&self, tables: &impl Tables, root: FrameNumber, address: u64) -> Reached {
        let mut reached = Reached { table: root, level: ROOT };
        while reached.level > 0
            && let Some(below) = tables.below(reached.table, index(address, reached.level))
        {
            reached = Reached { table: below, level: reached.level - 1 };
        }
        reached
    }

    /// The table that maps an address.
    #[inline]
    pub(super) fn leaf(&self, tables: &impl Tables, root: FrameNumber, address: u64) -> Option<FrameNumber> {
        let reached = self.reach(tables, root, address);
        (reached.level == 0).then_some(reached.table)
    }

    /// Makes the tables that are missing on the way to an address, of the stock of the space; returns the last.
    ///
    /// # Errors
    /// How many tables the stock lacks; nothing has changed then.
    #[cold]
    pub(super) fn extend(
        &mut self,
        tables: &mut impl Tables,
        id: SpaceId,
        reached: Reached,
        address: u64,
    ) -> Result<FrameNumber, u32> {
        let Reached { mut table, mut level } = reached;
        let lacks = level.saturating_sub(self.space(id).stock.len());
        if lacks > 0 {
            return Err(lacks);
        }
        while level > 0
            && let Some(below) = self.frames.pop_stock(&mut self.table[id.index()].stock)
        {
            tables.set_below(table, index(address, level), Some(below));
            self.frames.use_entries(table, 1);
            table = below;
            level -= 1;
        }
        Ok(table)
    }

    /// Takes the leaf table of an address, which has no entry in use any more, and the tables above it that have none then,
    /// out of the space and into its stock. Nobody may use them before all CPUs have forgotten them.
    #[cold]
    pub(super) fn prune(&mut self, tables: &mut impl Tables, id: SpaceId, root: FrameNumber, address: u64) {
        let mut path = [root; ROOT as usize + 1];
        for level in (0..ROOT).rev() {
            let above = path[level as usize + 1];
            match tables.below(above, index(address, level + 1)) {
                Some(below) => path[level as usize] = below,
                None => return,
            }
        }
        for level in 0..ROOT {
            let (table, above) = (path[level as usize], path[level as usize + 1]);
            tables.set_below(above, index(address, level + 1), None);
            self.frames.push_stock(&mut self.table[id.index()].stock, table);
            if self.frames.drop_entries(above, 1) > 0 {
                return;
            }
        }
    }

    /// The lowest page of a space.
    pub(super) fn lowest_page(&self, tables: &impl Tables, root: FrameNumber) -> Option<u64> {
        let mut table = root;
        let mut address = 0;
        for level in (1..=ROOT).rev() {
            let entries = if level == ROOT { KERNEL_HALF } else { ENTRIES };
            let (index, below) = (0..entries).find_map(|i| Some((i, tables.below(table, i)?)))?;
            address += (index as u64 * PAGE_SIZE) << (level * ENTRIES.ilog2());
            table = below;
        }
        let index = (0..ENTRIES).find(|&i| tables.is_mapped(table, i))?;
        Some(address + index as u64 * PAGE_SIZE)
    }
}
