//! What the server does to the machine: kernel calls about spaces and frames, and its own memory.
//!
//! The kernel works in steps and asks for page tables; here are whole ranges. What is asked for here is right by the server's
//! own books, so the kernel has no reason to refuse it.

use crate::frames::{Chain, Frame, Frames};
use crate::heap::Heap;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::fmt;
use core::ops::Range;
use protocol::kernel::PhysCopy;
use protocol::vmctl::{
    Access, Backing, Cache, CopyPage, CreateSpace, DestroySpace, Donate, FrameKind, GetFrameInfo, MAX_CLEARED, MAX_RUN,
    MapRun, Part, Pin, ProtectRun, Release, Share, Sharing, SupplyCopy, SupplyPage, UnmapRun, Unpin,
};
use protocol::{Transport, kernel, vmctl};

/// A space, and the page tables that it has got.
#[derive(Debug)]
pub(crate) struct Space {
    /// As the kernel calls it.
    pub(crate) name: u64,
    /// Its tables.
    pub(crate) tables: Chain,
}

impl Space {
    /// One that has no tables of the server's yet.
    pub(crate) fn named(name: u64) -> Self {
        Self { name, tables: Chain::default() }
    }
}

/// What a page maps, beside its frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    /// What the program may do.
    pub(crate) access: Access,
    /// How it is cached.
    pub(crate) cache: Cache,
    /// Memory or a device.
    pub(crate) backing: Backing,
}

impl Rights {
    /// Memory.
    pub(crate) fn memory(access: Access) -> Self {
        Self { access, cache: Cache::Normal, backing: Backing::Memory }
    }
}

/// The heap grows by so many pages at once if there are as many, so that it seldom does.
pub(crate) const GROWTH: u64 = 16;

/// The kernel, all frames, and the server's own space.
#[derive(Debug)]
pub(crate) struct Machine<T, H> {
    transport: T,
    /// All frames.
    pub(crate) frames: Frames,
    /// Where the server allocates.
    pub(crate) heap: H,
    /// Where the server lives.
    pub(crate) own: Space,
    /// What the kernel has refused, which it had no reason to.
    pub(crate) refusal: Option<Refusal>,
    /// A process with a page fault, which goes on with the next page that is mapped or copied. It is the only one for whom
    /// something is done meanwhile.
    pub(crate) faulting: Option<Endpoint>,
}

/// A change of pages that the kernel has refused, though it is right by the server's books: one of the two is wrong. The pages
/// are as they were, and frames that are still mapped are used for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In which space.
    pub space: u64,
    /// The first page.
    pub address: u64,
    /// How many.
    pub count: u32,
    /// What the kernel says.
    pub error: Errno,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { space, address, count, error } = self;
        write!(f, "the kernel refuses to change {count} pages of space {space:#x} from {address:#x} on: {error}")
    }
}

/// The steps of a run, none longer than the kernel does in one call.
fn steps(range: Range<u64>) -> impl Iterator<Item = (u64, u32)> {
    let most = u64::from(MAX_RUN);
    range.clone().step_by(MAX_RUN as usize).map(move |page| (page * PAGE_SIZE, (range.end - page).min(most) as u32))
}

impl<T: Transport + Copy, H: Heap> Machine<T, H> {
    /// One that makes its calls through `transport`.
    pub(crate) fn new(transport: T, frames: Frames, heap: H, own: Space) -> Self {
        Self { transport, frames, heap, own, refusal: None, faulting: None }
    }

    /// The calls about memory.
    pub(crate) fn vmctl(&self) -> vmctl::Client<T> {
        vmctl::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    /// The other calls.
    pub(crate) fn kernel(&self) -> kernel::Client<T> {
        kernel::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    /// Sees to it that so many bytes can be allocated.
    ///
    /// # Errors
    /// `ENOMEM` if that takes more than programs can have.
    #[inline]
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Errno> {
        let pages = self.heap.lacks(bytes);
        if pages == 0 {
            return Ok(());
        }
        let growth = pages.max(GROWTH);
        match self.frames.available() {
            available if available >= growth => self.grow_heap(growth),
            available if available >= pages => self.grow_heap(pages),
            _ => {
                self.frames.note_lack(pages);
                Err(Errno::NoMem)
            }
        }
    }

    /// The same with what is kept back for the server: for what makes memory free again.
    ///
    /// # Errors
    /// `ENOMEM` if that is used up, too.
    pub(crate) fn reserve_from_last(&mut self, bytes: usize) -> Result<(), Errno> {
        self.reserve(bytes).or_else(|_| self.grow_heap(self.heap.lacks(bytes)))
    }

    #[cold]
    fn grow_heap(&mut self, pages: u64) -> Result<(), Errno> {
        for _ in 0..pages {
            let frame = self.frames.take_own().ok_or(Errno::NoMem)?;
            if let Err(error) = self.map_own(self.heap.end(), frame) {
                self.frames.put_own(frame);
                return Err(error);
            }
            self.heap.grow(1);
        }
        Ok(())
    }

    /// Maps an idle frame at a page of the server's own.
    fn map_own(&mut self, page: u64, frame: Frame) -> Result<(), Errno> {
        let call = map_run(self.own.name, page, frame.address(), 1, Rights::memory(Access::Write));
        loop {
            let mapped = self.vmctl().map(call)?;
            if mapped.done == 1 {
                return Ok(());
            }
            for _ in 0..mapped.lacks {
                let table = self.frames.take_own_table(&mut self.own.tables).ok_or(Errno::NoMem)?;
                self.donate(self.own.name, table, 1)?;
            }
        }
    }

    fn donate(&mut self, space: u64, first: Frame, count: u32) -> Result<(), Errno> {
        self.vmctl().donate(Donate { space, first: first.address(), count: count.into() }).map(drop)
    }

    /// Gives a space as many page tables as the kernel says: most often none.
    #[inline]
    fn stock(&mut self, space: &mut Space, lacks: u32) -> Result<(), Errno> {
        if lacks == 0 { Ok(()) } else { self.stock_some(space, lacks) }
    }

    #[cold]
    fn stock_some(&mut self, space: &mut Space, lacks: u32) -> Result<(), Errno> {
        let mut left = lacks;
        while left > 0 {
            let most = left.min(MAX_CLEARED);
            let (first, count) = self.frames.take_tables(&mut space.tables, most).ok_or(Errno::NoMem)?;
            self.donate(space.name, first, count)?;
            left -= count;
        }
        Ok(())
    }

    /// Makes an empty space.
    ///
    /// # Errors
    /// `ENOMEM`, and `ENOSPC` if there are as many as there can be.
    pub(crate) fn create(&mut self) -> Result<Space, Errno> {
        let mut tables = Chain::default();
        let (root, _) = self.frames.take_tables(&mut tables, 1).ok_or(Errno::NoMem)?;
        match self.vmctl().create(CreateSpace { root: root.address() }) {
            Ok(created) => Ok(Space { name: created.space, tables }),
            Err(error) => {
                self.frames.put_chain(&mut tables);
                Err(error)
            }
        }
    }

    /// Ends a space in which nobody lives. What it showed is mapped there no more.
    ///
    /// # Errors
    /// `EBUSY` if somebody does.
    pub(crate) fn destroy(&mut self, space: &mut Space) -> Result<(), Errno> {
        loop {
            match self.vmctl().destroy(DestroySpace { space: space.name }) {
                Ok(step) if step.more != 0 => {}
                // The kernel ends a space of its own by itself.
                Ok(_) | Err(Errno::Srch) => break,
                Err(error) => return Err(error),
            }
        }
        self.frames.put_chain(&mut space.tables);
        Ok(())
    }

    /// Maps neighbouring frames, or pages of a device, from a physical address on.
    ///
    /// # Errors
    /// `ENOMEM` without page tables, and what the kernel says of devices; nothing is mapped then.
    #[inline]
    pub(crate) fn map(
        &mut self,
        space: &mut Space,
        pages: Range<u64>,
        physical: u64,
        rights: Rights,
    ) -> Result<(), Errno> {
        let mut next = pages.start;
        while next < pages.end {
            let count = (pages.end - next).min(MAX_RUN.into()) as u32;
            let from = physical + (next - pages.start) * PAGE_SIZE;
            let result = self.vmctl().map(map_run(space.name, next, from, count, rights));
            let stocked = result.and_then(|mapped| {
                next += u64::from(mapped.done);
                self.stock(space, mapped.lacks)
            });
            if let Err(error) = stocked {
                self.unmap(space, pages.start..next);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Maps a run of memory. A single page is what somebody with a page fault waits for, if there is one: that process goes on.
    ///
    /// # Errors
    /// `ENOMEM` without page tables; nothing is mapped then.
    #[inline]
    pub(crate) fn map_memory(
        &mut self,
        space: &mut Space,
        pages: Range<u64>,
        first: Frame,
        access: Access,
    ) -> Result<(), Errno> {
        if let Some(process) = self.faulting
            && pages.end - pages.start == 1
        {
            let call = SupplyPage { process, access, address: pages.start * PAGE_SIZE, frame: first.address() };
            loop {
                match self.vmctl().supply(call) {
                    Ok(supplied) if supplied.lacks == 0 => {
                        self.faulting = None;
                        return Ok(());
                    }
                    Ok(supplied) => self.stock(space, supplied.lacks as u32)?,
                    // It has ended: nobody goes on.
                    Err(_) => break,
                }
            }
        }
        self.map(space, pages, first.address(), Rights::memory(access))
    }

    /// Keeps neighbouring frames, which programs show, where they are until nothing names them any more: somebody has their address.
    ///
    /// # Errors
    /// Those of the kernel; some of them may be pinned then.
    pub(crate) fn pin(&mut self, first: Frame, count: u32) -> Result<(), Errno> {
        let first = first.number();
        for (address, count) in steps(first.into()..u64::from(first) + u64::from(count)) {
            let pinned = self.vmctl().pin(Pin { first: address, count: count.into() })?.done as u32;
            self.frames.pin((address / PAGE_SIZE) as u32, pinned);
            if pinned < count {
                return Err(Errno::NoSpc);
            }
        }
        Ok(())
    }

    /// What nothing names any more need not stay where it is.
    #[cold]
    fn unpin(&mut self, first: u32, count: u32) {
        let end = first + count;
        let mut at = first;
        while let Some(pinned) = self.frames.pinned().next(at).filter(|number| *number < end) {
            let count = self.frames.pinned().run(pinned, end - pinned);
            // What is still pinned for the kernel is not given back.
            let _ = self.vmctl().unpin(Unpin { first: u64::from(pinned) * PAGE_SIZE, count: count.into() });
            self.frames.unpin(pinned, count);
            at = pinned + count;
        }
    }

    /// Unmaps what there is in a range.
    pub(crate) fn unmap(&mut self, space: &Space, pages: Range<u64>) {
        for (address, count) in steps(pages) {
            let call = UnmapRun { space: space.name, address, count, reserved: 0 };
            self.insist(space, address, count, |machine| machine.vmctl().unmap(call).map(drop));
        }
    }

    /// Changes what a program may do in a range.
    pub(crate) fn protect(&mut self, space: &Space, pages: Range<u64>, access: Access) {
        for (address, count) in steps(pages) {
            let call = ProtectRun { space: space.name, address, count, access };
            self.insist(space, address, count, |machine| machine.vmctl().protect(call).map(drop));
        }
    }

    /// Does something to pages. Those that are shared through grants get frames of their own first.
    #[inline]
    fn insist(&mut self, space: &Space, address: u64, count: u32, act: impl Fn(&Self) -> Result<(), Errno>) {
        loop {
            match act(self) {
                Err(Errno::Busy) => self.part(space, address, count),
                // A space of the kernel's own has ended with its last process.
                Ok(()) | Err(Errno::Srch) => return,
                Err(error) => {
                    self.refusal = Some(Refusal { space: space.name, address, count, error });
                    return;
                }
            }
        }
    }

    #[cold]
    fn part(&self, space: &Space, address: u64, count: u32) {
        let call = Part { space: space.name, address, count, reserved: 0 };
        while self.vmctl().part(call).is_ok_and(|step| step.more != 0) {}
    }

    /// Lets another space show what one shows in a range.
    ///
    /// # Errors
    /// `ENOMEM` without page tables. What has been done of it stays.
    pub(crate) fn share(
        &mut self,
        from: &Space,
        to: &mut Space,
        pages: Range<u64>,
        sharing: Sharing,
    ) -> Result<(), Errno> {
        let mut next = pages.start;
        while next < pages.end {
            let (address, count) = (next * PAGE_SIZE, (pages.end - next).min(MAX_RUN.into()) as u32);
            let call = Share { from: from.name, to: to.name, address, count, sharing };
            match self.vmctl().share(call) {
                Ok(shared) => {
                    next += u64::from(shared.done);
                    self.stock(to, shared.lacks)?;
                }
                Err(Errno::Busy) => self.part(from, address, count),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives a page an idle frame instead of the one that it has, with the same contents. Whoever has a page fault, if somebody
    /// does, waits for it and goes on.
    pub(crate) fn replace(&mut self, space: &Space, page: u64, new: Frame, access: Access) {
        let address = page * PAGE_SIZE;
        if let Some(process) = self.faulting {
            let call = SupplyCopy { process, access, address, frame: new.address() };
            if self.vmctl().supply_copy(call).is_ok() {
                self.faulting = None;
                return;
            }
        }
        let call = CopyPage { space: space.name, address, frame: new.address(), access, reserved: 0 };
        self.insist(space, address, 1, |machine| machine.vmctl().copy(call).map(drop));
    }

    /// Pins the frame of a page, so that no grant puts another in its place. One that is there ends first.
    ///
    /// # Errors
    /// `EFAULT` if others are faster again and again, or it is pinned too often.
    pub(crate) fn pin_alone(&mut self, space: &Space, page: u64, frame: Frame) -> Result<(), Errno> {
        const ATTEMPTS: u32 = 4;
        for _ in 0..ATTEMPTS {
            match self.vmctl().pin(Pin { first: frame.address(), count: 1 }) {
                Ok(_) => return Ok(()),
                // It is aside.
                Err(Errno::Perm) => self.part(space, page * PAGE_SIZE, 1),
                Err(_) => break,
            }
        }
        Err(Errno::Fault)
    }

    /// Takes that pin away.
    pub(crate) fn unpin_alone(&mut self, frame: Frame) {
        let unpinned = self.vmctl().unpin(Unpin { first: frame.address(), count: 1 });
        if let Err(error) = unpinned {
            self.refusal = Some(Refusal { space: 0, address: frame.address(), count: 1, error });
        }
    }

    /// Copies the first bytes of a frame to a page of a process, which can be written.
    ///
    /// # Errors
    /// Those of the kernel: the process may have ended.
    pub(crate) fn copy_from_frame(&self, from: Frame, process: Endpoint, page: u64, len: u64) -> Result<(), Errno> {
        let mut done = 0;
        while done < len {
            let (source, destination) = (Endpoint::NONE, process);
            let (from, to) = (from.address() + done, page * PAGE_SIZE + done);
            let call = PhysCopy { source, destination, from, to, len: len - done, flags: 0 };
            done += self.kernel().physcopy(call)?.done;
        }
        Ok(())
    }

    /// A frame was for a page that could not be shown: gives it back, unless something else names it.
    pub(crate) fn take_back(&mut self, frame: Frame) {
        self.frames.unname(frame);
        self.give_back();
    }

    /// Gives back all frames that nothing names any more.
    pub(crate) fn give_back(&mut self) {
        let mut at = 0;
        while let Some(first) = self.frames.used().next(at) {
            let count = self.frames.used().run(first, MAX_RUN);
            let address = u64::from(first) * PAGE_SIZE;
            if self.frames.pinned().len() > 0 {
                self.unpin(first, count);
            }
            match self.vmctl().release(Release { first: address, count: count.into() }) {
                Ok(released) => {
                    self.frames.given_back(first, released.done as u32);
                    at = first + released.done as u32;
                }
                Err(Errno::Perm) => {
                    self.sort_out(first);
                    at = first + 1;
                }
                // A device may still know its address, or the kernel has not ended the space yet: it is tried again.
                Err(_) => at = first + 1,
            }
        }
    }

    /// A frame that nothing names is no program's for the kernel.
    #[cold]
    fn sort_out(&mut self, number: u32) {
        let frame = u64::from(number) * PAGE_SIZE;
        match self.vmctl().frame_info(GetFrameInfo { frame }).map(|info| info.kind) {
            // It was never mapped.
            Ok(FrameKind::Idle) => self.frames.given_back(number, 1),
            // It was of the kernel's pool, and has gone back there.
            _ => self.frames.lost(number),
        }
    }
}

fn map_run(space: u64, page: u64, frame: u64, count: u32, rights: Rights) -> MapRun {
    let Rights { access, cache, backing } = rights;
    MapRun { space, address: page * PAGE_SIZE, frame, count, access, cache, backing }
}
