//! Turns: how long a process runs, and who decides what becomes of it when its time is used up.

use super::CpuId;
use crate::process::Pending;
use crate::{Kernel, Machine, Rts, Slot};
use abi::{Endpoint, Message};
use protocol::sched::{OUT_OF_QUANTUM, OutOfQuantum};

/// Timer ticks that a process runs before others of its priority get their turn.
pub const QUANTUM_TICKS: u16 = 5;

/// Where, how urgently and how long a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) cpu: CpuId,
    pub(crate) priority: u8,
    /// Ticks.
    pub(crate) quantum: u16,
}

impl<M: Machine> Kernel<'_, M> {
    /// Whether somebody but the kernel decides what becomes of a process whose time is used up. Where that one has died, or
    /// the process is not to be preempted, it is the kernel.
    pub(super) fn has_scheduler(&self, slot: Slot) -> bool {
        let p = self.process(slot);
        p.scheduler != Endpoint::NONE && p.scheduler != p.endpoint && p.urgency == p.priority
    }

    /// The time of a process is used up: it waits until its scheduler has decided, who is sent a message in its name.
    pub(super) fn end_turn(&mut self, slot: Slot) {
        let p = self.process_mut(slot);
        p.rts |= Rts::NO_QUANTUM;
        p.pending |= Pending::KERNEL_SENDS;
        let scheduler = p.scheduler;
        match self.lookup(scheduler) {
            Some(to) => self.send_by_kernel(slot, to),
            None => self.leave_scheduler(slot),
        }
    }

    /// What the scheduler of a process is told when its time is used up.
    pub(crate) fn out_of_quantum(&self, slot: Slot) -> Message {
        let p = self.process(slot);
        let told = OutOfQuantum {
            cycles: p.used.cycles,
            user_ticks: p.used.user_ticks,
            system_ticks: p.used.system_ticks,
            priority: p.priority.into(),
            cpu: p.cpu.index() as u32,
            quantum: p.quantum.into(),
        };
        Message { peer: p.endpoint, ..protocol::encode(OUT_OF_QUANTUM, &told) }
    }

    /// The kernel schedules a process from now on, and gives it a turn if it waits for one.
    pub(crate) fn leave_scheduler(&mut self, slot: Slot) {
        self.withdraw_kernel_message(slot);
        let p = self.process_mut(slot);
        p.scheduler = Endpoint::NONE;
        p.pending.remove(Pending::KERNEL_SENDS);
        p.ticks_left = p.quantum;
        self.unblock(slot, Rts::NO_QUANTUM);
    }

    /// Whoever was to be told that the time of a process is used up need not decide any more.
    fn withdraw_kernel_message(&mut self, slot: Slot) {
        if self.process(slot).pending.contains(Pending::KERNEL_SENDS) {
            self.withdraw_message(slot);
        }
    }

    /// Sets what a scheduler decides, and gives the process a new turn behind its peers. One that runs on another processor
    /// goes to its new place as soon as that one has left it.
    pub(crate) fn place_process(&mut self, slot: Slot, place: Place) {
        self.withdraw_kernel_message(slot);
        let waits = !self.process(slot).rts.is_empty();
        if self.runs(slot) {
            let from = self.process(slot).cpu;
            self.cpu_mut(from).bound = 0;
            self.kicks |= 1 << from.index();
            self.process_mut(slot).moves_to = Some(place);
        } else if waits {
            self.take_place(slot, place);
        } else {
            self.dequeue(slot);
            self.take_place(slot, place);
            self.make_ready(slot);
        }
        self.unblock(slot, Rts::NO_QUANTUM);
    }

    pub(super) fn take_place(&mut self, slot: Slot, Place { cpu, priority, quantum }: Place) {
        let p = self.process_mut(slot);
        (p.cpu, p.priority, p.quantum, p.ticks_left) = (cpu, priority, quantum, quantum);
        self.derive(slot);
    }
}
