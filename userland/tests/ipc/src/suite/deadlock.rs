//! Waiting that would never end is refused to the one that closes the circle.

use crate::peers::{Peer, WORDS, me, message_from};
use abi::{Endpoint, Errno, Message, Status, Trap};
use suite::{Outcome, check, check_eq};

pub(crate) fn two_that_send_to_each_other() -> Outcome {
    let a = Peer::named("a")?;
    a.send_to(me()?)?;
    check_eq!(rt::send(&message_from(a.0, WORDS)), Err(Errno::Locked));
    check_eq!(rt::sendrec(&mut message_from(a.0, WORDS)), Err(Errno::Locked));
    // A sender and its receiver meet.
    check_eq!(rt::receive(a.0)?.message, message_from(a.0, WORDS));
    check_eq!(a.result()?, Ok(0));
    Ok(())
}

pub(crate) fn two_that_receive_from_each_other() -> Outcome {
    let a = Peer::named("a")?;
    check!(a.is_idle()?, "it waits for the suite");
    check_eq!(rt::receive(a.0).map(drop), Err(Errno::Locked));
    check!(a.is_idle()?);
    Ok(())
}

pub(crate) fn a_circle_of_three() -> Outcome {
    let [a, b] = [Peer::named("a")?, Peer::named("b")?];
    b.perform(Trap::SendRec, me()?, Endpoint::NONE)?;
    a.perform(Trap::SendRec, b.0, Endpoint::NONE)?;
    check_eq!(rt::send(&message_from(a.0, WORDS)), Err(Errno::Locked));
    check_eq!(rt::sendrec(&mut message_from(a.0, WORDS)), Err(Errno::Locked));
    check_eq!(rt::receive(a.0).map(drop), Err(Errno::Locked));
    // Undone from its open end.
    check_eq!(rt::receive(Endpoint::ANY)?.message, message_from(b.0, WORDS));
    rt::send_nb(&message_from(b.0, WORDS))?;
    check_eq!(b.result()?, Ok(0));
    b.receive_from(Endpoint::ANY)?;
    check_eq!(b.outcome()?.rdi, u64::from(a.0.raw()));
    b.perform(Trap::SendNb, a.0, Endpoint::NONE)?;
    check_eq!(b.result()?, Ok(0));
    check_eq!(a.result()?, Ok(0));
    Ok(())
}

pub(crate) fn sending_to_oneself() -> Outcome {
    // The policy of the suite names itself: the kernel leaves that out.
    check_eq!(rt::send(&message_from(me()?, WORDS)), Err(Errno::CallDenied));
    check_eq!(rt::sendrec(&mut message_from(me()?, WORDS)), Err(Errno::CallDenied));
    check_eq!(rt::send_nb(&message_from(me()?, WORDS)), Err(Errno::CallDenied));
    check_eq!(rt::notify(me()?), Err(Errno::CallDenied));
    check_eq!(rt::receive(me()?).map(drop), Err(Errno::Locked));
    Ok(())
}

pub(crate) fn a_failed_sendrec_leaves_no_trace() -> Outcome {
    let a = Peer::named("a")?;
    a.send_to(me()?)?;
    check_eq!(rt::sendrec(&mut message_from(a.0, WORDS)), Err(Errno::Locked));
    rt::receive(a.0)?;
    // What is sent now is a plain SEND, and notifications are taken again.
    a.receive_from(Endpoint::ANY)?;
    rt::send(&Message { peer: a.0, ..message_from(a.0, WORDS) })?;
    check_eq!(Status(a.outcome()?.rdx), Status::sent_with(Trap::Send));
    a.perform(Trap::Notify, me()?, Endpoint::NONE)?;
    check!(rt::receive(Endpoint::ANY)?.status.is_notification());
    Ok(())
}
