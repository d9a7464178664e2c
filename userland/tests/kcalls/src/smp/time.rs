//! Time goes on, whatever the other processors do.

use crate::elsewhere::{counts_on, cpus, plan};
use abi::boot::MAX_CPUS;
use abi::{Endpoint, Errno};
use family::{Child, programs};
use protocol::getinfo::{GetIdleTime, GetProcess, IdleTime};
use protocol::kernel::{NEVER, SetAlarm};
use suite::{Failure, Outcome, check, check_eq};
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

/// A child for each processor but the suite's, which keeps it busy.
fn busy() -> Result<[Option<Child>; MAX_CPUS], Failure> {
    let mut busy = [const { None }; MAX_CPUS];
    for (number, place) in (0..cpus()? - 1).zip(&mut busy) {
        *place = Some(Child::start(&plan(programs::count, number)?)?);
    }
    Ok(busy)
}

pub(crate) fn alarms_come_whatever_the_others_do() -> Outcome {
    alarms()?;
    let busy = busy()?;
    let all = || busy.iter().flatten().try_for_each(|child| counts_on(child.board()));
    all()?;
    alarms()?;
    all()?;
    busy.into_iter().flatten().try_for_each(Child::end)?;
    alarms()
}

/// Nothing else ends meanwhile, so what belongs to nobody remains what those had used who have ended before.
pub(crate) fn all_time_is_somebodys() -> Outcome {
    let before = nobodys_time()?;
    let busy = busy()?;
    for _ in 0..3 {
        busy.iter().flatten().try_for_each(|child| counts_on(child.board()))?;
        alarms()?;
        check_eq!(nobodys_time()?, before);
    }
    for child in busy.iter().flatten() {
        check!(child.info()?.cycles > 0, "it has run");
    }
    busy.into_iter().flatten().try_for_each(Child::end)
}

/// For each processor, the cycles up to its last switch that neither a process has used nor its idleness. It is looked again until no
/// processor has switched meanwhile.
fn nobodys_time() -> Result<[u64; MAX_CPUS], Failure> {
    const TRIES: u32 = 1000;
    for _ in 0..TRIES {
        let times = all_times()?;
        let mut rest = times.map(|time| time.total.wrapping_sub(time.idle));
        for slot in 0..Endpoint::SLOTS as u64 {
            match sys::getinfo().process(GetProcess { slot }) {
                Ok(process) => {
                    let rest = &mut rest[usize::from(process.cpu) % MAX_CPUS];
                    *rest = rest.wrapping_sub(process.cycles);
                }
                Err(Errno::Srch) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if all_times()? == times {
            return Ok(rest);
        }
    }
    check!(false, "processors switch all the time");
    Ok([0; MAX_CPUS])
}

/// The times of all processors; nothing for those that do not run.
fn all_times() -> Result<[IdleTime; MAX_CPUS], Failure> {
    let mut times = [IdleTime { idle: 0, total: 0 }; MAX_CPUS];
    for (cpu, time) in (0..cpus()?).zip(&mut times) {
        *time = sys::getinfo().idle_time(GetIdleTime { cpu })?;
    }
    Ok(times)
}
