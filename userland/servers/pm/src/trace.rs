//! Processes that trace others.

use crate::process::Flags;
use crate::signals::{Number, STOP, Set};
use crate::table::Slot;
use crate::{Pm, Port};
use abi::{Errno, Signal};
use protocol::getinfo::{GetPrivileges, GetProcess};
use protocol::pm::*;
use protocol::{Answer, Caller, Transport, trace};

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    fn tracing(&self) -> trace::Client<K> {
        trace::Client { to: abi::Endpoint::SYSTEM, transport: self.transport }
    }

    /// A process stops, and its tracer hears of a signal.
    pub(crate) fn stop_for_tracer(&mut self, slot: Slot, signal: Number) {
        let process = &mut self.table[slot];
        let Some(tracer) = process.tracer else { return };
        process.signals.to_tracer = process.signals.to_tracer.with(signal);
        if !process.is(Flags::TRACE_STOPPED) {
            process.flags |= Flags::TRACE_STOPPED;
            let process = process.endpoint;
            // If it has gone, its tracer hears that next.
            let _ = self.tracing().stop(trace::Stop { process });
        }
        if !self.satisfy(tracer) {
            self.raise_for_parent(tracer);
        }
    }

    pub(crate) fn do_ptrace(&mut self, from: Caller, call: &Ptrace) -> Answer<Traced> {
        let result = self.user(from.endpoint).and_then(|me| match call.request {
            TraceRequest::TraceMe => self.trace_me(me).map(|()| 0),
            TraceRequest::Attach => self.attach(me, call.pid).map(|()| 0),
            _ => {
                let slot = self.traced(me, call.pid)?;
                self.trace(slot, call)
            }
        });
        match (result, call.request) {
            (Ok(_), TraceRequest::Exit) => self.end_traced(from, call),
            (result, _) => result.map(|data| Traced { data }).into(),
        }
    }

    fn trace_me(&mut self, me: Slot) -> Result<(), Errno> {
        let process = &mut self.table[me];
        if process.tracer.is_some() {
            return Err(Errno::Busy);
        }
        process.tracer = process.parent;
        Ok(())
    }

    fn attach(&mut self, me: Slot, pid: u32) -> Result<(), Errno> {
        let slot = self.table.by_pid(pid).ok_or(Errno::Srch)?;
        let (tracer, process) = (&self.table[me], &self.table[slot]);
        if process.is(Flags::EXITS) {
            return Err(Errno::Srch);
        }
        if slot == me || [self.me, self.vm].contains(&process.endpoint) {
            return Err(Errno::Perm);
        }
        if !tracer.ids.is_root() {
            let is_same = tracer.ids.user.effective == process.ids.user.effective
                && tracer.ids.group.effective == process.ids.group.effective
                && process.ids.is_own();
            if !is_same || process.is(Flags::TAINTED | Flags::SERVICE) {
                return Err(Errno::Perm);
            }
        }
        if process.is(Flags::SERVICE) && !self.is_manager_of(slot) {
            return Err(Errno::Perm);
        }
        if process.tracer.is_some() {
            return Err(Errno::Busy);
        }
        self.table[slot].tracer = Some(me);
        self.stop_for_tracer(slot, STOP);
        Ok(())
    }

    /// Whether the signals of a service come here. Only then it stops for a tracer.
    fn is_manager_of(&self, slot: Slot) -> bool {
        let info = self.getinfo().process(GetProcess { slot: slot.index() as u64 });
        let manager = info.and_then(|info| self.getinfo().privileges(GetPrivileges { id: info.privilege_id.into() }));
        manager.is_ok_and(|privileges| privileges.manager == self.me)
    }

    /// A process that the caller traces, and that stands.
    fn traced(&self, me: Slot, pid: u32) -> Result<Slot, Errno> {
        let is_mine = |slot: &Slot| self.table[*slot].tracer == Some(me) && !self.table[*slot].is(Flags::EXITS);
        let slot = self.table.by_pid(pid).filter(is_mine).ok_or(Errno::Srch)?;
        if self.table[slot].is(Flags::TRACE_STOPPED) { Ok(slot) } else { Err(Errno::Busy) }
    }

    fn trace(&mut self, slot: Slot, call: &Ptrace) -> Result<u64, Errno> {
        let process = self.table[slot].endpoint;
        let index = call.address;
        let mut kernel = self.tracing();
        match call.request {
            TraceRequest::TraceMe | TraceRequest::Attach | TraceRequest::Exit => Ok(0),
            TraceRequest::Resume | TraceRequest::Step | TraceRequest::Syscall | TraceRequest::Detach => {
                let signal = match call.data {
                    0 => None,
                    number => {
                        let number = u32::try_from(number).map_err(|_| Errno::Inval)?;
                        Some(Signal::from_user(number).ok_or(Errno::Inval)?.number())
                    }
                };
                self.let_go_on(slot, call.request, signal).map(|()| 0)
            }
            TraceRequest::Peek => {
                let peeked = kernel.peek(trace::Peek { process, len: WORD as u32, address: call.address })?;
                let (word, _) = peeked.bytes.split_first_chunk::<WORD>().ok_or(Errno::Proto)?;
                Ok(u64::from_le_bytes(*word))
            }
            TraceRequest::Poke => {
                let mut bytes = [0; trace::MAX_POKE];
                bytes[..WORD].copy_from_slice(&call.data.to_le_bytes());
                kernel.poke(trace::Poke { process, len: WORD as u32, address: call.address, bytes }).map(|_| 0)
            }
            TraceRequest::GetRegister => {
                let index = u32::try_from(index).map_err(|_| Errno::Fault)?;
                kernel.get_register(trace::GetRegister { process, index }).map(|register| register.value)
            }
            TraceRequest::SetRegister => {
                let index = u32::try_from(index).map_err(|_| Errno::Fault)?;
                kernel.set_register(trace::SetRegister { process, index, value: call.data }).map(|_| 0)
            }
            TraceRequest::SetOptions => {
                const ALL: u64 = TRACE_FORK | TRACE_ALT_EXEC | TRACE_NO_EXEC;
                if call.data & !ALL != 0 {
                    return Err(Errno::Inval);
                }
                self.table[slot].trace_options = call.data;
                Ok(0)
            }
        }
    }

    fn let_go_on(&mut self, slot: Slot, request: TraceRequest, signal: Option<Number>) -> Result<(), Errno> {
        let process = self.table[slot].endpoint;
        if request == TraceRequest::Detach {
            let me = &mut self.table[slot];
            me.tracer = None;
            me.trace_options = 0;
            // What nobody has asked about is for the process itself now.
            let left = core::mem::replace(&mut me.signals.to_tracer, Set::NONE).minus(STOP);
            me.signals.pending = me.signals.pending.and(left);
        }
        if let Some(signal) = signal {
            self.raise_untraced(slot, signal, crate::deliver::Origin::Process);
        }
        if self.table[slot].is(Flags::EXITS) || self.table[slot].pid == 0 {
            return Ok(());
        }
        if !self.table[slot].signals.to_tracer.is_empty() {
            // There is more that the tracer has to hear first.
            return Ok(());
        }
        self.table[slot].flags.remove(Flags::TRACE_STOPPED);
        // Its handler begins before it goes on.
        self.deliver(slot);
        if self.table[slot].is(Flags::EXITS) || self.table[slot].pid == 0 {
            return Ok(());
        }
        let mut kernel = self.tracing();
        match request {
            TraceRequest::Step => kernel.step(trace::Step { process }).map(drop),
            TraceRequest::Syscall => kernel.until_trap(trace::UntilTrap { process }).map(drop),
            TraceRequest::Detach => kernel.detach(trace::Detach { process }).map(drop),
            _ => kernel.resume(trace::Resume { process }).map(drop),
        }
    }

    /// A traced process ends; its tracer is answered when that is done.
    fn end_traced(&mut self, from: Caller, call: &Ptrace) -> Answer<Traced> {
        let Some(slot) = self.table.by_pid(call.pid) else {
            return Answer::Fail(Errno::Srch);
        };
        let process = &mut self.table[slot];
        process.flags |= Flags::TRACE_EXIT;
        process.trace_tag = from.tag;
        self.exit(slot, status::exited(call.data as u32), None);
        Answer::Later
    }
}
