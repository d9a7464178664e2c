//! Waiting for children.

use crate::process::{Flags, Process, Wait};
use crate::table::Slot;
use crate::{Pm, Port};
use abi::Errno;
use protocol::pm::{Wait4, WaitOptions, Waited, status};
use protocol::{Answer, Caller, Transport};

/// What there is for somebody who waits.
enum Found {
    /// No such child.
    Nobody,
    /// None that has changed.
    Nothing,
    /// This.
    Status(Waited),
}

impl Wait {
    /// Whether it is about a process, for somebody in a group.
    fn is_about(&self, process: &Process, group: u32) -> bool {
        match self.pid {
            -1 => true,
            0 => process.group == group,
            1.. => process.pid == self.pid.unsigned_abs(),
            _ => process.group == self.pid.unsigned_abs(),
        }
    }
}

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_wait4(&mut self, from: Caller, call: &Wait4) -> Answer<Waited> {
        let Some(me) = self.table.find(from.endpoint) else {
            return Answer::Fail(Errno::Srch);
        };
        let Some(options) = WaitOptions::from_bits(call.options) else {
            return Answer::Fail(Errno::Inval);
        };
        let wait = Wait { pid: call.pid, options };
        match self.look(me, &wait) {
            Found::Nobody => Answer::Fail(Errno::Child),
            Found::Status(waited) => Answer::Reply(waited),
            Found::Nothing if options.contains(WaitOptions::NO_HANG) => {
                Answer::Reply(Waited { pid: 0, status: 0, user: 0, system: 0 })
            }
            Found::Nothing => {
                let process = &mut self.table[me];
                process.wait = wait;
                process.tag = from.tag;
                process.flags |= Flags::WAITS;
                Answer::Later
            }
        }
    }

    /// Answers somebody who waits, if there is something to tell. Whether that has been done.
    pub(crate) fn satisfy(&mut self, parent: Slot) -> bool {
        let process = &self.table[parent];
        if !process.is(Flags::WAITS) {
            return false;
        }
        let (wait, endpoint, tag) = (process.wait, process.endpoint, process.tag);
        let answer = match self.look(parent, &wait) {
            Found::Nothing => return false,
            Found::Nobody => Err(Errno::Child),
            Found::Status(waited) => Ok(waited),
        };
        self.table[parent].flags.remove(Flags::WAITS);
        let request = abi::Message { tag, ..abi::Message::new(endpoint, abi::Kind(0)) };
        self.port.answer(&protocol::reply(&request, answer.as_ref().map_err(|error| *error)));
        true
    }

    /// Looks for a child that has something to tell, and takes that.
    fn look(&mut self, me: Slot, wait: &Wait) -> Found {
        let group = self.table[me].group;
        let mut found = Found::Nobody;
        for slot in self.table.slots() {
            let process = &self.table[slot];
            // Services have another manager, and are not waited for.
            let is_child = process.parent == Some(me) && !process.is(Flags::TOLD_PARENT | Flags::SERVICE);
            let is_traced = process.tracer == Some(me);
            if !(is_child || is_traced) || slot == me || !wait.is_about(process, group) {
                continue;
            }
            found = Found::Nothing;
            if let Some(waited) = self.take_status(me, slot, wait.options, is_child) {
                return Found::Status(waited);
            }
        }
        found
    }

    /// Takes what a process has to tell to its parent or tracer.
    fn take_status(&mut self, me: Slot, slot: Slot, options: WaitOptions, is_child: bool) -> Option<Waited> {
        let process = &mut self.table[slot];
        let pid = process.pid;
        let told = |status| Some(Waited { pid, status, user: 0, system: 0 });
        if process.is(Flags::TRACE_ZOMBIE) {
            if process.tracer != Some(me) {
                return None;
            }
            let waited = ended(process);
            process.tracer = None;
            process.flags.remove(Flags::TRACE_ZOMBIE);
            self.tell_parent(slot);
            return Some(waited);
        }
        if process.is(Flags::ZOMBIE) && is_child {
            let waited = ended(process);
            let times = process.times.plus(process.child_times);
            self.table[me].child_times = self.table[me].child_times.plus(times);
            self.forget(slot);
            return Some(waited);
        }
        if process.tracer == Some(me) && process.is(Flags::TRACE_STOPPED) {
            let signal = process.signals.to_tracer.first()?;
            process.signals.to_tracer = process.signals.to_tracer.minus(signal);
            return told(status::stopped(signal));
        }
        let stop = (Flags::REPORT_STOP, WaitOptions::UNTRACED);
        let go_on = (Flags::REPORT_CONTINUE, WaitOptions::CONTINUED);
        for (flag, option) in [stop, go_on] {
            if is_child && process.is(flag) && options.contains(option) {
                process.flags.remove(flag);
                return told(process.status);
            }
        }
        None
    }
}

/// What somebody is told of a process that has ended.
fn ended(process: &Process) -> Waited {
    let times = process.times.plus(process.child_times);
    Waited { pid: process.pid, status: process.status, user: times.user, system: times.system }
}
