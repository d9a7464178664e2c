//! How the system boots: the programs of the boot table get their privileges and run, in order.

use crate::{Root, Servers};
use abi::boot::BootFlags;
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeId, PrivilegeSpec};
use core::fmt;
use protocol::Transport;
use protocol::getinfo::{BootPolicy, GetBootPolicy};
use protocol::kernel::WhoAmI;
use protocol::privctl::{Allow, SetSys, UpdateSys};
use protocol::vm::SetCalls;

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
    /// Comparing the boot table with the policy.
    Compare,
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
            Step::Compare => "find the rights in the policy that the boot table gives to",
        };
        write!(f, "cannot {what} program {} of the boot table: {}", self.place, self.error)
    }
}

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Gives each program of the boot table the privileges that stand there, then lets them run, in the order of the table. If the
    /// memory server loads some, it runs first, and the others when it has done so. Where there is a policy, services begin one after the other:
    /// see `boot_next`.
    ///
    /// # Errors
    /// The first call that fails. Without all its programs the system is not what its policy says: it must not go on.
    pub fn boot(&mut self) -> Result<(), BootFailure> {
        let identity = self.kernel().whoami(WhoAmI {});
        let me = identity.map_err(|error| BootFailure { step: Step::Identify, place: 0, error })?.endpoint;
        self.me = me;
        self.for_each_other(me, Step::Give, |place, policy| self.give(place, &spec(policy, me), policy.endpoint))?;
        // A target gets its bit only when there is somebody with its id: so masks are complete in a second pass.
        self.for_each_other(me, Step::Connect, |_, policy| {
            let call = UpdateSys { spec: spec(policy, me), process: policy.endpoint, reset_ranges: 0 };
            self.privctl().update_sys(call).map(drop)
        })?;
        self.have_loaded(me)?;
        if self.take_policy()? {
            self.set_alarm();
            self.boot_next();
            self.publish();
            return Ok(());
        }
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
            let Some(policy) = self.boot_policy(place)? else { break };
            if is_served(&policy) {
                let call = SetCalls { process: policy.endpoint, is_user: 0, calls: policy.memory };
                let told = self.memory_server().and_then(|mut server| server.set_calls(call));
                told.map_err(|error| BootFailure { step: Step::Memory, place, error })?;
            }
        }
        Ok(())
    }

    fn give(&self, place: u64, spec: &PrivilegeSpec, process: Endpoint) -> Result<(), Errno> {
        let id = usize::try_from(place).ok().and_then(PrivilegeId::of_boot_program).ok_or(Errno::Dom)?;
        self.privctl().set_sys(SetSys { spec: *spec, process, id: id.index() as u32 }).map(drop)
    }

    /// Does something with every program of the boot table but oneself.
    pub(crate) fn for_each_other(
        &self,
        me: Endpoint,
        step: Step,
        mut act: impl FnMut(u64, &BootPolicy) -> Result<(), Errno>,
    ) -> Result<(), BootFailure> {
        for place in 0.. {
            match self.boot_policy(place)? {
                None => break,
                Some(policy) if policy.endpoint == me || is_file(&policy) => {}
                Some(policy) => act(place, &policy).map_err(|error| BootFailure { step, place, error })?,
            }
        }
        Ok(())
    }

    /// What the boot table says of a program; `None` beyond its end.
    pub(crate) fn boot_policy(&self, place: u64) -> Result<Option<BootPolicy>, BootFailure> {
        match self.getinfo().boot_policy(GetBootPolicy { index: place }) {
            Ok(policy) => Ok(Some(policy)),
            Err(Errno::Dom) => Ok(None),
            Err(error) => Err(BootFailure { step: Step::Read, place, error }),
        }
    }
}

pub(crate) fn is_file(policy: &BootPolicy) -> bool {
    policy.flags & BootFlags::FILE.bits() != 0
}

fn is_pager(policy: &BootPolicy) -> bool {
    policy.flags & BootFlags::PAGER.bits() != 0
}

fn is_served(policy: &BootPolicy) -> bool {
    policy.flags & BootFlags::SERVED.bits() != 0
}

/// The privileges of a boot program, whose signals go to `manager`.
fn spec(policy: &BootPolicy, manager: Endpoint) -> PrivilegeSpec {
    // Whoever waits for memory waits for the memory server: nothing takes its turn from it.
    let flags = if is_pager(policy) { PrivilegeFlags::PAGER } else { PrivilegeFlags::PREEMPTIBLE };
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
