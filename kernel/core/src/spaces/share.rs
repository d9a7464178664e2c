//! Pages that two spaces show, and how one of them gets its own again: what a fork is made of.

use super::calls::{Mapped, frames_at, user_pages};
use super::runs::{Mapping, Stop};
use super::walk::{Pages, index};
use super::{Home, SpaceId, Spaces};
use crate::Tables;
use crate::frames::FrameNumber;
use crate::tables::{Access, Backing, Page, Rights};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use protocol::vmctl::{CopyPage, Share, Sharing};

/// Sharing that is under way: from where to where.
#[derive(Clone, Copy)]
struct Way {
    from: FrameNumber,
    to: SpaceId,
    to_root: FrameNumber,
    sharing: Sharing,
}

impl Spaces<'_> {
    /// [`Share`].
    ///
    /// # Errors
    /// See there.
    pub fn share(&mut self, tables: &mut impl Tables, call: &Share) -> Result<Mapped, Errno> {
        let ((from_id, from), (to, to_root)) = (self.find_root(call.from)?, self.find_root(call.to)?);
        if from_id == to {
            return Err(Errno::Inval);
        }
        let pages = user_pages(call.address, call.count.into())?;
        self.check_private(from_id, pages)?;
        let way = Way { from, to, to_root, sharing: call.sharing };
        let (mut done, mut stop) = self.share_window(tables, way, pages.window());
        if stop.is_ok() && done < pages.count {
            let rest = self.share_window(tables, way, pages.after(done));
            (done, stop) = (done + rest.0, rest.1);
        }
        if done > 0 && call.sharing == Sharing::CopyOnWrite {
            self.forget(tables, from, Pages { count: done, ..pages });
        }
        match stop {
            Err(Stop::Refused(errno)) if done == 0 => Err(errno),
            Err(Stop::Lacks(lacks)) => Ok(Mapped { done, lacks }),
            _ => Ok(Mapped { done, lacks: 0 }),
        }
    }

    /// [`CopyPage`]: returns the physical address of the frame that was there.
    ///
    /// # Errors
    /// See there.
    pub fn copy_page<T: Tables>(&mut self, tables: &mut T, call: &CopyPage) -> Result<u64, Errno> {
        let (id, root) = self.find_root(call.space)?;
        self.copy_page_to(tables, Home { id, root }, call.address, call.frame, call.access)
    }

    /// The same where somebody lives, see [`SupplyCopy`](protocol::vmctl::SupplyCopy).
    ///
    /// # Errors
    /// Those.
    pub(crate) fn copy_page_to<T: Tables>(
        &mut self,
        tables: &mut T,
        Home { id, root }: Home,
        address: u64,
        frame: u64,
        access: Access,
    ) -> Result<u64, Errno> {
        let pages = user_pages(address, 1)?;
        let frame = frames_at(frame, 1)?;
        let [leaf, ..] = self.way(tables, root, address).ok_or(Errno::Inval)?;
        let at = index(address, 0);
        let page = tables.page(leaf, at).filter(|page| page.rights.backing == Backing::Memory).ok_or(Errno::Inval)?;
        self.check_private(id, pages)?;
        self.frames.make_user(frame)?;
        // Nobody writes what is copied: whoever had the page has left the space, and comes back to the new one.
        tables.clear_page(leaf, at);
        self.forget(tables, root, pages);
        tables.copy_frame(page.frame, frame);
        for done in [self.frames.map(frame), self.frames.unmap(page.frame)] {
            debug_assert_eq!(done, Ok(()));
        }
        tables.set_page(leaf, at, frame, T::flags(Rights { access, ..page.rights }));
        Ok(page.frame.address())
    }

    /// Shares the pages of one leaf table; returns how many of them are dealt with, and why the next one is not. CPUs still
    /// remember that they may write.
    fn share_window<T: Tables>(&mut self, tables: &mut T, way: Way, window: Pages) -> (u32, Result<(), Stop>) {
        let Some([leaf, ..]) = self.way(tables, way.from, window.start) else {
            return (window.count, Ok(()));
        };
        let (first, mut to_leaf, mut mapped) = (index(window.start, 0), None, 0);
        let mut result = Ok(());
        let mut done = 0;
        while done < window.count {
            let at = first + done as usize;
            if let Some(page) = tables.page(leaf, at) {
                let address = window.start + u64::from(done) * PAGE_SIZE;
                match self.share_page(tables, way, page, address, &mut to_leaf) {
                    Ok(rights) if rights != page.rights => tables.set_page(leaf, at, page.frame, T::flags(rights)),
                    Ok(_) => {}
                    Err(why) => {
                        result = Err(why);
                        break;
                    }
                }
                mapped += 1;
            }
            done += 1;
        }
        if let Some(leaf) = to_leaf {
            self.frames.use_entries(leaf, mapped);
        }
        (done, result)
    }

    /// Maps a page in the second space, too; returns what both may do with it. The leaf table is looked for once.
    #[inline(always)]
    fn share_page<T: Tables>(
        &mut self,
        tables: &mut T,
        way: Way,
        page: Page,
        address: u64,
        leaf: &mut Option<FrameNumber>,
    ) -> Result<Rights, Stop> {
        let rights = match (way.sharing, page.rights.access) {
            (Sharing::CopyOnWrite, Access::Write) => Rights { access: Access::Read, ..page.rights },
            _ => page.rights,
        };
        let to = match *leaf {
            Some(leaf) => leaf,
            None => {
                let run = Mapping::new(way.to, way.to_root, Pages { start: address, count: 1 }, page.frame, rights);
                *leaf.insert(self.leaf_for(tables, &run)?)
            }
        };
        let at = index(address, 0);
        if tables.is_mapped(to, at) {
            return Err(Stop::Refused(Errno::Exist));
        }
        if rights.backing == Backing::Memory {
            self.frames.map(page.frame)?;
        }
        tables.set_page(to, at, page.frame, T::flags(rights));
        Ok(rights)
    }
}
