//! Making and ending a child.

use crate::board::Board;
use crate::home::{Home, Page};
use crate::server::{is_served, update};
use crate::{SEED, SUITE};
use abi::boot::{BootEntry, NAME_LEN};
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeSpec, TrapMask};
use core::sync::atomic::{AtomicU32, Ordering};
use protocol::getinfo::{GetPrivileges, GetProcess, ProcessInfo};
use protocol::kernel::{Clear, Exec, Fork, KEEP, SchedCtl, Scheduler, Update, UpdateDirection, right_by_name};
use protocol::privctl::{Allow, DYNAMIC_ID, SetSys, UpdateSys};
use protocol::vmctl::Settle;
use suite::{Failure, Outcome, Text};
use sys::{getinfo, kernel, privctl, vmctl};

/// Code that a child executes from its start. There is nothing that it could return to.
pub type Code = extern "C" fn() -> !;

/// The flags of a process that can run.
pub const RUNS: u32 = 0;
/// Milliseconds of a turn that is longer than any test.
pub const QUANTUM: i32 = 600_000;
/// The queue of a child, unless a test wants another.
const PRIORITY: i32 = 7;
/// The slots below are those of boot programs.
const FIRST_SLOT: u32 = 100;

/// What a child is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What it executes.
    pub code: Code,
    /// Kernel calls that it may make.
    pub calls: u64,
    /// Its privileges besides these.
    pub flags: PrivilegeFlags,
    /// Its processor.
    pub cpu: i32,
    /// Its queue.
    pub priority: i32,
    /// Its turn in milliseconds, [`KEEP`] for that of all programs.
    pub quantum: i32,
    /// Who decides on its turns.
    pub scheduler: Scheduler,
    /// Who gets its signals.
    pub manager: Endpoint,
}

impl Plan {
    /// An ordinary child that executes `code`, managed by the suite, scheduled by the kernel.
    ///
    /// # Errors
    /// The suite does not know itself.
    pub fn new(code: Code) -> Result<Self, Errno> {
        let manager = me()?;
        let scheduler = Scheduler::Kernel;
        let flags = PrivilegeFlags::PREEMPTIBLE;
        Ok(Self { code, calls: 0, flags, cpu: 0, priority: PRIORITY, quantum: KEEP, scheduler, manager })
    }

    /// It may make these kernel calls.
    #[must_use]
    pub fn calls(self, names: &[&str]) -> Self {
        Self { calls: kernel_calls(names), ..self }
    }

    /// And these.
    #[must_use]
    pub fn calls_too(self, names: &[&str]) -> Self {
        Self { calls: self.calls | kernel_calls(names), ..self }
    }

    /// It has these privileges too.
    #[must_use]
    pub fn privileged(self, flags: PrivilegeFlags) -> Self {
        Self { flags: self.flags | flags, ..self }
    }

    /// It runs there.
    #[must_use]
    pub fn on(self, cpu: u64) -> Self {
        Self { cpu: cpu as i32, ..self }
    }

    /// The suite is its scheduler, and gives it turns of so many milliseconds.
    #[must_use]
    pub fn scheduled(self, quantum: i32) -> Self {
        Self { scheduler: Scheduler::Caller, quantum, ..self }
    }

    fn spec(&self) -> PrivilegeSpec {
        PrivilegeSpec {
            sends: !0,
            calls: self.calls,
            flags: self.flags.bits(),
            init_flags: 0,
            traps: TrapMask::all().bits(),
            manager: self.manager,
            backup: Endpoint::NONE,
            reserved: 0,
        }
    }
}

/// The rights of these kernel calls and groups of them.
#[must_use]
pub fn kernel_calls(names: &[&str]) -> u64 {
    names.iter().filter_map(|name| right_by_name(name)).fold(0, |mask, right| mask | right)
}

/// A process that the suite has made.
#[derive(Debug)]
pub struct Child {
    /// Its name.
    pub endpoint: Endpoint,
    /// Where it lives.
    pub home: Home,
}

impl Child {
    /// Makes a child that runs as soon as it can.
    ///
    /// # Errors
    /// That the kernel refuses a step.
    pub fn start(plan: &Plan) -> Result<Self, Failure> {
        Self::start_in(plan, free_slot()?)
    }

    /// The same in a slot.
    ///
    /// # Errors
    /// As of [`Child::start`].
    pub fn start_in(plan: &Plan, slot: u32) -> Result<Self, Failure> {
        let child = Self::prepare(plan, slot)?;
        child.allow()?;
        Ok(child)
    }

    /// Makes one in a slot that has all but leave to run.
    ///
    /// # Errors
    /// As of [`Child::start`].
    pub fn prepare(plan: &Plan, slot: u32) -> Result<Self, Failure> {
        let child = if is_served() { Self::of_server(slot)? } else { Self::of_suite(slot)? };
        child.exec(plan.code)?;
        child.privileges(plan)?;
        child.board().set(Board::PARTNER, me()?.raw().into());
        let Plan { priority, quantum, cpu, scheduler, .. } = *plan;
        kernel().schedctl(SchedCtl { process: child.endpoint, scheduler, priority, quantum, cpu })?;
        Ok(child)
    }

    /// One that has memory of the suite's.
    fn of_suite(slot: u32) -> Result<Self, Failure> {
        let child = Self { endpoint: kernel().fork(Fork { parent: seed()?, slot })?.child, home: Home::make()? };
        vmctl().settle(Settle { process: child.endpoint, reserved: 0, space: child.home.space })?;
        Ok(child)
    }

    /// One that the memory server has forked from the suite.
    fn of_server(slot: u32) -> Result<Self, Failure> {
        let (endpoint, home) = Home::served(slot)?;
        Ok(Self { endpoint, home })
    }

    /// Lets it run.
    ///
    /// # Errors
    /// It does not wait for that.
    pub fn allow(&self) -> Outcome {
        privctl().allow(Allow { process: self.endpoint })?;
        Ok(())
    }

    /// Lets it start anew, with other code.
    ///
    /// # Errors
    /// It could run.
    pub fn exec(&self, code: Code) -> Result<(), Errno> {
        let (stack, entry) = (self.home.stack(), code as usize as u64);
        let name = named_bytes("child");
        kernel().exec(Exec { name, stack, entry, process: self.endpoint, reserved: 0 }).map(drop)
    }

    /// Gives it privileges of its own, and the suite the right to send to it.
    ///
    /// # Errors
    /// It does not wait for them.
    pub fn privileges(&self, plan: &Plan) -> Outcome {
        let id = privctl().set_sys(SetSys { spec: plan.spec(), process: self.endpoint, id: DYNAMIC_ID })?.id;
        let own = process_info(me()?)?.privilege_id;
        let mine = getinfo().privileges(GetPrivileges { id: own.into() })?;
        let flags = mine.flags & PrivilegeFlags::SETTABLE.bits();
        let spec = PrivilegeSpec {
            sends: mine.sends | 1 << id,
            calls: mine.calls,
            flags,
            init_flags: mine.init_flags,
            traps: mine.traps,
            manager: mine.manager,
            backup: mine.backup,
            reserved: 0,
        };
        privctl().update_sys(UpdateSys { spec, process: Endpoint::SELF, reset_ranges: 0 })?;
        Ok(())
    }

    /// What the kernel tells of it.
    ///
    /// # Errors
    /// It has ended.
    pub fn info(&self) -> Result<ProcessInfo, Errno> {
        process_info(self.endpoint)
    }

    /// Its board.
    #[must_use]
    pub fn board(&self) -> &'static Board {
        self.home.page(Page::BOARD)
    }

    /// Swaps two instances of a service, in a live update or back: each goes on under the name of the other.
    ///
    /// # Errors
    /// Those of the kernel's call.
    pub fn swap(source: &mut Self, destination: &mut Self, direction: UpdateDirection) -> Outcome {
        let names = [source.endpoint, destination.endpoint];
        if is_served() {
            update(names[0], names[1], direction)?;
        } else {
            kernel().update(Update { source: names[0], destination: names[1], direction })?;
        }
        core::mem::swap(&mut source.home, &mut destination.home);
        source.home.rename(names[0]);
        destination.home.rename(names[1]);
        Ok(())
    }

    /// Ends it, and gives back all that it had.
    ///
    /// # Errors
    /// That the kernel refuses a step.
    pub fn end(self) -> Outcome {
        kernel().clear(Clear { process: self.endpoint })?;
        self.home.end()
    }
}

/// The suite itself.
///
/// # Errors
/// `ECALLDENIED`.
pub fn me() -> Result<Endpoint, Errno> {
    sys::whoami().map(|identity| identity.endpoint)
}

/// The program that children are forked from; it waits in SENDREC for the suite.
///
/// # Errors
/// There is none.
pub fn seed() -> Result<Endpoint, Failure> {
    static TAKEN: AtomicU32 = AtomicU32::new(u32::MAX);
    let known = Endpoint::from_raw(TAKEN.load(Ordering::Relaxed));
    if known.raw() != u32::MAX {
        return Ok(known);
    }
    let missing = || Failure::Failed(Text::new(format_args!("no program {SEED} in the image of {SUITE}")));
    let seed = sys::lookup(SEED).ok_or_else(missing)?;
    rt::receive(seed)?;
    TAKEN.store(seed.raw(), Ordering::Relaxed);
    Ok(seed)
}

/// A slot in which nobody lives.
///
/// # Errors
/// There is none.
pub fn free_slot() -> Result<u32, Errno> {
    let is_free = |slot: &u32| getinfo().process(GetProcess { slot: (*slot).into() }).err() == Some(Errno::Srch);
    (FIRST_SLOT..Endpoint::SLOTS as u32).find(is_free).ok_or(Errno::NoSpc)
}

/// What the kernel tells of a process.
///
/// # Errors
/// `ESRCH`: it has ended.
pub fn process_info(process: Endpoint) -> Result<ProcessInfo, Errno> {
    let info = getinfo().process(GetProcess { slot: process.slot() as u64 })?;
    if info.endpoint == process { Ok(info) } else { Err(Errno::Srch) }
}

/// A name, padded with zeros.
#[must_use]
pub fn named_bytes(name: &str) -> [u8; NAME_LEN] {
    BootEntry::encode_name(name).unwrap_or_default()
}
