//! What the root system process does, without the kernel: whatever carries the calls is given to it.
//!
//! It remembers no programs but the memory server: what it has to know of one stands in the boot table or in a notification.
#![no_std]

use abi::boot::BootFlags;
use abi::event::SystemEvent;
use abi::{Endpoint, Errno, Message, PrivilegeFlags, PrivilegeId, PrivilegeSpec, Signal};
use core::fmt;
use protocol::getinfo::{BootPolicy, GetBootPolicy};
use protocol::kernel::{Clear, EndKSig, GetKSig, WhoAmI};
use protocol::privctl::{Allow, SetSys, UpdateSys};
use protocol::vm::{Exit, SetCalls, WillExit};
use protocol::{Transport, getinfo, kernel, privctl, vm};

/// The root system process. Copies of `transport` carry its kernel calls.
#[derive(Debug)]
pub struct Root<T, S> {
    transport: T,
    servers: S,
    /// The memory server, if it has loaded the others: it is told when one of them has ended.
    pager: Option<Endpoint>,
}

/// What a boot comes to, program by program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking the kernel who oneself is.
    Identify,
    /// Reading the policy of a program.
    Read,
    /// Giving it privileges of its own.
    Give,
    /// Telling it whom it may send to.
    Connect,
    /// Letting it run.
    Allow,
    /// Waiting until it is ready.
    Ready,
    /// Telling the memory server what it may ask there.
    Memory,
}

/// Why the system cannot boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootFailure {
    /// What failed.
    pub step: Step,
    /// Of which program: its place in the boot table.
    pub place: u64,
    /// How.
    pub error: Errno,
}

impl fmt::Display for BootFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.step {
            Step::Identify => return write!(f, "cannot learn its own endpoint: {}", self.error),
            Step::Read => "read the policy of",
            Step::Give => "give privileges to",
            Step::Connect => "set the targets of",
            Step::Allow => "start",
            Step::Ready => "wait for",
            Step::Memory => "set the memory calls of",
        };
        write!(f, "cannot {what} program {} of the boot table: {}", self.place, self.error)
    }
}

/// The way to other servers.
pub trait Servers: Transport {
    /// Waits until a server that was started notifies.
    ///
    /// # Errors
    /// That it has ended, or that the caller cannot receive.
    fn wait_until_ready(&mut self, server: Endpoint) -> Result<(), Errno>;
}

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// One that makes its kernel calls through `transport`.
    pub const fn new(transport: T, servers: S) -> Self {
        Self { transport, servers, pager: None }
    }

    /// Gives each program of the boot table the privileges that stand there, then lets them run, in the order of the table. If the
    /// memory server loads some, it runs first, and the others when it has done so.
    ///
    /// # Errors
    /// The first call that fails. Without all its programs the system is not what its policy says: it must not go on.
    pub fn boot(&mut self) -> Result<(), BootFailure> {
        let identity = self.kernel().whoami(WhoAmI {});
        let me = identity.map_err(|error| BootFailure { step: Step::Identify, place: 0, error })?.endpoint;
        self.for_each_other(me, Step::Give, |place, policy| self.give(place, &spec(policy, me), policy.endpoint))?;
        // A target gets its bit only when there is somebody with its id: so masks are complete in a second pass.
        self.for_each_other(me, Step::Connect, |_, policy| {
            let call = UpdateSys { spec: spec(policy, me), process: policy.endpoint, reset_ranges: 0 };
            self.privctl().update_sys(call).map(drop)
        })?;
        self.have_loaded(me)?;
        self.for_each_other(me, Step::Allow, |_, policy| match policy.endpoint {
            process if Some(process) == self.pager => Ok(()),
            process => self.privctl().allow(Allow { process }).map(drop),
        })
    }

    /// Starts the memory server if it loads programs, waits until it has, and tells it what they may ask it for.
    fn have_loaded(&mut self, me: Endpoint) -> Result<(), BootFailure> {
        let (mut pager, mut serves) = (None, false);
        self.for_each_other(me, Step::Read, |_, policy| {
            pager = pager.or(is_pager(policy).then_some(policy.endpoint));
            serves |= is_served(policy);
            Ok(())
        })?;
        let Some(pager) = pager.filter(|_| serves) else {
            return Ok(());
        };
        self.pager = Some(pager);
        let failed = |step| move |error| BootFailure { step, place: pager.slot() as u64, error };
        self.privctl().allow(Allow { process: pager }).map_err(failed(Step::Allow))?;
        self.servers.wait_until_ready(pager).map_err(failed(Step::Ready))?;
        for place in 0.. {
            let Some(policy) = self.policy(place)? else { break };
            if is_served(&policy) {
                let call = SetCalls { process: policy.endpoint, is_user: 0, calls: policy.memory };
                let told = self.memory_server(pager).set_calls(call);
                told.map_err(|error| BootFailure { step: Step::Memory, place, error })?;
            }
        }
        Ok(())
    }

    fn memory_server(&mut self, pager: Endpoint) -> vm::Client<&mut S> {
        vm::Client { to: pager, transport: &mut self.servers }
    }

    /// Deals with what a notification from the kernel tells, and with every other process that has signals.
    ///
    /// # Errors
    /// That a kernel call is denied.
    pub fn notified(&mut self, event: &SystemEvent) -> Result<(), Errno> {
        if let Some((process, signals)) = event.signaled {
            self.handle(process, signals)?;
        }
        loop {
            let next = self.kernel().getksig(GetKSig {})?;
            if next.process == Endpoint::NONE {
                return Ok(());
            }
            self.handle(next.process, next.signals)?;
        }
    }

    /// Ends a process whose signals leave no other way, and lets any other go on.
    fn handle(&mut self, process: Endpoint, signals: u64) -> Result<(), Errno> {
        let done = if ends(signals) {
            self.end(process)
        } else {
            match self.kernel().endksig(EndKSig { process }) {
                // Somebody else has become its manager since.
                Err(Errno::Perm) => Ok(()),
                ended => ended.map(drop),
            }
        };
        match done {
            // It is gone already.
            Err(Errno::Inval) => Ok(()),
            other => other,
        }
    }

    /// Ends a process, and gives back its memory.
    fn end(&mut self, process: Endpoint) -> Result<(), Errno> {
        self.kernel().clear(Clear { process })?;
        if let Some(pager) = self.pager.filter(|pager| *pager != process) {
            let mut server = self.memory_server(pager);
            // One that the server does not know has no memory of its.
            let _ = server
                .will_exit(WillExit { process, reserved: 0 })
                .and_then(|_| server.exit(Exit { process, reserved: 0 }));
        }
        Ok(())
    }

    fn give(&self, place: u64, spec: &PrivilegeSpec, process: Endpoint) -> Result<(), Errno> {
        let id = usize::try_from(place).ok().and_then(PrivilegeId::of_boot_program).ok_or(Errno::Dom)?;
        self.privctl().set_sys(SetSys { spec: *spec, process, id: id.index() as u32 }).map(drop)
    }

    /// Does something with every program of the boot table but oneself.
    fn for_each_other(
        &self,
        me: Endpoint,
        step: Step,
        mut act: impl FnMut(u64, &BootPolicy) -> Result<(), Errno>,
    ) -> Result<(), BootFailure> {
        for place in 0.. {
            match self.policy(place)? {
                None => break,
                Some(policy) if policy.endpoint == me => {}
                Some(policy) => act(place, &policy).map_err(|error| BootFailure { step, place, error })?,
            }
        }
        Ok(())
    }

    /// What the boot table says of a program; `None` beyond its end.
    fn policy(&self, place: u64) -> Result<Option<BootPolicy>, BootFailure> {
        match self.getinfo().boot_policy(GetBootPolicy { index: place }) {
            Ok(policy) => Ok(Some(policy)),
            Err(Errno::Dom) => Ok(None),
            Err(error) => Err(BootFailure { step: Step::Read, place, error }),
        }
    }

    fn kernel(&self) -> kernel::Client<T> {
        kernel::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    fn privctl(&self) -> privctl::Client<T> {
        privctl::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    fn getinfo(&self) -> getinfo::Client<T> {
        getinfo::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }
}

/// The answer to any request: the root system process has no calls yet.
pub fn refuse(request: &Message) -> Message {
    protocol::reply::<u64>(request, Err(Errno::NoSys))
}

fn has(policy: &BootPolicy, flag: BootFlags) -> bool {
    policy.flags & flag.bits() != 0
}

fn is_pager(policy: &BootPolicy) -> bool {
    has(policy, BootFlags::PAGER)
}

fn is_served(policy: &BootPolicy) -> bool {
    has(policy, BootFlags::SERVED)
}

/// The privileges of a boot program, whose signals go to `manager`.
fn spec(policy: &BootPolicy, manager: Endpoint) -> PrivilegeSpec {
    // Whoever waits for memory waits for the memory server: nothing takes its turn from it.
    let turns = if is_pager(policy) { PrivilegeFlags::PAGER } else { PrivilegeFlags::PREEMPTIBLE };
    let grants = has(policy, BootFlags::GRANTS_FOR_OTHERS);
    let flags = if grants { turns | PrivilegeFlags::GRANTS_FOR_OTHERS } else { turns };
    PrivilegeSpec {
        sends: PrivilegeId::mask_of_boot_programs(policy.sends),
        calls: policy.calls,
        flags: flags.bits(),
        init_flags: 0,
        traps: policy.traps,
        manager,
        backup: Endpoint::NONE,
        reserved: 0,
    }
}

/// Whether one of the signals ends a process.
fn ends(signals: u64) -> bool {
    let mut all = (1..=Signal::LAST_USER).filter_map(Signal::from_user);
    all.any(|signal| signals & signal.bit() != 0 && (signal.is_lethal() || signal == Signal::KILL))
}

#[cfg(test)]
mod tests;
