//! How a signal gets to a user process: it stands, leaves the call that it waits in, and finds a frame on its stack.

use crate::process::Flags;
use crate::signals::{Default, KILL, Number, SEGV, Set, default_of};
use crate::table::Slot;
use crate::{Pm, Port, signals};
use abi::{Endpoint, Errno, Message};
use protocol::kernel::{RunAction, RunCtl, SigSend};
use protocol::pm::{ActionFlags, status};
use protocol::pmfiles::What;
use protocol::{Caller, Transport, kernel};

/// Who has raised a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A process, or the process manager for one.
    Process,
    /// The kernel, or a service through it.
    Kernel,
}

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// A signal comes for a process.
    pub(crate) fn raise(&mut self, slot: Slot, signal: Number, origin: Origin) {
        let process = &self.table[slot];
        if process.is(Flags::EXITS) {
            return;
        }
        if process.is(Flags::SERVICE) {
            self.raise_for_service(slot, signal, origin);
        } else if process.tracer.is_some() && signal != KILL {
            self.stop_for_tracer(slot, signal);
        } else {
            self.raise_untraced(slot, signal, origin);
        }
    }

    /// The same past its tracer, or if it has none.
    pub(crate) fn raise_untraced(&mut self, slot: Slot, signal: Number, origin: Origin) {
        let process = &mut self.table[slot];
        if Set::STOPS.has(signal) {
            process.signals.pending = process.signals.pending.minus(signals::CONT);
        }
        if signal == signals::CONT {
            process.signals.pending = process.signals.pending.without(Set::STOPS);
            self.go_on(slot);
        }
        let is_fault = origin == Origin::Kernel && Set::FAULTS.has(signal);
        if self.table.actions(slot)[signal as usize].ignores(signal) && !is_fault {
            return;
        }
        let signals = &mut self.table[slot].signals;
        signals.pending = signals.pending.with(signal);
        if origin == Origin::Kernel {
            signals.by_kernel = signals.by_kernel.with(signal);
        }
        self.deliver(slot);
    }

    /// Deals with the signals of a process that are due, as far as that is possible now, and lets it go on.
    pub(crate) fn deliver(&mut self, slot: Slot) {
        // Whoever makes a call is answered first.
        if self.current == Some(slot) {
            return;
        }
        while let Some(signal) = self.next_due(slot) {
            if !self.act(slot, signal) {
                return;
            }
        }
        self.release(slot);
    }

    /// The signal that is to be dealt with next.
    fn next_due(&mut self, slot: Slot) -> Option<Number> {
        let process = &self.table[slot];
        if process.pid == 0 || process.is(Flags::EXITS) {
            return None;
        }
        let due = process.signals.due();
        let signal = due.first()?;
        let stands = process.is(Flags::STOPPED | Flags::TRACE_STOPPED);
        if signal != KILL && stands {
            return None;
        }
        if process.is(Flags::FILES) {
            // It is dealt with when the file server has answered; until then nothing goes on.
            self.hold(slot);
            return None;
        }
        Some(signal)
    }

    /// Does what a signal is for. Whether the next one may follow at once.
    fn act(&mut self, slot: Slot, signal: Number) -> bool {
        let process = &mut self.table[slot];
        let is_fault = process.signals.by_kernel.has(signal) && Set::FAULTS.has(signal);
        let is_blocked = process.signals.mask.has(signal);
        let action = self.table.actions(slot)[signal as usize];
        let default = default_of(signal);
        if is_fault && (is_blocked || action.handler == protocol::pm::IGNORE) {
            // It cannot go on behind the instruction that it failed at.
            self.end_by_signal(slot, signal);
        } else if action.ignores(signal) {
            self.table[slot].signals.done(signal);
            return true;
        } else if action.is_caught() {
            return self.call_handler(slot, signal);
        } else if default == Default::Stop {
            self.table[slot].signals.done(signal);
            self.stop(slot, signal);
            // Only one that ends it may follow.
            return true;
        } else {
            self.end_by_signal(slot, signal);
        }
        false
    }

    /// A signal ends a process.
    pub(crate) fn end_by_signal(&mut self, slot: Slot, signal: Number) {
        let core = matches!(default_of(signal), Default::End { core: true });
        self.exit(slot, status::killed(signal, false), core.then_some(signal));
    }

    /// Lets a process begin with its handler. Whether that was possible now.
    fn call_handler(&mut self, slot: Slot, signal: Number) -> bool {
        if !self.hold(slot) || !self.leave_call(slot) {
            return false;
        }
        let action = self.table.actions(slot)[signal as usize];
        let process = &self.table[slot];
        let before = if process.is(Flags::SUSPENDED) { process.signals.saved_mask } else { process.signals.mask };
        let sent = self.kernel().sigsend(SigSend {
            handler: action.handler,
            trampoline: action.trampoline,
            mask: before.bits(),
            process: process.endpoint,
            signal,
        });
        match sent {
            Ok(_) => {}
            Err(Errno::Busy) => {
                // It waits for another service, which will answer.
                self.table[slot].flags |= Flags::DELAYED;
                self.retries = true;
                self.set_alarm();
                return false;
            }
            Err(_) => {
                self.end_by_signal(slot, SEGV);
                return false;
            }
        }
        let process = &mut self.table[slot];
        process.flags.remove(Flags::SUSPENDED | Flags::UNPAUSING);
        process.signals.done(signal);
        // What was blocked while it waited for a signal is so no more.
        let mask = before.and(action.mask).without(Set::FIRM);
        process.signals.mask = if action.has(ActionFlags::NO_DEFER) { mask } else { mask.with(signal) };
        if action.has(ActionFlags::RESET_HAND) {
            self.table.actions_mut(slot)[signal as usize] = crate::signals::Action::DEFAULT;
        }
        true
    }

    /// Ends the call that a process waits in. Whether that is done.
    fn leave_call(&mut self, slot: Slot) -> bool {
        let process = &mut self.table[slot];
        if process.is(Flags::WAITS | Flags::SUSPENDED) && !process.is(Flags::UNPAUSING) {
            let caller = Caller { endpoint: process.endpoint, tag: process.tag };
            process.flags.remove(Flags::WAITS);
            // The mask that it has to go back to is still needed.
            process.flags |= Flags::UNPAUSING;
            self.answer_error(caller, Errno::Intr);
            return true;
        }
        if process.is(Flags::UNPAUSING) {
            return true;
        }
        process.flags |= Flags::UNPAUSING;
        // If there is a file server, it may be there that the process waits.
        !self.tell_files(slot, What::Unpause, Endpoint::NONE, [0; 4])
    }

    /// Lets a process stand. `false` if it sends something: then that is told when it is over.
    pub(crate) fn hold(&mut self, slot: Slot) -> bool {
        let process = &mut self.table[slot];
        if process.is(Flags::HELD) {
            return true;
        }
        let process = process.endpoint;
        let held = self.kernel().runctl(RunCtl { process, action: RunAction::StopAfterSend });
        let is_held = held.is_ok();
        self.table[slot].flags |= if is_held { Flags::HELD } else { Flags::DELAYED };
        is_held
    }

    /// Lets a process go on, if nothing keeps it.
    pub(crate) fn release(&mut self, slot: Slot) {
        let process = &mut self.table[slot];
        let keeps = Flags::STOPPED | Flags::DELAYED | Flags::EXITS;
        let waits_for_files = process.is(Flags::FILES) && !process.signals.due().is_empty();
        if !process.is(Flags::HELD) || process.is(keeps) || waits_for_files {
            return;
        }
        process.flags.remove(Flags::HELD | Flags::UNPAUSING);
        let process = process.endpoint;
        // It may have gone, or the kernel keeps it for another reason.
        let _ = self.kernel().runctl(RunCtl { process, action: RunAction::Resume });
    }

    /// What was put off is tried again.
    pub(crate) fn retry(&mut self, slot: Slot) {
        if self.table[slot].is(Flags::DELAYED) {
            self.table[slot].flags.remove(Flags::DELAYED);
            self.deliver(slot);
        }
    }

    /// A process that waits in a call gets an answer without anything.
    pub(crate) fn answer_done(&mut self, caller: Caller) {
        let mut message = Message::new(caller.endpoint, abi::Kind::OK);
        message.tag = caller.tag;
        self.port.answer(&message);
    }

    /// The same with an error.
    pub(crate) fn answer_error(&mut self, caller: Caller, error: Errno) {
        let mut message = Message::new(caller.endpoint, abi::Kind::failed(error));
        message.tag = caller.tag;
        self.port.answer(&message);
    }

    /// A signal for a service: there are no handlers, and its own manager deals with it.
    fn raise_for_service(&mut self, slot: Slot, signal: Number, origin: Origin) {
        let process = self.table[slot].endpoint;
        if [self.me, self.vm].contains(&process) {
            return;
        }
        match origin {
            // The kernel knows who its manager is.
            Origin::Process => {
                let _ = self.kernel().kill(kernel::Kill { process, signal });
            }
            // The process manager is it.
            Origin::Kernel if self.table[slot].tracer.is_some() && signal != KILL => self.stop_for_tracer(slot, signal),
            Origin::Kernel if default_of(signal) == Default::Ignore || signal == signals::TERM => {}
            Origin::Kernel => self.end_by_signal(slot, signal),
        }
    }
}
