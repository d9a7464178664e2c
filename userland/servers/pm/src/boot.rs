//! The processes that were there first.

use crate::ids::Ids;
use crate::process::{Flags, Process};
use crate::table::{INIT_PID, Slot};
use crate::{Pm, Port};
use abi::boot::{BootEntry, BootFlags, NAME_LEN};
use abi::{Endpoint, Errno, PrivilegeId};
use core::fmt;
use protocol::Transport;
use protocol::getinfo::{GetBootPolicy, GetMachine, GetPrivileges, GetProcess};
use protocol::kernel::WhoAmI;
use protocol::pmfiles::What;

/// What the first user process is called.
const INIT: &str = "init";
/// What the file server is called.
const FILES: &str = "vfs";

/// Why the process manager cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootFailure {
    /// A kernel call failed.
    Kernel(Errno),
    /// The boot table has no root system process, or none that lives.
    NoRoot,
}

impl From<Errno> for BootFailure {
    fn from(error: Errno) -> Self {
        Self::Kernel(error)
    }
}

impl fmt::Display for BootFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => write!(f, "a kernel call fails: {error}"),
            Self::NoRoot => f.write_str("there is no root system process"),
        }
    }
}

/// A boot program.
struct Program {
    endpoint: Endpoint,
    name: [u8; NAME_LEN],
    flags: u16,
    /// It is a user process, whose signals come to the process manager.
    is_user: bool,
}

impl Program {
    fn is(&self, name: &str) -> bool {
        BootEntry::decode_name(&self.name) == Some(name)
    }
}

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// Makes the boot programs known: the first user process with pid 1, if there is one, the root system process and other user processes as its
    /// children, and all services as children of the root system process. Where somebody else manages users, they are like services.
    ///
    /// # Errors
    /// That the kernel does not tell, or tells of no root system process.
    pub fn boot(&mut self) -> Result<(), BootFailure> {
        self.me = self.kernel().whoami(WhoAmI {})?.endpoint;
        self.hz = self.getinfo().machine(GetMachine {})?.hz;
        self.for_each_program(|pm, program| {
            let is_root = program.flags & BootFlags::ROOT.bits() != 0;
            if is_root {
                pm.root = program.endpoint;
            }
            if program.flags & BootFlags::PAGER.bits() != 0 {
                pm.vm = program.endpoint;
            }
            if program.is(FILES) {
                pm.files = Some(program.endpoint);
            }
            if program.is(INIT) && program.is_user {
                pm.init = Some(pm.add_program(&program, INIT_PID, None, Flags::empty()));
            }
        })?;
        if self.root == Endpoint::NONE {
            return Err(BootFailure::NoRoot);
        }
        let root = Some(Slot::of(self.root));
        self.for_each_program(|pm, program| {
            let slot = Slot::of(program.endpoint);
            if pm.init != Some(slot) {
                let pid = pm.table.next_pid();
                let flags = if program.is_user { Flags::empty() } else { Flags::SERVICE };
                let parent = if root == Some(slot) || program.is_user { pm.init } else { root };
                pm.add_program(&program, pid, parent, flags);
            }
        })?;
        for slot in self.table.slots() {
            self.tell_files(slot, What::Known, Endpoint::NONE, [0; 4]);
        }
        Ok(())
    }

    fn add_program(&mut self, program: &Program, pid: u32, parent: Option<Slot>, flags: Flags) -> Slot {
        let Program { endpoint, name, .. } = *program;
        let ids = Ids::ROOT;
        self.table.add(Process { endpoint, name, pid, group: pid, session: pid, parent, flags, ids, ..Process::FREE })
    }

    /// Does something with each program of the boot table that lives.
    fn for_each_program(&mut self, mut act: impl FnMut(&mut Self, Program)) -> Result<(), Errno> {
        let users = PrivilegeId::USER.index() as u64;
        // Without users nobody manages them.
        let manages_users = self.getinfo().privileges(GetPrivileges { id: users }).is_ok_and(|p| p.manager == self.me);
        for index in 0.. {
            let policy = match self.getinfo().boot_policy(GetBootPolicy { index }) {
                Ok(policy) => policy,
                Err(Errno::Dom) => break,
                Err(error) => return Err(error),
            };
            if policy.flags & BootFlags::FILE.bits() != 0 {
                continue;
            }
            match self.getinfo().process(GetProcess { slot: policy.endpoint.slot() as u64 }) {
                Ok(info) if info.endpoint == policy.endpoint => {
                    let is_user = manages_users && u64::from(info.privilege_id) == users;
                    act(self, Program { endpoint: info.endpoint, name: info.name, flags: policy.flags, is_user });
                }
                // It has ended.
                Ok(_) | Err(Errno::Srch) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
