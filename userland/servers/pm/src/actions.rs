//! What processes want done about their signals.

use crate::process::Flags;
use crate::signals::{Action, Number, SEGV, Set};
use crate::table::Slot;
use crate::{Pm, Port};
use abi::layout::user_range;
use abi::{Errno, Signal};
use protocol::kernel;
use protocol::pm::*;
use protocol::{Answer, Caller, Transport};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_sigaction(&mut self, from: Caller, call: &SigAction) -> Result<OldAction, Errno> {
        let slot = self.user(from.endpoint)?;
        let signal: Number = Signal::from_user(call.signal).ok_or(Errno::Inval)?.number();
        let old = self.table.actions(slot)[signal as usize];
        if call.change != 0 {
            self.set_action(slot, signal, call)?;
        }
        let Action { handler, trampoline, mask, flags } = old;
        Ok(OldAction { handler, trampoline, mask: mask.bits(), flags, reserved: 0 })
    }

    fn set_action(&mut self, slot: Slot, signal: Number, call: &SigAction) -> Result<(), Errno> {
        let is_code = |address| user_range(address, 1).is_some();
        let has_handler = call.handler > IGNORE;
        let is_bad = has_handler && !(is_code(call.handler) && is_code(call.trampoline));
        if Set::FIRM.has(signal) || is_bad || ActionFlags::from_bits(call.flags).is_none() {
            return Err(Errno::Inval);
        }
        let mask = Set::from_process(call.mask).without(Set::FIRM);
        let action = Action { handler: call.handler, trampoline: call.trampoline, mask, flags: call.flags };
        self.table.actions_mut(slot)[signal as usize] = action;
        if action.ignores(signal) {
            self.table[slot].signals.done(signal);
        }
        Ok(())
    }

    pub(crate) fn do_sigprocmask(&mut self, from: Caller, call: &SigMask) -> Result<OldMask, Errno> {
        let slot = self.user(from.endpoint)?;
        let signals = &mut self.table[slot].signals;
        let (old, set) = (signals.mask, Set::from_process(call.set).without(Set::FIRM));
        signals.mask = match call.how {
            How::Query => old,
            How::Block => old.and(set),
            How::Unblock => old.without(set),
            How::Set => set,
        };
        Ok(OldMask { set: old.bits() })
    }

    pub(crate) fn do_sigpending(&self, from: Caller) -> Result<Pending, Errno> {
        let slot = self.user(from.endpoint)?;
        let signals = &self.table[slot].signals;
        Ok(Pending { set: signals.pending.common(signals.mask).bits() })
    }

    pub(crate) fn do_sigsuspend(&mut self, from: Caller, call: &SigSuspend) -> Answer<Suspended> {
        let slot = match self.user(from.endpoint) {
            Ok(slot) => slot,
            Err(error) => return Answer::Fail(error),
        };
        let process = &mut self.table[slot];
        process.signals.saved_mask = process.signals.mask;
        process.signals.mask = Set::from_process(call.set).without(Set::FIRM);
        process.flags |= Flags::SUSPENDED;
        process.tag = from.tag;
        Answer::Later
    }

    pub(crate) fn do_sigreturn(&mut self, from: Caller, call: &SigReturn) -> Answer<SigReturned> {
        let slot = match self.user(from.endpoint) {
            Ok(slot) => slot,
            Err(error) => return Answer::Fail(error),
        };
        // It waits for no answer any more, which would be put into the registers that it gets.
        self.hold(slot);
        self.answer_done(from);
        self.current = None;
        let back = kernel::SigReturn { process: from.endpoint, reserved: 0, frame: call.frame };
        match self.kernel().sigreturn(back) {
            Ok(returned) => {
                self.table[slot].signals.mask = Set::from_process(returned.mask).without(Set::FIRM);
                self.deliver(slot);
            }
            // It has nowhere to go.
            Err(_) => self.end_by_signal(slot, SEGV),
        }
        Answer::Later
    }
}
