//! Programs on other processors that write through a mapping all the time, while it is taken back.

use crate::kit::*;
use crate::party::{LEN, LENDING_CALLS, PAGES, Party, party};
use abi::Errno;
use family::{Plan, spin};
use protocol::getinfo::GetMachine;
use suite::{Outcome, check, check_eq};
use sys::grants::{Rights, scope};

/// One that writes by itself, on a processor besides the suite's, if there is one. Where there is not, it is as urgent as `echo`,
/// so that [`settle`](family::kit::settle) ends.
fn writer(number: u64) -> Result<Plan, Errno> {
    const LEAST_URGENT: i32 = 15;
    let others = sys::getinfo().machine(GetMachine {})?.cpus - 1;
    let plan = Plan { priority: LEAST_URGENT, ..Plan::new(party)?.calls(LENDING_CALLS) };
    Ok(plan.on(if others == 0 { 0 } else { 1 + number % others }))
}

/// The suite is the owner. One writer maps its grant, one what was handed on once, and one what was handed on twice.
pub(crate) fn whoever_maps_writes_no_more_after_a_revoke() -> Outcome {
    const ROUNDS: u64 = 30;
    /// How often the memory is looked at after it was taken back.
    const LOOKS: u64 = 50;
    let relays = [Party::start()?, Party::start()?];
    let start = |number| Party::start_with(&writer(number)?, PAGES);
    let writers = [start(0)?, start(1)?, start(2)?];
    for round in 0..ROUNDS {
        paint_mine(round);
        scope(|scope| {
            let shared = |to| scope.share(&MINE, Rights::READ_WRITE, to);
            let [a, b, c] = writers.each_ref().map(Party::endpoint);
            let (direct, handed) = (shared(a)?, shared(relays[0].endpoint())?);
            let first = received(handed.id())?;
            let once = relays[0].hands_on(first, 0, LEN, true, b)?;
            let on = relays[0].hands_on(first, 0, LEN, true, relays[1].endpoint())?;
            let twice = relays[1].hands_on(on, 0, LEN, true, c)?;
            for (number, (writer, grant)) in writers.iter().zip([received(direct.id())?, once, twice]).enumerate() {
                writer.maps_and_writes(grant, number as u64)?;
            }
            writers.iter().try_for_each(Party::goes_on_writing)?;
            for number in 0..writers.len() {
                check!(
                    (0..PAGES).all(|page| MINE.load(first_of(page) + number) < 1 << 32),
                    "writer {number} is not seen"
                );
            }
            // Not always at the same moment of a writer's round.
            spin(round * 41);
            drop(direct);
            drop(handed);
            let taken_back = mine_now();
            (0..LOOKS).try_for_each(|_| same(taken_back))?;
            // The owner writes first, then the writers go on for a while.
            MINE.store(first_of(1) + 5, round);
            let written = mine_now();
            (0..LOOKS).try_for_each(|_| same(written))?;
            writers.iter().try_for_each(Party::goes_on_writing)?;
            same(written)?;
            relays[0].revokes(once)?;
            relays[0].revokes(on)?;
            relays[1].revokes(twice)?;
            writers.iter().try_for_each(Party::stops_writing)?;
            writers.iter().try_for_each(Party::forgets_mapping)?;
            same(written)
        })?;
    }
    writers.into_iter().try_for_each(Party::end)?;
    relays.into_iter().try_for_each(Party::end)
}

/// The suite's memory is what it was.
#[track_caller]
fn same(before: u64) -> Outcome {
    let line = core::panic::Location::caller().line();
    check_eq!((line, mine_now()), (line, before));
    Ok(())
}
