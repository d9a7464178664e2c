//! The slot swap of a live update.

use crate::kit::{called, child, obedient, order, perform, received, registers, result, settle, some_message};
use abi::{Endpoint, Errno, Kind, Message, Trap};
use core::mem::swap;
use family::{Board, Child, free_slot, me, programs, seed};
use protocol::getinfo::ProcessInfo;
use protocol::kernel::*;
use protocol::privctl::{Allow, Disallow};
use suite::{Outcome, check, check_eq};
use sys::{kernel, privctl};

/// Swaps two children: each goes on under the endpoint of the other. Who lives where is swapped here too.
fn update(source: &mut Child, destination: &mut Child, direction: UpdateDirection) -> Outcome {
    kernel().update(Update { source: source.endpoint, destination: destination.endpoint, direction })?;
    swap(&mut source.home, &mut destination.home);
    Ok(())
}

/// A message that receives from somebody.
fn receive(child: &Child, from: Endpoint) -> Outcome {
    order(child, registers(Trap::Receive, &Message::new(Endpoint::NONE, Kind(0)), from))
}

pub(crate) fn a_client_gets_the_answer_of_the_new_instance() -> Outcome {
    let (mut old, mut new) = (obedient(&[])?, obedient(&[])?);
    let client = obedient(&[])?;
    perform(&client, Trap::SendRec, old.endpoint, Endpoint::NONE)?;
    receive(&old, client.endpoint)?;
    check_eq!(received(&old), crate::kit::message_from(&client));
    update(&mut old, &mut new, UpdateDirection::Forward)?;
    // Whoever answers under that name now has the client's trust.
    let answer = Message { body: [42; 7], ..Message::new(client.endpoint, Kind::OK) };
    order(&old, registers(Trap::SendNb, &answer, Endpoint::NONE))?;
    check_eq!((result(&old), result(&client)), (Ok(0), Ok(0)));
    check_eq!(received(&client), Message { peer: old.endpoint, ..answer });
    for child in [old, new, client] {
        child.end()?;
    }
    Ok(())
}

pub(crate) fn what_was_on_its_way_reaches_the_new_instance() -> Outcome {
    let (mut old, mut new) = (obedient(&["setalarm"])?, obedient(&["setalarm"])?);
    let (sender, notifier) = (obedient(&[])?, obedient(&[])?);
    called(&old, &SetAlarm { ticks: 3, absolute: 0 })??;
    perform(&sender, Trap::Send, old.endpoint, Endpoint::NONE)?;
    perform(&notifier, Trap::Notify, old.endpoint, Endpoint::NONE)?;
    update(&mut old, &mut new, UpdateDirection::Forward)?;
    crate::kit::nap(6)?;
    check_eq!(old.board().get(Board::COUNT), 0);
    for from in [Endpoint::CLOCK, notifier.endpoint, sender.endpoint] {
        receive(&old, Endpoint::ANY)?;
        check_eq!((result(&old), received(&old).peer), (Ok(0), from));
    }
    check_eq!(received(&old), crate::kit::message_from(&sender));
    // Nothing has come to the other one.
    perform(&new, Trap::SendNb, me()?, Endpoint::NONE)?;
    receive(&new, Endpoint::ANY)?;
    check_eq!(new.board().get(Board::COUNT), 2);
    for child in [old, new, sender, notifier] {
        child.end()?;
    }
    Ok(())
}

/// What must be the same after a swap there and back.
fn view(child: &Child) -> Result<ProcessInfo, Errno> {
    child.info().map(|info| ProcessInfo { cycles: 0, ..info })
}

pub(crate) fn there_and_back_again() -> Outcome {
    let (mut old, mut new) = (obedient(&[])?, child(programs::count)?);
    privctl().disallow(Disallow { process: new.endpoint })?;
    let client = obedient(&[])?;
    perform(&client, Trap::SendRec, old.endpoint, Endpoint::NONE)?;
    let before = [view(&old)?, view(&new)?, view(&client)?].map(facts);
    for _ in 0..10 {
        update(&mut old, &mut new, UpdateDirection::Forward)?;
        check!(facts(view(&old)?) != before[0], "nothing is swapped");
        update(&mut old, &mut new, UpdateDirection::Rollback)?;
        check_eq!([view(&old)?, view(&new)?, view(&client)?].map(facts), before);
    }
    receive(&old, client.endpoint)?;
    check_eq!(received(&old), crate::kit::message_from(&client));
    privctl().allow(Allow { process: new.endpoint })?;
    crate::kit::nap(2)?;
    check!(new.board().get(Board::COUNT) > 0, "the new one does not run");
    for child in [old, new, client] {
        child.end()?;
    }
    Ok(())
}

/// The same as numbers, which can be compared.
fn facts(info: ProcessInfo) -> [u32; 7] {
    let ProcessInfo { flags, endpoint, waits_for, scheduler, privilege_id, cpu, priority, .. } = info;
    [flags, endpoint.raw(), waits_for.raw(), scheduler.raw(), privilege_id, cpu.into(), priority.into()]
}

pub(crate) fn a_failing_instance_that_sends_is_taken_back() -> Outcome {
    let (mut old, mut new) = (obedient(&[])?, obedient(&[])?);
    update(&mut old, &mut new, UpdateDirection::Forward)?;
    // The new one sends to the suite under the old name, and is frozen.
    perform(&old, Trap::Send, me()?, Endpoint::NONE)?;
    privctl().disallow(Disallow { process: old.endpoint })?;
    let refused = Update { source: old.endpoint, destination: new.endpoint, direction: UpdateDirection::Forward };
    check_eq!(kernel().update(refused).err(), Some(Errno::Busy));
    update(&mut old, &mut new, UpdateDirection::Rollback)?;
    // Its message is gone, and the old one obeys under its own name.
    crate::kit::nap(1)?;
    perform(&old, Trap::SendNb, me()?, Endpoint::NONE)?;
    check_eq!((old.board().get(Board::COUNT), result(&old)), (1, Err(Errno::NotReady)));
    old.end()?;
    new.end()
}

pub(crate) fn swaps_that_cannot_be() -> Outcome {
    let (waits, sends, runs) = (obedient(&[])?, obedient(&[])?, child(programs::count)?);
    sys::trace().stop(protocol::trace::Stop { process: runs.endpoint })?;
    perform(&sends, Trap::SendRec, me()?, Endpoint::NONE)?;
    let user = kernel().fork(Fork { parent: seed()?, slot: free_slot()? })?.child;
    let refused = |source, destination| {
        let directions = [UpdateDirection::Forward, UpdateDirection::Rollback];
        let errors = directions.map(|direction| kernel().update(Update { source, destination, direction }).err());
        if errors[0] == errors[1] { errors[0] } else { None }
    };
    for (other, errno) in [
        (sends.endpoint, Errno::Busy),
        (runs.endpoint, Errno::Busy),
        (me()?, Errno::Busy),
        (user, Errno::Perm),
        (waits.endpoint, Errno::Inval),
        (waits.endpoint.next_generation(), Errno::Inval),
        (Endpoint::NONE, Errno::Inval),
        (Endpoint::SYSTEM, Errno::Inval),
    ] {
        check_eq!(refused(waits.endpoint, other), Some(errno));
        check_eq!(refused(other, waits.endpoint), Some(errno));
    }
    kernel().clear(Clear { process: user })?;
    rt::send_nb(&some_message(sends.endpoint)).err();
    settle()?;
    for child in [waits, sends, runs] {
        child.end()?;
    }
    Ok(())
}
