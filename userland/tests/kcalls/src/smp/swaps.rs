//! The slot swap while other processors are busy with both.

use crate::elsewhere::{counts_on, end_all, plan, when_left};
use family::{Board, Child, free_slot, programs, until};
use protocol::kernel::{Update, UpdateDirection};
use suite::{Outcome, check, check_eq};
use sys::kernel;

/// Each call is served once, by one of both.
pub(crate) fn clients_notice_nothing_of_swaps() -> Outcome {
    const SWAPS: u64 = 100;
    let (old, new) = (Child::start(&plan(programs::serve, 0)?)?, Child::start(&plan(programs::serve, 1)?)?);
    let client = Child::prepare(&plan(programs::call, 2)?, free_slot()?)?;
    client.board().set(Board::PARTNER, old.endpoint.raw().into());
    client.allow()?;
    let call = Update { source: old.endpoint, destination: new.endpoint, direction: UpdateDirection::Forward };
    for _ in 0..SWAPS {
        counts_on(client.board())?;
        when_left(|| kernel().update(call))?;
    }
    counts_on(client.board())?;
    client.board().set(Board::ARGUMENT, 1);
    until(|| client.board().get(Board::RESULT) == 1)?;
    let served = [&old, &new].map(|server| server.board().get(Board::COUNT));
    check_eq!(served[0] + served[1], client.board().get(Board::COUNT));
    check!(served[0] > 0 && served[1] > 0, "served: {served:?}");
    check_eq!(client.board().get(Board::TROUBLE), 0);
    end_all([old, new, client])
}
