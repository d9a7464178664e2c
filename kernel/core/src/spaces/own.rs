//! Spaces that the kernel makes itself, of its own pool, and how any space ends.

use super::runs::{Mapping, Stop};
use super::walk::Pages;
use super::{Space, SpaceId, Spaces};
use crate::Tables;
use crate::frames::FrameNumber;
use crate::tables::Rights;
use abi::Errno;
use protocol::vmctl::{Access, Backing, Cache, MAX_RUN};

/// Most pages that a step to the end of a space unmaps: to find the first may take as long.
const MOST_DROPPED: u32 = 128;

impl Spaces<'_> {
    /// A space in which nothing is mapped, of the kernel's pool.
    ///
    /// # Errors
    /// [`Errno::NoSpc`] without a free entry, [`Errno::NoMem`] without a free frame.
    pub fn create_own(&mut self, tables: &mut impl Tables) -> Result<SpaceId, Errno> {
        let id = self.vacant().ok_or(Errno::NoSpc)?;
        let root = self.frames.take_for_table().ok_or(Errno::NoMem)?;
        tables.clear(root);
        self.found(tables, id, root);
        Ok(id)
    }

    /// Maps a new page of the pool, filled with zeros.
    ///
    /// # Errors
    /// [`Errno::NoMem`], or those of [`Spaces::map`]; nothing is mapped then.
    pub fn map_new(
        &mut self,
        tables: &mut impl Tables,
        id: SpaceId,
        address: u64,
        access: Access,
    ) -> Result<(), Errno> {
        let pages = super::calls::user_pages(address, 1)?;
        let root = self.root(id).ok_or(Errno::Srch)?;
        let frame = self.frames.take_for_user().ok_or(Errno::NoMem)?;
        tables.clear(frame);
        let rights = Rights { access, withheld: false, cache: Cache::Normal, backing: Backing::Memory };
        let mut run = Mapping::new(id, root, pages, frame, rights);
        let mapped = match self.map_window(tables, &mut run) {
            Err(Stop::Lacks(lacks)) => {
                self.stock_own(tables, id, lacks).and_then(|()| self.map_window(tables, &mut run).map_err(Errno::from))
            }
            other => other.map_err(Errno::from),
        };
        if mapped.is_err() {
            let released = self.frames.release(frame);
            debug_assert_eq!(released, Ok(()));
        }
        mapped
    }

    /// Takes page tables out of the pool for a space.
    fn stock_own(&mut self, tables: &mut impl Tables, id: SpaceId, count: u32) -> Result<(), Errno> {
        for _ in 0..count {
            let table = self.frames.take_for_table().ok_or(Errno::NoMem)?;
            tables.clear(table);
            self.stock(id, table);
        }
        Ok(())
    }

    /// Keeps a cleared page table for a space.
    pub(super) fn stock(&mut self, id: SpaceId, table: FrameNumber) {
        self.frames.push_stock(&mut self.table[id.index()].stock, table);
    }

    /// A step towards the end of a space in which nobody lives. Whether more are needed; the space is gone if not.
    pub(super) fn shrink(&mut self, tables: &mut impl Tables, id: SpaceId) -> bool {
        let Some(root) = self.root(id) else {
            return false;
        };
        self.drive_all_out(tables, root);
        if self.part_all(tables, id) {
            return true;
        }
        if let Some(start) = self.lowest_page(tables, root) {
            // Nothing is ever mapped behind programs' memory, where the table goes on.
            self.unmap_window(tables, id, root, Pages { start, count: MOST_DROPPED }.window());
            return true;
        }
        for _ in 0..MAX_RUN {
            let Some(table) = self.frames.pop_stock(&mut self.table[id.index()].stock) else {
                self.free_table(root);
                let space = self.space_mut(id);
                *space = Space { generation: space.generation + 1, ..Space::FREE };
                return false;
            };
            self.free_table(table);
        }
        true
    }

    fn free_table(&mut self, table: FrameNumber) {
        let freed = self.frames.free_table(table);
        debug_assert_eq!(freed, Ok(()));
    }
}
