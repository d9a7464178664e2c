//! Pages that one space sees of another, with a grant.
//!
//! The borrower sees the owner's frames in the place of its own, which are set aside meanwhile. The memory server need not
//! know: when the lending ends, each frame is again where the server put it. A lending ends in one of two ways, and in both the
//! borrower goes on with what it saw last. Either each page is copied into the borrower's own frame at once. Or neither side
//! may write any more, until one of them tries to: then the page is copied. The second way is for frames that nobody else
//! sees and no device knows; a copy of many whole pages is such a lending from its beginning.
//!
//! All of this is done in steps. What cannot be finished now is gone on with by the next call, or by the clock.

mod check;
mod make;
mod records;
mod steps;

pub use make::Refusal;
pub(crate) use make::{Loan, Wish};
pub use records::{Lending, Lendings, Link, Links};
pub(crate) use steps::Written;

use super::walk::index;
use super::{Home, SpaceId, Spaces};
use crate::Tables;
use crate::frames::FrameNumber;
use crate::tables::{Access, ENTRIES, Page, Rights};
use abi::layout::PAGE_SIZE;

/// Pages of one table of the last level, one after the other.
struct Leaves {
    root: FrameNumber,
    /// The table of the last page, and the first address behind what it maps.
    leaf: Option<FrameNumber>,
    end: u64,
}

impl Leaves {
    fn new(root: FrameNumber) -> Self {
        Self { root, leaf: None, end: 0 }
    }

    /// The table that maps an address, no less than the one before, and the index of its entry there.
    #[inline(always)]
    fn entry(&mut self, spaces: &Spaces<'_>, tables: &impl Tables, address: u64) -> Option<(FrameNumber, usize)> {
        const SPAN: u64 = ENTRIES as u64 * PAGE_SIZE;
        if address >= self.end {
            self.leaf = spaces.way(tables, self.root, address).map(|[leaf, ..]| leaf);
            self.end = (address / SPAN + 1) * SPAN;
        }
        Some((self.leaf?, index(address, 0)))
    }
}

/// Memory of one side, from an address on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) home: Home,
    pub(crate) address: u64,
}

impl Spaces<'_> {
    /// Changes how a page may be used.
    #[inline(always)]
    fn set_rights<T: Tables>(
        tables: &mut T,
        (leaf, at): (FrameNumber, usize),
        page: Page,
        access: Access,
        withheld: bool,
    ) {
        let rights = Rights { access, withheld, ..page.rights };
        tables.set_page(leaf, at, page.frame, T::flags(rights));
    }

    /// Whether a run of pages belongs to a lending, on one side or the other.
    pub(super) fn is_shared(&self, id: SpaceId, address: u64, count: u32) -> bool {
        self.space(id).shares > 0 && self.lendings.all().iter().any(|lending| lending.meets(id, address, count))
    }
}
