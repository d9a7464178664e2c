//! The fast path: traps and exceptions that have nothing in their way.
//!
//! Each function decides everything and does it, or says no with nothing changed when the ordinary path must go on. No is
//! never an error: the ordinary path finds what is wrong, in the specified order of checks. SENDREC and REPLY_RECEIVE switch
//! straight to the partner; their caller moves the message from the old running process to the new one, as
//! [`crate::Frame::deliver`] would, with the trap as status.

use crate::events::QueuedEvent;
use crate::frames::FrameNumber;
use crate::process::Pending;
use crate::sched::Cpu;
use crate::{CpuId, Frame, Kernel, Machine, MemoryAccess, MemoryEvent, PrivilegeTable, Process, Rts, Slot};
use abi::{Endpoint, Kind, PrivilegeFlags, Signal, Status, Trap};
use protocol::Call;
use protocol::kernel::Times;

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

/// Traps of which the caller goes on, or makes way for the next.
impl<M: Machine> Kernel<'_, M> {
    /// NOTIFY to a process that waits for it and is not more urgent. Whether it was done.
    #[inline(always)]
    pub fn fast_notify(&mut self, machine: &M, cpu: CpuId, destination: Endpoint) -> bool {
        let here = &mut self.cpus[cpu.index()];
        let procs = &mut *self.procs;
        let (Some(me), to) = (here.current(), Slot::of(destination)) else {
            return false;
        };
        let (p, it) = (&procs[me.index()], &procs[to.index()]);
        if !is_near(here, cpu, p, it, Trap::Notify, destination) || p.sends & it.privilege_bit() == 0 {
            return false;
        }
        if it.rts != Rts::RECEIVING || it.receive_from != Endpoint::ANY && it.receive_from != p.endpoint {
            return false;
        }
        if it.priority < p.urgency {
            return false;
        }
        let source = p.endpoint;
        procs[me.index()].frame.set_result(0);
        let it = &mut procs[to.index()];
        it.frame.set_head(source, Kind::NOTIFY.0.into(), Status::sent_with(Trap::Notify));
        *it.frame.body_mut() = [machine.ticks(), 0, 0, 0, 0, 0, 0];
        it.rts = Rts::empty();
        here.append(procs, to);
        true
    }

    /// RECEIVE from anybody, with nothing to receive and somebody else to run.
    #[inline(always)]
    pub fn fast_receive(&mut self, machine: &M, cpu: CpuId, from: Endpoint) -> Option<Partner<'_, M>> {
        let here = &mut self.cpus[cpu.index()];
        let procs = &mut *self.procs;
        let me = here.current()?;
        let p = &mut procs[me.index()];
        let nothing_comes = p.pending == Pending::empty() && p.senders.head().is_none();
        if !p.plain_traps.contains(Trap::Receive.mask()) || from != Endpoint::ANY || !nothing_comes || here.bound() == 0
        {
            return None;
        }
        let next = here.first()?;
        // Something is to be done before it runs.
        if procs[next.index()].pending.intersects(Pending::BEFORE_RUNNING) {
            return None;
        }
        let p = &mut procs[me.index()];
        block(machine, here, p, Rts::RECEIVING, Endpoint::ANY);
        p.ticks_left = here.ticks_left();
        here.take_first(procs);
        let it = &mut procs[next.index()];
        let load = it.space.and_then(|home| self.spaces.enter(cpu, home));
        Some(Partner { process: it, load })
    }

    /// The cheapest kernel call, [`Times`]: nobody else can notice it. Whether it was done. That it is this call, the caller has
    /// found out, from the kind in `header`.
    #[inline(always)]
    pub fn fast_times(&mut self, machine: &M, cpu: CpuId, header: u64) -> bool {
        const RIGHT: u64 = 1 << (Times::KIND.0 - protocol::kernel::PROTOCOL.base);
        let Some(me) = self.cpus[cpu.index()].current() else {
            return false;
        };
        let p = &mut self.procs[me.index()];
        // It may have been stopped on its way here.
        if p.calls & RIGHT == 0 || p.plain_traps.is_empty() || !p.rts.is_empty() {
            return false;
        }
        let answer = header as u32 as u64 & !u64::from(u16::MAX) | u64::from(Kind::OK.0);
        p.frame.set_head(Endpoint::SYSTEM, answer, Status::default());
        *p.frame.body_mut() = [machine.ticks(), machine.hz(), 0, 0, 0, 0, 0];
        true
    }
}

/// Exceptions: whoever is told of them runs next.
impl<M: Machine> Kernel<'_, M> {
    /// An exception of the process that runs, which its signal manager waits for: that one runs, being more urgent than
    /// whoever is ready.
    #[inline(always)]
    pub fn fast_exception(&mut self, machine: &M, cpu: CpuId, signal: Signal) -> Option<Partner<'_, M>> {
        let here = &mut self.cpus[cpu.index()];
        let procs = &mut *self.procs;
        let me = here.current()?;
        let p = &procs[me.index()];
        let manager = self.privileges[p.privilege_id().index()].manager;
        let to = Slot::of(manager);
        let it = &procs[to.index()];
        // Another processor may have stopped the process meanwhile. What the root's processes do, the log tells.
        if !p.rts.is_empty() || p.pending.contains(Pending::STEPS) || manager == self.root {
            return None;
        }
        // Something is to be told before this.
        if !takes_signal(here, cpu, it, manager, self.privileges) || !self.signaled.is_empty() {
            return None;
        }
        let told = [Signal::MANAGER.bit(), p.endpoint.raw().into(), signal.bit(), 0, 0, 0];
        let p = &mut procs[me.index()];
        p.taken_signals = signal.bit();
        stop(machine, here, p, Rts::SIGNAL_PENDING);
        Some(self.tell(machine, cpu, to, told))
    }

    /// A page fault of the process that runs, which the memory server waits for, in the same way. Where pages of its space are lent
    /// or borrowed, the ordinary way finds out whether a write is only withheld. One that another processor has made
    /// possible meanwhile is told too: the memory server finds everything there.
    #[inline(always)]
    pub fn fast_page_fault(
        &mut self,
        machine: &M,
        cpu: CpuId,
        address: u64,
        access: MemoryAccess,
    ) -> Option<Partner<'_, M>> {
        let here = &mut self.cpus[cpu.index()];
        let procs = &mut *self.procs;
        let me = here.current()?;
        let p = &procs[me.index()];
        let to = Slot::of(self.pager);
        let it = &procs[to.index()];
        // Another processor may have stopped the process meanwhile. Those who wait longer are told of before.
        if !p.rts.is_empty()
            || !takes_signal(here, cpu, it, self.pager, self.privileges)
            || self.events.head().is_some()
        {
            return None;
        }
        if access == MemoryAccess::Write && self.spaces.has_lendings(p.space?.id()) {
            return None;
        }
        let event = MemoryEvent { process: p.endpoint, address, len: 0, access };
        let [names, address, rest] = QueuedEvent { requestor: p.endpoint, event }.words();
        let p = &mut procs[me.index()];
        p.memory_event = Some(event);
        stop(machine, here, p, Rts::PAGE_FAULT);
        Some(self.tell(machine, cpu, to, [Signal::MEMORY.bit(), 0, 0, names, address, rest]))
    }

    /// Gives a service that waits for it a notification of the kernel's, and a turn.
    #[inline(always)]
    fn tell(&mut self, machine: &M, cpu: CpuId, to: Slot, told: [u64; 6]) -> Partner<'_, M> {
        let [signals, signaled, set, names, address, rest] = told;
        let it = &mut self.procs[to.index()];
        it.frame.set_head(Endpoint::SYSTEM, Kind::NOTIFY.0.into(), Status::sent_with(Trap::Notify));
        *it.frame.body_mut() = [machine.ticks(), signals, signaled, set, names, address, rest];
        it.rts = Rts::empty();
        self.cpus[cpu.index()].start_turn(to, it.ticks_left);
        let load = it.space.and_then(|home| self.spaces.enter(cpu, home));
        Partner { process: it, load }
    }
}

/// Whether a service is the one that is meant, waits for a signal on this processor, is more urgent than whoever is ready, and has
/// nothing to do or to hear of before. Users are told nothing.
#[inline(always)]
fn takes_signal<M: Machine>(
    here: &Cpu,
    cpu: CpuId,
    it: &Process<M>,
    service: Endpoint,
    privileges: &PrivilegeTable,
) -> bool {
    let waits = it.rts == Rts::RECEIVING && (it.receive_from == Endpoint::ANY || it.receive_from == Endpoint::SYSTEM);
    if !waits || it.endpoint != service || it.cpu != cpu || it.priority + 1 >= here.bound() {
        return false;
    }
    let own = &privileges[it.privilege_id().index()];
    own.flags.contains(PrivilegeFlags::SERVICE) && own.signals == 0 && !it.pending.intersects(Pending::BEFORE_RUNNING)
}

/// What SENDREC, REPLY_RECEIVE and NOTIFY have in common: the caller may use the trap, the endpoint is that of its slot, the partner runs on this
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
    charge(machine, here, p);
    p.rts = state;
    p.receive_from = from;
}

/// The running process stops, and its turn with it.
#[inline(always)]
fn stop<M: Machine>(machine: &M, here: &mut Cpu, p: &mut Process<M>, why: Rts) {
    charge(machine, here, p);
    p.rts = why;
    p.ticks_left = here.ticks_left();
}

/// The running process is charged the time since the last switch.
#[inline(always)]
fn charge<M: Machine>(machine: &M, here: &mut Cpu, p: &mut Process<M>) {
    p.used.cycles += here.time_since_switch(machine.time_stamp());
}
