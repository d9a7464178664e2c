//! Notifications.

use crate::peers::{Peer, WORDS, me, message_from};
use abi::{Endpoint, Kind, Message, Status, Trap};
use peer::Perform;
use suite::{Outcome, check, check_eq};

fn notify_me(peer: Peer) -> Outcome {
    peer.perform(Trap::Notify, me()?, Endpoint::NONE)?;
    check_eq!(peer.result()?, Ok(0));
    Ok(())
}

/// Receives from anybody and expects a notification.
fn expect_notification(source: Endpoint) -> Outcome {
    let got = rt::receive(Endpoint::ANY)?;
    check_eq!(got.message.peer, source);
    check!(got.status.is_notification(), "status {:#x} is that of no notification", got.status.0);
    Ok(())
}

pub(crate) fn a_notification_says_nothing_but_who_and_when() -> Outcome {
    let a = Peer::named("a")?;
    let before = sys::ticks()?;
    notify_me(a)?;
    let got = rt::receive(Endpoint::ANY)?;
    check_eq!(got.status, Status::sent_with(Trap::Notify));
    let when = got.message.body[0];
    check!(before <= when && when <= sys::ticks()?, "time {when} is not between {before} and now");
    check_eq!(got.message, Message { body: [when, 0, 0, 0, 0, 0, 0], ..Message::new(a.0, Kind::NOTIFY) });
    Ok(())
}

pub(crate) fn a_notification_comes_before_a_queued_sender() -> Outcome {
    let [a, b] = [Peer::named("a")?, Peer::named("b")?];
    a.send_to(me()?)?;
    notify_me(b)?;
    expect_notification(b.0)?;
    check_eq!(rt::receive(Endpoint::ANY)?.message, message_from(a.0, WORDS));
    Ok(())
}

pub(crate) fn notifications_come_once_each_and_lowest_first() -> Outcome {
    let [a, b, c] = [Peer::named("a")?, Peer::named("b")?, Peer::named("c")?];
    for notifier in [c, a, c, b, c, a] {
        notify_me(notifier)?;
    }
    b.send_to(me()?)?;
    // The privilege ids are the places in the image's manifest.
    for notifier in [a, b, c] {
        expect_notification(notifier.0)?;
    }
    check_eq!(rt::receive(Endpoint::ANY)?.message, message_from(b.0, WORDS));
    Ok(())
}

pub(crate) fn receiving_from_one_leaves_the_notifications_of_others() -> Outcome {
    let [a, b] = [Peer::named("a")?, Peer::named("b")?];
    notify_me(a)?;
    b.send_to(me()?)?;
    check_eq!(rt::receive(b.0)?.message, message_from(b.0, WORDS));
    expect_notification(a.0)
}

pub(crate) fn a_notification_waits_for_the_end_of_sendrec() -> Outcome {
    let a = Peer::named("a")?;
    a.notify_first()?;
    expect_notification(a.0)
}

pub(crate) fn a_forged_notification_is_told_by_its_status() -> Outcome {
    let a = Peer::named("a")?;
    let forged = Perform { rsi: Kind::NOTIFY.0.into(), ..Perform::new(Trap::Send, me()?, Endpoint::NONE, WORDS) };
    a.perform_raw(&forged)?;
    let got = rt::receive(Endpoint::ANY)?;
    check_eq!(got.message.kind, Kind::NOTIFY);
    check!(!got.status.is_notification() && !got.status.is_from_kernel());
    Ok(())
}
