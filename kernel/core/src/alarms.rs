//! Alarms: one for each privilege structure.
//!
//! The earliest deadline is kept apart, so that a tick at which nobody's alarm goes off costs one comparison.

use abi::PRIVILEGES;

/// Number of alarms: a privilege id each.
pub const ALARMS: usize = PRIVILEGES;

/// The deadline of an alarm that is off.
const NEVER: u64 = u64::MAX;

/// All alarms. Times are in timer ticks since boot. Ids are privilege ids; one that is out of range is a bug of the
/// caller and panics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarms {
    deadlines: [u64; ALARMS],
    /// The least of them.
    earliest: u64,
}

impl Alarms {
    /// All off.
    pub const OFF: Self = Self { deadlines: [NEVER; ALARMS], earliest: NEVER };

    /// Sets an alarm, or switches it off; returns how many ticks from `now` it still had, `None` if it was off. It
    /// goes off at the first [`due`](Self::due) that is not before the deadline, also if that has passed already. The
    /// last tick that there is, in billions of years, is as good as off.
    pub fn set(&mut self, id: usize, deadline: Option<u64>, now: u64) -> Option<u64> {
        let before = core::mem::replace(&mut self.deadlines[id], deadline.unwrap_or(NEVER));
        self.earliest = if before == self.earliest {
            self.deadlines.iter().copied().min().unwrap_or(NEVER)
        } else {
            self.earliest.min(self.deadlines[id])
        };
        (before != NEVER).then(|| before.saturating_sub(now))
    }

    /// Switches an alarm off.
    pub fn cancel(&mut self, id: usize) {
        self.set(id, None, 0);
    }

    /// The id of an alarm that has gone off, which is then off itself; the one with the earliest deadline first, of equal
    /// ones the lowest id. To be called until there is none.
    pub fn due(&mut self, now: u64) -> Option<usize> {
        if now < self.earliest || self.earliest == NEVER {
            return None;
        }
        let id = self.deadlines.iter().position(|deadline| *deadline == self.earliest)?;
        self.cancel(id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn all_due(alarms: &mut Alarms, now: u64) -> Vec<usize> {
        core::iter::from_fn(|| alarms.due(now)).collect()
    }

    #[test]
    fn an_alarm_goes_off_once_at_its_deadline() {
        let mut a = Alarms::OFF;
        assert_eq!(a.set(3, Some(10), 0), None);
        assert_eq!(all_due(&mut a, 9), []);
        assert_eq!(all_due(&mut a, 10), [3]);
        assert_eq!(all_due(&mut a, 11), []);
        assert_eq!(a, Alarms::OFF);
    }

    #[test]
    fn a_new_deadline_replaces_the_old_one() {
        let mut a = Alarms::OFF;
        a.set(3, Some(10), 0);
        assert_eq!(a.set(3, Some(20), 4), Some(6));
        assert_eq!(all_due(&mut a, 19), []);
        assert_eq!(a.set(3, Some(5), 19), Some(1), "an earlier one too");
        assert_eq!(all_due(&mut a, 19), [3]);
        assert_eq!(all_due(&mut a, 20), []);
    }

    #[test]
    fn a_cancelled_alarm_never_goes_off() {
        let mut a = Alarms::OFF;
        a.set(3, Some(10), 0);
        assert_eq!(a.set(3, None, 10), Some(0));
        assert_eq!(a, Alarms::OFF);
        assert_eq!(a.set(3, None, 10), None);
        a.cancel(3);
        assert_eq!((a.due(u64::MAX), a), (None, Alarms::OFF));
    }

    #[test]
    fn a_deadline_in_the_past_goes_off_at_once() {
        let mut a = Alarms::OFF;
        a.set(3, Some(0), 1000);
        assert_eq!(a.set(3, Some(7), 1000), Some(0), "nothing was left of it");
        assert_eq!(all_due(&mut a, 1000), [3]);
    }

    #[test]
    fn two_alarms_are_independent() {
        let mut a = Alarms::OFF;
        a.set(0, Some(10), 0);
        a.set(ALARMS - 1, Some(20), 0);
        a.cancel(0);
        assert_eq!(all_due(&mut a, 19), []);
        a.set(0, Some(30), 19);
        assert_eq!(all_due(&mut a, 20), [ALARMS - 1]);
        assert_eq!(all_due(&mut a, 30), [0]);
    }

    #[test]
    fn many_go_off_in_the_order_of_their_deadlines() {
        let mut a = Alarms::OFF;
        for id in 0..ALARMS {
            a.set(id, Some(100 - id as u64 / 2), 0);
        }
        let expected = (0..ALARMS / 2).rev().flat_map(|pair| [2 * pair, 2 * pair + 1]);
        assert!(all_due(&mut a, 100).into_iter().eq(expected));
        assert_eq!(a, Alarms::OFF);
    }

    #[test]
    fn the_last_ticks_do_not_wrap() {
        let mut a = Alarms::OFF;
        a.set(1, Some(u64::MAX - 1), 5);
        assert_eq!(a.due(u64::MAX - 2), None);
        assert_eq!(a.set(1, Some(u64::MAX - 1), u64::MAX - 2), Some(1));
        assert_eq!(a.due(u64::MAX - 1), Some(1));
        assert_eq!(a.set(1, Some(u64::MAX), 0), None);
        assert_eq!((a.due(u64::MAX), a), (None, Alarms::OFF));
    }

    proptest! {
        /// Against the obvious way: a list that is searched at each tick.
        #[test]
        fn any_sequence_does_as_a_plain_list(
            steps in proptest::collection::vec((0..ALARMS, proptest::option::of(0_u64..60), 0_u64..4), 1..120),
        ) {
            let mut alarms = Alarms::OFF;
            let mut list: [Option<u64>; ALARMS] = [None; ALARMS];
            let mut now = 0;
            for (id, deadline, passed) in steps {
                now += passed;
                let left = list[id].map(|old: u64| old.saturating_sub(now));
                prop_assert_eq!(alarms.set(id, deadline, now), left);
                list[id] = deadline;
                let mut expected: Vec<_> = (0..ALARMS).filter(|id| list[*id].is_some_and(|at| at <= now)).collect();
                expected.sort_by_key(|id| list[*id]);
                expected.iter().for_each(|id| list[*id] = None);
                prop_assert_eq!(all_due(&mut alarms, now), expected);
            }
        }
    }
}
