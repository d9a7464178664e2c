//! Processes for services are made and ended.

use crate::service::{Instance, Name};
use crate::{Root, Servers};
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeId};
use protocol::Transport;
use protocol::kernel::{Clear, KEEP, SchedCtl, Scheduler};
use protocol::pm::{SrvExit, SrvFork};
use protocol::privctl::{DYNAMIC_ID, Disallow, SetSys};
use protocol::vm::{Exit, SetCalls, WillExit};

/// A process that was made for a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) instance: Instance,
    pub(crate) id: PrivilegeId,
    pub(crate) pid: u32,
}

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Makes a process with the rights of the service at a place, and gives it a program, with the service's arguments. It waits to be allowed to
    /// run.
    ///
    /// # Errors
    /// `ENOENT` without a program, `ENOSYS` if nobody makes processes, and those of whoever is asked; there is no process then.
    pub(crate) fn make(
        &mut self,
        place: usize,
        program: Name,
        image: &'static [u8],
        flag: PrivilegeFlags,
    ) -> Result<Made, Errno> {
        if image.is_empty() {
            return Err(Errno::NoEnt);
        }
        let policy = self.services.get(place).ok_or(Errno::Srch)?.policy;
        let uid = self.policy.get(policy).map_or(0, |policy| policy.uid);
        let forked = self.process_manager()?.srv_fork(SrvFork { uid, gid: uid })?;
        let instance = Instance { endpoint: forked.child, program, image };
        match self.equip(place, policy, &instance, flag) {
            Ok(id) => Ok(Made { instance, id, pid: forked.pid }),
            Err(error) => {
                self.end_or_log(forked.child);
                Err(error)
            }
        }
    }

    fn equip(
        &mut self,
        place: usize,
        policy: usize,
        instance: &Instance,
        flag: PrivilegeFlags,
    ) -> Result<PrivilegeId, Errno> {
        let process = instance.endpoint;
        let spec = self.spec(policy, flag);
        let id = self.privctl().set_sys(SetSys { spec, process, id: DYNAMIC_ID })?.id;
        self.give_hardware(policy, process)?;
        if let Some(policy) = self.policy.get(policy) {
            let calls = policy.memory;
            self.memory_server()?.set_calls(SetCalls { process, is_user: 0, calls })?;
            let (priority, quantum, cpu) = (policy.priority.into(), policy.quantum.into(), policy.cpu.into());
            let call = SchedCtl { process, scheduler: Scheduler::Kernel, priority, quantum, cpu };
            match self.kernel().schedctl(call) {
                // The machine has fewer processors.
                Err(Errno::BadCpu) => self.kernel().schedctl(SchedCtl { cpu: KEEP, ..call })?,
                scheduled => scheduled?,
            };
        }
        let vm = self.pager.ok_or(Errno::NoSys)?;
        let arguments = self.arguments.get(place).ok_or(Errno::Srch)?;
        self.servers.load(vm, process, &instance.program, instance.image, arguments)?;
        PrivilegeId::new(id).ok_or(Errno::Proto)
    }

    /// Ends a process, and gives back its memory.
    ///
    /// # Errors
    /// Those of the kernel: `EINVAL` if it is gone already.
    pub(crate) fn end(&mut self, process: Endpoint) -> Result<(), Errno> {
        let manager = self.process_manager().map(|manager| manager.to);
        if manager.is_ok_and(|manager| manager != process) {
            let ended = self.process_manager()?.srv_exit(SrvExit { process, reserved: 0 });
            if ended.is_ok() {
                return Ok(());
            }
        }
        self.kernel().clear(Clear { process })?;
        if self.pager.is_some_and(|pager| pager != process) {
            let mut server = self.memory_server()?;
            // One that the server does not know has no memory of its.
            let _ = server
                .will_exit(WillExit { process, reserved: 0 })
                .and_then(|_| server.exit(Exit { process, reserved: 0 }));
        }
        Ok(())
    }

    /// Stops a process for good: whatever it does, it does no more.
    pub(crate) fn freeze(&self, process: Endpoint) {
        // Whoever waits for privileges already does not run either.
        let _ = self.privctl().disallow(Disallow { process });
    }
}
