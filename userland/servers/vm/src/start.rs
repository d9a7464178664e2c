//! How the server begins: it takes all free frames, some of them for its own books.

use crate::Vm;
use crate::frames::Frames;
use crate::heap::Heap;
use crate::machine::{Machine, Space};
use crate::objects::Objects;
use crate::process::{Limits, Processes};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use alloc::collections::BTreeMap;
use protocol::Transport;
use protocol::vmctl::{
    Access, Backing, Cache, Claim, Claimed, Client, Donate, GetFrameInfo, GiveBack, MAX_RUN, MapRun,
};

/// What the heap has at least when the server begins, beside the books of all frames.
const FIRST_HEAP: usize = 64 << 10;

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Takes all free frames, and knows no processes yet. The server itself lives in `space`, as the kernel calls it.
    ///
    /// # Errors
    /// Those of the kernel; `ENOMEM` if there is not enough for the server's own books.
    pub fn start(transport: T, mut heap: H, space: u64) -> Result<Self, Errno> {
        let mut vmctl = Client { to: Endpoint::SYSTEM, transport };
        let limit = frame_limit(&mut vmctl)?;
        let taken = found_heap(&mut vmctl, &mut heap, space, Frames::bytes(limit) + Processes::bytes() + FIRST_HEAP)?;
        let mut frames = Frames::new(limit);
        frames.count_own(taken);
        let machine = Machine::new(transport, frames, heap, Space::named(space));
        let limits = Limits::NONE;
        let (processes, objects, kept) = (Processes::new(), Objects::default(), BTreeMap::new());
        let mut vm = Self { machine, processes, objects, kept, limits, segv: None };
        vm.claim_all();
        Ok(vm)
    }

    /// Takes what the kernel has free.
    pub fn claim_all(&mut self) {
        while let Ok(Claimed { first, count }) = self.machine.vmctl().claim(Claim { count: MAX_RUN.into() }) {
            self.machine.frames.add((first / PAGE_SIZE) as u32, count as u32);
        }
    }
}

/// Numbers of frames are below this.
fn frame_limit<T: Transport>(vmctl: &mut Client<T>) -> Result<u32, Errno> {
    let mut exists = |number: u32| match vmctl.frame_info(GetFrameInfo { frame: u64::from(number) * PAGE_SIZE }) {
        Ok(_) => Ok(true),
        Err(Errno::Dom) => Ok(false),
        Err(error) => Err(error),
    };
    let (mut below, mut limit) = (0, u32::MAX);
    while below < limit {
        let middle = below + (limit - below) / 2;
        if exists(middle)? { below = middle + 1 } else { limit = middle }
    }
    Ok(limit)
}

/// Frames of a run that was claimed.
struct Run {
    next: u64,
    left: u64,
}

impl Run {
    fn take<T: Transport>(&mut self, vmctl: &mut Client<T>) -> Result<u64, Errno> {
        if self.left == 0 {
            let claimed = vmctl.claim(Claim { count: MAX_RUN.into() })?;
            (self.next, self.left) = (claimed.first, claimed.count);
        }
        self.left -= 1;
        self.next += PAGE_SIZE;
        Ok(self.next - PAGE_SIZE)
    }
}

/// Gives the heap its first pages, and the space of the server the tables for them. Returns how many
/// frames that took.
fn found_heap<T: Transport>(
    vmctl: &mut Client<T>,
    heap: &mut impl Heap,
    space: u64,
    bytes: usize,
) -> Result<u64, Errno> {
    let mut run = Run { next: 0, left: 0 };
    let mut taken = 0;
    while heap.lacks(bytes) > 0 {
        let frame = run.take(vmctl)?;
        taken += 1;
        let (access, cache, backing) = (Access::Write, Cache::Normal, Backing::Memory);
        let call = MapRun { space, address: heap.end() * PAGE_SIZE, frame, count: 1, access, cache, backing };
        loop {
            let mapped = vmctl.map(call)?;
            if mapped.done == 1 {
                break;
            }
            for _ in 0..mapped.lacks {
                let first = run.take(vmctl)?;
                taken += 1;
                vmctl.donate(Donate { space, first, count: 1 })?;
            }
        }
        heap.grow(1);
    }
    if run.left > 0 {
        vmctl.give_back(GiveBack { first: run.next, count: run.left })?;
    }
    Ok(taken)
}
