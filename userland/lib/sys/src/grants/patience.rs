//! Waiting for a granter that is being updated.

use abi::{Endpoint, Errno};
use protocol::kernel::{AlarmSet, NEVER, SetAlarm};

/// How often a copy is tried again. The waits grow by a timer tick each: together they take 300 ticks.
const PATIENCE: u64 = 24;

/// Makes a call; as long as it fails with `ENOTREADY`, waits and makes it again, a limited number of times.
pub(super) fn patiently<T>(call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    patiently_with(call, sleep)
}

fn patiently_with<T>(
    mut call: impl FnMut() -> Result<T, Errno>,
    mut sleep: impl FnMut(u64) -> Result<(), Errno>,
) -> Result<T, Errno> {
    for ticks in 1..=PATIENCE {
        match call() {
            // Who cannot sleep does not wait.
            Err(Errno::NotReady) => sleep(ticks).map_err(|_| Errno::NotReady)?,
            result => return result,
        }
    }
    call()
}

/// Sleeps, with the alarm that the program has for itself.
fn sleep(ticks: u64) -> Result<(), Errno> {
    let AlarmSet { left, now } = crate::kernel().setalarm(SetAlarm { ticks, absolute: 0 })?;
    rt::receive(Endpoint::CLOCK)?;
    if let Some(ticks) = alarm_afterwards(left, crate::ticks()?.saturating_sub(now), ticks) {
        crate::kernel().setalarm(SetAlarm { ticks, absolute: 0 })?;
    }
    Ok(())
}

/// The alarm that is to be set after a sleep, in ticks from its end: what was left of the one before. One that had gone off
/// but was not heard yet has ended the sleep too early: it goes off again.
const fn alarm_afterwards(left: u64, slept: u64, wanted: u64) -> Option<u64> {
    if slept < wanted {
        Some(1)
    } else if left == NEVER {
        None
    } else {
        let rest = left.saturating_sub(slept);
        Some(if rest == 0 { 1 } else { rest })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// The waits of a call that is not ready so often.
    fn waits(not_ready: u64, then: Result<u8, Errno>) -> (Result<u8, Errno>, Vec<u64>) {
        let (mut calls, mut waits) = (0, Vec::new());
        let call = || {
            calls += 1;
            if calls <= not_ready { Err(Errno::NotReady) } else { then }
        };
        let sleep = |ticks| {
            waits.push(ticks);
            Ok(())
        };
        (patiently_with(call, sleep), waits)
    }

    #[test]
    fn waits_grow_and_end() {
        assert_eq!(waits(0, Ok(7)), (Ok(7), Vec::new()));
        assert_eq!(waits(0, Err(Errno::Perm)), (Err(Errno::Perm), Vec::new()));
        assert_eq!(waits(3, Ok(7)), (Ok(7), std::vec![1, 2, 3]));
        assert_eq!(waits(2, Err(Errno::Inval)), (Err(Errno::Inval), std::vec![1, 2]));
        let (result, all) = waits(u64::MAX, Ok(7));
        assert_eq!((result, all.iter().sum::<u64>()), (Err(Errno::NotReady), PATIENCE * (PATIENCE + 1) / 2));
    }

    #[test]
    fn who_cannot_sleep_does_not_wait() {
        let mut calls = 0;
        let call = || {
            calls += 1;
            Err::<(), _>(Errno::NotReady)
        };
        assert_eq!(patiently_with(call, |_| Err(Errno::CallDenied)), Err(Errno::NotReady));
        assert_eq!(calls, 1);
    }

    #[test]
    fn the_alarm_of_the_program_is_kept() {
        assert_eq!(alarm_afterwards(NEVER, 5, 5), None);
        assert_eq!(alarm_afterwards(100, 5, 5), Some(95));
        assert_eq!(alarm_afterwards(5, 5, 5), Some(1));
        assert_eq!(alarm_afterwards(2, 5, 5), Some(1));
        assert_eq!(alarm_afterwards(NEVER, 2, 5), Some(1), "it had gone off before");
    }
}
