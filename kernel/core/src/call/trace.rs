//! Tracing of processes.

use super::{Context, Stop as Stopping, answer};
use crate::process::Pending;
use crate::{Frame, Kernel, Machine, Rts, Slot};
use abi::layout::{USER_END, USER_START};
use abi::{Endpoint, Errno, Signal};
use core::mem::offset_of;
use protocol::trace::*;
use protocol::{Answer, Caller};
use zerocopy::IntoBytes;

/// Registers that a tracer can name: those before the FPU's.
const REGISTERS: usize = offset_of!(abi::Context, fpu) / size_of::<u64>();
/// Where the instruction pointer is among them.
const RIP: usize = offset_of!(abi::Context, rip) / size_of::<u64>();

impl<M: Machine> Server for Context<'_, '_, M> {
    fn stop(&mut self, _: Caller, call: Stop) -> Answer<Stopped> {
        let slot = self.kernel.named(call.process);
        slot.map(|slot| {
            self.kernel.stop_tracing(slot);
            self.kernel.block(self.machine, slot, Rts::TRACED);
            Stopped {}
        })
        .into()
    }

    fn resume(&mut self, _: Caller, call: Resume) -> Answer<Resumed> {
        self.go_on(call.process, Pending::empty()).map(|()| Resumed {}).into()
    }

    fn detach(&mut self, _: Caller, call: Detach) -> Answer<Detached> {
        let slot = self.traced(call.process);
        slot.map(|slot| {
            self.kernel.stop_tracing(slot);
            self.kernel.unblock(slot, Rts::TRACED);
            Detached {}
        })
        .into()
    }

    fn step(&mut self, _: Caller, call: Step) -> Answer<Stepped> {
        self.go_on(call.process, Pending::STEPS).map(|()| Stepped {}).into()
    }

    fn until_trap(&mut self, _: Caller, call: UntilTrap) -> Answer<TrapAwaited> {
        self.go_on(call.process, Pending::TRACES_TRAPS).map(|()| TrapAwaited {}).into()
    }

    fn peek(&mut self, _: Caller, call: Peek) -> Answer<Peeked> {
        let mut bytes = [0; MAX_PEEK];
        let peeked = part(&mut bytes, call.len).map_err(Stopping::from).and_then(|part| {
            let slot = self.kernel.named(call.process)?;
            self.read(slot, call.address, part)
        });
        answer(peeked.map(|()| Peeked { bytes }))
    }

    fn poke(&mut self, _: Caller, mut call: Poke) -> Answer<Poked> {
        let poked = part(&mut call.bytes, call.len).map_err(Stopping::from).and_then(|part| {
            let slot = self.kernel.named(call.process)?;
            self.write(slot, call.address, part)
        });
        answer(poked.map(|()| Poked {}))
    }

    fn get_register(&mut self, _: Caller, call: GetRegister) -> Answer<Register> {
        let register = self.idle(call.process).and_then(|slot| {
            let index = register_index(call.index)?;
            let mut context = self.kernel.process(slot).frame.context();
            let mut value = 0u64;
            value.as_mut_bytes().copy_from_slice(word(&mut context, index));
            Ok(Register { value })
        });
        register.into()
    }

    fn set_register(&mut self, _: Caller, call: SetRegister) -> Answer<RegisterSet> {
        let set = self.idle(call.process).and_then(|slot| {
            let index = register_index(call.index)?;
            if self.kernel.waits_in_trap(slot) {
                return Err(Errno::Busy);
            }
            if index == RIP && !(USER_START..USER_END).contains(&call.value) {
                return Err(Errno::Inval);
            }
            let p = self.kernel.process_mut(slot);
            let mut context = p.frame.context();
            word(&mut context, index).copy_from_slice(&call.value.to_le_bytes());
            p.frame.set_context(&context);
            Ok(RegisterSet {})
        });
        set.into()
    }
}

impl<M: Machine> Context<'_, '_, M> {
    /// A process that a tracer has stopped.
    fn traced(&self, process: Endpoint) -> Result<Slot, Errno> {
        let slot = self.kernel.named(process)?;
        if self.kernel.process(slot).rts.contains(Rts::TRACED) { Ok(slot) } else { Err(Errno::Inval) }
    }

    /// A process that does not run.
    fn idle(&self, process: Endpoint) -> Result<Slot, Errno> {
        let slot = self.kernel.named(process)?;
        if self.kernel.is_stopped(slot) { Ok(slot) } else { Err(Errno::Busy) }
    }

    /// Lets a process go on until what it is traced for happens.
    fn go_on(&mut self, process: Endpoint, traced_for: Pending) -> Result<(), Errno> {
        let slot = self.traced(process)?;
        let p = self.kernel.process_mut(slot);
        p.pending |= traced_for;
        if traced_for.contains(Pending::STEPS) {
            p.frame.set_step(true);
        }
        self.kernel.derive(slot);
        // What it waits for already comes by the ordinary way, too.
        let special = self.kernel.special(slot);
        let p = self.kernel.process_mut(slot);
        if p.rts.contains(Rts::RECEIVING) {
            p.rts |= special;
        }
        self.kernel.unblock(slot, Rts::TRACED);
        Ok(())
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// A process is traced for nothing any more.
    fn stop_tracing(&mut self, slot: Slot) {
        self.end_step(slot);
        self.process_mut(slot).pending.remove(Pending::TRACED_TRAPS);
        self.derive(slot);
    }

    /// The one instruction that a process was to execute is done.
    pub(crate) fn end_step(&mut self, slot: Slot) {
        let p = self.process_mut(slot);
        if p.pending.contains(Pending::STEPS) {
            p.pending.remove(Pending::STEPS);
            p.frame.set_step(false);
        }
    }

    /// A process whose traps are traced makes one. It is held back, and made again when the tracer lets the process go on;
    /// whether it was.
    pub(crate) fn hold_trap(&mut self, machine: &mut M, me: Slot) -> bool {
        let p = self.process_mut(me);
        if p.pending.contains(Pending::TRAP_HELD) {
            p.pending.remove(Pending::TRAP_HELD);
            p.pending |= Pending::TRAP_MADE;
            // The end of the trap is told when the process is chosen to run, also if it goes on at once.
            let here = self.here;
            self.cpu_mut(here).choose_anew();
            return false;
        }
        p.pending |= Pending::TRAP_HELD;
        p.frame.rewind_trap();
        self.raise(machine, me, Signal::TRAP);
        true
    }

    /// The trap of a process that is about to run is done, which is traced.
    pub(crate) fn end_trap(&mut self, machine: &mut M, slot: Slot) {
        self.process_mut(slot).pending.remove(Pending::TRAP_MADE);
        self.raise(machine, slot, Signal::TRAP);
    }
}

/// The first bytes of an array, if so many are a sensible part of it.
fn part(bytes: &mut [u8], len: u32) -> Result<&mut [u8], Errno> {
    bytes.get_mut(..len as usize).filter(|part| !part.is_empty()).ok_or(Errno::Inval)
}

fn register_index(index: u32) -> Result<usize, Errno> {
    usize::try_from(index).ok().filter(|index| *index < REGISTERS).ok_or(Errno::Fault)
}

/// A register's place; the index is in range.
fn word(context: &mut abi::Context, index: usize) -> &mut [u8] {
    &mut context.as_mut_bytes()[index * size_of::<u64>()..][..size_of::<u64>()]
}
