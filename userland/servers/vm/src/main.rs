//! The memory server.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // The allocator, and kernel calls that could write memory of this program.

mod allocator;

use abi::boot::BootFlags;
use abi::event::SystemEvent;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use allocator::{ProgramHeap, SCRATCH};
use core::fmt;
use protocol::getinfo::{BootPolicy, GetBootPolicy};
use protocol::kernel::{GetBootEntry, PhysCopy, VirCopy};
use protocol::vmctl::{GetBootFile, GetSpaceOf, UnmapRun};
use protocol::{Call, Transport};
use sys::Traps;
use vm::{Authority, BootProgram, LoadError, Own, OwnMemory, Vm};

sys::entry!(main);

const MIB: u64 = 1 << 20;

type Server = Vm<Calls, ProgramHeap>;

/// Why the server cannot begin.
enum Failure {
    /// A kernel call failed.
    Kernel(Errno),
    /// A program of the boot table cannot be loaded.
    Load([u8; abi::boot::NAME_LEN], LoadError),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Kernel(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Load(name, error) => write!(f, "the boot program {}: {error}", sys::name_of(name)),
        }
    }
}

fn main() -> u64 {
    match serve() {
        Ok(stopped) => sys::log!("cannot receive any more: {}", stopped.error),
        Err(failure) => sys::log!("cannot begin: {failure}"),
    }
    1
}

fn serve() -> Result<sys::Stopped, Failure> {
    let me = sys::whoami()?.endpoint;
    let space = sys::vmctl().space_of(GetSpaceOf { process: me })?.space;
    let mut server = Vm::start(Calls { space, me }, ProgramHeap, Own { space, scratch: SCRATCH })?;
    let root = take_over_programs(&mut server, me)?;
    let memory = server.memory_info();
    let mib = |pages: u64| pages * PAGE_SIZE / MIB;
    sys::log!("{} of {} MiB are free for programs", mib(memory.free), mib(memory.total));
    rt::notify(root)?;
    Ok(sys::serve_over(&mut Traps, &mut server, answer, notified))
}

/// Makes the programs of the boot table known, and loads those that the kernel has not. The root, which says later what the
/// others may ask for, may ask for everything. Returns who it is.
fn take_over_programs(server: &mut Server, me: Endpoint) -> Result<Endpoint, Failure> {
    let mut root = None;
    for index in 0.. {
        let policy = match sys::getinfo().boot_policy(GetBootPolicy { index }) {
            Ok(policy) => policy,
            Err(Errno::Dom) => break,
            Err(error) => return Err(error.into()),
        };
        if policy.endpoint == me {
            continue;
        }
        let is_root = has(&policy, BootFlags::ROOT);
        let authority = if is_root { Authority::Service(u64::MAX) } else { Authority::Nothing };
        server.adopt(policy.endpoint, authority)?;
        root = root.or(is_root.then_some(policy.endpoint));
        if has(&policy, BootFlags::SERVED) {
            load(server, index, policy.endpoint)?;
        }
    }
    root.ok_or(Failure::Kernel(Errno::Srch))
}

fn has(policy: &BootPolicy, flag: BootFlags) -> bool {
    policy.flags & flag.bits() != 0
}

fn load(server: &mut Server, index: u64, process: Endpoint) -> Result<(), Failure> {
    let name = sys::kernel().boot_entry(GetBootEntry { index })?.name;
    let file = sys::vmctl().boot_file(GetBootFile { index })?;
    let program = BootProgram { process, name, file: file.first, len: file.len };
    server.load(&program, &mut Memory).map_err(|error| Failure::Load(name, error))?;
    check(server);
    Ok(())
}

/// Carries kernel calls: all that leave memory of this program alone.
#[derive(Clone, Copy, Debug)]
struct Calls {
    space: u64,
    me: Endpoint,
}

impl Calls {
    /// Whether a call that could write memory of its caller writes that of another process.
    fn is_about_another(&self, message: &Message) -> bool {
        match message.kind {
            UnmapRun::KIND => protocol::decode::<UnmapRun>(message).is_ok_and(|call| call.space != self.space),
            PhysCopy::KIND => protocol::decode::<PhysCopy>(message)
                .is_ok_and(|call| ![Endpoint::SELF, Endpoint::NONE, self.me].contains(&call.destination)),
            _ => false,
        }
    }
}

impl Transport for Calls {
    #[inline]
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        if !self.is_about_another(message) {
            return rt::kernel_call(message);
        }
        // SAFETY: the call takes away or writes memory of another process.
        unsafe { rt::message_unchecked(message) }
    }
}

/// The memory of this program.
#[derive(Clone, Copy)]
struct Memory;

impl OwnMemory for Memory {
    fn read_physical(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let (to, len) = (into.as_mut_ptr() as u64, into.len() as u64);
        let call = PhysCopy { source: Endpoint::NONE, destination: Endpoint::SELF, from: address, to, len, flags: 0 };
        // SAFETY: what is written is borrowed for that, and takes any bytes.
        let done = unsafe { rt::call_unchecked(&call) }?.done;
        if done == len { Ok(()) } else { Err(Errno::Io) }
    }

    fn write_to(&mut self, process: Endpoint, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (from, len) = (bytes.as_ptr() as u64, bytes.len() as u64);
        if process == Endpoint::SELF {
            return Err(Errno::Inval);
        }
        let call = VirCopy { source: Endpoint::SELF, destination: process, from, to: address, len, flags: 0 };
        // SAFETY: memory of another process is written: this one is not in its own books.
        let done = unsafe { rt::call_unchecked(&call) }?.done;
        if done == len { Ok(()) } else { Err(Errno::Io) }
    }
}

fn answer(server: &mut Server, message: &mut Message) -> bool {
    let answered = server.answer(message);
    check(server);
    answered
}

fn notified(server: &mut Server, message: &Message) {
    if message.peer != Endpoint::SYSTEM {
        return;
    }
    if let Some(wait) = SystemEvent::read(&message.body).memory
        && let Some(segv) = server.event(&wait)
    {
        sys::log!("{segv}");
    }
    check(server);
}

#[cfg(feature = "sanity-check")]
fn check(server: &mut Server) {
    match server.checked() {
        Ok(Ok(())) => {}
        Ok(Err(wrong)) => panic!("inconsistent: {wrong}"),
        Err(error) => sys::log!("not checked: {error}"),
    }
}

#[cfg(not(feature = "sanity-check"))]
fn check(_: &mut Server) {}
