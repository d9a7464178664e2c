//! Making, changing and ending processes.

use super::Context;
use crate::process::Pending;
use crate::sched::Place;
use crate::{CpuId, Frame, Kernel, Machine, Process, Rts, SLOTS, Slot, Usage};
use abi::boot::{BootEntry, NAME_LEN, PRIORITIES};
use abi::layout::{USER_END, USER_START};
use abi::{Endpoint, Errno, PrivilegeId};
use protocol::kernel::*;

/// What a name gets when its process forks, if there is room.
const FORKED_SUFFIX: &[u8] = b"*F";

impl<M: Machine> Kernel<'_, M> {
    /// Makes a child of a process in a free slot.
    pub(super) fn fork(&mut self, parent: Endpoint, slot: u32) -> Result<Endpoint, Errno> {
        let parent = self.named(parent)?;
        let p = self.process(parent);
        let slot = usize::try_from(slot).ok().filter(|slot| *slot < SLOTS).map(Slot::at).ok_or(Errno::Inval)?;
        if self.process(slot).rts != Rts::FREE || !p.rts.contains(Rts::RECEIVING) || p.rts.contains(Rts::SENDING) {
            return Err(Errno::Inval);
        }
        let endpoint = self.process(slot).endpoint.next_generation();
        let waits = if self.is_service(parent) { Rts::NO_PRIV } else { Rts::empty() };
        let mut child = Process {
            endpoint,
            rts: p.rts & Rts::WAITS | Rts::NO_SPACE | Rts::NO_QUANTUM | waits,
            receive_from: p.receive_from,
            failed_reply: p.failed_reply,
            cpu: p.cpu,
            priority: p.priority,
            quantum: p.quantum,
            scheduler: p.scheduler,
            name: forked_name(p.name),
            ..Process::free(slot, p.frame.clone())
        };
        child.set_privilege_id(PrivilegeId::USER);
        // Filters and tracers are not handed on.
        child.rts.set(Rts::SPECIAL, child.failed_reply.is_some());
        *self.process_mut(slot) = child;
        self.alive.insert(slot);
        self.derive(slot);
        Ok(endpoint)
    }

    /// Gives a process another program.
    pub(super) fn exec(&mut self, machine: &mut M, call: &Exec) -> Result<(), Errno> {
        let slot = self.named(call.process)?;
        let valid = (USER_START..USER_END).contains(&call.entry) && (USER_START..=USER_END).contains(&call.stack);
        if !valid || BootEntry::decode_name(&call.name).is_none() {
            return Err(Errno::Inval);
        }
        // One that could run is in the middle of something.
        if !self.is_stopped(slot) {
            return Err(Errno::Busy);
        }
        self.withdraw_message(slot);
        self.forget_grants(machine, slot);
        let p = self.process_mut(slot);
        p.frame.start(call.entry, call.stack);
        p.name = call.name;
        p.failed_reply = None;
        p.pending.remove(Pending::CALL);
        p.used = Usage::default();
        self.unblock(slot, Rts::WAITS);
        self.tell_send_done(machine, slot);
        Ok(())
    }

    /// A process does not send any more; its manager may have to be told, see [`Kernel::tell_send_done`]. If it was the kernel that sent in its name, its scheduler is not told that its time
    /// is used up: it gets a new turn.
    pub(crate) fn withdraw_message(&mut self, slot: Slot) {
        if !self.process(slot).rts.contains(Rts::SENDING) {
            return;
        }
        self.unqueue_sender(Slot::of(self.process(slot).send_to), slot);
        let p = self.process_mut(slot);
        let by_kernel = p.pending.contains(Pending::KERNEL_SENDS);
        p.pending.remove(Pending::KERNEL_SENDS);
        if by_kernel {
            p.ticks_left = p.quantum;
            self.unblock(slot, Rts::NO_QUANTUM);
        }
        self.unblock(slot, Rts::SENDING);
    }

    /// Sets how a process is scheduled; [`KEEP`] leaves a value as it is.
    pub(super) fn schedule_process(
        &mut self,
        machine: &M,
        slot: Slot,
        scheduler: Option<Endpoint>,
        [priority, quantum, cpu]: [i32; 3],
    ) -> Result<(), Errno> {
        let p = self.process(slot);
        let mut place = Place { cpu: p.cpu, priority: p.priority, quantum: p.quantum };
        if priority != KEEP {
            place.priority =
                u8::try_from(priority).ok().filter(|p| usize::from(*p) < PRIORITIES).ok_or(Errno::Inval)?;
        }
        if quantum != KEEP {
            place.quantum = ticks_of(quantum, machine.hz()).ok_or(Errno::Inval)?;
        }
        if cpu != KEEP {
            place.cpu = usize::try_from(cpu).ok().and_then(CpuId::new).ok_or(Errno::Inval)?;
        }
        if !self.is_online(place.cpu) {
            return Err(Errno::BadCpu);
        }
        if let Some(scheduler) = scheduler {
            self.process_mut(slot).scheduler = scheduler;
        }
        self.place_process(slot, place);
        Ok(())
    }

    /// Stops a process, or lets it go on.
    pub(super) fn run_control(&mut self, machine: &mut M, slot: Slot, action: RunAction) -> Result<(), Errno> {
        let p = self.process_mut(slot);
        let sends = p.rts.contains(Rts::SENDING) && !p.pending.contains(Pending::KERNEL_SENDS);
        match action {
            RunAction::StopAfterSend if sends => {
                p.pending |= Pending::SEND_SIGNAL;
                return Err(Errno::Busy);
            }
            RunAction::Stop | RunAction::StopAfterSend => self.block(machine, slot, Rts::STOPPED),
            RunAction::Resume if !p.rts.contains(Rts::STOPPED) => return Err(Errno::Inval),
            RunAction::Resume => self.unblock(slot, Rts::STOPPED),
        }
        Ok(())
    }
}

impl<M: Machine> Context<'_, '_, M> {
    /// Ends a process for good.
    pub(super) fn clear_process(&mut self, process: Endpoint) -> Result<(), Errno> {
        let slot = self.kernel.named(process)?;
        if slot == self.me || process == self.kernel.root {
            return Err(Errno::Perm);
        }
        self.kernel.end(self.machine, slot);
        Ok(())
    }

    /// The caller sets how a process is scheduled that it schedules.
    pub(super) fn schedule(&mut self, call: Schedule) -> Result<(), Errno> {
        let slot = self.kernel.named(call.process)?;
        if self.kernel.process(slot).scheduler != self.my_endpoint() {
            return Err(Errno::Perm);
        }
        self.kernel.schedule_process(self.machine, slot, None, [call.priority, call.quantum, call.cpu])
    }

    /// The caller becomes the scheduler of a process, or lets the kernel be it.
    pub(super) fn take_schedule(&mut self, call: SchedCtl) -> Result<(), Errno> {
        let slot = self.kernel.named(call.process)?;
        let scheduler = match call.scheduler {
            Scheduler::Kernel => Endpoint::NONE,
            Scheduler::Caller => self.my_endpoint(),
        };
        let numbers = [call.priority, call.quantum, call.cpu];
        self.kernel.schedule_process(self.machine, slot, Some(scheduler), numbers)?;
        if scheduler != Endpoint::NONE {
            self.kernel.process_mut(self.me).is_scheduler = true;
        }
        Ok(())
    }
}

/// Ticks that last at least so many milliseconds; `None` for less than one of these, or more than a turn can have.
fn ticks_of(milliseconds: i32, hz: u64) -> Option<u16> {
    const PER_SECOND: u64 = 1000;
    let milliseconds = u64::try_from(milliseconds).ok().filter(|ms| *ms > 0)?;
    u16::try_from((milliseconds * hz).div_ceil(PER_SECOND)).ok()
}

fn forked_name(mut name: [u8; NAME_LEN]) -> [u8; NAME_LEN] {
    let len = name.iter().position(|&b| b == 0).unwrap_or(NAME_LEN);
    // A zero stays behind it.
    if len + FORKED_SUFFIX.len() < NAME_LEN && !name[..len].ends_with(FORKED_SUFFIX) {
        name[len..len + FORKED_SUFFIX.len()].copy_from_slice(FORKED_SUFFIX);
    }
    name
}
