//! Loading a boot program: the kernel does it for those that are there before the memory server is.

use abi::Errno;
use abi::layout::{PAGE_SIZE, STACK_SIZE, STACK_TOP, USER_START};
use core::fmt;
use core::ops::Range;
use kernel_core::boot::BootMemory;
use kernel_core::tables::Access;
use kernel_core::{Fault, SpaceId, Spaces};
use kernel_x86_64::layout::direct;
use kernel_x86_64::{Frame, X86, space};
use libexec::{Accept, EndOfFile, ExecError, Facts, Request, Reservation, Section, Start, Target, Trust, exec, run};

/// Why a program cannot be loaded.
pub(crate) enum Error {
    /// No space can be made.
    Space(Errno),
    /// Its file shares a page with something else.
    Shared,
    /// The file is no good, or there is no memory for it.
    Exec(ExecError<EndOfFile, Stop>),
}

/// Why a step of loading failed.
pub(crate) enum Stop {
    /// A page cannot be had.
    Page(Errno),
    /// The file or the memory is not there.
    Fault(Fault),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space(error) => write!(f, "no address space can be made for it: {error}"),
            Self::Shared => f.write_str("the boot loader put it into pages with something else: use GRUB"),
            Self::Exec(ExecError::Before(refusal)) => refusal.fmt(f),
            Self::Exec(ExecError::After(failure)) => failure.fmt(f),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(error) => error.fmt(f),
            Self::Fault(Fault { address }) => write!(f, "nothing is at {address:#x}"),
        }
    }
}

/// What a boot program is told: nothing but what the file says. The kernel has no random bytes to give.
const REQUEST: Request<'_> = Request {
    accept: Accept::Native,
    stack: STACK_TOP - STACK_SIZE..STACK_TOP,
    base: 0,
    arguments: b"",
    environment: b"",
    name: c"",
    facts: Facts { uid: 0, euid: 0, gid: 0, egid: 0, trust: Trust::Caller, random: [0; 16], hwcap: 0 },
};

/// Loads an ELF file into a space of its own, with a stack.
///
/// # Errors
/// See [`Error`]; the boot ends then, so nothing is given back.
pub(crate) fn load(elf: &[u8], spaces: &mut Spaces<'_>, machine: &mut X86) -> Result<(Frame, BootMemory), Error> {
    let space = spaces.create_own(machine).map_err(Error::Space)?;
    let mut program = Program { elf, space, spaces, machine };
    let Start { entry, stack_pointer } = run(exec(&mut &*elf, &mut program, &REQUEST)).map_err(Error::Exec)?.start;
    Ok((Frame::starting_at(entry, stack_pointer), BootMemory::Space(space)))
}

/// Hands an ELF file over to the memory server, which will load it: nobody executes at the address of the frame.
///
/// # Errors
/// [`Error::Shared`].
pub(crate) fn keep(elf: &[u8], spaces: &mut Spaces<'_>) -> Result<(Frame, BootMemory), Error> {
    let start = elf.as_ptr() as u64 - direct(0);
    if !start.is_multiple_of(PAGE_SIZE) {
        return Err(Error::Shared);
    }
    let first = spaces.hand_over(start..start + elf.len() as u64).map_err(|_| Error::Shared)?;
    Ok((Frame::starting_at(USER_START, STACK_TOP), BootMemory::File(first)))
}

/// A program that is being loaded, and what that takes.
struct Program<'a, 't> {
    elf: &'a [u8],
    space: SpaceId,
    spaces: &'a mut Spaces<'t>,
    machine: &'a mut X86,
}

impl Program<'_, '_> {
    fn map_pages(&mut self, range: Range<u64>, access: Access) -> Result<(), Stop> {
        for page in range.step_by(PAGE_SIZE as usize) {
            self.spaces.map_new(self.machine, self.space, page, access).map_err(Stop::Page)?;
        }
        Ok(())
    }

    fn put(&mut self, address: u64, bytes: &[u8]) -> Result<(), Stop> {
        let root = self.spaces.root(self.space).ok_or(Stop::Fault(Fault { address }))?;
        // SAFETY: the space that the root belongs to lives.
        unsafe { space::write_any(root, address, bytes) }.map_err(Stop::Fault)
    }
}

/// All memory is there from the start: nobody could bring it later.
impl Target for Program<'_, '_> {
    type Error = Stop;

    async fn clear(&mut self) -> Result<(), Stop> {
        // The space is new.
        Ok(())
    }

    async fn reserve(&mut self, reservation: Reservation) -> Result<(), Stop> {
        self.map_pages(reservation.pages, access(reservation.access))
    }

    async fn reserve_stack(&mut self, pages: Range<u64>) -> Result<(), Stop> {
        self.map_pages(pages, Access::Write)
    }

    async fn copy_in(&mut self, Section { offset, address, len }: Section) -> Result<(), Stop> {
        let bytes = self.elf.get(offset as usize..).and_then(|rest| rest.get(..len as usize));
        self.put(address, bytes.ok_or(Stop::Fault(Fault { address }))?)
    }

    async fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Stop> {
        self.put(address, bytes)
    }

    async fn zero(&mut self, _: Range<u64>) -> Result<(), Stop> {
        // New pages are zero.
        Ok(())
    }

    async fn protect(&mut self, pages: Range<u64>, final_access: libexec::Access) -> Result<(), Stop> {
        let space = self.spaces.name(self.space);
        for page in pages.step_by(PAGE_SIZE as usize) {
            let protected = self.spaces.protect(self.machine, space, page, 1, access(final_access));
            protected.map_err(Stop::Page)?;
        }
        Ok(())
    }

    async fn set_entry(&mut self, _: Start) -> Result<(), Stop> {
        // The process is made of what exec returns.
        Ok(())
    }
}

/// The access as the tables have it.
fn access(access: libexec::Access) -> Access {
    if access.contains(libexec::Access::WRITE) {
        Access::Write
    } else if access.contains(libexec::Access::EXECUTE) {
        Access::Execute
    } else {
        Access::Read
    }
}
