//! The end of a process.

use crate::process::Pending;
use crate::{Frame, Kernel, Machine, Process, Rts, Slot};
use abi::{Errno, PrivilegeId};

impl<M: Machine> Kernel<'_, M> {
    /// Frees a slot: its endpoint is dead from here on, whoever waited for it is told, and nothing of it is left anywhere.
    pub(crate) fn end(&mut self, machine: &mut M, slot: Slot) {
        // From here on nobody runs its code, and it is in no queue but one of senders or events.
        self.block(machine, slot, Rts::STOPPED);
        if self.runs(slot) {
            let cpu = self.process(slot).cpu;
            self.charge(machine, cpu);
            self.vacate(slot);
        }
        self.forget_memory_event(slot);
        if self.process(slot).rts.contains(Rts::SENDING) {
            self.unqueue_sender(Slot::of(self.process(slot).send_to), slot);
        }
        let endpoint = self.process(slot).endpoint;
        // Nobody finds it any more; what is done for those who look for it follows.
        self.process_mut(slot).rts = Rts::FREE;
        self.signaled.remove(slot);
        self.clear_ipc_refs(machine, slot);
        self.recall_requests(slot);
        self.spaces.take_back_all(machine, endpoint);
        if self.process(slot).is_scheduler {
            let scheduled = self.alive.clone();
            for other in scheduled.iter().filter(|&other| other != slot) {
                if self.process(other).scheduler == endpoint {
                    self.leave_scheduler(other);
                }
            }
        }
        for cpu in &mut self.cpus {
            cpu.forget(slot);
        }
        self.free_privileges(machine, slot);
        if let Some(home) = self.process_mut(slot).space.take() {
            self.spaces.unbind(machine, home.id());
        }
        self.alive.remove(slot);
        *self.process_mut(slot) = Process { endpoint, ..Process::free(slot, M::Frame::default()) };
    }

    /// Nobody waits for a process any more, and nothing that it sent is pending: whoever is blocked on it gets
    /// `EDEADSRCDST`. Those who receive from anybody go on waiting. Signals that it has taken and not ended are offered again.
    pub(crate) fn clear_ipc_refs(&mut self, machine: &mut M, slot: Slot) {
        let (endpoint, id) = (self.process(slot).endpoint, self.process(slot).privilege_id);
        self.fail_entries_for(machine, endpoint);
        if id != PrivilegeId::USER {
            self.forget_pending(id);
        }
        let others = self.alive.clone();
        for other in others.iter().filter(|&other| other != slot) {
            self.fail_wait_for(machine, other, slot, Rts::RECEIVING, Errno::DeadSrcDst);
        }
        if self.is_service(slot) {
            self.hand_on_signals(machine, endpoint);
        }
    }

    /// If a process waits for `partner`, to send to it or to receive in this way, its trap fails with `why`.
    pub(crate) fn fail_wait_for(&mut self, machine: &mut M, slot: Slot, partner: Slot, receives: Rts, why: Errno) {
        let (p, endpoint) = (self.process(slot), self.process(partner).endpoint);
        let sends = p.rts.contains(Rts::SENDING) && p.send_to == endpoint;
        let receives = p.rts.contains(receives) && p.receive_from == endpoint;
        if sends {
            self.unqueue_sender(partner, slot);
        }
        if sends || receives {
            self.fail_wait(machine, slot, why);
        }
    }

    /// A process does not wait for its partner any more: its trap fails with `why`. If it was the kernel that sent in its name, its own
    /// registers are none of a trap, and it only gets a new turn.
    fn fail_wait(&mut self, machine: &mut M, slot: Slot, why: Errno) {
        let p = self.process_mut(slot);
        p.failed_reply = None;
        if p.pending.contains(Pending::KERNEL_SENDS) {
            p.pending.remove(Pending::KERNEL_SENDS);
            self.unblock(slot, Rts::SENDING);
            return self.leave_scheduler(slot);
        }
        p.frame.set_result(why.to_result());
        self.unblock(slot, Rts::SENDING | Rts::WAITS);
        self.tell_send_done(machine, slot);
    }
}
