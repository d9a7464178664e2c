//! The way through the page tables of a space.
//!
//! Every table but the root has an entry in use: one that is emptied goes to the stock of its space at once.

use super::runs::Stop;
use super::{SpaceId, Spaces};
use crate::Tables;
use crate::frames::FrameNumber;
use crate::tables::{ENTRIES, KERNEL_HALF};
use abi::layout::PAGE_SIZE;

/// The level of a root table. Those of level 0 map pages.
const ROOT: u32 = 3;

/// The tables on the way to an address, one for each level.
pub(super) type Way = [FrameNumber; ROOT as usize + 1];

/// The index at a level of the entry that leads to an address.
pub(super) fn index(address: u64, level: u32) -> usize {
    ((address / PAGE_SIZE) >> (level * ENTRIES.ilog2())) as usize % ENTRIES
}

/// How many pages there are from an address to the end of what one entry of a level maps: of level 0 a page, of level 1 what
/// a leaf table does.
pub(super) fn pages_left(address: u64, level: u32) -> u64 {
    let all = 1 << (level * ENTRIES.ilog2());
    all - address / PAGE_SIZE % all
}

/// A run of pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    /// The address of the first.
    pub(super) start: u64,
    pub(super) count: u32,
}

impl Pages {
    /// Those of them that the first one's leaf table maps.
    #[inline(always)]
    pub(super) fn window(self) -> Self {
        Self { count: self.count.min(pages_left(self.start, 1) as u32), ..self }
    }

    /// The rest without the first `done`.
    #[inline(always)]
    pub(super) fn after(self, done: u32) -> Self {
        Self { start: self.start + u64::from(done) * PAGE_SIZE, count: self.count - done }
    }
}

/// How far the tables go towards an address.
pub(super) struct Reached {
    pub(super) table: FrameNumber,
    pub(super) level: u32,
}

impl Spaces<'_> {
    /// The last table that there is on the way to an address.
    #[inline(always)]
    pub(super) fn reach(&self, tables: &impl Tables, root: FrameNumber, address: u64) -> Reached {
        let mut reached = Reached { table: root, level: ROOT };
        while reached.level > 0
            && let Some(below) = tables.below(reached.table, index(address, reached.level))
        {
            reached = Reached { table: below, level: reached.level - 1 };
        }
        reached
    }

    /// All tables on the way to an address, of level 0 the one that maps it; `None` if one is missing.
    #[inline(always)]
    pub(super) fn way(&self, tables: &impl Tables, root: FrameNumber, address: u64) -> Option<Way> {
        let mut way = [root; _];
        for level in (0..ROOT).rev() {
            way[level as usize] = tables.below(way[level as usize + 1], index(address, level + 1))?;
        }
        Some(way)
    }

    /// The table that maps an address, and those above it, made of the stock of the space if they are missing. Before any
    /// is, `check` may refuse; nothing has changed if it does, or if the stock lacks some.
    ///
    /// # Errors
    /// What `check` says, or how many tables are missing.
    #[inline(always)]
    pub(super) fn leaf_for(
        &mut self,
        tables: &mut impl Tables,
        id: SpaceId,
        root: FrameNumber,
        address: u64,
        check: impl FnOnce(&Self) -> Result<(), Stop>,
    ) -> Result<FrameNumber, Stop> {
        let (mut table, mut check) = (root, Some(check));
        for level in (1..=ROOT).rev() {
            let at = index(address, level);
            if let Some(below) = tables.below(table, at) {
                table = below;
                continue;
            }
            if let Some(check) = check.take() {
                check(self)?;
                match level.saturating_sub(self.space(id).stock.len()) {
                    0 => {}
                    lacks => return Err(Stop::Lacks(lacks)),
                }
            }
            let below = self.frames.pop_stock(&mut self.table[id.index()].stock).ok_or(Stop::Lacks(level))?;
            tables.set_below(table, at, Some(below));
            self.frames.use_entries(table, 1);
            table = below;
        }
        Ok(table)
    }

    /// Takes the leaf table of an address, which has no entry in use any more, and the tables above it that have none then,
    /// out of the space and into its stock. Nobody may use them before all CPUs have forgotten them.
    #[inline(always)]
    pub(super) fn prune(&mut self, tables: &mut impl Tables, id: SpaceId, way: &Way, address: u64) {
        for level in 0..ROOT {
            let (table, above) = (way[level as usize], way[level as usize + 1]);
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
