//! Loading the programs of the boot table whose files the kernel has handed over.

use crate::heap::Heap;
use crate::{Need, Vm};
use abi::boot::NAME_LEN;
use abi::layout::{PAGE_SIZE, STACK_TOP};
use abi::{Endpoint, Errno};
use core::ffi::CStr;
use core::ops::Range;
use libexec::{
    Accept, ExecError, Facts, Failure, Fill, Loaded, READ_MAX, Request, Reservation, Section, Source, Start, Step,
    Target, Trust,
};
use protocol::Transport;
use protocol::kernel::{Exec, PhysCopy};
use protocol::vm::{Map, MapFlags, Protect, SetBreak};
use protocol::vmctl::Access;

/// Bytes of the stack of a boot program; it is there page by page, when it is touched.
const STACK: u64 = 4 << 20;

/// The server's own memory, as the kernel's copies see it.
pub trait OwnMemory {
    /// Fills memory with what is at a physical address.
    ///
    /// # Errors
    /// Those of [`PhysCopy`].
    fn read_physical(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// Writes memory of another process.
    ///
    /// # Errors
    /// Those of [`VirCopy`](protocol::kernel::VirCopy).
    fn write_to(&mut self, process: Endpoint, address: u64, bytes: &[u8]) -> Result<(), Errno>;
}

/// A boot program whose file the kernel has handed over.
#[derive(Clone, Copy, Debug)]
pub struct BootProgram {
    /// Who it is.
    pub process: Endpoint,
    /// Its name.
    pub name: [u8; NAME_LEN],
    /// The physical address of its file.
    pub file: u64,
    /// How many bytes that has.
    pub len: u64,
}

/// Why a program cannot be loaded.
pub type LoadError = ExecError<Errno, Errno>;

/// The file of a boot program in its frames.
struct File<'a, O> {
    program: BootProgram,
    own: &'a mut O,
}

impl<O: OwnMemory> Source for File<'_, O> {
    type Error = Errno;

    fn len(&self) -> u64 {
        self.program.len
    }

    async fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        debug_assert!(buffer.len() <= READ_MAX);
        self.own.read_physical(self.program.file + offset, buffer)
    }
}

/// What nobody can guess of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance {
    /// Bits that choose where it goes, if it can be moved.
    pub base: u64,
    /// What it finds at `AT_RANDOM`.
    pub bytes: [u8; 16],
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Loads a boot program, which the server knows and which has nothing yet. Returns where it has been put. The frames of its file are
    /// still nobody's: see [`Vm::free_file`] and [`Vm::keep_file`].
    ///
    /// # Errors
    /// What is wrong with the file, or that there is no memory for it.
    pub fn load(
        &mut self,
        program: &BootProgram,
        own: &mut (impl OwnMemory + Copy),
        chance: Chance,
    ) -> Result<Loaded, LoadError> {
        let name = CStr::from_bytes_until_nul(&program.name).unwrap_or_default();
        // The name is the one argument.
        let mut argument = [0; NAME_LEN];
        argument.copy_from_slice(&program.name);
        let request = Request {
            accept: Accept::Native,
            stack: STACK_TOP - STACK..STACK_TOP,
            base: chance.base,
            arguments: &argument[..=name.count_bytes()],
            environment: b"",
            name,
            facts: Facts { uid: 0, euid: 0, gid: 0, egid: 0, trust: Trust::Caller, random: chance.bytes, hwcap: 0 },
        };
        let mut source = File { program: *program, own: &mut own.clone() };
        let mut target = Program { vm: self, program, own };
        let loaded = libexec::run(libexec::exec(&mut source, &mut target, &request))?;
        let start = loaded.image.end;
        let set = self.do_set_break(program.process, &SetBreak { process: Endpoint::SELF, reserved: 0, start });
        set.map_err(|error| ExecError::After(Failure::Target(Step::SetEntry, error)))?;
        Ok(loaded)
    }
}

/// The process that a program is loaded into.
struct Program<'a, T, H, O> {
    vm: &'a mut Vm<T, H>,
    program: &'a BootProgram,
    own: &'a mut O,
}

impl<T: Transport + Copy, H: Heap, O: OwnMemory> Program<'_, T, H, O> {
    fn map(&mut self, pages: &Range<u64>, access: Access, flags: MapFlags) -> Result<(), Errno> {
        let call = Map {
            address: pages.start,
            len: pages.end - pages.start,
            offset: 0,
            flags: (MapFlags::ANONYMOUS | MapFlags::FIXED | flags).bits(),
            access,
            fd: -1,
            process: Endpoint::SELF,
        };
        self.vm.do_mmap(self.program.process, &call).map(drop)
    }
}

impl<T: Transport + Copy, H: Heap, O: OwnMemory> Target for Program<'_, T, H, O> {
    type Error = Errno;

    async fn clear(&mut self) -> Result<(), Errno> {
        // It has nothing.
        Ok(())
    }

    async fn reserve(&mut self, Reservation { pages, access, fill }: Reservation) -> Result<(), Errno> {
        let flags = if fill == Fill::Whole { MapFlags::PREALLOCATED } else { MapFlags::empty() };
        self.map(&pages, as_access(access), flags)
    }

    async fn reserve_stack(&mut self, pages: Range<u64>) -> Result<(), Errno> {
        self.map(&pages, Access::Write, MapFlags::empty())
    }

    async fn copy_in(&mut self, Section { offset, address, len }: Section) -> Result<(), Errno> {
        let mut done = 0;
        while done < len {
            let call = PhysCopy {
                source: Endpoint::NONE,
                destination: self.program.process,
                from: self.program.file + offset + done,
                to: address + done,
                len: len - done,
                flags: 0,
            };
            done += self.vm.machine.kernel().physcopy(call)?.done;
        }
        Ok(())
    }

    async fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let pages = address / PAGE_SIZE..(address + bytes.len() as u64).div_ceil(PAGE_SIZE);
        self.vm.supply(self.program.process, pages, Need::Write)?;
        self.own.write_to(self.program.process, address, bytes)
    }

    async fn zero(&mut self, _: Range<u64>) -> Result<(), Errno> {
        // New pages are zero.
        Ok(())
    }

    async fn protect(&mut self, pages: Range<u64>, access: libexec::Access) -> Result<(), Errno> {
        let call = Protect {
            address: pages.start,
            len: pages.end - pages.start,
            process: Endpoint::SELF,
            access: as_access(access),
        };
        self.vm.do_protect(self.program.process, &call)
    }

    async fn set_entry(&mut self, Start { entry, stack_pointer }: Start) -> Result<(), Errno> {
        let BootProgram { process, name, .. } = *self.program;
        let call = Exec { name, stack: stack_pointer, entry, process, reserved: 0 };
        self.vm.machine.kernel().exec(call).map(drop)
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
