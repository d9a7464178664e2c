//! Circles of processes that wait for each other, which nobody may close.

use crate::{Kernel, Machine, Rts, SLOTS, Slot};

impl<M: Machine> Kernel<'_, M> {
    /// Whether `me`, by waiting to send to `to`, would close a circle of processes that wait for each other. It does not if `to`
    /// receives from it, and has a filter that does not let the message in yet.
    pub(super) fn send_closes_circle(&self, me: Slot, to: Slot) -> bool {
        let takes_later = |last| last == to && to != me && !self.process(to).rts.contains(Rts::SENDING);
        self.closes_circle(me, to).is_some_and(|last| !takes_later(last))
    }

    pub(super) fn sends_to(&self, sender: Slot, receiver: Slot) -> bool {
        let p = self.process(sender);
        p.rts.contains(Rts::SENDING) && p.send_to == self.process(receiver).endpoint
    }

    /// If `me`, by waiting for `target`, would close a circle of processes that wait for each other: the one of them that
    /// waits for `me`.
    pub(super) fn closes_circle(&self, me: Slot, target: Slot) -> Option<Slot> {
        let mut last = me;
        let mut at = target;
        // Nobody is in a circle that `me` is not in; the bound keeps the work bounded all the same.
        for _ in 0..SLOTS {
            if at == me {
                return Some(last);
            }
            let p = self.process(at);
            let next = if p.rts.contains(Rts::SENDING) {
                p.send_to
            } else if p.rts.contains(Rts::RECEIVING) {
                p.receive_from
            } else {
                return None;
            };
            last = at;
            at = self.lookup(next)?; // Nobody waits for ANY or for a kernel task.
        }
        None
    }
}
