//! Who sends signals to whom.

use crate::deliver::Origin;
use crate::process::{Flags, Process};
use crate::signals::{KILL, Number};
use crate::table::{INIT_PID, Slot};
use crate::{Pm, Port};
use abi::{Endpoint, Errno, Signal};
use protocol::pm::{Kill, SrvKill};
use protocol::{Caller, Transport, kernel};

/// Everybody, as the target of a signal.
const ALL: i32 = -1;

/// Whether a process may send signals to another as far as their users go.
fn is_allowed(from: &Process, to: &Process) -> bool {
    let ids = [from.ids.user.real, from.ids.user.effective];
    from.ids.is_root() || ids.contains(&to.ids.user.real) || ids.contains(&to.ids.user.effective)
}

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_kill(&mut self, from: Caller, call: &Kill) -> Result<(), Errno> {
        let me = self.table.find(from.endpoint).ok_or(Errno::Srch)?;
        let is_none = call.signal != 0 && Signal::from_user(call.signal).is_none();
        if is_none || call.signal == KILL && call.pid == INIT_PID as i32 {
            return Err(Errno::Inval);
        }
        let group = self.table[me].group;
        let (mut found, mut sent) = (false, Err(Errno::Perm));
        // The core services come first in the table: of everybody they are the last.
        for slot in self.table.slots().rev() {
            if self.table[slot].pid == 0 || !self.is_target(slot, call, group) {
                continue;
            }
            found = true;
            if is_allowed(&self.table[me], &self.table[slot]) {
                match self.send(me, slot, call) {
                    Ok(()) => sent = Ok(()),
                    Err(error) => sent = sent.or(Err(error)),
                }
            }
        }
        if found { sent } else { Err(Errno::Srch) }
    }

    /// Whether a process is among those that a call is about.
    fn is_target(&self, slot: Slot, call: &Kill, group: u32) -> bool {
        let process = &self.table[slot];
        match call.pid {
            ALL => {
                let is_kept = process.pid == INIT_PID || [self.me, self.vm].contains(&process.endpoint);
                // Whoever serves the system goes on without those whom it serves.
                let is_spared = call.signal == KILL && process.is(Flags::SERVICE);
                !is_kept && !is_spared && !process.is(Flags::EXITS)
            }
            0 => process.group == group && !process.is(Flags::EXITS),
            1.. => process.pid == call.pid.unsigned_abs(),
            _ => process.group == call.pid.unsigned_abs() && !process.is(Flags::EXITS),
        }
    }

    fn send(&mut self, me: Slot, slot: Slot, call: &Kill) -> Result<(), Errno> {
        let target = &self.table[slot];
        if !target.is(Flags::SERVICE) {
            if call.signal != 0 {
                self.raise(slot, call.signal, Origin::Process);
            }
            return Ok(());
        }
        // What looks like a fault of a service must be one.
        let is_lethal = Signal::from_user(call.signal).is_some_and(Signal::is_lethal);
        if is_lethal && !self.table[me].is(Flags::SERVICE) {
            return Err(Errno::Perm);
        }
        let process = target.endpoint;
        if call.signal == 0 || [self.me, self.vm].contains(&process) {
            return Ok(());
        }
        self.kernel().kill(kernel::Kill { process, signal: call.signal }).map(drop)
    }

    pub(crate) fn do_srv_kill(&mut self, caller: Endpoint, call: &SrvKill) -> Result<(), Errno> {
        self.check_root(caller)?;
        let signal: Number = Signal::from_user(call.signal).ok_or(Errno::Inval)?.number();
        let slot = self.table.find(call.process).ok_or(Errno::Srch)?;
        self.raise(slot, signal, Origin::Process);
        Ok(())
    }
}
