//! Making pages of files available: from the cache, as they are as long as nobody writes them.

use crate::Need;
use crate::cache::{Block, Place};
use crate::files::{Files, Missing};
use crate::heap::Heap;
use crate::machine::{Machine, Rights};
use crate::process::Memory;
use crate::region::Region;
use abi::Errno;
use abi::layout::PAGE_SIZE;
use protocol::Transport;
use protocol::vmctl::Access;

/// A page of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilePage {
    file: u32,
    page: u64,
    /// How many of its bytes are shown; zeros follow.
    bytes: u64,
}

impl FilePage {
    /// A page of a file of which so many bytes are shown.
    pub(crate) fn new(file: u32, page: u64, end: u64) -> Self {
        let bytes = end.saturating_sub(page.saturating_mul(PAGE_SIZE)).min(PAGE_SIZE);
        Self { file, page, bytes }
    }
}

impl Memory {
    /// A page of a region that shows a file. Returns the next one.
    ///
    /// # Errors
    /// `EFAULT` behind the end of the file, `ENOMEM`, and `EAGAIN` if the page is not in the cache, which is noted.
    pub(crate) fn supply_from_file<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        files: &mut Files,
        page: u64,
        region: &Region,
        need: Need,
        shown: FilePage,
    ) -> Result<u64, Errno> {
        if let Some(frame) = self.pages.get(page) {
            if need == Need::Write {
                self.make_writable(machine, page, frame)?;
            }
            return Ok(page + 1);
        }
        if shown.bytes == 0 {
            return Err(Errno::Fault);
        }
        if self.may_grow() == 0 {
            return Err(Errno::NoMem);
        }
        let Some((place, block)) = files.block(shown.file, shown.page) else {
            files.missing = Some(Missing { file: shown.file, page: shown.page, at: page });
            return Err(Errno::Again);
        };
        match need {
            _ if shown.bytes < PAGE_SIZE => self.copy_beginning(machine, page, region.access, &block, shown.bytes)?,
            Need::Write => self.copy_block(machine, page, region.access, &block)?,
            Need::Read | Need::Execute => self.show_block(machine, page, region.access, &block)?,
        }
        used(machine, files, place, &block);
        Ok(page + 1)
    }

    /// Lets a page show a block, which nobody writes by it.
    fn show_block<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        page: u64,
        access: Access,
        block: &Block,
    ) -> Result<(), Errno> {
        let access = if access == Access::Write { Access::Read } else { access };
        machine.map(&mut self.space, page..page + 1, block.frame.address(), Rights::memory(access))?;
        machine.frames.name_again(block.frame);
        self.pages.set(page, block.frame);
        Ok(())
    }

    /// Gives a page a frame of its own with what a block holds.
    fn copy_block<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        page: u64,
        access: Access,
        block: &Block,
    ) -> Result<(), Errno> {
        let new = machine.frames.take().ok_or(Errno::NoMem)?;
        let (pages, rights) = (page..page + 1, Rights::memory(Access::Read));
        if let Err(error) = machine.map(&mut self.space, pages, block.frame.address(), rights) {
            machine.take_back(new);
            return Err(error);
        }
        machine.replace(&self.space, page, new, access);
        self.pages.set(page, new);
        Ok(())
    }

    /// Gives a page a frame of its own with the first bytes of a block, and zeros behind them: what else the block holds is not shown.
    fn copy_beginning<T: Transport + Copy, H: Heap>(
        &mut self,
        machine: &mut Machine<T, H>,
        page: u64,
        access: Access,
        block: &Block,
        bytes: u64,
    ) -> Result<(), Errno> {
        let new = machine.frames.take().ok_or(Errno::NoMem)?;
        let (pages, rights) = (page..page + 1, Rights::memory(Access::Write));
        let mapped = machine.map(&mut self.space, pages.clone(), new.address(), rights);
        let copied = mapped.and_then(|()| {
            let copied = machine.copy_from_frame(block.frame, self.home, page, bytes);
            copied.inspect_err(|_| machine.unmap(&self.space, pages.clone()))
        });
        if let Err(error) = copied {
            machine.take_back(new);
            return Err(error);
        }
        if access != Access::Write {
            machine.protect(&self.space, pages, access);
        }
        self.pages.set(page, new);
        Ok(())
    }
}

/// A block has been shown.
fn used<T: Transport + Copy, H: Heap>(machine: &mut Machine<T, H>, files: &mut Files, place: Place, block: &Block) {
    if block.is_once {
        machine.drop_block(&mut files.cache, place);
        machine.give_back();
    } else {
        files.cache.touch(place);
    }
}
