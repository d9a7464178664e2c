//! The memory server, if the image has one: then it feeds the children, and not the suite.

use crate::home::{Page, STACK_PAGES};
use crate::kit::settle;
use crate::me;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use protocol::kernel::{RunAction, RunCtl};
use protocol::vm::{
    Access, Client, Fix, GetMemory, GetRegion, Map, MapFlags, RegionKind, Remap, Unfix, Unmap, UpdateDirection,
};
use suite::{Failure, Outcome};
use sys::Ipc;

/// Its name in the image of a suite.
pub const SERVER: &str = "vm";

/// The image's memory server.
fn server() -> Option<Endpoint> {
    /// It was not looked for yet.
    const UNKNOWN: u32 = u32::MAX;
    static FOUND: AtomicU32 = AtomicU32::new(UNKNOWN);
    if FOUND.load(Ordering::Relaxed) == UNKNOWN {
        FOUND.store(sys::lookup(SERVER).unwrap_or(Endpoint::NONE).raw(), Ordering::Relaxed);
    }
    Some(Endpoint::from_raw(FOUND.load(Ordering::Relaxed))).filter(|server| *server != Endpoint::NONE)
}

/// Whether there is one. Without it, the suite is the memory server of its children.
#[must_use]
pub fn is_served() -> bool {
    server().is_some()
}

/// Its calls.
pub(crate) fn vm() -> Client<Ipc> {
    Client { to: server().unwrap_or(Endpoint::NONE), transport: Ipc::default() }
}

/// Gives a process new memory at an address, of its own or to be shown by others too, at once or when it is touched. What was there is no more.
///
/// # Errors
/// Those of the server.
pub fn give(process: Endpoint, address: u64, pages: u64, flags: MapFlags) -> Outcome {
    let flags = (MapFlags::ANONYMOUS | MapFlags::FIXED | flags).bits();
    let len = pages * PAGE_SIZE;
    vm().mmap(Map { address, len, offset: 0, flags, access: Access::Write, fd: -1, process })?;
    Ok(())
}

/// Takes memory from a process.
///
/// # Errors
/// Those of the server.
pub fn take_away(process: Endpoint, address: u64, pages: u64) -> Outcome {
    vm().munmap(Unmap { address, len: pages * PAGE_SIZE, process, reserved: 0 })?;
    Ok(())
}

/// Shows a page that one process shares at an address of another, which finds it when it touches it.
///
/// # Errors
/// Those of the server.
pub(crate) fn show((source, page): (Endpoint, u64), (process, address): (Endpoint, u64), access: Access) -> Outcome {
    let call = Remap { source, process, source_address: page, address, len: PAGE_SIZE, access, reserved: 0 };
    vm().remap(call)?;
    Ok(())
}

/// Makes memory of a process present, as if it had been touched.
///
/// # Errors
/// Those of the server.
pub fn touch(process: Endpoint, range: Range<u64>, access: Access) -> Outcome {
    let (write, len) = ((access == Access::Write).into(), range.end - range.start);
    vm().fix(Fix { process, write, address: range.start, len })?;
    vm().unfix(Unfix { process, write, address: range.start, len })?;
    Ok(())
}

/// The memory server does nothing from now on, until it goes [on](go_on): what others wait for they do not get. The suite cannot ask
/// it for anything, and needs no memory.
///
/// # Errors
/// That it cannot be stopped, or there is too little memory.
pub fn hold() -> Outcome {
    if let Some(process) = server() {
        have_own_memory()?;
        sys::kernel().runctl(RunCtl { process, action: RunAction::Stop })?;
    }
    Ok(())
}

/// The memory server goes on, and does all that it was asked for meanwhile.
///
/// # Errors
/// It was not held.
pub fn go_on() -> Outcome {
    if let Some(process) = server() {
        sys::kernel().runctl(RunCtl { process, action: RunAction::Resume })?;
        settle()?;
    }
    Ok(())
}

/// Makes all memory that the suite may write present, and its own: of the stack what it may need.
fn have_own_memory() -> Outcome {
    /// More than any test needs below where it is now.
    const STACK: u64 = 16 * PAGE_SIZE;
    /// Only the stack is longer.
    const LONGEST: u64 = 256 * PAGE_SIZE;
    let me = me()?;
    let here = 0_u64;
    let here = core::ptr::from_ref(&here).addr() as u64;
    let mut address = 0;
    while let Ok(region) = vm().region(GetRegion { process: me, reserved: 0, address }) {
        address = region.start + region.len;
        if region.access != Access::Write || region.kind != RegionKind::Anonymous {
            continue;
        }
        let start = if (region.start..address).contains(&here) { here - STACK } else { region.start };
        if region.len <= LONGEST || start != region.start {
            touch(me, start.max(region.start)..address, Access::Write)?;
        }
    }
    Ok(())
}

/// Pages that nobody has, and those of the server itself.
pub(crate) fn free_pages() -> Result<u64, Failure> {
    let memory = vm().memory(GetMemory {})?;
    Ok(memory.free + memory.overhead)
}

/// Swaps two services, and what they have.
pub(crate) fn update(source: Endpoint, destination: Endpoint, direction: UpdateDirection) -> Outcome {
    vm().update(protocol::vm::Update { source, destination, flags: 0, direction })?;
    Ok(())
}

/// Gives a child that was copied from the suite pages that both see, of which the suite finds the first at `view`, and a stack.
pub(crate) fn furnish(process: Endpoint, view: u64, pages: u64, stack: u64) -> Outcome {
    for page in 0..pages {
        let (here, there) = (view + page * PAGE_SIZE, Page(page as usize).address());
        give(process, there, 1, MapFlags::SHARED)?;
        show((process, there), (me()?, here), Access::Write)?;
        touch(me()?, here..here + PAGE_SIZE, Access::Write)?;
    }
    let first = Page(0).address();
    touch(process, first..first + pages * PAGE_SIZE, Access::Write)?;
    give(process, stack, STACK_PAGES, MapFlags::PREALLOCATED)
}

/// Takes a page of the suite's own away: who needs it gets another one, with zeros.
///
/// # Errors
/// Those of the server.
pub(crate) fn lose_own(address: u64) -> Result<(), Errno> {
    let (flags, len) = ((MapFlags::ANONYMOUS | MapFlags::FIXED).bits(), PAGE_SIZE);
    let process = Endpoint::SELF;
    vm().mmap(Map { address, len, offset: 0, flags, access: Access::Write, fd: -1, process }).map(drop)
}
