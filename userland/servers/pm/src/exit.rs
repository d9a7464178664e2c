//! How processes end.

use crate::deliver::Origin;
use crate::process::{Flags, Times};
use crate::signals::{CHLD, HUP, KILL, Number};
use crate::table::Slot;
use crate::{Pm, Port};
use abi::{Endpoint, Errno};
use protocol::getinfo::GetCpuTime;
use protocol::kernel::{RunAction, RunCtl};
use protocol::pm::{ActionFlags, Exit, ExitDone, IGNORE, status};
use protocol::pmfiles::What;
use protocol::vm::WillExit;
use protocol::{Answer, Caller, Transport, kernel};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_exit(&mut self, from: Caller, call: &Exit) -> Answer<ExitDone> {
        let Some(slot) = self.table.find(from.endpoint) else {
            return Answer::Fail(Errno::Srch);
        };
        if self.table[slot].is(Flags::SERVICE) {
            // It has another way to end. Whoever manages it is told.
            self.raise(slot, KILL, Origin::Process);
            return Answer::Fail(Errno::Perm);
        }
        self.exit(slot, status::exited(call.code), None);
        Answer::Later
    }

    /// Ends a process with a status; perhaps its memory is saved.
    pub(crate) fn exit(&mut self, slot: Slot, status: u32, core: Option<Number>) {
        if self.table[slot].is(Flags::EXITS) {
            return;
        }
        let process = self.table[slot].endpoint;
        if self.table[slot].is(Flags::ALARM) {
            self.table[slot].flags.remove(Flags::ALARM);
            self.set_alarm();
        }
        self.table[slot].times = self.times_of(process);
        let _ = self.kernel().runctl(RunCtl { process, action: RunAction::Stop });
        let _ = self.vm().will_exit(WillExit { process, reserved: 0 });
        if Some(slot) == self.init {
            self.port.fail("the first user process has ended");
        }
        let is_service = self.table[slot].is(Flags::SERVICE);
        let is_core = core.is_some() && !is_service && self.table[slot].ids.is_own();
        let (what, signal) = if is_core { (What::DumpCore, core.unwrap_or(0)) } else { (What::Exit, 0) };
        // What it was told before is answered first.
        let asked =
            self.table[slot].is(Flags::FILES) || self.tell_files(slot, what, Endpoint::NONE, [signal.into(), 0, 0, 0]);
        if is_service {
            // The file server may be waiting for it.
            let _ = self.kernel().clear(kernel::Clear { process });
        }
        let me = &mut self.table[slot];
        me.status = status;
        me.flags.remove(Flags::WAITS | Flags::SUSPENDED | Flags::STOPPED | Flags::TRACE_STOPPED | Flags::DELAYED);
        me.flags.remove(Flags::REPORT_STOP | Flags::REPORT_CONTINUE);
        me.flags |= Flags::EXITS | Flags::HELD;
        let (leads, group) = (me.session == me.pid, me.group);
        if !asked {
            self.finish_exit(slot);
        } else if self.table[slot].asked != What::DumpCore {
            self.become_zombie(slot);
        }
        self.leave_children(slot);
        if leads {
            self.signal_group(group, HUP);
        }
    }

    /// Nobody needs anything more of a process that ends.
    pub(crate) fn finish_exit(&mut self, slot: Slot) {
        let process = self.table[slot].endpoint;
        if let Err(error) = self.take_apart(process) {
            self.port.log(format_args!("process {} cannot be cleared up: {error}", self.table[slot].pid));
        }
        let me = &mut self.table[slot];
        if me.is(Flags::TRACE_EXIT) {
            me.flags.remove(Flags::TRACE_EXIT);
            let tag = me.trace_tag;
            if let Some(tracer) = me.tracer {
                let endpoint = self.table[tracer].endpoint;
                self.answer_done(Caller { endpoint, tag });
            }
        }
        self.table[slot].flags |= Flags::GONE;
        if self.table[slot].is(Flags::TOLD_PARENT) {
            self.table.remove(slot);
        } else if !self.table[slot].is(Flags::ZOMBIE | Flags::TRACE_ZOMBIE) {
            self.become_zombie(slot);
        }
    }

    /// A process has ended: its tracer is told, then its parent.
    pub(crate) fn become_zombie(&mut self, slot: Slot) {
        let me = &self.table[slot];
        match me.tracer {
            Some(tracer) if me.parent != Some(tracer) => {
                self.table[slot].flags |= Flags::TRACE_ZOMBIE;
                if !self.satisfy(tracer) {
                    self.raise_for_parent(tracer);
                }
            }
            _ => self.tell_parent(slot),
        }
    }

    /// The parent of a process that has ended is told: at once if it waits.
    pub(crate) fn tell_parent(&mut self, slot: Slot) {
        self.table[slot].flags |= Flags::ZOMBIE;
        let parent = self.table[slot].parent;
        let Some(parent) = parent.filter(|parent| self.takes_statuses(*parent)) else {
            self.forget(slot);
            if let Some(parent) = parent {
                self.satisfy(parent);
            }
            return;
        };
        if !self.satisfy(parent) {
            self.raise_for_parent(parent);
        }
    }

    /// Whether a parent wants to know what becomes of its children.
    fn takes_statuses(&self, parent: Slot) -> bool {
        let action = &self.table.actions(parent)[CHLD as usize];
        let process = &self.table[parent];
        let is_deaf = action.handler == IGNORE || action.has(ActionFlags::NO_CHILD_WAIT);
        !process.is(Flags::SERVICE | Flags::EXITS) && !is_deaf
    }

    /// Nobody has to ask for the status of a process any more.
    pub(crate) fn forget(&mut self, slot: Slot) {
        let me = &mut self.table[slot];
        me.flags |= Flags::TOLD_PARENT;
        me.flags.remove(Flags::ZOMBIE);
        if me.is(Flags::GONE) {
            self.table.remove(slot);
        }
    }

    /// The children of a process that ends get another parent, and those that it traces end.
    fn leave_children(&mut self, parent: Slot) {
        let alive = |pm: &Self| Some(parent) != pm.init && pm.init.is_some_and(|init| !pm.table[init].is(Flags::EXITS));
        for slot in self.table.slots() {
            if self.table[slot].pid == 0 || slot == parent {
                continue;
            }
            let is_child = self.table[slot].parent == Some(parent);
            let was_traced = self.table[slot].tracer == Some(parent);
            if is_child {
                self.table[slot].parent = if alive(self) { self.init } else { None };
            }
            if was_traced {
                self.table[slot].tracer = None;
            }
            if was_traced && self.table[slot].is(Flags::TRACE_ZOMBIE) {
                self.table[slot].flags.remove(Flags::TRACE_ZOMBIE);
                self.tell_parent(slot);
            } else if is_child && self.table[slot].is(Flags::ZOMBIE) {
                self.tell_parent(slot);
            } else if was_traced {
                self.end_by_signal(slot, KILL);
            }
        }
    }

    /// What a process has run, as long as the kernel knows it.
    pub(crate) fn times_of(&self, process: Endpoint) -> Times {
        let time = self.getinfo().cpu_time(GetCpuTime { process });
        time.map_or(Times::default(), |time| Times { user: time.user, system: time.system })
    }
}
