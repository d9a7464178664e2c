//! Copies between programs, with grants and without.
//!
//! A call copies a bounded part of what is asked for. Before the first byte moves, all pages of that part have been found on
//! both sides: so a call that is refused, or waits for memory, has copied nothing.

use super::{Context, Stop};
use crate::frames::{FrameKind, FrameNumber};
use crate::grants::{Granted, Mark, Use};
use crate::spaces::lending::{self, Loan, Written};
use crate::{Machine, MemoryAccess, Slot, Stretch};
use abi::grant::GrantFlags;
use abi::layout::{PAGE_SIZE, user_range};
use abi::{Endpoint, Errno};
use arrayvec::ArrayVec;
use protocol::kernel::*;
use zerocopy::{FromZeros, IntoBytes};

/// Memory on one side of a copy.
#[derive(Clone, Copy)]
enum Memory {
    Of(Slot),
    Physical,
}

/// A part of it, from an address on.
#[derive(Clone, Copy)]
struct Side {
    memory: Memory,
    address: u64,
}

/// Pages that what one call copies can touch.
const MOST_PAGES: usize = (MAX_COPIED / PAGE_SIZE) as usize + 1;

/// The stretches of a range, at most [`MAX_COPIED`] bytes long. Each page can be one of its own.
type Stretches = ArrayVec<Stretch, MOST_PAGES>;

/// Fewer bytes than this are not worth sharing pages for: each page that is written later costs a fault.
const FEWEST_SHARED: u64 = 16 * PAGE_SIZE;

/// What happens where memory is not there.
#[derive(Clone, Copy)]
enum Missing {
    /// The caller waits for the memory server.
    Wait,
    /// The copy is left to the next call.
    Leave,
    /// The call fails, which may be noted somewhere.
    Fail(Option<Mark>),
}

impl From<&Granted> for Missing {
    fn from(granted: &Granted) -> Self {
        granted.mark().map_or(Self::Wait, |mark| Self::Fail(Some(mark)))
    }
}

impl From<&Granted> for Side {
    fn from(granted: &Granted) -> Self {
        Self { memory: Memory::Of(granted.owner), address: granted.address }
    }
}

impl<M: Machine> Context<'_, '_, M> {
    pub(super) fn virtual_copy(&mut self, call: &VirCopy) -> Result<VirCopied, Stop> {
        let (from, to) = (self.side(call.source, call.from)?, self.side(call.destination, call.to)?);
        let missing = self.decode_flags(call.flags)?;
        Ok(VirCopied { done: self.copy(from, to, call.len, missing)? })
    }

    pub(super) fn physical_copy(&mut self, call: &PhysCopy) -> Result<PhysCopied, Stop> {
        let (from, to) = (self.any_side(call.source, call.from)?, self.any_side(call.destination, call.to)?);
        let missing = self.decode_flags(call.flags)?;
        Ok(PhysCopied { done: self.copy(from, to, call.len, missing)? })
    }

    #[inline(always)]
    pub(super) fn copy_from_grant(&mut self, call: &SafeCopyFrom) -> Result<CopiedFrom, Stop> {
        let SafeCopyFrom { granter, grant, offset, len, .. } = *call;
        let granted = self.granted(&Use { granter, grant, offset, len, access: GrantFlags::READ })?;
        Ok(CopiedFrom { done: self.copy((&granted).into(), self.own(call.address), len, (&granted).into())? })
    }

    #[inline(always)]
    pub(super) fn copy_to_grant(&mut self, call: &SafeCopyTo) -> Result<CopiedTo, Stop> {
        let SafeCopyTo { granter, grant, offset, len, .. } = *call;
        let granted = self.granted(&Use { granter, grant, offset, len, access: GrantFlags::WRITE })?;
        Ok(CopiedTo { done: self.copy(self.own(call.address), (&granted).into(), len, (&granted).into())? })
    }

    pub(super) fn fill_granted(&mut self, call: &SafeMemSet) -> Result<SafeMemorySet, Stop> {
        let SafeMemSet { granter, grant, offset, len, .. } = *call;
        let byte = u8::try_from(call.byte).map_err(|_| Errno::Inval)?;
        let granted = self.granted(&Use { granter, grant, offset, len, access: GrantFlags::WRITE })?;
        if len == 0 {
            return Err(Errno::Dom.into());
        }
        Ok(SafeMemorySet { done: self.fill((&granted).into(), byte, len, (&granted).into())? })
    }

    /// Fills memory of a process.
    pub(super) fn fill_memory(&mut self, call: &MemSet) -> Result<MemorySet, Stop> {
        let memory = Memory::Of(self.named_or_self(call.process)?);
        let byte = u8::try_from(call.byte).map_err(|_| Errno::Inval)?;
        let to = Side { memory, address: call.address };
        Ok(MemorySet { done: self.fill(to, byte, call.len, Missing::Wait)? })
    }

    /// Makes copies of a list, as many as one call can.
    pub(super) fn copy_list(&mut self, call: &VSafeCopy) -> Result<VCopied, Stop> {
        if !(1..=MAX_COPIES).contains(&call.count) || call.first >= call.count {
            return Err(Errno::Inval.into());
        }
        let mut progress = VCopied { next: call.first, skip: call.skip };
        let mut room = MAX_COPIED;
        while progress.next < call.count && room > 0 {
            let started = (progress.next, progress.skip) != (call.first, call.skip);
            // A call that has copied something does not wait: it would make these copies once more.
            let missing = if started { Missing::Leave } else { Missing::Wait };
            let made = self.copy_of_list(call.address, &progress, room, missing);
            match made {
                Ok((done, len)) => {
                    room -= done;
                    progress.skip += done;
                    if progress.skip == len {
                        progress = VCopied { next: progress.next + 1, skip: 0 };
                    }
                }
                // The next call finds this out for itself.
                Err(Stop::Failed(_)) if started => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(progress)
    }

    /// Goes on with one copy of a list; returns how many bytes were copied now, and how many it has.
    fn copy_of_list(&mut self, list: u64, progress: &VCopied, room: u64, missing: Missing) -> Result<(u64, u64), Stop> {
        const SIZE: u64 = size_of::<SafeCopy>() as u64;
        let mut copy = SafeCopy::new_zeroed();
        let at = list.checked_add(progress.next * SIZE).ok_or(Errno::Fault)?;
        let read = self.kernel.read_memory(self.machine, self.me, at, copy.as_mut_bytes());
        read.map_err(|_| self.miss(self.me, (at, SIZE), MemoryAccess::Read, missing))?;
        let (granter, access) = match (copy.source == Endpoint::SELF, copy.destination == Endpoint::SELF) {
            (false, true) => (copy.source, GrantFlags::READ),
            (true, false) => (copy.destination, GrantFlags::WRITE),
            _ => return Err(Errno::Inval.into()),
        };
        // A copy without bytes is none; a place behind its end is none, either.
        let rest = copy.len.checked_sub(progress.skip).filter(|&rest| rest > 0).ok_or(Errno::Dom)?;
        let granted = self.granted(&Use { granter, grant: copy.grant, offset: copy.offset, len: copy.len, access })?;
        let address = copy.address.checked_add(progress.skip).ok_or(Errno::Fault)?;
        let granted = granted.behind(progress.skip);
        let (there, own) = (Side::from(&granted), self.own(address));
        let (from, to) = if access == GrantFlags::READ { (there, own) } else { (own, there) };
        let missing = if matches!(missing, Missing::Wait) { (&granted).into() } else { missing };
        Ok((self.copy_step(from, to, rest, rest.min(room), missing)?, copy.len))
    }

    /// What the caller may do with a grant.
    #[inline(always)]
    fn granted(&mut self, wanted: &Use) -> Result<Granted, Errno> {
        self.kernel.verify_grant(self.machine, self.my_endpoint(), wanted)
    }

    /// Memory of the caller.
    #[inline(always)]
    fn own(&self, address: u64) -> Side {
        Side { memory: Memory::Of(self.me), address }
    }

    /// Memory of a process.
    fn side(&self, process: Endpoint, address: u64) -> Result<Side, Errno> {
        Ok(Side { memory: Memory::Of(self.named_or_self(process)?), address })
    }

    /// The same, or physical memory.
    fn any_side(&self, process: Endpoint, address: u64) -> Result<Side, Errno> {
        if process == Endpoint::NONE {
            Ok(Side { memory: Memory::Physical, address })
        } else {
            self.side(process, address)
        }
    }

    fn decode_flags(&self, flags: u64) -> Result<Missing, Errno> {
        let flags = CopyFlags::from_bits(flags).ok_or(Errno::Inval)?;
        if !flags.contains(CopyFlags::TRY) {
            return Ok(Missing::Wait);
        }
        let may = self.kernel.privileges(self.me).flags.contains(abi::PrivilegeFlags::GRANTS_FOR_OTHERS);
        if may { Ok(Missing::Fail(None)) } else { Err(Errno::Perm) }
    }

    /// Copies a first part of `len` bytes; returns how many these are.
    #[inline(always)]
    fn copy(&mut self, from: Side, to: Side, len: u64, missing: Missing) -> Result<u64, Stop> {
        if len == 0 {
            return Err(Errno::Dom.into());
        }
        let at_once = match len {
            ..=PAGE_SIZE => self.copy_in_pages(from, to, len),
            ..=MAX_COPIED if !is_worth_sharing(from, to, len) => self.copy_at_once(from, to, len),
            _ => None,
        };
        if at_once.is_some() { Ok(len) } else { self.copy_many(from, to, len, missing) }
    }

    /// The same for what is long, or not there.
    #[inline(never)]
    fn copy_many(&mut self, from: Side, to: Side, len: u64, missing: Missing) -> Result<u64, Stop> {
        if is_worth_sharing(from, to, len)
            && let Some(done) = self.copy_pages(from, to, len, missing)?
        {
            return Ok(done);
        }
        self.copy_step(from, to, len, len.min(MAX_COPIED), missing)
    }

    /// Copies what lies in one page on each side, and is there: most copies. `None`, with nothing copied, if it is otherwise.
    #[inline(always)]
    fn copy_in_pages(&mut self, from: Side, to: Side, len: u64) -> Option<()> {
        let last_start = (from.address % PAGE_SIZE).max(to.address % PAGE_SIZE);
        if len > PAGE_SIZE - last_start {
            return None;
        }
        // Where the first byte is, the others are, too.
        let source = self.machine.locate_byte(self.root_of(from)?, from.address, MemoryAccess::Read)?;
        let destination = self.machine.locate_byte(self.root_of(to)?, to.address, MemoryAccess::Write)?;
        self.machine.copy(source, destination, len);
        Some(())
    }

    /// Copies what is one stretch on each side. `None`, with nothing copied, if it is not.
    fn copy_at_once(&mut self, from: Side, to: Side, len: u64) -> Option<()> {
        let source = self.stretch(from, len, MemoryAccess::Read)?;
        let destination = self.stretch(to, len, MemoryAccess::Write)?;
        if source.len < len || destination.len < len {
            return None;
        }
        self.machine.copy(source.first, destination.first, len);
        Some(())
    }

    /// Bytes of a side, from its first on, if they are there; physical memory is left to others.
    fn stretch(&self, side: Side, len: u64, access: MemoryAccess) -> Option<Stretch> {
        self.machine.stretch(self.root_of(side)?, side.address, len, access)
    }

    /// The root table of a side's space; physical memory is in none.
    #[inline(always)]
    fn root_of(&self, side: Side) -> Option<FrameNumber> {
        match side.memory {
            Memory::Of(slot) => self.kernel.root_of(slot),
            Memory::Physical => None,
        }
    }

    /// Copies many whole pages, which lie alike on both sides, by letting both see the same until one of them writes. What comes
    /// before the first whole page is a copy of its own. `None` if they are not to be shared.
    #[cold]
    fn copy_pages(&mut self, from: Side, to: Side, len: u64, missing: Missing) -> Result<Option<u64>, Stop> {
        let head = before_page(from);
        if head > 0 {
            return self.copy_step(from, to, len, head, missing).map(Some);
        }
        let (Memory::Of(owner), Memory::Of(borrower)) = (from.memory, to.memory) else {
            return Ok(None);
        };
        let home = |slot| self.kernel.process(slot).space;
        let valid = [from, to].iter().all(|side| user_range(side.address, len).is_some());
        let (Some(owner), Some(borrower), true) = (home(owner), home(borrower), valid) else {
            return Ok(None);
        };
        let count = (len / PAGE_SIZE).min(MAX_LENT.into()) as u32;
        let owner = lending::Side { home: owner, address: from.address };
        let borrower = lending::Side { home: borrower, address: to.address };
        let shared = self.kernel.spaces.lend_as_copy(self.machine, &Loan { owner, borrower, count });
        Ok(shared.then_some(u64::from(count) * PAGE_SIZE))
    }

    /// Copies the first `step` of `len` bytes.
    fn copy_step(&mut self, from: Side, to: Side, len: u64, step: u64, missing: Missing) -> Result<u64, Stop> {
        let sources = self.locate(from, len, step, MemoryAccess::Read, missing)?;
        let destinations = self.locate(to, len, step, MemoryAccess::Write, missing)?;
        let (mut source, mut destination) = (Cursor::new(&sources), Cursor::new(&destinations));
        while let (Some(from), Some(to)) = (source.next, destination.next) {
            let len = from.len.min(to.len);
            self.machine.copy(from.first, to.first, len);
            source.advance(len);
            destination.advance(len);
        }
        Ok(step)
    }

    /// Fills a first part of `len` bytes; returns how many these are.
    fn fill(&mut self, to: Side, byte: u8, len: u64, missing: Missing) -> Result<u64, Stop> {
        let step = len.min(MAX_COPIED);
        let stretches = self.locate(to, len, step, MemoryAccess::Write, missing)?;
        stretches.iter().for_each(|stretch| self.machine.fill(stretch.first, byte, stretch.len));
        Ok(step)
    }

    /// Finds the first `step` of `len` bytes; if they are missing, all of them are asked for.
    fn locate(
        &mut self,
        side: Side,
        len: u64,
        step: u64,
        access: MemoryAccess,
        missing: Missing,
    ) -> Result<Stretches, Stop> {
        let Memory::Of(slot) = side.memory else {
            return Ok(self.locate_physical(side.address, step)?);
        };
        if let Some(stretches) = self.stretches(side, step, access) {
            return Ok(stretches);
        }
        match missing {
            Missing::Fail(_) if access == MemoryAccess::Write && self.is_withheld(slot, side.address, step) => {
                Err(self.start_again())
            }
            _ => Err(self.miss(slot, (side.address, len), access, missing)),
        }
    }

    /// All stretches of a range, if it is there.
    fn stretches(&self, side: Side, len: u64, access: MemoryAccess) -> Option<Stretches> {
        let mut stretches = Stretches::new();
        let mut done = 0;
        while done < len {
            let address = side.address.checked_add(done)?;
            let stretch = self.stretch(Side { address, ..side }, len - done, access)?;
            stretches.try_push(stretch).ok()?;
            done += stretch.len;
        }
        Some(stretches)
    }

    /// Memory is not there.
    fn miss(&mut self, slot: Slot, (address, len): (u64, u64), access: MemoryAccess, missing: Missing) -> Stop {
        match missing {
            Missing::Wait => self.need(slot, address, len, access),
            Missing::Leave => Errno::Fault.into(),
            Missing::Fail(mark) => self.fail_tried(mark),
        }
    }

    /// Whether pages could not be written only because two programs share them, and can be now.
    fn is_withheld(&mut self, slot: Slot, address: u64, len: u64) -> bool {
        user_range(address, len).is_some()
            && self.kernel.want_writes(self.machine, slot, address, len) == Written::Allowed
    }

    /// Memory is not there, and is not waited for.
    fn fail_tried(&mut self, mark: Option<Mark>) -> Stop {
        mark.into_iter().for_each(|mark| self.kernel.mark_faulted(self.machine, mark));
        Errno::Fault.into()
    }

    /// Asks the memory server, unless the grant says that nobody waits.
    pub(super) fn need_unless_tried(
        &mut self,
        mark: Option<Mark>,
        slot: Slot,
        address: u64,
        len: u64,
        access: MemoryAccess,
    ) -> Stop {
        if mark.is_some() { self.fail_tried(mark) } else { self.need(slot, address, len, access) }
    }

    /// The same for physical memory, where nobody can be asked. Only what programs have can be copied: neither page tables nor
    /// the kernel, and nothing that is a device's.
    fn locate_physical(&self, address: u64, step: u64) -> Result<Stretches, Errno> {
        let mut stretches = Stretches::new();
        let end = address.checked_add(step).ok_or(Errno::Fault)?;
        let mut at = address;
        while at < end {
            let frame = FrameNumber::containing(at).ok_or(Errno::Fault)?;
            let kind = self.kernel.spaces.frames().kind(frame).map_err(|_| Errno::Fault)?;
            if kind != FrameKind::User {
                return Err(Errno::Perm);
            }
            let offset = at % PAGE_SIZE;
            let len = (PAGE_SIZE - offset).min(end - at);
            let stretch = Stretch { first: self.machine.name_of(frame) + offset, len };
            stretches.try_push(stretch).map_err(|_| Errno::Fault)?;
            at += len;
        }
        Ok(stretches)
    }
}

/// How many bytes of a side lie before the first page that begins there.
fn before_page(side: Side) -> u64 {
    side.address.wrapping_neg() % PAGE_SIZE
}

/// Whether there are enough whole pages that lie alike on both sides.
#[inline(always)]
fn is_worth_sharing(from: Side, to: Side, len: u64) -> bool {
    len >= FEWEST_SHARED
        && (from.address ^ to.address).is_multiple_of(PAGE_SIZE)
        && len - before_page(from) >= FEWEST_SHARED
}

/// The way through the stretches of a range.
struct Cursor<'s> {
    /// What is left of the first of those that are left.
    next: Option<Stretch>,
    others: core::slice::Iter<'s, Stretch>,
}

impl<'s> Cursor<'s> {
    #[inline(always)]
    fn new(stretches: &'s Stretches) -> Self {
        let mut others = stretches.iter();
        Self { next: others.next().copied(), others }
    }

    /// Goes on by no more bytes than are left of this stretch.
    #[inline(always)]
    fn advance(&mut self, len: u64) {
        self.next = match self.next {
            Some(now) if now.len > len => Some(Stretch { first: now.first + len, len: now.len - len }),
            _ => self.others.next().copied(),
        };
    }
}
