//! The end of a process.

use crate::{CpuId, Frame, Kernel, Machine, Rts, Slot};
use abi::Errno;
use core::fmt;

impl<M: Machine> Kernel<'_, M> {
    /// The process that runs on `cpu` did something that ends it; `why` tells the log what. The others go on.
    pub fn stop_current(&mut self, machine: &mut M, cpu: CpuId, why: fmt::Arguments<'_>) {
        if let Some(me) = self.cpu(cpu).current() {
            machine.log(format_args!("{} stopped: {why}", self.process(me).name()));
            self.end(machine, me);
        }
    }

    /// Frees a slot: its endpoint is dead from here on, whoever waited for it is told, and nothing of it is left in any
    /// queue.
    pub(crate) fn end(&mut self, machine: &mut M, slot: Slot) {
        self.leave_queue(slot);
        self.release_waiters(slot);
        let id = self.process(slot).privilege_id();
        for other in &mut self.privileges {
            other.notified_by &= !(1 << id);
        }
        self.privileges[id] = crate::Privileges::NONE;
        let p = self.process_mut(slot);
        p.rts = Rts::FREE;
        p.failed_reply = None;
        if let Some(home) = p.space.take() {
            self.spaces.unbind(machine, home.id());
        }
    }

    fn leave_queue(&mut self, slot: Slot) {
        let p = self.process(slot);
        if p.rts.contains(Rts::SENDING) {
            self.unqueue_sender(Slot::of(p.send_to), slot);
        }
        if self.runs(slot) {
            self.vacate(slot); // Also if it has just blocked, and nobody else was chosen yet.
        } else if self.process(slot).rts.is_empty() {
            self.dequeue(slot);
        }
    }

    /// Everybody who is blocked on `slot` gets `EDEADSRCDST`. Those who receive from anybody go on waiting.
    fn release_waiters(&mut self, slot: Slot) {
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
                self.make_ready(other);
            }
        }
    }
}

/// Here are the ends that nobody can bring about from outside yet; for the others see `tests/death.rs`.
#[cfg(test)]
mod tests {
    use crate::support::*;
    use crate::{CpuId, Rts, Slot};
    use abi::{Endpoint, Trap};

    fn end(world: &mut World<'_>, who: Endpoint) {
        world.kernel.end(&mut world.machine, Slot::of(who));
        assert_eq!(world.rts(who), Rts::FREE);
        world.schedule();
    }

    #[test]
    fn a_queued_sender_leaves_the_queue() {
        for gone in [B, C, D] {
            for call in [send(A, 1), sendrec(A, 1)] {
                let mut table = table();
                let mut world = World::new(&mut table, &four());
                for sender in [B, C, D] {
                    world.trap(sender, call);
                }
                end(&mut world, gone);
                for sender in [B, C, D].into_iter().filter(|&sender| sender != gone) {
                    world.trap(A, receive(Endpoint::ANY));
                    assert_eq!(world.regs(A).rdi, sender.raw().into());
                }
                assert_eq!(world.trap(A, receive(Endpoint::ANY)), Outcome::Blocked);
            }
        }
    }

    #[test]
    fn a_ready_process_leaves_the_queue() {
        for gone in [B, C, D] {
            let mut table = table();
            let mut world = World::new(&mut table, &four());
            world.run(A);
            end(&mut world, gone);
            assert_eq!(world.running(), Some(A), "the one that runs goes on");
            for other in [B, C, D].into_iter().filter(|&other| other != gone) {
                world.step(receive(Endpoint::ANY));
                assert_eq!(world.running(), Some(other));
            }
            world.step(receive(Endpoint::ANY));
            assert_eq!(world.running(), None);
        }
    }

    #[test]
    fn one_who_waits_is_forgotten() {
        let waits: [fn(&mut World<'_>); 3] = [
            |world| assert_eq!(world.trap(A, receive(Endpoint::ANY)), Outcome::Blocked),
            |world| assert_eq!(world.trap(A, receive(B)), Outcome::Blocked),
            |world| {
                world.trap(A, sendrec(B, 1));
                assert_eq!(world.trap(B, receive(A)), Outcome::Done);
            },
        ];
        for wait in waits {
            let mut table = table();
            let mut world = World::new(&mut table, &four());
            wait(&mut world);
            end(&mut world, A);
            world.trap(C, send(B, 2));
            world.trap(B, receive(Endpoint::ANY));
            assert_eq!(world.regs(B), delivered(C, Trap::Send, 2));
        }
    }

    #[test]
    fn one_who_blocked_just_now_runs_no_more() {
        for call in [send(B, 1), sendrec(B, 1), receive(B)] {
            let mut table = table();
            let mut world = World::new(&mut table, &four());
            world.kernel.process_mut(Slot::of(A)).frame = call;
            let _ = world.kernel.trap(&mut world.machine, CpuId::BOOT);
            world.kernel.stop_current(&mut world.machine, CpuId::BOOT, format_args!("test"));
            assert_eq!(world.kernel.cpu(CpuId::BOOT).current(), None);
            world.schedule();
            assert_eq!(world.running(), Some(B));
            assert_eq!(world.trap(B, receive(Endpoint::ANY)), Outcome::Blocked);
        }
    }
}
