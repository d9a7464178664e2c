//! The kernel as a state machine without a machine.
//!
//! Everything it needs comes by argument: the process table, the [`Machine`] that reads programs' memory and writes the
//! log, the [`Cpu`] that trapped. Blocking and switching are values: a trap ends with [`Kernel::schedule`], which names
//! the process that runs next. So all of it runs on the host under test. It allocates nothing, and every call does
//! bounded work.
//!
//! Each operation first decodes and checks everything and then performs: one that fails has changed nothing.
#![no_std]

#[cfg(test)]
extern crate self as kernel_core; // The tests' support names it so, here and outside.
#[cfg(test)]
extern crate std;

pub mod acpi;
pub mod boot;
mod call;
mod death;
mod fast;
pub mod frames;
mod invariants;
mod ipc;
mod list;
mod machine;
pub mod options;
mod process;
pub mod regions;
mod sched;
pub mod spaces;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)] // Most of it is for the tests outside.
mod support;
pub mod tables;

pub use invariants::Violation;
pub use machine::{Fault, Frame, Machine, Request};
pub use process::{Privileges, Process, Rts, SLOTS, Slot, Table};
pub use sched::{Cpu, CpuId, MAX_CPUS, QUANTUM_TICKS};
pub use spaces::{SpaceId, Spaces};
pub use tables::Tables;

use abi::boot::MAX_PROGRAMS;
use abi::{Endpoint, Trap};
use arrayvec::ArrayVec;
use protocol::kernel::AbortHow;

/// All kernel objects.
pub struct Kernel<'t, M: Machine> {
    procs: &'t mut Table<M>,
    /// Address spaces, and what each frame is used for.
    pub spaces: Spaces<'t>,
    privileges: [Privileges; MAX_PROGRAMS],
    cpus: [Cpu; MAX_CPUS],
    /// How many of them run.
    online: usize,
    /// Processors that must choose anew who runs, a bit each.
    kicks: u32,
    /// The boot programs, in the order of the boot table.
    boot: ArrayVec<Endpoint, MAX_PROGRAMS>,
}

/// What the machine must do after a trap, besides running whom [`Kernel::schedule`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing.
    Resume,
    /// End the run of the system.
    Abort {
        /// In which way.
        how: AbortHow,
        /// The exit code, where that way has one.
        status: u32,
    },
}

impl<'t, M: Machine> Kernel<'t, M> {
    /// A kernel without processes, on the first `online` processors. `procs` is a table of free slots, as
    /// [`Process::free`] makes them.
    pub fn new(procs: &'t mut Table<M>, spaces: Spaces<'t>, online: usize) -> Self {
        Self {
            procs,
            spaces,
            privileges: [Privileges::NONE; MAX_PROGRAMS],
            cpus: [Cpu::IDLE; MAX_CPUS],
            online,
            kicks: 0,
            boot: ArrayVec::new(),
        }
    }

    /// The process in a slot.
    pub fn process(&self, slot: Slot) -> &Process<M> {
        &self.procs[slot.index()]
    }

    /// The same, to load registers from and save them to.
    pub fn process_mut(&mut self, slot: Slot) -> &mut Process<M> {
        &mut self.procs[slot.index()]
    }

    pub(crate) fn privileges(&self, slot: Slot) -> &Privileges {
        &self.privileges[self.process(slot).privilege_id()]
    }

    pub(crate) fn privileges_mut(&mut self, slot: Slot) -> &mut Privileges {
        &mut self.privileges[self.process(slot).privilege_id()]
    }

    /// The slot of a live process; `None` for whatever names nobody.
    pub fn lookup(&self, endpoint: Endpoint) -> Option<Slot> {
        let slot = Slot::of(endpoint);
        let p = self.process(slot);
        (p.endpoint == endpoint && !p.rts.contains(Rts::FREE)).then_some(slot)
    }

    /// Makes the next boot program, ready to run on the processor that its entry names, or on the boot processor if that
    /// one does not run. Its slot, privilege id and endpoint are its place in the order
    /// of these calls. Returns `None`, with nothing changed, for a space that has ended, and once there are [`MAX_PROGRAMS`] of them.
    pub fn add_boot_program(&mut self, entry: &abi::boot::BootEntry, frame: M::Frame, space: SpaceId) -> Option<Slot> {
        let index = self.boot.len();
        let endpoint = Endpoint::new(index, 0).filter(|_| !self.boot.is_full())?;
        let space = self.spaces.bind(space)?;
        self.boot.push(endpoint);
        self.privileges[index] = Privileges::of_boot_entry(entry);
        let slot = Slot::of(endpoint);
        let cpu = CpuId::new(entry.cpu.into()).filter(|id| id.index() < self.online).unwrap_or(CpuId::BOOT);
        *self.process_mut(slot) = Process::new(endpoint, entry, cpu, frame, space);
        self.make_ready(slot);
        Some(slot)
    }

    /// The process that runs on `cpu` has trapped; its frame has the registers.
    ///
    /// # Panics
    /// If no process runs on `cpu`: then nobody can have trapped.
    pub fn trap(&mut self, machine: &mut M, cpu: CpuId) -> Action {
        let me = self.cpu(cpu).current().expect("a trap comes from the running process");
        let request = self.process(me).frame.request();
        let done = match Trap::from_rax(request.rax) {
            None => Err(abi::Errno::BadCall),
            Some(Trap::KernelCall) => return self.kernel_call(machine, me, &request),
            Some(trap) => self.ipc(machine, me, trap, &request),
        };
        if let Err(errno) = done {
            self.process_mut(me).frame.set_result(errno.to_result());
        }
        Action::Resume
    }
}
