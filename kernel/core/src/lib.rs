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
pub mod alarms;
mod asynchronous;
pub mod boot;
mod call;
mod clock;
mod death;
pub mod devices;
mod events;
mod fast;
pub mod filters;
pub mod frames;
mod grants;
mod handback;
mod invariants;
mod ipc;
pub mod irq;
pub mod lines;
mod list;
mod machine;
pub mod options;
mod privileges;
mod process;
pub mod ranges;
pub mod regions;
pub mod rights;
mod sched;
mod signals;
mod slot_set;
pub mod spaces;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)] // Most of it is for the tests outside.
mod support;
mod swap;
pub mod tables;
mod trace;

pub use events::{MemoryAccess, MemoryEvent};
pub use fast::Partner;
pub use invariants::Violation;
pub use machine::{Fault, Frame, Machine, Request, Stretch};
pub use privileges::{PrivilegeTable, Privileges};
pub use process::{Process, Rts, SLOTS, Slot, Table, Usage};
pub use sched::{Cpu, CpuId, MAX_CPUS, QUANTUM_TICKS};
pub use spaces::{SpaceId, Spaces};
pub use tables::Tables;

use crate::alarms::Alarms;
use crate::boot::BootMemory;
use crate::filters::Filters;
use crate::frames::FrameNumber;
use crate::irq::Hooks;
use crate::list::List;
use crate::process::Pending;
use crate::slot_set::SlotSet;
use crate::spaces::lending::Written;
use abi::boot::{BootEntry, BootFlags, MAX_PROGRAMS};
use abi::{Endpoint, PRIVILEGES, Signal, Trap};
use arrayvec::ArrayVec;
use protocol::kernel::AbortHow;

/// All kernel objects.
pub struct Kernel<'t, M: Machine> {
    procs: &'t mut Table<M>,
    privileges: &'t mut PrivilegeTable,
    filters: &'t mut Filters,
    /// Address spaces, and what each frame is used for.
    pub spaces: Spaces<'t>,
    cpus: [Cpu; MAX_CPUS],
    /// How many of them run.
    online: usize,
    /// The one that is in the kernel.
    here: CpuId,
    /// Processors that must choose anew who runs, a bit each.
    kicks: u32,
    /// The boot table.
    boot: ArrayVec<BootEntry, MAX_PROGRAMS>,
    /// Where the file of each begins that the memory server loads.
    boot_files: ArrayVec<Option<FrameNumber>, MAX_PROGRAMS>,
    /// The root system process.
    root: Endpoint,
    /// The memory server; [`Endpoint::NONE`] as long as there is none.
    pager: Endpoint,
    /// Slots that are not free.
    alive: SlotSet,
    /// Processes that have signals which their managers have not taken.
    signaled: SlotSet,
    /// Processes that wait for memory, and the memory server has not been told.
    events: List,
    alarms: Alarms,
    /// What was denied to whom.
    refusals: &'t mut rights::Refusals,
    hooks: Hooks,
    /// Seconds and nanoseconds since 1970 at boot, as far as anybody has told.
    boot_time: u64,
    /// What the machine must do at the end of an entry.
    action: Action,
}

/// The large tables that a kernel works on, with nothing in them.
pub struct Storage<'t, M: Machine> {
    /// Free slots, as [`Process::free`] makes them.
    pub procs: &'t mut Table<M>,
    /// Free structures.
    pub privileges: &'t mut PrivilegeTable,
    /// The pool of receive filters.
    pub filters: &'t mut Filters,
    /// What is denied.
    pub refusals: &'t mut rights::Refusals,
    /// Address spaces, and what each frame is used for.
    pub spaces: Spaces<'t>,
}

/// What the machine must do after a trap, besides running whom [`Kernel::schedule`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing.
    Resume,
    /// Give up: a process that the system needs cannot go on, and nobody is there to deal with it.
    Panic(Slot),
    /// End the run of the system.
    Abort {
        /// In which way.
        how: AbortHow,
        /// The exit code, where that way has one.
        status: u32,
    },
}

impl<'t, M: Machine> Kernel<'t, M> {
    /// A kernel without processes, on the first `online` processors.
    pub fn new(storage: Storage<'t, M>, online: usize) -> Self {
        let Storage { procs, privileges, filters, refusals, spaces } = storage;
        privileges[abi::PrivilegeId::USER.index()] = Privileges::user();
        Self {
            procs,
            privileges,
            filters,
            spaces,
            cpus: [Cpu::IDLE; MAX_CPUS],
            online,
            here: CpuId::BOOT,
            kicks: 0,
            boot: ArrayVec::new(),
            boot_files: ArrayVec::new(),
            root: Endpoint::NONE,
            pager: Endpoint::NONE,
            alive: SlotSet::EMPTY,
            signaled: SlotSet::EMPTY,
            events: List::EMPTY,
            alarms: Alarms::OFF,
            refusals,
            hooks: Hooks::NONE,
            boot_time: 0,
            action: Action::Resume,
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

    /// The slot of a live process; `None` for whatever names nobody.
    pub fn lookup(&self, endpoint: Endpoint) -> Option<Slot> {
        let slot = Slot::of(endpoint);
        let p = self.process(slot);
        (p.endpoint == endpoint && !p.rts.contains(Rts::FREE)).then_some(slot)
    }

    /// Makes the next boot program, on the processor that its entry names, or on the boot processor if that one does not run.
    /// Its slot and endpoint are its place in the order of these calls. It waits for its privileges, unless it is the root
    /// system process. Returns `None`, with nothing changed, for a space that has ended, and once there are [`MAX_PROGRAMS`] of
    /// them.
    pub fn add_boot_program(&mut self, entry: &BootEntry, frame: M::Frame, memory: BootMemory) -> Option<Slot> {
        let place = self.boot.len();
        let endpoint = Endpoint::new(place, 0).filter(|_| !self.boot.is_full())?;
        let (space, file) = match memory {
            BootMemory::Space(space) => (Some(self.spaces.bind(space)?), None),
            BootMemory::File(first) => (None, Some(first)),
        };
        self.boot.push(*entry);
        self.boot_files.push(file);
        let slot = Slot::of(endpoint);
        let cpu = CpuId::new(entry.cpu.into()).filter(|id| self.is_online(*id)).unwrap_or(CpuId::BOOT);
        *self.process_mut(slot) = Process::new(endpoint, entry, cpu, frame, space);
        self.derive(slot);
        self.alive.insert(slot);
        if entry.has(BootFlags::ROOT) {
            self.make_root(slot, place);
        }
        Some(slot)
    }

    /// Adds a file to the boot table, behind all programs: it begins in a frame, and the memory server may have it. Returns whether
    /// there was room.
    pub fn add_boot_file(&mut self, entry: &BootEntry, first: FrameNumber) -> bool {
        let has_room = !self.boot.is_full();
        if has_room {
            self.boot.push(*entry);
            self.boot_files.push(Some(first));
        }
        has_room
    }

    /// An entry of the boot table with the endpoint of its program, [`Endpoint::NONE`] for a file. `EDOM` beyond the end.
    fn boot_entry(&self, index: u64) -> Result<(&BootEntry, Endpoint), abi::Errno> {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let entry = self.boot.get(place).ok_or(abi::Errno::Dom)?;
        let program = Endpoint::new(place, 0).filter(|_| !entry.has(BootFlags::FILE));
        Ok((entry, program.unwrap_or(Endpoint::NONE)))
    }

    /// The process that runs on `cpu` has trapped; its frame has the registers.
    pub fn trap(&mut self, machine: &mut M, cpu: CpuId) -> Action {
        self.here = cpu;
        // On its way here another processor may have ended it.
        let Some(me) = self.cpu(cpu).current() else {
            return Action::Resume;
        };
        let p = self.process_mut(me);
        // Or stopped it: then it traps again when it goes on.
        if !p.rts.is_empty() {
            p.frame.rewind_trap();
            return Action::Resume;
        }
        let traced = p.pending.contains(Pending::TRACES_TRAPS);
        if traced && self.hold_trap(machine, me) {
            return self.action;
        }
        self.make_trap(machine, me);
        // Where it waits, or is made once more, it is when the process goes on that the trap is done.
        let p = self.process(me);
        if traced && p.rts.is_empty() && p.pending.contains(Pending::TRAP_MADE) {
            self.end_trap(machine, me);
        }
        self.action
    }

    /// Carries out the trap of `me`, the running process.
    #[inline(always)]
    fn make_trap(&mut self, machine: &mut M, me: Slot) {
        let request = self.process(me).frame.request();
        let done = match Trap::from_rax(request.rax) {
            None => Err(abi::Errno::BadCall),
            Some(Trap::KernelCall) => return self.kernel_call(machine, me),
            Some(trap) => {
                let done = self.ipc(machine, me, trap, &request);
                if let Err(errno) = done {
                    self.note_message(me, trap, request.destination, errno);
                }
                done
            }
        };
        if let Err(errno) = done {
            self.process_mut(me).frame.set_result(errno.to_result());
        }
    }

    /// The process that runs on `cpu` did something that the processor does not do for it; `why` tells the log what.
    pub fn exception(&mut self, machine: &mut M, cpu: CpuId, signal: Signal, why: core::fmt::Arguments<'_>) -> Action {
        self.here = cpu;
        if let Some(me) = self.cpu(cpu).current() {
            // Whoever has another signal manager is looked after.
            let by_root = |manager| manager == me || self.process(manager).endpoint == self.root;
            if self.manager_of(me).is_none_or(by_root) {
                machine.log(format_args!("{} stopped: {why}", self.process(me).name()));
            }
            self.end_step(me);
            self.raise(machine, me, signal);
        }
        self.action
    }

    /// It touched memory that is not there, or not for this. Without a memory server this is an exception.
    pub fn memory_fault(
        &mut self,
        machine: &mut M,
        cpu: CpuId,
        address: u64,
        access: MemoryAccess,
        why: core::fmt::Arguments<'_>,
    ) -> Action {
        self.here = cpu;
        let current = self.cpu(cpu).current();
        let home = current.and_then(|me| self.process(me).space).filter(|_| access == MemoryAccess::Write);
        let written = home.map_or(Written::Unknown, |home| self.spaces.want_write(machine, home, address));
        match current {
            _ if written == Written::Allowed => {}
            Some(me) if written == Written::Unknown && self.service(self.pager).is_some() => {
                self.page_fault(machine, me, address, access);
            }
            _ => return self.exception(machine, cpu, Signal::SEGV, why),
        }
        self.action
    }

    /// What the machine must do at the end of an entry.
    pub fn action(&self) -> Action {
        self.action
    }
}

const _: () = assert!(PRIVILEGES == alarms::ALARMS);
