//! Services: made, ended and asked about for the root system process.

use crate::ids::{Ids, is_valid};
use crate::process::{Flags, Process};
use crate::table::{SLOTS, Slot};
use crate::{Pm, Port};
use abi::{Endpoint, Errno};
use protocol::pm::{PidFound, ProcessStatus, SrvFork, SrvForked, SrvIds};
use protocol::pmfiles::What;
use protocol::{Transport, kernel, vm};

/// The last slots are for root.
const KEPT_FOR_ROOT: usize = 2;

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// A slot for one more process.
    ///
    /// # Errors
    /// `EAGAIN` if there is none, or none for others than root.
    pub(crate) fn slot_for(&self, ids: &Ids) -> Result<Slot, Errno> {
        let most = if ids.is_root() { SLOTS } else { SLOTS - KEPT_FOR_ROOT };
        if self.table.len() >= most { Err(Errno::Again) } else { self.table.free_slot().ok_or(Errno::Again) }
    }

    /// Whether an endpoint is that of the root system process.
    pub(crate) fn check_root(&self, caller: Endpoint) -> Result<(), Errno> {
        if caller == self.root { Ok(()) } else { Err(Errno::Perm) }
    }

    pub(crate) fn do_srv_fork(&mut self, caller: Endpoint, call: &SrvFork) -> Result<SrvForked, Errno> {
        self.check_root(caller)?;
        if !is_valid(call.uid) || !is_valid(call.gid) {
            return Err(Errno::Inval);
        }
        let slot = self.slot_for(&Ids::ROOT)?;
        let parent = caller;
        let child = self.vm().spawn(vm::Spawn { parent, slot: slot.index() as u32 })?.child;
        let pid = self.table.next_pid();
        let parent = Slot::of(parent);
        let Process { group, session, name, .. } = self.table[parent];
        let slot = self.table.add(Process {
            endpoint: child,
            pid,
            group,
            session,
            name,
            parent: Some(parent),
            flags: Flags::SERVICE,
            ids: Ids::of(call.uid, call.gid),
            ..Process::FREE
        });
        // Nobody waits for the file server: it may wait for the very driver that is being started again.
        self.tell_files(slot, What::SrvFork, caller, [call.uid.into(), call.gid.into(), 0, 0]);
        Ok(SrvForked { child, pid })
    }

    pub(crate) fn do_srv_exit(&mut self, caller: Endpoint, process: Endpoint) -> Result<(), Errno> {
        self.check_root(caller)?;
        let slot = self.table.find(process).ok_or(Errno::Srch)?;
        if process == self.root {
            return Err(Errno::Perm);
        }
        if !self.table[slot].is(Flags::SERVICE) {
            return Err(Errno::Inval);
        }
        self.take_apart(process)?;
        self.orphan_children(slot);
        self.tell_files(slot, What::Exit, Endpoint::NONE, [0; 4]);
        self.table.remove(slot);
        Ok(())
    }

    /// Says who a process is that was there before anybody knew.
    pub(crate) fn do_srv_ids(&mut self, caller: Endpoint, call: &SrvIds) -> Result<(), Errno> {
        self.check_root(caller)?;
        if !is_valid(call.uid) || !is_valid(call.gid) {
            return Err(Errno::Inval);
        }
        let slot = self.table.find(call.process).ok_or(Errno::Srch)?;
        self.table[slot].ids = Ids::of(call.uid, call.gid);
        self.tell_files(slot, What::Known, Endpoint::NONE, [call.uid.into(), call.gid.into(), 0, 0]);
        Ok(())
    }

    /// Ends a process as kernel and memory server know it.
    ///
    /// # Errors
    /// That one of them does not let the process manager.
    pub(crate) fn take_apart(&mut self, process: Endpoint) -> Result<(), Errno> {
        // Whoever does not know it, or knows it no more, has nothing of it.
        let unless_gone = |result: Result<(), Errno>| match result {
            Err(Errno::Srch | Errno::Inval) => Ok(()),
            other => other,
        };
        unless_gone(self.vm().will_exit(vm::WillExit { process, reserved: 0 }).map(drop))?;
        unless_gone(self.kernel().clear(kernel::Clear { process }).map(drop))?;
        unless_gone(self.vm().exit(vm::Exit { process, reserved: 0 }).map(drop))
    }

    /// The children of somebody who ends are those of the first user process.
    pub(crate) fn orphan_children(&mut self, parent: Slot) {
        for slot in self.table.slots() {
            if self.table[slot].parent == Some(parent) {
                self.table[slot].parent = self.init;
            }
        }
    }

    /// The pids of a process and of its parent.
    pub(crate) fn do_pid_of(&self, caller: Endpoint, process: Endpoint) -> Result<PidFound, Errno> {
        let me = self.table.find(caller).ok_or(Errno::Srch)?;
        let process = if process == Endpoint::SELF { caller } else { process };
        if process != caller && !self.table[me].is(Flags::SERVICE) {
            return Err(Errno::Perm);
        }
        let slot = self.table.find(process).ok_or(Errno::Srch)?;
        let found = &self.table[slot];
        Ok(PidFound { pid: found.pid, parent: self.table.pid(found.parent) })
    }

    /// What lists show of the process in a slot.
    pub(crate) fn do_process(&self, number: u32) -> Result<ProcessStatus, Errno> {
        let slot = Slot::at(number).ok_or(Errno::Dom)?;
        let process = &self.table[slot];
        if process.pid == 0 {
            return Err(Errno::Srch);
        }
        Ok(ProcessStatus {
            name: process.name,
            endpoint: process.endpoint,
            pid: process.pid,
            parent: self.table.pid(process.parent),
            group: process.group,
            session: process.session,
            uid: process.ids.user.real,
            effective_uid: process.ids.user.effective,
            flags: process.shown().bits(),
        })
    }
}
