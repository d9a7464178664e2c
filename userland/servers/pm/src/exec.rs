//! Processes get other programs. Whoever loads them tells when the old one is gone, and what has become of it.

use crate::deliver::Origin;
use crate::ids::is_valid;
use crate::process::Flags;
use crate::signals::{Action, KILL, SIGNALS, STOP, TRAP};
use crate::table::Slot;
use crate::{Pm, Port};
use abi::boot::BootEntry;
use abi::{Endpoint, Errno};
use protocol::pm::*;
use protocol::pmfiles::What;
use protocol::{Answer, Caller, Transport, kernel};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_exec(&mut self, from: Caller, call: &Exec) -> Answer<ExecDone> {
        let slot = match self.user(from.endpoint) {
            Ok(slot) => slot,
            Err(error) => return Answer::Fail(error),
        };
        let words = [call.path, call.path_len, call.frame, call.frame_len];
        if !self.tell_files(slot, What::Exec, Endpoint::NONE, words) {
            return Answer::Fail(Errno::NoSys);
        }
        self.table[slot].tag = from.tag;
        Answer::Later
    }

    /// Whether somebody may load programs.
    fn check_loader(&self, caller: Endpoint) -> Result<(), Errno> {
        if caller == self.root || Some(caller) == self.files { Ok(()) } else { Err(Errno::Perm) }
    }

    pub(crate) fn do_exec_new(&mut self, from: Caller, call: &ExecNew) -> Result<ExecNewDone, Errno> {
        self.check_loader(from.endpoint)?;
        let slot = self.table.find(call.process).ok_or(Errno::Srch)?;
        let flags = ExecFlags::from_bits(call.flags).ok_or(Errno::Inval)?;
        let name = BootEntry::decode_name(&call.name);
        if name.is_none() || !is_valid(call.uid) || !is_valid(call.gid) || self.table[slot].is(Flags::EXITS) {
            return Err(Errno::Inval);
        }
        let process = &mut self.table[slot];
        let ids = &mut process.ids;
        // Whoever traces a program has its rights.
        if process.tracer.is_none() {
            if flags.contains(ExecFlags::SET_UID) {
                ids.user.effective = call.uid;
            }
            if flags.contains(ExecFlags::SET_GID) {
                ids.group.effective = call.gid;
            }
        }
        ids.user.saved = ids.user.effective;
        ids.group.saved = ids.group.effective;
        let is_own = ids.is_own();
        process.flags.set(Flags::TAINTED, !is_own);
        process.name = call.name;
        process.flags |= Flags::PARTIAL_EXEC;
        Ok(ExecNewDone { set_id: u32::from(!is_own), reserved: 0 })
    }

    pub(crate) fn do_exec_restart(&mut self, from: Caller, call: &ExecRestart) -> Result<(), Errno> {
        self.check_loader(from.endpoint)?;
        let slot = self.table.find(call.process).ok_or(Errno::Srch)?;
        let error = u16::try_from(call.error).map_err(|_| Errno::Inval)?;
        let error = if error == 0 { None } else { Some(Errno::from_number(error).ok_or(Errno::Inval)?) };
        let asked = self.table[slot].asked == What::Exec && self.table[slot].is(Flags::FILES);
        if !asked && !self.table[slot].is(Flags::PARTIAL_EXEC) {
            return Err(Errno::Inval);
        }
        if error.is_none() && call.entry != 0 {
            let (process, name) = (call.process, self.table[slot].name);
            let start = kernel::Exec { name, stack: call.stack, entry: call.entry, process, reserved: 0 };
            self.kernel().exec(start)?;
        }
        if asked {
            self.table[slot].flags.remove(Flags::FILES);
        }
        self.end_exec(slot, error);
        Ok(())
    }

    /// What an exec has come to.
    pub(crate) fn end_exec(&mut self, slot: Slot, error: Option<Errno>) {
        let process = &mut self.table[slot];
        let is_partial = process.is(Flags::PARTIAL_EXEC);
        process.flags.remove(Flags::PARTIAL_EXEC);
        match error {
            None => {}
            Some(_) if is_partial => {
                return if process.is(Flags::SERVICE) {
                    self.raise(slot, KILL, Origin::Process);
                } else {
                    self.end_by_signal(slot, KILL);
                };
            }
            Some(error) => {
                let caller = Caller { endpoint: process.endpoint, tag: process.tag };
                self.answer_error(caller, error);
                return self.deliver(slot);
            }
        }
        process.flags |= Flags::EXECED;
        process.flags.remove(Flags::WAITS | Flags::SUSPENDED);
        let options = process.trace_options;
        let is_traced = process.tracer.is_some();
        for action in self.table.actions_mut(slot).iter_mut().take(SIGNALS) {
            if action.is_caught() {
                *action = Action::DEFAULT;
            }
        }
        if is_traced && options & TRACE_NO_EXEC == 0 {
            let signal = if options & TRACE_ALT_EXEC != 0 { STOP } else { TRAP };
            self.stop_for_tracer(slot, signal);
        }
        self.deliver(slot);
    }
}
