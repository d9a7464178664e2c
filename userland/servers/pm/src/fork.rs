//! Children of user processes.

use crate::process::{Flags, Process, Times};
use crate::signals::{STOP, Signals};
use crate::table::Slot;
use crate::timers::NO_TIMERS;
use crate::{Pm, Port, signals};
use abi::{Endpoint, Errno};
use protocol::kernel::{KEEP, SchedCtl, Scheduler};
use protocol::pm::{Forked, TRACE_FORK};
use protocol::pmfiles::What;
use protocol::{Answer, Caller, Transport, vm};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_fork(&mut self, from: Caller) -> Answer<Forked> {
        match self.fork(from) {
            Err(error) => Answer::Fail(error),
            Ok(child) => {
                if !self.tell_files(child, What::Fork, from.endpoint, [0; 4]) {
                    self.finish_fork(child, None);
                }
                Answer::Later
            }
        }
    }

    /// Makes a child. It waits for its answer, as its parent does.
    fn fork(&mut self, from: Caller) -> Result<Slot, Errno> {
        let parent = self.user(from.endpoint)?;
        let slot = self.slot_for(&self.table[parent].ids)?;
        let child = self.vm().fork(vm::Fork { parent: from.endpoint, slot: slot.index() as u32 })?.child;
        // Nothing may fail from here on.
        let pid = self.table.next_pid();
        let father = &self.table[parent];
        let stays_traced = father.trace_options & TRACE_FORK != 0;
        let process = Process {
            endpoint: child,
            pid,
            parent: Some(parent),
            tracer: father.tracer.filter(|_| stays_traced),
            trace_options: if stays_traced { father.trace_options } else { 0 },
            flags: father.flags & Flags::TAINTED,
            status: 0,
            forked_by: Some((from.endpoint, from.tag)),
            asked: What::Known,
            times: Times::default(),
            child_times: Times::default(),
            signals: Signals { mask: father.signals.mask, ..Signals::NONE },
            timers: NO_TIMERS,
            ..father.clone()
        };
        let actions = *self.table.actions(parent);
        let slot = self.table.add(process);
        *self.table.actions_mut(slot) = actions;
        Ok(slot)
    }

    /// The file server knows the child, or has failed: parent and child are answered.
    pub(crate) fn finish_fork(&mut self, child: Slot, error: Option<Errno>) {
        let Some((parent, tag)) = self.table[child].forked_by.take() else { return };
        let (endpoint, pid) = (self.table[child].endpoint, self.table[child].pid);
        let parent = Caller { endpoint: parent, tag };
        if let Some(error) = error {
            self.answer_error(parent, error);
            // Nobody has ever heard of it.
            self.table[child].flags |= Flags::EXITS | Flags::TOLD_PARENT;
            self.finish_exit(child);
            return;
        }
        if !self.table[child].is(Flags::EXITS) {
            self.schedule(endpoint);
            self.answer_fork(Caller { endpoint, tag }, 0);
            if self.table[child].tracer.is_some() {
                self.stop_for_tracer(child, STOP);
            }
            self.deliver(child);
        }
        self.answer_fork(parent, pid);
        if let Some(slot) = self.table.find(parent.endpoint) {
            self.after_answer(slot);
        }
    }

    fn answer_fork(&mut self, caller: Caller, pid: u32) {
        let request = abi::Message { tag: caller.tag, ..abi::Message::new(caller.endpoint, abi::Kind(0)) };
        self.port.answer(&protocol::reply(&request, Ok(&Forked { pid, reserved: 0 })));
    }

    /// Signals that came while a process was in a call that has been answered are dealt with.
    fn after_answer(&mut self, slot: Slot) {
        if self.current == Some(slot) {
            self.current = None;
        }
        self.deliver(slot);
    }

    /// A new process gets its first turn: a child begins without one.
    fn schedule(&self, process: Endpoint) {
        let call = SchedCtl { process, scheduler: Scheduler::Kernel, priority: KEEP, quantum: KEEP, cpu: KEEP };
        // If that fails it stays where it is until somebody ends it.
        let _ = self.kernel().schedctl(call);
    }

    /// A user process that makes a call.
    ///
    /// # Errors
    /// `EPERM` for a service, `ESRCH` for nobody.
    pub(crate) fn user(&self, caller: Endpoint) -> Result<Slot, Errno> {
        let slot = self.table.find(caller).ok_or(Errno::Srch)?;
        if self.table[slot].is(Flags::SERVICE) { Err(Errno::Perm) } else { Ok(slot) }
    }

    /// Sends a signal to everybody in a process group.
    pub(crate) fn signal_group(&mut self, group: u32, signal: signals::Number) {
        for slot in self.table.slots() {
            let process = &self.table[slot];
            if process.pid != 0 && process.group == group && !process.is(Flags::SERVICE) {
                self.raise(slot, signal, crate::deliver::Origin::Process);
            }
        }
    }
}
