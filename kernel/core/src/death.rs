//! The end of a process.

use crate::{Cpu, Frame, Kernel, Machine, Rts, Slot};
use abi::Errno;
use core::fmt;

impl<M: Machine> Kernel<'_, M> {
    /// The process that runs on `cpu` did something that ends it; `why` tells the log what. The others go on.
    pub fn stop_current(&mut self, machine: &mut M, cpu: &mut Cpu, why: fmt::Arguments<'_>) {
        if let Some(me) = cpu.current() {
            machine.log(format_args!("{} stopped: {why}", self.process(me).name()));
            self.end(machine, cpu, me);
        }
    }

    /// Frees a slot: its endpoint is dead from here on, whoever waited for it is told, and nothing of it is left in any
    /// queue.
    pub(crate) fn end(&mut self, machine: &mut M, cpu: &mut Cpu, slot: Slot) {
        let p = self.process(slot);
        if p.rts.contains(Rts::SENDING) {
            if let Some(to) = self.lookup(p.send_to) {
                self.unqueue_sender(to, slot);
            }
        } else if cpu.current() == Some(slot) {
            self.vacate(cpu);
        } else if p.rts.is_empty() {
            self.dequeue(cpu, slot);
        }
        self.release_waiters(cpu, slot);
        let id = self.process(slot).privilege_id();
        for other in &mut self.privileges {
            other.notified_by &= !(1 << id);
        }
        self.privileges[id] = crate::Privileges::NONE;
        let p = self.process_mut(slot);
        p.rts = Rts::FREE;
        p.failed_reply = None;
        if let Some(space) = p.space.take() {
            machine.release(space);
        }
    }

    /// Everybody who is blocked on `slot` gets `EDEADSRCDST`. Those who receive from anybody go on waiting.
    fn release_waiters(&mut self, cpu: &mut Cpu, slot: Slot) {
        let endpoint = self.process(slot).endpoint;
        for other in Slot::all().filter(|&other| other != slot) {
            let p = self.process(other);
            let sends = p.rts.contains(Rts::SENDING) && p.send_to == endpoint;
            let receives = p.rts.contains(Rts::RECEIVING) && p.receive_from == endpoint;
            if sends {
                self.unqueue_sender(slot, other);
            }
            if sends || receives {
                let p = self.process_mut(other);
                p.rts.remove(Rts::SENDING | Rts::RECEIVING | Rts::REPLY);
                p.failed_reply = None;
                p.frame.set_result(Errno::DeadSrcDst.to_result());
                self.make_ready(cpu, other);
            }
        }
    }
}
