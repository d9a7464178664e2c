//! What frames are used for: programs' memory and page tables.

use super::{FrameError, FrameKind, FrameNumber, Frames, Origin, Stock};
use abi::layout::PAGE_SIZE;

/// Programs' memory.
impl Frames<'_> {
    /// Makes an idle frame a program's, mapped nowhere yet. The caller has cleared it.
    ///
    /// # Errors
    /// If it is not idle.
    pub fn make_user(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        self.get(frame, FrameKind::Idle)?.kind = FrameKind::User;
        Ok(())
    }

    /// Counts one more mapping of a program's frame.
    ///
    /// # Errors
    /// If it is none, or is mapped in 2^32 - 1 places.
    #[inline]
    pub fn map(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        let info = self.get(frame, FrameKind::User)?;
        info.value = info.value.checked_add(1).ok_or(FrameError::Count)?;
        Ok(())
    }

    /// Counts one mapping less. With the last mapping and pin a frame of the kernel's pool becomes free; one that was
    /// claimed keeps its contents, so that it can be mapped elsewhere, until it is released.
    ///
    /// # Errors
    /// If it is no program's frame, or is mapped nowhere.
    #[inline]
    pub fn unmap(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        let info = self.get(frame, FrameKind::User)?;
        info.value = info.value.checked_sub(1).ok_or(FrameError::Count)?;
        if info.value == 0 && info.pins == 0 && info.origin == Origin::Pool {
            self.push_free(frame.index());
        }
        Ok(())
    }

    /// Keeps a program's frame from being released, whether it is mapped or not: a device knows its address.
    ///
    /// # Errors
    /// If it is no program's frame, or is pinned 2^16 - 1 times.
    pub fn pin(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        let info = self.get(frame, FrameKind::User)?;
        info.pins = info.pins.checked_add(1).ok_or(FrameError::Count)?;
        Ok(())
    }

    /// Takes a pin away; see [`Frames::unmap`] for the last.
    ///
    /// # Errors
    /// If it is no program's frame, or is not pinned.
    pub fn unpin(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        let info = self.get(frame, FrameKind::User)?;
        info.pins = info.pins.checked_sub(1).ok_or(FrameError::Count)?;
        if info.value == 0 && info.pins == 0 && info.origin == Origin::Pool {
            self.push_free(frame.index());
        }
        Ok(())
    }

    /// Gives a program's frame that is mapped nowhere and not pinned back to whom it came from.
    ///
    /// # Errors
    /// If it is none, or is mapped or pinned.
    pub fn release(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        let info = self.get(frame, FrameKind::User)?;
        if info.value != 0 {
            return Err(FrameError::Mapped);
        }
        if info.pins != 0 {
            return Err(FrameError::Pinned);
        }
        self.drop_unused(frame);
        Ok(())
    }

    /// Checks that programs may see a frame as a device's: it is no memory of ours, and the kernel keeps it for nobody.
    ///
    /// # Errors
    /// What it is instead.
    pub fn check_device(&self, frame: FrameNumber) -> Result<(), FrameError> {
        let kind = self.kind(frame).unwrap_or(FrameKind::Reserved);
        if kind != FrameKind::Reserved {
            return Err(FrameError::WrongKind(kind));
        }
        let page = frame.address()..frame.address() + PAGE_SIZE;
        let kept = self.kept.iter().any(|range| range.start < page.end && page.start < range.end);
        if kept { Err(FrameError::WrongKind(FrameKind::Kernel)) } else { Ok(()) }
    }
}

/// Page tables.
impl Frames<'_> {
    /// Makes an idle frame a page table. The caller has cleared it.
    ///
    /// # Errors
    /// If it is not idle.
    pub fn make_table(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        self.get(frame, FrameKind::Idle)?.kind = FrameKind::PageTable;
        Ok(())
    }

    /// Gives a page table, to which no other table and no CPU refers any more, back to whom it came from.
    ///
    /// # Errors
    /// If it is none.
    pub fn free_table(&mut self, frame: FrameNumber) -> Result<(), FrameError> {
        self.get(frame, FrameKind::PageTable)?;
        self.drop_unused(frame);
        Ok(())
    }

    /// Whether the kernel took a frame from its own pool.
    pub(crate) fn is_of_pool(&self, frame: FrameNumber) -> bool {
        self.info(frame).is_ok_and(|info| info.origin == Origin::Pool)
    }

    /// Puts an empty page table into a stock.
    #[inline(always)]
    pub(crate) fn push_stock(&mut self, stock: &mut Stock, table: FrameNumber) {
        self.table[table.index()].value = stock.first;
        *stock = Stock { first: table.link(), len: stock.len + 1 };
    }

    /// Takes a page table out of a stock, with no entry in use.
    #[inline(always)]
    pub(crate) fn pop_stock(&mut self, stock: &mut Stock) -> Option<FrameNumber> {
        let table = FrameNumber::from_link(stock.first)?;
        let info = &mut self.table[table.index()];
        *stock = Stock { first: core::mem::take(&mut info.value), len: stock.len - 1 };
        Some(table)
    }

    /// More entries of a table are in use.
    pub(crate) fn use_entries(&mut self, table: FrameNumber, entries: u32) {
        self.table[table.index()].value += entries;
    }

    /// Fewer are; returns how many are left.
    pub(crate) fn drop_entries(&mut self, table: FrameNumber, entries: u32) -> u32 {
        let used = &mut self.table[table.index()].value;
        *used -= entries;
        *used
    }
}
