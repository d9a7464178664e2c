//! The fast path: the two traps of a call to a server and its answer, when they can switch straight to the partner.
//!
//! Each function decides everything and returns the partner, or `None` with nothing changed when the ordinary path must go
//! on. `None` is never an error: the ordinary path finds what is wrong, in the specified order of checks. After `Some`, the
//! caller moves the message from the old running process to the new one, as [`crate::Frame::deliver`] would, with the trap
//! as status.

use crate::frames::FrameNumber;
use crate::process::Pending;
use crate::sched::Cpu;
use crate::{CpuId, Kernel, Machine, Process, Rts, Slot};
use abi::{Endpoint, Trap};

/// Whom a fast path switches to.
pub struct Partner<'a, M: Machine> {
    /// The process.
    pub process: &'a mut Process<M>,
    /// The root page table that the processor must load first, if it has another one loaded.
    pub load: Option<FrameNumber>,
}

impl<M: Machine> Kernel<'_, M> {
    /// SENDREC to a process that waits for it.
    #[inline(always)]
    pub fn fast_sendrec(&mut self, machine: &M, cpu: CpuId, destination: Endpoint) -> Option<Partner<'_, M>> {
        let here = &mut self.cpus[cpu.index()];
        let procs = &mut *self.procs;
        let (me, to) = (here.current()?, Slot::of(destination));
        let (p, it) = (&procs[me.index()], &procs[to.index()]);
        if !is_near(here, cpu, p, it, Trap::SendRec, destination) || p.sends & it.privilege_bit() == 0 {
            return None;
        }
        // Exactly RECEIVING: it lives, nothing else stops it, and its message needs nothing special.
        if it.rts != Rts::RECEIVING || it.receive_from != Endpoint::ANY && it.receive_from != p.endpoint {
            return None;
        }
        block(machine, here, &mut procs[me.index()], Rts::RECEIVING | Rts::REPLY, destination);
        here.switch_to(to);
        let it = &mut procs[to.index()];
        it.rts = Rts::empty();
        let load = it.space.and_then(|home| self.spaces.enter(cpu, home));
        Some(Partner { process: it, load })
    }

    /// REPLY_RECEIVE to a process in SENDREC with this one, which then receives from anybody and finds nothing.
    #[inline(always)]
    pub fn fast_reply_receive(
        &mut self,
        machine: &M,
        cpu: CpuId,
        destination: Endpoint,
        from: Endpoint,
    ) -> Option<Partner<'_, M>> {
        let here = &mut self.cpus[cpu.index()];
        let procs = &mut *self.procs;
        let (me, to) = (here.current()?, Slot::of(destination));
        let (p, it) = (&procs[me.index()], &procs[to.index()]);
        if !is_near(here, cpu, p, it, Trap::ReplyReceive, destination) || from != Endpoint::ANY {
            return None;
        }
        if it.rts != Rts::RECEIVING | Rts::REPLY || it.receive_from != p.endpoint {
            return None;
        }
        if p.pending != Pending::empty() || p.senders.head().is_some() {
            return None;
        }
        block(machine, here, &mut procs[me.index()], Rts::RECEIVING, Endpoint::ANY);
        here.switch_to(to);
        let it = &mut procs[to.index()];
        it.rts = Rts::empty();
        let load = it.space.and_then(|home| self.spaces.enter(cpu, home));
        Some(Partner { process: it, load })
    }
}

/// What both have in common: the caller may use the trap, the endpoint is that of its slot, the partner runs on this
/// processor, and nobody more urgent is ready. The comparison of endpoints tests range, generation and special names at
/// once; whether the slot is free, the callers find out by its whole state.
#[inline(always)]
fn is_near<M: Machine>(
    here: &Cpu,
    cpu: CpuId,
    p: &Process<M>,
    it: &Process<M>,
    trap: Trap,
    destination: Endpoint,
) -> bool {
    p.plain_traps.contains(trap.mask()) && it.endpoint == destination && it.cpu == cpu && it.priority < here.bound()
}

/// The running process blocks; its partner runs with the rest of its time. No queue is touched: who runs is in none, and the
/// partner was blocked.
#[inline(always)]
fn block<M: Machine>(machine: &M, here: &mut Cpu, p: &mut Process<M>, state: Rts, from: Endpoint) {
    p.used.cycles += here.time_since_switch(machine.time_stamp());
    p.rts = state;
    p.receive_from = from;
}
