//! Processes that stop and go on, and who is told.

use crate::deliver::Origin;
use crate::process::Flags;
use crate::signals::{CHLD, Number};
use crate::table::Slot;
use crate::{Pm, Port};
use protocol::Transport;
use protocol::kernel::{RunAction, RunCtl};
use protocol::pm::{ActionFlags, status};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// A signal stops a process. What it waits for may come meanwhile: it sees that when it goes on.
    pub(crate) fn stop(&mut self, slot: Slot, signal: Number) {
        let process = &mut self.table[slot];
        process.flags.remove(Flags::REPORT_CONTINUE);
        process.flags |= Flags::STOPPED | Flags::HELD | Flags::REPORT_STOP;
        process.status = status::stopped(signal);
        let process = process.endpoint;
        let _ = self.kernel().runctl(RunCtl { process, action: RunAction::Stop });
        self.report_change(slot);
    }

    /// A process goes on that a signal has stopped.
    pub(crate) fn go_on(&mut self, slot: Slot) {
        let process = &mut self.table[slot];
        if !process.is(Flags::STOPPED) {
            return;
        }
        process.flags.remove(Flags::STOPPED | Flags::REPORT_STOP);
        process.flags |= Flags::REPORT_CONTINUE;
        process.status = status::CONTINUED;
        self.report_change(slot);
        self.deliver(slot);
    }

    /// The parent of a process is told that it has stopped or goes on.
    fn report_change(&mut self, slot: Slot) {
        let Some(parent) = self.table[slot].parent else { return };
        if self.satisfy(parent) {
            return;
        }
        if !self.table.actions(parent)[CHLD as usize].has(ActionFlags::NO_CHILD_STOP) {
            self.raise_for_parent(parent);
        }
    }

    /// A parent hears that a child has changed, if it can.
    pub(crate) fn raise_for_parent(&mut self, parent: Slot) {
        if !self.table[parent].is(Flags::SERVICE) {
            self.raise(parent, CHLD, Origin::Process);
        }
    }
}
