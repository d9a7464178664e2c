//! Timers of processes, on the one alarm that the process manager has.

use crate::deliver::Origin;
use crate::process::{Flags, Process, Times};
use crate::signals::{ALRM, Number, PROF, VTALRM};
use crate::table::Slot;
use crate::{Pm, Port};
use abi::Errno;
use protocol::kernel::SetAlarm;
use protocol::pm::{GetTimer, OldTimer, ProcessTimes, SetTimer, Timer, TimerLeft};
use protocol::{Caller, Transport, kernel};

/// Microseconds in a second.
const MICROS: u64 = 1_000_000;

/// A timer, in timer ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntervalTimer {
    /// When it is due, in ticks since boot or of the process's own time; 0 if it does not run.
    pub(crate) due: u64,
    /// How long after that the next time; 0 for never.
    pub(crate) interval: u64,
}

/// The timers of a process, in the order of [`Timer`].
pub(crate) type Timers = [IntervalTimer; 3];

/// None runs.
pub(crate) const NO_TIMERS: Timers = [IntervalTimer { due: 0, interval: 0 }; 3];

const ALL: [(Timer, Number); 3] = [(Timer::Real, ALRM), (Timer::Virtual, VTALRM), (Timer::Profile, PROF)];

/// Ticks that last at least so long.
fn ticks(seconds: i64, micros: i64, hz: u64) -> Result<u64, Errno> {
    let seconds = u64::try_from(seconds).map_err(|_| Errno::Inval)?;
    let micros = u64::try_from(micros).ok().filter(|micros| *micros < MICROS).ok_or(Errno::Inval)?;
    Ok(seconds.saturating_mul(hz).saturating_add((micros * hz).div_ceil(MICROS)))
}

/// Seconds and microseconds of ticks.
fn time(ticks: u64, hz: u64) -> (i64, i64) {
    let hz = hz.max(1);
    ((ticks / hz) as i64, (ticks % hz * MICROS / hz) as i64)
}

impl IntervalTimer {
    /// How long until it is due, at a time; 0 if it does not run.
    fn left(&self, now: u64) -> u64 {
        // One that is due and was not dealt with yet still runs.
        if self.due == 0 { 0 } else { self.due.saturating_sub(now).max(1) }
    }

    /// If it is due, the next time is set.
    fn is_due(&mut self, now: u64) -> bool {
        if self.due == 0 || self.due > now {
            return false;
        }
        // What was missed is not made up for, but the rhythm is kept.
        let missed = (now - self.due).checked_div(self.interval);
        self.due = missed.map_or(0, |missed| self.due + (missed + 1) * self.interval);
        true
    }
}

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// Ticks since boot.
    pub(crate) fn now(&self) -> u64 {
        self.kernel().times(kernel::Times {}).map_or(0, |uptime| uptime.ticks)
    }

    /// The time by which a timer of a process goes.
    fn time_of(&self, process: &Process, timer: Timer, now: u64) -> u64 {
        let Times { user, system } = match timer {
            Timer::Real => return now,
            Timer::Virtual | Timer::Profile => self.times_of(process.endpoint),
        };
        // A timer whose time is 0 does not run.
        1 + if timer == Timer::Virtual { user } else { user + system }
    }

    pub(crate) fn do_setitimer(&mut self, from: Caller, call: &SetTimer) -> Result<OldTimer, Errno> {
        let slot = self.user(from.endpoint)?;
        let value = ticks(call.seconds, call.micros, self.hz)?;
        let interval = ticks(call.interval_seconds, call.interval_micros, self.hz)?;
        let old = self.left(slot, call.timer);
        let base = self.time_of(&self.table[slot], call.timer, self.now());
        // The tick that runs has been running for a while.
        let due = if value == 0 { 0 } else { base.saturating_add(value).saturating_add(1) };
        let process = &mut self.table[slot];
        process.timers[call.timer as usize] = IntervalTimer { due, interval };
        let runs = process.timers.iter().any(|timer| timer.due != 0);
        process.flags.set(Flags::ALARM, runs);
        self.set_alarm();
        let TimerLeft { interval_seconds, interval_micros, seconds, micros } = old;
        Ok(OldTimer { interval_seconds, interval_micros, seconds, micros })
    }

    pub(crate) fn do_getitimer(&self, from: Caller, call: &GetTimer) -> Result<TimerLeft, Errno> {
        self.user(from.endpoint).map(|slot| self.left(slot, call.timer))
    }

    fn left(&self, slot: Slot, timer: Timer) -> TimerLeft {
        let process = &self.table[slot];
        let IntervalTimer { interval, .. } = process.timers[timer as usize];
        let left = process.timers[timer as usize].left(self.time_of(process, timer, self.now()));
        let ((interval_seconds, interval_micros), (seconds, micros)) = (time(interval, self.hz), time(left, self.hz));
        TimerLeft { interval_seconds, interval_micros, seconds, micros }
    }

    pub(crate) fn do_times(&self, from: Caller) -> Result<ProcessTimes, Errno> {
        let slot = self.table.find(from.endpoint).ok_or(Errno::Srch)?;
        let Times { user, system } = self.times_of(from.endpoint);
        let Times { user: child_user, system: child_system } = self.table[slot].child_times;
        Ok(ProcessTimes { user, system, child_user, child_system })
    }

    /// Has the kernel tell when the next timer may be due. What it goes by cannot come faster than the clock.
    pub(crate) fn set_alarm(&mut self) {
        let now = self.now();
        let this = &*self;
        let timers = this.table.iter().filter(|(_, process)| process.is(Flags::ALARM)).flat_map(|(_, process)| {
            let each = ALL.into_iter().filter(|(timer, _)| process.timers[*timer as usize].due != 0);
            each.map(move |(timer, _)| {
                process.timers[timer as usize].due.saturating_sub(this.time_of(process, timer, now)).max(1)
            })
        });
        let retry = self.retries.then_some(1);
        let next = timers.chain(retry).min().map(|ticks| now.saturating_add(ticks));
        if next == self.alarm {
            return;
        }
        self.alarm = next;
        let call = match next {
            Some(ticks) => SetAlarm { ticks, absolute: 1 },
            None => SetAlarm { ticks: 0, absolute: 0 },
        };
        if let Err(error) = self.kernel().setalarm(call) {
            self.port.log(format_args!("cannot set an alarm: {error}"));
        }
    }

    /// The alarm has come.
    pub(crate) fn tick(&mut self) {
        self.alarm = None;
        let now = self.now();
        for slot in self.table.slots() {
            if self.table[slot].is(Flags::ALARM) {
                for (timer, signal) in ALL {
                    let at = if self.table[slot].timers[timer as usize].due == 0 {
                        continue;
                    } else {
                        self.time_of(&self.table[slot], timer, now)
                    };
                    let process = &mut self.table[slot];
                    let is_due = process.timers[timer as usize].is_due(at);
                    if !process.timers.iter().any(|timer| timer.due != 0) {
                        process.flags.remove(Flags::ALARM);
                    }
                    if is_due {
                        self.raise(slot, signal, Origin::Process);
                    }
                }
            }
        }
        if core::mem::take(&mut self.retries) {
            for slot in self.table.slots() {
                self.retry(slot);
            }
        }
        self.set_alarm();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_rounded_up_and_times_are_checked() {
        assert_eq!(ticks(2, 1, 100), Ok(201));
        assert_eq!(ticks(0, 10_000, 100), Ok(1));
        assert_eq!((ticks(0, 0, 100), ticks(i64::MAX, 999_999, 1000)), (Ok(0), Ok(u64::MAX)));
        for (seconds, micros) in [(-1, 0), (0, -1), (0, 1_000_000), (i64::MIN, 0)] {
            assert_eq!(ticks(seconds, micros, 100), Err(Errno::Inval));
        }
    }

    #[test]
    fn a_timer_keeps_its_rhythm() {
        let mut timer = IntervalTimer { due: 10, interval: 5 };
        assert!(!timer.is_due(9) && timer.is_due(10));
        assert_eq!(timer.due, 15);
        assert!(timer.is_due(27));
        assert_eq!(timer.due, 30, "two were missed");
        let mut once = IntervalTimer { due: 10, interval: 0 };
        assert!(once.is_due(12) && !once.is_due(100));
        assert_eq!(once.left(100), 0);
    }
}
