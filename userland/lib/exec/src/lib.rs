//! Gives another process a program that is in memory: what a caller of [`libexec::exec`] does who has the file and asks the
//! memory server for the rest. The caller acts for others there, may copy with `vircopy` and `memset`, and may `exec`.
#![no_std]

use abi::boot::{BootEntry, NAME_LEN};
use abi::{Endpoint, Errno};
use core::ops::Range;
use libexec::{EndOfFile, Failure, Fill, Reservation, Section, Start, Step, Target};

pub use libexec::{ARG_MAX, Accept, ExecError, Facts, Loaded, PIE_SPAN, Request, Trust};

use protocol::kernel;
use protocol::vm::{Access, Clear, Client, Map, MapFlags, Protect, SetBreak};
use sys::Ipc;

/// Why there is no new program.
pub type Error = ExecError<EndOfFile, Errno>;

/// Gives a process, which does not run, the program in `image` under a name. It waits for nobody then, and begins when nothing
/// else keeps it from running.
///
/// # Errors
/// [`ExecError::Before`]: the old program goes on. [`ExecError::After`]: the process has to be ended.
pub fn exec(
    server: Endpoint,
    process: Endpoint,
    name: &str,
    image: &[u8],
    request: &Request<'_>,
) -> Result<Loaded, Error> {
    let failed = |errno| ExecError::After(Failure::Target(Step::SetEntry, errno));
    let name = BootEntry::encode_name(name).ok_or_else(|| failed(Errno::Inval))?;
    let server = Client { to: server, transport: Ipc::default() };
    let mut target = Process { process, image, name, server };
    let loaded = libexec::run(libexec::exec(&mut &*image, &mut target, request))?;
    let data = SetBreak { process, reserved: 0, start: loaded.image.end };
    target.server.set_break(data).map_err(failed)?;
    Ok(loaded)
}

/// The process that gets the program.
struct Process<'a> {
    process: Endpoint,
    image: &'a [u8],
    name: [u8; NAME_LEN],
    server: Client<Ipc>,
}

impl Process<'_> {
    fn map(&mut self, pages: &Range<u64>, access: Access, flags: MapFlags) -> Result<(), Errno> {
        let call = Map {
            address: pages.start,
            len: pages.end - pages.start,
            offset: 0,
            flags: (MapFlags::ANONYMOUS | MapFlags::FIXED | flags).bits(),
            access,
            fd: -1,
            process: self.process,
        };
        self.server.mmap(call).map(drop)
    }
}

impl Target for Process<'_> {
    type Error = Errno;

    async fn clear(&mut self) -> Result<(), Errno> {
        self.server.clear(Clear { process: self.process, reserved: 0 }).map(drop)
    }

    async fn reserve(&mut self, Reservation { pages, access, fill }: Reservation) -> Result<(), Errno> {
        let flags = match fill {
            Fill::Whole => MapFlags::PREALLOCATED | MapFlags::UNINITIALIZED,
            Fill::Zero => MapFlags::empty(),
        };
        self.map(&pages, as_access(access), flags)
    }

    async fn reserve_stack(&mut self, pages: Range<u64>) -> Result<(), Errno> {
        self.map(&pages, Access::Write, MapFlags::empty())
    }

    async fn copy_in(&mut self, Section { offset, address, len }: Section) -> Result<(), Errno> {
        let bytes = self.image.get(offset as usize..).and_then(|rest| rest.get(..len as usize));
        rt::write_to(self.process, address, bytes.ok_or(Errno::Io)?)
    }

    async fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        rt::write_to(self.process, address, bytes)
    }

    async fn zero(&mut self, range: Range<u64>) -> Result<(), Errno> {
        rt::fill_in(self.process, range, 0)
    }

    async fn protect(&mut self, pages: Range<u64>, access: libexec::Access) -> Result<(), Errno> {
        let len = pages.end - pages.start;
        let call = Protect { address: pages.start, len, process: self.process, access: as_access(access) };
        self.server.protect(call).map(drop)
    }

    async fn set_entry(&mut self, Start { entry, stack_pointer }: Start) -> Result<(), Errno> {
        let Self { process, name, .. } = *self;
        sys::kernel().exec(kernel::Exec { name, stack: stack_pointer, entry, process, reserved: 0 }).map(drop)
    }
}

fn as_access(access: libexec::Access) -> Access {
    if access.contains(libexec::Access::WRITE) {
        Access::Write
    } else if access.contains(libexec::Access::EXECUTE) {
        Access::Execute
    } else {
        Access::Read
    }
}
