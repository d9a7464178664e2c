//! The frames of the machine: which are free, and how often the others are used.
//!
//! Every frame that the server has is in one place: free (idle for the kernel), in use by programs with a count of what names
//! it, in the chain of page tables of a space, or used: a program's for the kernel still, but nobody's any more. Those are
//! given back in runs, when a request is over.

use crate::set::FrameSet;
use abi::layout::PAGE_SIZE;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;

/// A frame by its number: its physical address in pages. Number 0 is never a program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Frame(NonZeroU32);

impl Frame {
    /// The frame with a number; `None` for 0.
    pub(crate) fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The frame at a physical address; `None` for the first one, and beyond what can be named.
    pub(crate) fn at(address: u64) -> Option<Self> {
        u32::try_from(address / PAGE_SIZE).ok().and_then(Self::new)
    }

    /// Its number.
    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    /// Its physical address.
    pub(crate) fn address(self) -> u64 {
        u64::from(self.number()) * PAGE_SIZE
    }

    /// The frame so many frames behind, in a run that is known to exist.
    pub(crate) fn after(self, frames: u32) -> Self {
        Self(self.0.saturating_add(frames))
    }
}

/// Frames in a chain: page tables of a space. The links stand where other frames have their counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain(Option<Frame>);

/// Where devices of old can reach: taken last, so that there is something left for them.
const LOW: u32 = (16 << 20) / PAGE_SIZE as u32;

/// All frames.
#[derive(Debug)]
pub(crate) struct Frames {
    free: FrameSet,
    /// Named by nothing any more, and not given back yet.
    used: FrameSet,
    /// Those that the kernel keeps where they are, since somebody has their address.
    pinned: FrameSet,
    /// Where the search for a free one begins.
    next: u32,
    /// By number: how many pages name a frame, or the link of a chain.
    counts: Vec<u32>,
    total: u64,
    /// How many of the free ones programs do not get.
    kept: u64,
    in_chains: u64,
    /// How many the server has for itself.
    own: u64,
    /// How many would have had to be there for something that has failed; 0 if nothing has.
    lack: u64,
}

impl Frames {
    /// None yet; their numbers will be below `limit`.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            free: FrameSet::new(limit),
            used: FrameSet::new(limit),
            pinned: FrameSet::new(limit),
            next: LOW,
            counts: vec![0; limit as usize],
            total: 0,
            kept: 0,
            in_chains: 0,
            own: 0,
            lack: 0,
        }
    }

    /// How many bytes that takes at most.
    pub(crate) const fn bytes(limit: u32) -> usize {
        FrameSet::bytes(limit) * 3 + limit as usize * size_of::<u32>()
    }

    /// All numbers are below this.
    pub(crate) fn limit(&self) -> u32 {
        self.counts.len() as u32
    }

    /// More frames, that are idle. Some of all that there are then are kept back for the server itself.
    pub(crate) fn add(&mut self, first: u32, count: u32) {
        /// One of so many is kept back, but no fewer and no more than
        const KEPT: u64 = 256;
        const LEAST_KEPT: u64 = 32;
        const MOST_KEPT: u64 = 1024;
        (first..first + count).for_each(|number| self.free.insert(number));
        self.total += u64::from(count);
        self.kept = (self.total / KEPT).clamp(LEAST_KEPT, MOST_KEPT);
    }

    /// How many programs can still have.
    pub(crate) fn available(&self) -> u64 {
        self.free.len().saturating_sub(self.kept)
    }

    /// Something fails because fewer than these are available.
    #[cold]
    pub(crate) fn note_lack(&mut self, wanted: u64) {
        self.lack = self.lack.max(wanted);
    }

    /// How many would have had to be available for what has failed since this was asked last; 0 if nothing has.
    pub(crate) fn take_lack(&mut self) -> u64 {
        core::mem::take(&mut self.lack)
    }

    /// How many there ever were.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Those that nobody has.
    pub(crate) fn free(&self) -> &FrameSet {
        &self.free
    }

    /// Those that are to be given back.
    pub(crate) fn used(&self) -> &FrameSet {
        &self.used
    }

    /// Those that are pinned.
    pub(crate) fn pinned(&self) -> &FrameSet {
        &self.pinned
    }

    /// Neighbours are pinned now.
    pub(crate) fn pin(&mut self, first: u32, count: u32) {
        (first..first + count).for_each(|number| self.pinned.insert(number));
    }

    /// Neighbours are pinned no more.
    pub(crate) fn unpin(&mut self, first: u32, count: u32) {
        (first..first + count).for_each(|number| self.pinned.remove(number));
    }

    /// How many are page tables, or the server's own.
    pub(crate) fn overhead(&self) -> u64 {
        self.in_chains + self.own
    }

    /// So many frames have been the server's own from the beginning.
    pub(crate) fn count_own(&mut self, frames: u64) {
        self.own += frames;
        self.total += frames;
    }

    /// The next free frame behind the last one that was taken, or the first of all: low ones last.
    #[inline]
    fn first_free(&self) -> Option<Frame> {
        let next = self.free.next(self.next).or_else(|| self.free.next(LOW)).or_else(|| self.free.next(0));
        next.and_then(Frame::new)
    }

    /// Takes neighbours, at least one and at most `most`, each named once.
    pub(crate) fn take_run(&mut self, most: u32) -> Option<(Frame, u32)> {
        let most = u64::from(most).min(self.available()) as u32;
        let Some(first) = self.first_free().filter(|_| most > 0) else {
            self.note_lack(1);
            return None;
        };
        let count = if most == 1 { 1 } else { self.free.run(first.number(), most) };
        self.use_run(first, count);
        self.next = first.number() + count;
        Some((first, count))
    }

    /// Takes a frame, named once.
    pub(crate) fn take(&mut self) -> Option<Frame> {
        self.take_run(1).map(|(first, _)| first)
    }

    /// Takes `count` neighbours below a limit, the first of which is a multiple of `align`; each is named once.
    pub(crate) fn take_contiguous(&mut self, count: u32, align: u32, limit: u32) -> Option<Frame> {
        let found = self.free.find_run(count, align, limit).and_then(Frame::new);
        let Some(first) = found.filter(|_| u64::from(count) <= self.available()) else {
            // They must be neighbours, so more of them may help.
            self.note_lack(self.available() + u64::from(count));
            return None;
        };
        self.use_run(first, count);
        Some(first)
    }

    #[inline]
    fn use_run(&mut self, first: Frame, count: u32) {
        for number in first.number()..first.number() + count {
            self.free.remove(number);
            self.counts[number as usize] = 1;
        }
    }

    fn take_free(&mut self) -> Option<Frame> {
        let frame = self.first_free()?;
        self.free.remove(frame.number());
        Some(frame)
    }

    /// Takes a frame for the server itself, also of those that are kept back.
    pub(crate) fn take_own(&mut self) -> Option<Frame> {
        let frame = self.take_free()?;
        self.own += 1;
        Some(frame)
    }

    /// Takes back one that has not been used.
    pub(crate) fn put_own(&mut self, frame: Frame) {
        self.own -= 1;
        self.put_idle(frame);
    }

    fn put_idle(&mut self, frame: Frame) {
        self.counts[frame.number() as usize] = 0;
        self.free.insert(frame.number());
    }

    /// Takes neighbours for page tables, at least one and at most `most`, and keeps them in a chain.
    pub(crate) fn take_tables(&mut self, chain: &mut Chain, most: u32) -> Option<(Frame, u32)> {
        let (first, count) = self.take_run(most)?;
        (0..count).for_each(|skip| self.link(chain, first.after(skip)));
        Some((first, count))
    }

    /// Takes a frame for a page table of the server itself.
    pub(crate) fn take_own_table(&mut self, chain: &mut Chain) -> Option<Frame> {
        let frame = self.take_free()?;
        self.link(chain, frame);
        Some(frame)
    }

    fn link(&mut self, chain: &mut Chain, frame: Frame) {
        self.counts[frame.number() as usize] = chain.0.map_or(0, Frame::number);
        chain.0 = Some(frame);
        self.in_chains += 1;
    }

    /// All frames of a chain are idle again.
    pub(crate) fn put_chain(&mut self, chain: &mut Chain) {
        while let Some(frame) = chain.0 {
            chain.0 = Frame::new(self.counts[frame.number() as usize]);
            self.in_chains -= 1;
            self.put_idle(frame);
        }
    }

    /// The frames of a chain.
    pub(crate) fn chained(&self, chain: &Chain) -> impl Iterator<Item = Frame> {
        let next = |frame: &Frame| Frame::new(self.counts[frame.number() as usize]);
        core::iter::successors(chain.0, next)
    }

    /// How many pages name a frame that is a program's.
    pub(crate) fn count(&self, frame: Frame) -> u32 {
        self.counts[frame.number() as usize]
    }

    /// One more page names a frame. There are fewer pages than can be counted.
    pub(crate) fn name_again(&mut self, frame: Frame) {
        self.counts[frame.number() as usize] += 1;
    }

    /// One page less does. With the last, it is to be given back.
    #[inline]
    pub(crate) fn unname(&mut self, frame: Frame) {
        let count = &mut self.counts[frame.number() as usize];
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.used.insert(frame.number());
        }
    }

    /// A run that was to be given back is idle.
    pub(crate) fn given_back(&mut self, first: u32, count: u32) {
        // So that what is free stays together.
        if first >= LOW {
            self.next = self.next.min(first);
        }
        for number in first..first + count {
            self.used.remove(number);
            self.free.insert(number);
        }
    }

    /// A frame that was to be given back is not the server's any more.
    pub(crate) fn lost(&mut self, number: u32) {
        self.used.remove(number);
        self.total = self.total.saturating_sub(1);
    }

    /// Frames that held the file of a boot program are the server's now, to be given back.
    pub(crate) fn take_back(&mut self, first: u32, count: u32) {
        (first..first + count).for_each(|number| self.used.insert(number));
        self.total += u64::from(count);
    }

    /// A frame that the server did not have is a program's from now on, named once.
    pub(crate) fn adopt(&mut self, frame: Frame) {
        self.counts[frame.number() as usize] += 1;
        self.total += 1;
    }
}
