//! The end of a process.

use super::*;

impl Model {
    pub(super) fn end(&mut self, i: usize) {
        let endpoint = self.slots[i].endpoint;
        self.hold(i, Rts::STOPPED);
        self.running.iter_mut().filter(|who| **who == Some(i)).for_each(|who| *who = None);
        self.billed.iter_mut().filter(|who| **who == Some(i)).for_each(|who| *who = None);
        self.forget_event(i);
        self.sending.retain(|sender| *sender != i);
        self.program_mut(i).rts = Rts::FREE;
        self.clear_refs(i);
        for other in 0..SLOTS {
            if self.slots[other].scheduler == endpoint && other != i {
                self.leave_scheduler(other);
            }
        }
        self.make_user(i);
        self.slots[i] = Process::free(endpoint);
    }

    /// Nobody waits for a process any more, and nothing that it sent is pending.
    pub(super) fn clear_refs(&mut self, i: usize) {
        let Process { endpoint, id, .. } = self.slots[i];
        self.fail_entries_for(i);
        if id != USER {
            self.forget_pending(id);
        }
        for other in (0..SLOTS).filter(|other| *other != i) {
            let p = self.program(other);
            let sends = p.is(Rts::SENDING) && p.send_to == endpoint;
            if sends || p.is(Rts::RECEIVING) && p.receive_from == endpoint {
                self.sending.retain(|sender| *sender != other);
                self.fail_wait(other, Errno::DeadSrcDst);
            }
        }
        if self.is_service(i) {
            self.hand_on(endpoint);
        }
    }

    pub(super) fn fail_wait(&mut self, i: usize, why: Errno) {
        let p = self.program_mut(i);
        p.failed_answer = None;
        if std::mem::take(&mut p.kernel_sends) {
            self.release(i, Rts::SENDING);
            return self.leave_scheduler(i);
        }
        p.regs.rax = why.to_result() as u64;
        self.release(i, Rts::SENDING | Rts::RECEIVING | Rts::REPLY);
        self.send_is_over(i);
    }
}
