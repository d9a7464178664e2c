//! The slot swap of a live update.

use super::*;
use abi::PrivilegeFlags;
use protocol::kernel::{Update, UpdateDirection};

impl Model {
    pub(super) fn update(&mut self, call: &Update) -> Result<(), Errno> {
        let a = self.live(call.source).ok_or(Errno::Inval)?;
        let b = self.live(call.destination).ok_or(Errno::Inval)?;
        let rolls_back = call.direction == UpdateDirection::Rollback;
        if a == b {
            return Err(Errno::Inval);
        }
        if !self.is_service(a) || !self.is_service(b) {
            return Err(Errno::Perm);
        }
        let sends = |i: usize| self.program(i).is(Rts::SENDING);
        if !self.is_updatable(a) || !self.is_updatable(b) || sends(b) || sends(a) && !rolls_back {
            return Err(Errno::Busy);
        }
        self.withdraw_message(a);
        if rolls_back {
            self.hand_back(a, b);
        }
        // The new instance may send to whomever the old one may send to.
        let [id_a, id_b] = [a, b].map(|i| self.slots[i].id);
        let inherited = self.ids[id_a].authority.sends & !(1 << id_b);
        self.ids[id_b].authority.sends |= inherited;
        self.events.retain(|waits| ![a, b].contains(waits));
        self.swap_programs(a, b);
        for (i, before) in [(a, b), (b, a)] {
            self.arrive(i, before);
        }
        self.send_is_over(b);
        for i in [a, b] {
            self.catch_up(i);
        }
        for i in [a, b] {
            self.resend_table(i);
        }
        Ok(())
    }

    pub(crate) fn is_updatable(&self, i: usize) -> bool {
        let p = self.program(i);
        !self.runs(i)
            && (p.is(Rts::NO_PRIV) || p.is(Rts::SIGNAL_PENDING) || p.is(Rts::RECEIVING) && !p.is(Rts::SENDING))
    }

    fn swap_programs(&mut self, a: usize, b: usize) {
        let [id_a, id_b] = [a, b].map(|i| self.slots[i].id);
        let (low, high) = self.slots.split_at_mut(a.max(b));
        std::mem::swap(&mut low[a.min(b)].program, &mut high[0].program);
        let (low, high) = self.ids.split_at_mut(id_a.max(id_b));
        let (x, y) = (&mut low[id_a.min(id_b)].authority, &mut high[0].authority);
        std::mem::swap(x, y);
        // Whether an id is a dynamic one does not depend on who has it.
        let dynamic = (x.flags ^ y.flags) & PrivilegeFlags::DYNAMIC;
        x.flags ^= dynamic;
        y.flags ^= dynamic;
        // Each may still send to the other, and not to itself.
        for (own, other) in [(id_a, id_b), (id_b, id_a)] {
            let sends = &mut self.ids[own].authority.sends;
            if *sends >> own & 1 != 0 {
                *sends = *sends & !(1 << own) | 1 << other;
            }
        }
    }

    /// A program has come to slot `i`: those who deal with its signals and its memory hear of it under its new name.
    fn arrive(&mut self, i: usize, before: usize) {
        let (old, new) = (self.slots[before].endpoint, self.slots[i].endpoint);
        let p = self.program_mut(i);
        if let Some(event) = p.event.as_mut().filter(|event| event.process == old) {
            event.process = new;
        }
        let waits = p.event.is_some();
        let signaled = p.is(Rts::SIGNALED);
        match self.manager_of(i) {
            Some(manager) if manager == i => self.offer(i),
            Some(manager) if signaled => self.signal_service(manager, abi::Signal::MANAGER),
            _ => {}
        }
        if waits {
            self.queue_event(i);
        }
    }

    /// A program that waits gets what is there.
    pub(super) fn catch_up(&mut self, i: usize) {
        let p = self.program(i);
        let (answer, from) = (p.is(Rts::REPLY), p.receive_from);
        if !p.is(Rts::RECEIVING) || p.is(Rts::SENDING) {
            return;
        }
        if answer {
            if let Some(sender) = self.first_sender(i, from) {
                self.take_from(i, sender);
            }
        } else {
            // It waits anyway, even if for itself.
            let _ = self.receive(i, from);
        }
    }
}
