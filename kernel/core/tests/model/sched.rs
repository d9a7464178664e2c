//! Who runs.

use super::*;
use abi::PrivilegeFlags;

impl Model {
    /// One more reason why a process does not run.
    pub(super) fn hold(&mut self, i: usize, why: Rts) {
        self.program_mut(i).rts |= why;
        if let Some(cpu) = (0..CPUS).find(|cpu| self.running[*cpu] == Some(i)) {
            self.anew[cpu] = true;
        }
        self.ready.retain(|ready| *ready != i);
    }

    /// One less.
    pub(super) fn release(&mut self, i: usize, why: Rts) {
        let before = self.program(i).rts;
        self.program_mut(i).rts.remove(why);
        if !before.is_empty() && self.program(i).rts.is_empty() {
            self.make_ready(i);
        }
    }

    fn make_ready(&mut self, i: usize) {
        if !self.runs(i) {
            self.ready.push(i);
        }
    }

    pub(crate) fn runs(&self, i: usize) -> bool {
        self.running.contains(&Some(i))
    }

    fn is_preemptible(&self, i: usize) -> bool {
        self.authority(i).flags.contains(PrivilegeFlags::PREEMPTIBLE)
    }

    /// The first of the most urgent ones that wait for a processor.
    fn next(&self, cpu: usize) -> Option<usize> {
        let here = self.ready.iter().copied().filter(|i| self.slots[*i].cpu == cpu);
        here.min_by_key(|i| self.program(*i).priority)
    }

    fn goes_on(&self, cpu: usize, me: usize) -> bool {
        let is_urgent = |other| self.is_preemptible(me) && self.program(other).priority < self.program(me).priority;
        self.program(me).rts.is_empty()
            && self.slots[me].moves_to.is_none()
            && self.ticks_left[cpu] != 0
            && !self.next(cpu).is_some_and(is_urgent)
    }

    /// Every processor chooses who runs, but one that has not noticed yet that it must.
    pub(crate) fn settle(&mut self, first: usize, late: Option<usize>) {
        self.choose(first);
        while let Some(cpu) = (0..CPUS).find(|cpu| Some(*cpu) != late && self.must_choose(*cpu)) {
            self.choose(cpu);
        }
    }

    fn must_choose(&self, cpu: usize) -> bool {
        match self.running[cpu] {
            Some(me) => self.anew[cpu] || !self.goes_on(cpu, me),
            None => self.next(cpu).is_some(),
        }
    }

    fn choose(&mut self, cpu: usize) {
        while self.must_choose(cpu) {
            self.anew[cpu] = false;
            if let Some(me) = self.running[cpu].take() {
                self.program_mut(me).ticks_left = self.ticks_left[cpu];
                self.put_back(me);
            }
            let Some(next) = self.next(cpu) else { return };
            self.ready.retain(|i| *i != next);
            self.running[cpu] = Some(next);
            self.ticks_left[cpu] = self.program(next).ticks_left;
            if let Some(ask) = self.program_mut(next).suspended.take() {
                self.make_trap(next, &ask);
            }
            if self.program(next).rts.is_empty() {
                return;
            }
        }
    }

    fn put_back(&mut self, me: usize) {
        if let Some((cpu, priority, quantum)) = self.slots[me].moves_to.take() {
            self.place(me, cpu, priority, quantum);
            if self.program(me).rts.is_empty() {
                self.ready.push(me);
            }
        } else if !self.program(me).rts.is_empty() {
            // Whatever it waits for makes it ready.
        } else if self.program(me).ticks_left != 0 {
            self.ready.insert(0, me);
        } else if self.has_scheduler(me) {
            let p = self.program_mut(me);
            p.rts |= Rts::NO_QUANTUM;
            p.kernel_sends = true;
            match self.live(self.slots[me].scheduler) {
                Some(scheduler) => self.send_by_kernel(me, scheduler),
                None => self.leave_scheduler(me),
            }
        } else {
            self.program_mut(me).ticks_left = self.program(me).quantum;
            self.ready.push(me);
        }
    }

    fn has_scheduler(&self, i: usize) -> bool {
        let Process { scheduler, endpoint, .. } = self.slots[i];
        let given_way = self.is_preemptible(i) || self.program(i).priority == 0;
        scheduler != Endpoint::NONE && scheduler != endpoint && given_way
    }

    fn place(&mut self, i: usize, cpu: usize, priority: u8, quantum: u16) {
        self.slots[i].cpu = cpu;
        let p = self.program_mut(i);
        (p.priority, p.quantum, p.ticks_left) = (priority, quantum, quantum);
    }

    /// The kernel schedules a process from now on.
    pub(super) fn leave_scheduler(&mut self, i: usize) {
        self.withdraw_kernel_message(i);
        self.slots[i].scheduler = Endpoint::NONE;
        let p = self.program_mut(i);
        p.kernel_sends = false;
        p.ticks_left = p.quantum;
        self.release(i, Rts::NO_QUANTUM);
    }

    fn withdraw_kernel_message(&mut self, i: usize) {
        if self.program(i).kernel_sends {
            self.withdraw_message(i);
        }
    }

    /// A process does not send any more.
    pub(super) fn withdraw_message(&mut self, i: usize) {
        if !self.program(i).is(Rts::SENDING) {
            return;
        }
        self.sending.retain(|sender| *sender != i);
        let p = self.program_mut(i);
        if std::mem::take(&mut p.kernel_sends) {
            p.ticks_left = p.quantum;
            self.release(i, Rts::NO_QUANTUM);
        }
        self.release(i, Rts::SENDING);
    }

    /// What SCHEDULE and SCHEDCTL have in common. A number of -1 means: as it is.
    pub(super) fn schedule(
        &mut self,
        i: usize,
        scheduler: Option<Endpoint>,
        [priority, milliseconds, cpu]: [i32; 3],
    ) -> Result<(), Errno> {
        let (p, kept) = (self.program(i), |n: i32| n == -1);
        let priority = if kept(priority) { p.priority.into() } else { priority };
        let ticks = (i64::from(milliseconds) * TestMachine::HZ as i64 + 999) / 1000;
        let quantum = if kept(milliseconds) { p.quantum.into() } else { ticks };
        let cpu = if kept(cpu) { self.slots[i].cpu as i32 } else { cpu };
        let good_time = kept(milliseconds) || milliseconds > 0 && quantum <= u16::MAX.into();
        if !(0..16).contains(&priority) || !good_time || !(0..8).contains(&cpu) {
            return Err(Errno::Inval);
        }
        if cpu as usize >= CPUS {
            return Err(Errno::BadCpu);
        }
        if let Some(scheduler) = scheduler {
            self.slots[i].scheduler = scheduler;
        }
        self.withdraw_kernel_message(i);
        let (cpu, priority, quantum) = (cpu as usize, priority as u8, quantum as u16);
        if self.runs(i) {
            self.slots[i].moves_to = Some((cpu, priority, quantum));
        } else {
            self.place(i, cpu, priority, quantum);
            if self.program(i).rts.is_empty() {
                self.ready.retain(|ready| *ready != i);
                self.ready.push(i);
            }
        }
        self.release(i, Rts::NO_QUANTUM);
        Ok(())
    }

    /// The fast path has switched to somebody who was just released: he runs, for the rest of the time.
    pub(crate) fn hand_over(&mut self, cpu: usize, to: usize) {
        self.ready.retain(|ready| *ready != to);
        let passed_over = self.next(cpu).filter(|other| self.program(*other).priority < self.program(to).priority);
        assert_eq!((self.slots[to].cpu, passed_over), (cpu, None), "nobody more urgent is passed over");
        self.running[cpu] = Some(to);
        self.anew[cpu] = false;
    }

    /// A timer tick on a processor.
    pub(crate) fn tick(&mut self, cpu: usize) {
        if let Some(me) = self.running[cpu] {
            self.ticks_left[cpu] = self.ticks_left[cpu].saturating_sub(1);
            self.program_mut(me).used.0 += 1;
            if self.authority(me).flags.contains(PrivilegeFlags::BILLABLE) {
                self.billed[cpu] = Some(me);
            } else if let Some(billed) = self.billed[cpu] {
                self.program_mut(billed).used.1 += 1;
            }
        }
        if cpu == 0 {
            self.ring();
        }
    }

    /// Notifies everybody whose time has come.
    pub(super) fn ring(&mut self) {
        let now = self.machine.ticks;
        let due = |model: &Self| {
            let set = model.alarms.iter().enumerate().filter_map(|(id, at)| Some(((*at)?, id)));
            set.min().filter(|(at, _)| *at <= now).map(|(_, id)| id)
        };
        while let Some(id) = due(self) {
            self.alarms[id] = None;
            if let Some(slot) = self.owner_of(id).and_then(|owner| self.live(owner)) {
                self.post(CLOCK, slot);
            }
        }
    }
}
