//! Time goes on, whatever the other processors do.

use crate::elsewhere::{counts_on, cpus, plan};
use abi::Endpoint;
use family::{Child, programs};
use protocol::kernel::{NEVER, SetAlarm};
use suite::{Outcome, check, check_eq};
use sys::kernel;

/// Waits for some alarms.
fn alarms() -> Outcome {
    for ticks in [1, 3, 7] {
        let set = kernel().setalarm(SetAlarm { ticks, absolute: 0 })?;
        check_eq!(set.left, NEVER);
        let came = rt::receive(Endpoint::CLOCK)?.message.body[0];
        check!(came >= set.now + ticks && sys::ticks()? >= came, "set at {}, came at {came}", set.now);
    }
    Ok(())
}

pub(crate) fn alarms_come_whatever_the_others_do() -> Outcome {
    const MOST: usize = abi::boot::MAX_CPUS;
    alarms()?;
    let mut busy: [Option<Child>; MOST] = [const { None }; MOST];
    for (number, place) in (0..cpus()? - 1).zip(&mut busy) {
        *place = Some(Child::start(&plan(programs::count, number)?)?);
    }
    let all = || busy.iter().flatten().try_for_each(|child| counts_on(child.board()));
    all()?;
    alarms()?;
    all()?;
    busy.into_iter().flatten().try_for_each(Child::end)?;
    alarms()
}
