//! The fast path: the two traps of a call to a server and its answer, when they can switch straight to the partner.
//!
//! Each function decides everything and returns the partner, or `None` with nothing changed when the ordinary path must go
//! on. `None` is never an error: the ordinary path finds what is wrong, in the specified order of checks. After `Some`, the
//! caller moves the message from the old running process to the new one, as [`crate::Frame::deliver`] would, with the trap
//! as status.

use crate::{CpuId, Kernel, Machine, Rts, Slot};
use abi::{Endpoint, Trap};

impl<M: Machine> Kernel<'_, M> {
    /// SENDREC to a process that waits for it.
    #[inline(always)]
    pub fn fast_sendrec(&mut self, machine: &M, cpu: CpuId, destination: Endpoint) -> Option<Slot> {
        let me = self.cpu(cpu).current()?;
        let to = self.fast_partner(cpu, me, Trap::SendRec, destination)?;
        let it = self.process(to);
        if self.privileges(me).sends & it.privilege_bit() == 0 {
            return None;
        }
        // Exactly RECEIVING: it lives, and nothing else stops it.
        if it.rts != Rts::RECEIVING {
            return None;
        }
        if it.receive_from != Endpoint::ANY && it.receive_from != self.process(me).endpoint {
            return None;
        }
        self.hand_over(machine, cpu, me, to, Rts::RECEIVING | Rts::REPLY, destination);
        Some(to)
    }

    /// REPLY_RECEIVE to a process in SENDREC with this one, which then receives from anybody and finds nothing.
    #[inline(always)]
    pub fn fast_reply_receive(
        &mut self,
        machine: &M,
        cpu: CpuId,
        destination: Endpoint,
        from: Endpoint,
    ) -> Option<Slot> {
        if from != Endpoint::ANY {
            return None;
        }
        let me = self.cpu(cpu).current()?;
        let to = self.fast_partner(cpu, me, Trap::ReplyReceive, destination)?;
        let it = self.process(to);
        let p = self.process(me);
        if it.rts != Rts::RECEIVING | Rts::REPLY || it.receive_from != p.endpoint {
            return None;
        }
        if p.senders.head().is_some() || self.has_pending(me) {
            return None;
        }
        self.hand_over(machine, cpu, me, to, Rts::RECEIVING, Endpoint::ANY);
        Some(to)
    }

    /// What both have in common: the caller may use the trap, the endpoint is that of its slot, the partner runs on this
    /// processor, and nobody more urgent is ready. The comparison of endpoints tests range, generation and special names at once; whether the
    /// slot is free, the callers find out by its whole state.
    #[inline(always)]
    fn fast_partner(&self, cpu: CpuId, me: Slot, trap: Trap, destination: Endpoint) -> Option<Slot> {
        let to = Slot::of(destination);
        let it = self.process(to);
        if !self.privileges(me).traps.contains(trap.mask()) || it.endpoint != destination {
            return None;
        }
        if it.cpu != cpu || it.priority >= self.cpu(cpu).bound() { None } else { Some(to) }
    }

    /// The running process blocks, the partner runs on with the rest of its time. No queue is touched: who runs is in none,
    /// and the partner was blocked.
    #[inline(always)]
    fn hand_over(&mut self, machine: &M, cpu: CpuId, me: Slot, to: Slot, state: Rts, from: Endpoint) {
        self.charge(machine, cpu, me);
        let p = self.process_mut(me);
        p.rts = state;
        p.receive_from = from;
        let ticks_left = p.ticks_left;
        let it = self.process_mut(to);
        it.rts = Rts::empty();
        it.ticks_left = ticks_left;
        self.cpu_mut(cpu).switch_to(to);
    }
}
