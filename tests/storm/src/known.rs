//! What a hostile program knows: names that it was given or told, and memory that it has.

use crate::Random;
use abi::event::ACCESS_SHIFT;
use abi::{Endpoint, Kind, Message};
use arrayvec::ArrayVec;
use core::ops::Range;
use protocol::{Call, getinfo, irqctl, kernel, vmctl};

/// The last things that were heard of.
#[derive(Clone, Debug)]
pub struct Ring<const N: usize, T = u64> {
    items: ArrayVec<T, N>,
    next: usize,
}

impl<const N: usize, T> Default for Ring<N, T> {
    fn default() -> Self {
        Self { items: ArrayVec::new(), next: 0 }
    }
}

impl<const N: usize, T: Copy + PartialEq> Ring<N, T> {
    /// Adds one, in the place of the oldest if there is no room.
    pub fn push(&mut self, item: T) {
        if self.items.contains(&item) {
            return;
        }
        if let Err(full) = self.items.try_push(item) {
            self.items[self.next % N] = full.element();
            self.next += 1;
        }
    }

    /// Forgets one.
    pub fn remove(&mut self, item: T) {
        self.items.retain(|known| *known != item);
    }

    /// Any of them; `None` if there is none.
    pub fn pick(&self, random: &mut Random) -> Option<T> {
        let index = random.below(self.items.len().max(1) as u64);
        self.items.get(index as usize).copied()
    }

    /// All of them.
    pub fn all(&self) -> &[T] {
        &self.items
    }
}

/// Addresses of lists that calls can use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Samples {
    /// Of accesses to ports.
    pub ports: u64,
    /// Of elements of a receive filter.
    pub filters: u64,
    /// Of grants.
    pub grants: u64,
    /// Of copies from and to granted memory.
    pub copies: u64,
}

/// What a call was about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recent {
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) space: Option<u64>,
    /// The second space.
    pub(crate) to: Option<u64>,
    pub(crate) frame: Option<u64>,
    pub(crate) page: Option<u64>,
}

/// A page that was mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) space: u64,
    pub(crate) page: u64,
    pub(crate) frame: u64,
}

/// What there is to name.
#[derive(Clone, Debug)]
pub struct Known {
    /// The program's own name.
    pub me: Endpoint,
    /// The root system process.
    pub root: Endpoint,
    /// Processes.
    pub endpoints: Ring<32>,
    /// Those of them that may have granted something.
    pub granters: Ring<8, Endpoint>,
    /// Processes that no call may name: the run would end with them.
    pub spared: ArrayVec<Endpoint, 8>,
    /// Address spaces.
    pub spaces: Ring<16>,
    /// Spaces that no call may name.
    pub spared_spaces: ArrayVec<u64, 8>,
    /// Physical addresses of frames.
    pub frames: Ring<64>,
    /// Addresses of signal frames.
    pub signal_frames: Ring<8>,
    /// Interrupt hooks.
    pub hooks: Ring<8>,
    /// Processes of which a call waits for memory.
    pub(crate) requestors: Ring<4, Endpoint>,
    /// Processes that have a page fault.
    pub(crate) faulting: Ring<4, Endpoint>,
    /// Pages that were mapped.
    pub(crate) mapped: Ring<8, Mapped>,
    /// Frames of pages that were taken away.
    pub(crate) unmapped: Ring<8>,
    /// What the last call was about that succeeded.
    pub(crate) recent: Recent,
    /// Where in the program's memory there are lists that calls can use.
    pub samples: Samples,
    /// Physical addresses of a device that the program may use.
    pub device: Range<u64>,
    /// The program's own memory that may be written over.
    pub arena: Range<u64>,
    /// Where it maps pages in other spaces.
    pub window: Range<u64>,
    /// End of physical memory.
    pub memory_end: u64,
    /// The first slot that no program of the boot set has.
    pub first_slot: u32,
}

impl Known {
    /// What a program knows at its start.
    pub fn new(me: Endpoint, arena: Range<u64>, window: Range<u64>) -> Self {
        Self {
            me,
            root: Endpoint::NONE,
            endpoints: Ring::default(),
            granters: Ring::default(),
            spared: ArrayVec::new(),
            spaces: Ring::default(),
            spared_spaces: ArrayVec::new(),
            frames: Ring::default(),
            signal_frames: Ring::default(),
            hooks: Ring::default(),
            requestors: Ring::default(),
            faulting: Ring::default(),
            mapped: Ring::default(),
            unmapped: Ring::default(),
            recent: Recent::default(),
            samples: Samples::default(),
            device: 0..0,
            arena,
            window,
            memory_end: 1 << 27,
            first_slot: 64,
        }
    }

    /// Takes notice of what a kernel call was answered that succeeded.
    pub fn learn(&mut self, kind: Kind, reply: &[u64; abi::BODY_WORDS]) {
        let message = Message { body: *reply, ..Message::new(Endpoint::SYSTEM, kind) };
        if let Some(forked) = reply_to::<kernel::Fork>(&message) {
            self.meet(forked.child);
        } else if let Some(signaled) = reply_to::<kernel::GetKSig>(&message) {
            self.meet(signaled.process);
        } else if let Some(sent) = reply_to::<kernel::SigSend>(&message) {
            self.signal_frames.push(sent.frame);
        } else if let Some(process) = reply_to::<getinfo::GetProcess>(&message) {
            self.meet(process.endpoint);
        } else if let Some(set) = reply_to::<irqctl::SetPolicy>(&message) {
            self.hooks.push(set.hook.into());
        } else if let Some(created) = reply_to::<vmctl::CreateSpace>(&message) {
            self.enter(created.space);
        } else if let Some(event) = reply_to::<vmctl::NextEvent>(&message) {
            let [names, _, access_and_len] = event.words;
            let requestor = Endpoint::from_raw(names as u32);
            self.meet(requestor);
            // A page fault has no length.
            let is_fault = access_and_len & ((1 << ACCESS_SHIFT) - 1) == 0;
            let waiting = if is_fault { &mut self.faulting } else { &mut self.requestors };
            if !self.spared.contains(&requestor) {
                waiting.push(requestor);
            }
        } else if let Some(home) = reply_to::<vmctl::GetSpaceOf>(&message) {
            self.enter(home.space);
        } else if let Some(claimed) = reply_to::<vmctl::Claim>(&message) {
            self.recent.frame = Some(claimed.first);
            for frame in (0..claimed.count).take(Self::MOST_FRAMES) {
                self.frames.push(claimed.first + frame * abi::layout::PAGE_SIZE);
            }
        } else if let Some(found) = reply_to::<vmctl::QueryRun>(&message)
            && found.found == vmctl::Found::Memory
        {
            self.frames.push(found.frame);
        }
    }

    /// The last call has mapped a page.
    pub(crate) fn remember_page(&mut self) {
        let Recent { space, page, frame, .. } = self.recent;
        if let (Some(space), Some(page), Some(frame)) = (space, page, frame) {
            self.mapped.push(Mapped { space, page, frame });
        }
    }

    /// The last call has taken a page away: its frame is mapped there no more.
    pub(crate) fn forget_page(&mut self) {
        let Recent { space, page, .. } = self.recent;
        let is_it = |mapped: &&Mapped| (Some(mapped.space), Some(mapped.page)) == (space, page);
        if let Some(mapped) = self.mapped.all().iter().find(is_it).copied() {
            self.mapped.remove(mapped);
            self.unmapped.push(mapped.frame);
        }
    }

    /// Frames of one run that are remembered.
    const MOST_FRAMES: usize = 16;

    fn meet(&mut self, endpoint: Endpoint) {
        if endpoint != Endpoint::NONE && !self.spared.contains(&endpoint) {
            self.recent.endpoint = Some(endpoint);
            self.endpoints.push(endpoint.raw().into());
        }
    }

    fn enter(&mut self, space: u64) {
        if space != 0 && !self.spared_spaces.contains(&space) {
            self.recent.space = Some(space);
            self.spaces.push(space);
        }
    }
}

/// What a reply says, if it is one to this call.
fn reply_to<C: Call>(message: &Message) -> Option<C::Reply> {
    (message.kind == C::KIND).then(|| protocol::decode(message).ok()).flatten()
}
