//! Timers.

use super::fake::boot;
use super::*;
use crate::signals::{ALRM, PROF, VTALRM};

impl Bench<'_> {
    /// The next alarm comes.
    pub(super) fn tick(&mut self) {
        let alarm = self.world.borrow_mut().alarm.take();
        let alarm = alarm.expect("an alarm is set");
        self.world.borrow_mut().now = alarm;
        self.pm.notified(&Message::new(Endpoint::CLOCK, abi::Kind::NOTIFY));
    }

    fn timer(&mut self, who: Endpoint, timer: Timer, interval: u64, ticks: u64) -> Result<OldTimer, Errno> {
        const MICROS: i64 = 10_000;
        let (interval, ticks) = (interval as i64, ticks as i64);
        let (interval_seconds, interval_micros) = (interval / 100, interval % 100 * MICROS);
        let (seconds, micros) = (ticks / 100, ticks % 100 * MICROS);
        let call = SetTimer { timer, reserved: 0, interval_seconds, interval_micros, seconds, micros };
        self.asks(who, &call)
    }
}

#[test]
fn an_alarm_comes_when_its_time_is_over_and_not_before() {
    test(|bench| {
        let (child, _) = bench.child();
        bench.catch(child, ALRM);
        bench.timer(child, Timer::Real, 0, 5).unwrap();
        let now = bench.world.borrow().now;
        assert_eq!(bench.world.borrow().alarm, Some(now + 6), "the tick that runs does not count");
        bench.tick();
        assert_eq!((bench.called(child, ALRM), bench.world.borrow().alarm), (1, None));
    });
}

#[test]
fn an_interval_has_no_drift() {
    test(|bench| {
        let (child, _) = bench.child();
        bench.catch(child, ALRM);
        let start = bench.world.borrow().now + 1;
        bench.timer(child, Timer::Real, 7, 3).unwrap();
        for round in 0..20 {
            bench.tick();
            assert_eq!(bench.world.borrow().now, start + 3 + round * 7);
            // It takes its time.
            bench.world.borrow_mut().now += 2;
            bench.returns(child);
        }
        assert_eq!(bench.called(child, ALRM), 20);
    });
}

#[test]
fn the_old_value_is_told_and_bad_ones_are_refused() {
    test(|bench| {
        let (child, _) = bench.child();
        bench.timer(child, Timer::Real, 250, 500).unwrap();
        bench.world.borrow_mut().now += 1;
        let left = bench.asks(child, &GetTimer { timer: Timer::Real, reserved: 0 }).unwrap();
        assert_eq!(left, TimerLeft { interval_seconds: 2, interval_micros: 500_000, seconds: 5, micros: 0 });
        let good = SetTimer {
            timer: Timer::Real,
            reserved: 0,
            interval_seconds: 0,
            interval_micros: 0,
            seconds: 0,
            micros: 0,
        };
        for bad in [
            SetTimer { seconds: -1, ..good },
            SetTimer { micros: -1, ..good },
            SetTimer { micros: 1_000_000, ..good },
            SetTimer { interval_seconds: -1, ..good },
            SetTimer { interval_micros: 1_000_000, ..good },
        ] {
            assert_eq!(bench.asks(child, &bad), Err(Errno::Inval));
        }
        let old = bench.asks(child, &good).unwrap();
        assert_eq!((old.seconds, old.micros, old.interval_seconds), (5, 0, 2));
        assert_eq!(bench.world.borrow().alarm, None);
        assert_eq!(bench.asks(child, &good).unwrap().seconds, 0);
        bench.asks(child, &SetTimer { seconds: i64::MAX, ..good }).unwrap();
    });
}

#[test]
fn virtual_timers_go_by_the_time_that_the_process_runs() {
    test(|bench| {
        let (child, _) = bench.child();
        bench.catch(child, VTALRM);
        bench.catch(child, PROF);
        bench.timer(child, Timer::Virtual, 0, 5).unwrap();
        bench.timer(child, Timer::Profile, 0, 5).unwrap();
        bench.tick();
        assert_eq!((bench.called(child, VTALRM), bench.called(child, PROF)), (0, 0), "it has not run");
        bench.world.borrow_mut().get(child).unwrap().system = 6;
        bench.tick();
        assert_eq!((bench.called(child, VTALRM), bench.called(child, PROF)), (0, 1), "others have, for it");
        bench.world.borrow_mut().get(child).unwrap().user = 6;
        bench.tick();
        assert_eq!((bench.called(child, VTALRM), bench.called(child, PROF)), (1, 1));
        assert_eq!(bench.world.borrow().alarm, None);
    });
}

#[test]
fn the_alarm_is_the_first_of_all_and_ends_with_its_process() {
    test(|bench| {
        let (a, _) = bench.child();
        let (b, _) = bench.child();
        let now = bench.world.borrow().now;
        bench.timer(a, Timer::Real, 0, 50).unwrap();
        bench.timer(b, Timer::Real, 0, 20).unwrap();
        assert_eq!(bench.world.borrow().alarm, Some(now + 21));
        bench.exit(b, 0);
        assert_eq!(bench.world.borrow().alarm, Some(now + 51));
        bench.tick();
        assert!(!bench.lives(a), "nobody caught it");
        assert_eq!(bench.world.borrow().alarm, None);
        assert_eq!(bench.poll(boot("init")).map(|(_, status)| status), Ok(ALRM));
    });
}
