//! Address spaces: which there are, who lives in them, and which CPU has which of them loaded.
//!
//! The memory server makes spaces and fills them, by the calls of [`protocol::vmctl`]; what it gives comes back to it. A
//! few spaces are made by the kernel itself, of frames of its own pool, for the programs that are there before the server
//! is: those go back to the pool, with the last process that lives in them.
//!
//! No CPU remembers a page, or a page table, that a space does not have any more. Programs' pages are remembered only of
//! the space that a CPU has loaded, so it is enough to know which that is. When something is taken away, this CPU forgets
//! it, and the others that have the space loaded leave it for the kernel's own before the call goes on; whoever runs there
//! loads it again. A CPU that has nothing to run has left too. So nobody needs to remember that a CPU's view is stale.

mod calls;
pub mod lending;
mod own;
mod runs;
mod share;
mod walk;

pub use calls::Mapped;

use crate::frames::{FrameNumber, Frames, Stock};
use crate::{CpuId, MAX_CPUS, Tables};
use abi::Errno;
use abi::boot::MAX_PROGRAMS;
use arrayvec::ArrayVec;
use core::num::NonZeroU16;
use core::ops::Range;
use lending::{Lendings, Shares};
use walk::Pages;

/// How many spaces there can be.
pub const SPACES: usize = 1024;

/// A place in the table of spaces; always in range. Kept plus one, so that there is room for a "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceId(NonZeroU16);

impl SpaceId {
    const fn new(index: usize) -> Self {
        const _: () = assert!(SPACES.is_power_of_two() && SPACES < u16::MAX as usize);
        Self(NonZeroU16::MIN.saturating_add((index % SPACES) as u16))
    }

    /// The index into the table.
    #[inline(always)]
    pub const fn index(self) -> usize {
        (self.0.get() - 1) as usize % SPACES
    }
}

/// The space of a process. It has the root table in it, so that a switch need not look it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    id: SpaceId,
    root: FrameNumber,
}

impl Home {
    /// Which space it is.
    pub fn id(self) -> SpaceId {
        self.id
    }

    /// Its root table, as long as the process lives there.
    pub fn root(self) -> FrameNumber {
        self.root
    }
}

/// An entry of the table of spaces.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))] // So that an index turns into an address by a shift.
pub struct Space {
    /// The root table, while the space lives.
    root: Option<FrameNumber>,
    /// How often the entry was used, from 1.
    generation: u32,
    /// How many processes live in it.
    bound: u16,
    /// The lendings that it takes part in.
    shares: Shares,
    /// Page tables that it does not need yet.
    stock: Stock,
}

impl Space {
    /// An entry that was never used.
    pub const FREE: Self = Self { root: None, generation: 1, bound: 0, shares: Shares::NONE, stock: Stock::EMPTY };
}

/// The table of spaces.
pub type SpaceTable = [Space; SPACES];

/// Stands for the root table of the kernel's own space: no table is ever there.
const KERNELS_OWN: FrameNumber = FrameNumber::LAST;

/// All spaces, and all frames.
pub struct Spaces<'t> {
    table: &'t mut SpaceTable,
    frames: Frames<'t>,
    lendings: Lendings<'t>,
    /// The root table that each CPU has loaded; [`KERNELS_OWN`] for the kernel's.
    loaded: [FrameNumber; MAX_CPUS],
    /// How often something was taken away from a space, that CPUs might remember, or a process came to live elsewhere.
    changes: u64,
    /// Where to look for a free entry: so that none is used again soon.
    next: usize,
    /// Spaces of the kernel's own in which nobody lives any more: they are taken apart step by step.
    deserted: ArrayVec<SpaceId, MAX_PROGRAMS>,
}

impl<'t> Spaces<'t> {
    /// No spaces. `table` has [`Space::FREE`] everywhere.
    pub fn new(table: &'t mut SpaceTable, frames: Frames<'t>, lendings: Lendings<'t>) -> Self {
        Self {
            table,
            frames,
            lendings,
            loaded: [KERNELS_OWN; MAX_CPUS],
            changes: 0,
            next: 0,
            deserted: ArrayVec::new(),
        }
    }

    /// What each frame is used for.
    pub fn frames(&self) -> &Frames<'t> {
        &self.frames
    }

    /// See [`Frames::reclaim`].
    pub fn reclaim(&mut self, range: Range<u64>) {
        self.frames.reclaim(range);
    }

    /// See [`Frames::hand_over`].
    ///
    /// # Errors
    /// Those.
    pub fn hand_over(&mut self, range: Range<u64>) -> Result<FrameNumber, Errno> {
        Ok(self.frames.hand_over(range)?)
    }

    /// Pins a program's frame, whose address is given to a device: see [`Frames::pin`].
    ///
    /// # Errors
    /// Those of [`Frames::pin`].
    pub fn pin(&mut self, frame: FrameNumber) -> Result<(), Errno> {
        Ok(self.frames.pin(frame)?)
    }

    /// Takes a pin away.
    ///
    /// # Errors
    /// Those of [`Frames::unpin`].
    pub fn unpin(&mut self, frame: FrameNumber) -> Result<(), Errno> {
        Ok(self.frames.unpin(frame)?)
    }

    fn space(&self, id: SpaceId) -> &Space {
        &self.table[id.index()]
    }

    fn space_mut(&mut self, id: SpaceId) -> &mut Space {
        &mut self.table[id.index()]
    }

    /// The root table of a space; `None` if it has ended.
    #[inline(always)]
    pub fn root(&self, id: SpaceId) -> Option<FrameNumber> {
        self.space(id).root
    }

    /// Whether pages of a space are lent or borrowed.
    #[inline(always)]
    pub(crate) fn has_lendings(&self, id: SpaceId) -> bool {
        self.space(id).shares.any()
    }

    /// How many processes live in a space.
    pub fn bound(&self, id: SpaceId) -> u16 {
        self.space(id).bound
    }

    /// The name of a space for the memory server; no other space ever has it.
    pub fn name(&self, id: SpaceId) -> u64 {
        u64::from(self.space(id).generation) << 32 | id.index() as u64
    }

    /// The space with a name.
    ///
    /// # Errors
    /// [`Errno::Srch`] if there is none.
    pub fn find(&self, name: u64) -> Result<SpaceId, Errno> {
        let id = SpaceId::new(name as usize % SPACES);
        if self.root(id).is_some() && self.name(id) == name { Ok(id) } else { Err(Errno::Srch) }
    }

    /// All spaces that live.
    pub fn live(&self) -> impl Iterator<Item = SpaceId> {
        (0..SPACES).map(SpaceId::new).filter(|&id| self.root(id).is_some())
    }

    /// An entry for a new space.
    fn vacant(&self) -> Option<SpaceId> {
        let candidates = (0..SPACES).map(|i| SpaceId::new(self.next + i));
        // The last generation is never used, so that no name comes twice.
        candidates.into_iter().find(|&id| self.root(id).is_none() && self.space(id).generation != u32::MAX)
    }

    /// Makes a space of a cleared page table.
    fn found(&mut self, tables: &mut impl Tables, id: SpaceId, root: FrameNumber) {
        tables.make_root(root);
        self.space_mut(id).root = Some(root);
        self.next = id.index() + 1;
    }

    /// One more process lives in a space; `None` if it has ended.
    pub fn bind(&mut self, id: SpaceId) -> Option<Home> {
        let root = self.root(id)?;
        self.changes += 1;
        self.space_mut(id).bound += 1; // There are fewer processes than a u16 counts.
        Some(Home { id, root })
    }

    /// One process less does, for it ended or moved. It does not run any more, on any CPU. A space of the kernel's own ends
    /// with the last one, as [`sweep`](Self::sweep) goes on.
    pub fn unbind(&mut self, tables: &mut impl Tables, id: SpaceId) {
        self.changes += 1;
        let space = self.space_mut(id);
        space.bound -= 1;
        if space.bound == 0 && space.root.is_some_and(|root| self.frames.is_of_pool(root)) {
            while self.deserted.try_push(id).is_err() {
                self.sweep(tables);
            }
        }
    }

    /// Takes a space of the kernel's own in which nobody lives apart, one step; whether there is more to do.
    pub fn sweep(&mut self, tables: &mut impl Tables) -> bool {
        if let Some(&id) = self.deserted.last()
            && (self.bound(id) > 0 || !self.shrink(tables, id))
        {
            self.deserted.pop();
        }
        !self.deserted.is_empty()
    }

    /// A CPU is about to run a process. Returns the root table that it must load; `None` if it has it loaded.
    #[inline(always)]
    pub fn enter(&mut self, cpu: CpuId, home: Home) -> Option<FrameNumber> {
        let loaded = &mut self.loaded[cpu.index()];
        if *loaded == home.root {
            return None;
        }
        *loaded = home.root;
        Some(home.root)
    }

    /// A CPU has nothing to run. Whether it must load the kernel's own space.
    #[must_use]
    pub fn idle(&mut self, cpu: CpuId) -> bool {
        core::mem::replace(&mut self.loaded[cpu.index()], KERNELS_OWN) != KERNELS_OWN
    }

    /// The root table that a CPU has loaded; `None` for the kernel's own.
    pub fn loaded(&self, cpu: CpuId) -> Option<FrameNumber> {
        Some(self.loaded[cpu.index()]).filter(|&root| root != KERNELS_OWN)
    }

    /// Makes another CPU leave the space that it has loaded, and user mode with it. Returns when it has; a process that
    /// runs there goes on after the CPU has been in the kernel.
    pub(crate) fn stop(&mut self, tables: &mut impl Tables, cpu: CpuId) {
        if self.loaded(cpu).is_some() {
            self.drive_out(tables, 1 << cpu.index());
        }
    }

    /// Whoever remembers where a page of a process is forgets it when this number changes: as CPUs must, each time that pages are
    /// taken away or may be used for less, or the tables that map them go; and when a process gets another space.
    #[inline(always)]
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Makes all CPUs but this one leave a space. Returns whether this one has it loaded.
    #[inline(always)]
    fn drive_others_out(&mut self, tables: &mut impl Tables, root: FrameNumber) -> bool {
        self.changes += 1; // Does not wrap in any time that a machine runs.
        let here = tables.cpu().index();
        let mine = core::mem::replace(&mut self.loaded[here], KERNELS_OWN);
        // Most often there are none; which they are is found out only then.
        if self.loaded.contains(&root) {
            let holds = |(cpu, &loaded): (usize, &FrameNumber)| u32::from(loaded == root) << cpu;
            let others = self.loaded.iter().enumerate().map(holds).sum();
            self.drive_out(tables, others);
        }
        self.loaded[here] = mine;
        mine == root
    }

    #[cold]
    fn drive_out(&mut self, tables: &mut impl Tables, others: u32) {
        for (cpu, loaded) in self.loaded.iter_mut().enumerate() {
            if others >> cpu & 1 != 0 {
                *loaded = KERNELS_OWN;
            }
        }
        tables.leave_others(others);
    }

    /// Makes all CPUs leave a space.
    fn drive_all_out(&mut self, tables: &mut impl Tables, root: FrameNumber) {
        if self.drive_others_out(tables, root) {
            self.loaded[tables.cpu().index()] = KERNELS_OWN;
            tables.leave();
        }
    }

    /// Makes every CPU forget a run of pages that were taken from a space.
    #[inline(always)]
    fn forget(&mut self, tables: &mut impl Tables, root: FrameNumber, pages: Pages) {
        if self.drive_others_out(tables, root) {
            Self::flush(tables, pages);
        }
    }

    /// Makes this CPU forget a run of pages of the space that it has loaded.
    #[inline(always)]
    fn flush(tables: &mut impl Tables, pages: Pages) {
        /// More pages than this are not worth forgetting one by one.
        const MOST_SINGLY: u32 = 16;
        if pages.count > MOST_SINGLY {
            tables.flush_all();
        } else {
            (0..pages.count).for_each(|skip| tables.flush_page(pages.after(skip).start));
        }
    }
}
