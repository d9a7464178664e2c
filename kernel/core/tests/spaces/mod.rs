//! Address spaces and frames: against a model, and call by call.

mod calls;
mod hostile;
mod model;
mod processors;
mod random;
mod share;
mod steps;
mod walk;

use crate::support::{LENDINGS, TestMachine};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use kernel_core::frames::{FrameInfo, Frames};
use kernel_core::spaces::lending::{Lending, Lendings};
use kernel_core::spaces::{Home, Mapped, SPACES, Space, SpaceTable};
use kernel_core::{SpaceId, Spaces};
use protocol::vmctl::{Access, Backing, Cache, MapRun};
use std::ops::Range;

const P: u64 = PAGE_SIZE;

/// Frames that the frame table knows, by number: the kernel's, a device's, and RAM.
const KERNEL: Range<u64> = 0..4;
const DEVICE: Range<u64> = 4..8;
const RAM: Range<u64> = 8..120;
/// A device beyond what the frame table knows.
const FAR_DEVICE: Range<u64> = 1000..1010;
/// Devices that the kernel keeps for itself, known and beyond.
const KEPT: [u64; 2] = [6, 1005];

/// What spaces and frames are kept in.
struct Storage {
    spaces: Box<SpaceTable>,
    frames: Vec<FrameInfo>,
    lendings: Vec<Lending>,
}

impl Storage {
    fn new() -> Self {
        let spaces = vec![Space::FREE; SPACES].into_boxed_slice().try_into().expect("as many");
        let lendings = vec![Lending::UNUSED; LENDINGS];
        Self { spaces, frames: vec![FrameInfo::RESERVED; RAM.end as usize], lendings }
    }

    /// No spaces; all of the RAM is free.
    fn spaces(&mut self) -> Spaces<'_> {
        let mut frames = Frames::new(&mut self.frames);
        frames.add_kernel(bytes(KERNEL));
        frames.add_free(bytes(RAM));
        for frame in KEPT {
            assert!(frames.keep_device(bytes(frame..frame + 1)));
        }
        Spaces::new(&mut self.spaces, frames, Lendings::new(&mut self.lendings))
    }
}

/// The physical addresses of frames.
fn bytes(frames: Range<u64>) -> Range<u64> {
    frames.start * P..frames.end * P
}

/// Spaces on a machine, with all RAM claimed: the frames of the tests are idle.
struct Server<'t> {
    spaces: Spaces<'t>,
    machine: TestMachine,
    /// The next frame that the test has not used.
    next: u64,
}

impl<'t> Server<'t> {
    fn new(storage: &'t mut Storage) -> Self {
        let mut spaces = storage.spaces();
        assert_eq!(spaces.claim(512), Ok((RAM.start * P, RAM.end - RAM.start)));
        Self { spaces, machine: TestMachine::default(), next: RAM.start }
    }

    /// The physical address of the first of some idle frames.
    fn idle(&mut self, count: u64) -> u64 {
        let first = self.next;
        self.next += count;
        assert!(self.next <= RAM.end, "the test uses too many frames");
        first * P
    }

    /// A new space with so many page tables in stock.
    fn space(&mut self, stock: u64) -> u64 {
        let root = self.idle(1);
        let space = self.spaces.create(&mut self.machine, root).unwrap();
        if stock > 0 {
            let first = self.idle(stock);
            assert_eq!(self.spaces.donate(&mut self.machine, space, first, stock), Ok(stock));
        }
        space
    }

    /// Maps, with a right to every device.
    fn map(&mut self, call: &MapRun) -> Result<Mapped, Errno> {
        self.spaces.map(&mut self.machine, call, |_| true)
    }

    fn unmap(&mut self, space: u64, address: u64, count: u32) -> Result<u64, Errno> {
        self.spaces.unmap(&mut self.machine, space, address, count)
    }

    /// The kernel works on another CPU.
    fn on(&mut self, cpu: usize) {
        self.machine.memory.cpu = cpu;
    }
}

/// A call that maps RAM to be written.
fn run(space: u64, address: u64, frame: u64, count: u32) -> MapRun {
    let (access, cache, backing) = (Access::Write, Cache::Normal, Backing::Memory);
    MapRun { space, address, frame, count, access, cache, backing }
}

/// All was done.
fn done(done: u32) -> Result<Mapped, Errno> {
    Ok(Mapped { done, lacks: 0 })
}

/// What a process has that lives in a space where somebody lives already.
fn home(spaces: &mut Spaces<'_>, machine: &mut TestMachine, id: SpaceId) -> Option<Home> {
    let home = spaces.bind(id);
    spaces.unbind(machine, id);
    while spaces.sweep(machine) {}
    home
}
