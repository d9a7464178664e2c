//! REPLY_RECEIVE.

use crate::peers::{Peer, WORDS, me, message_from, program};
use abi::{Endpoint, Errno, Kind, Message, Status, Trap};
use protocol::echo::{Client, Reverse};
use suite::{Outcome, check, check_eq};
use sys::Ipc;

/// What the suite answers with: nothing like what peers send.
fn answer(to: Endpoint) -> Message {
    Message { peer: to, kind: Kind::OK, tag: 0x4242, body: peer::body(WORDS.map(u64::swap_bytes)) }
}

pub(crate) fn an_answer_needs_no_right_to_send() -> Outcome {
    // By its manifest `echo` may send to nobody.
    let mut echo = Client { to: program("echo")?, transport: Ipc::default() };
    for first in 0..100 {
        let words = [first, 2, 3, 4, 5, 6, u64::MAX];
        check_eq!(echo.reverse(Reverse { words })?.words, [u64::MAX, 6, 5, 4, 3, 2, first]);
    }
    Ok(())
}

pub(crate) fn answers_and_receives_what_waits() -> Outcome {
    let [a, b] = [Peer::named("a")?, Peer::named("b")?];
    a.perform(Trap::SendRec, me()?, Endpoint::NONE)?;
    let request = rt::receive(Endpoint::ANY)?;
    check_eq!(request.message, message_from(a.0, WORDS));
    check!(request.status.wants_reply());
    b.send_to(me()?)?;
    let next = rt::reply_receive(&answer(a.0), Endpoint::ANY)?;
    check_eq!(next.message, message_from(b.0, WORDS));
    check_eq!(next.status, Status::sent_with(Trap::Send));
    let outcome = a.outcome()?;
    check_eq!((outcome.rax, outcome.rdi), (0, u64::from(me()?.raw())));
    check_eq!(outcome.rsi, answer(a.0).header());
    check_eq!(outcome.digest, peer::digest(&answer(a.0).body));
    Ok(())
}

pub(crate) fn a_failed_answer_is_told_by_the_status() -> Outcome {
    let [a, b, c] = [Peer::named("a")?, Peer::named("b")?, Peer::named("c")?];
    let fails = |wrong: Peer, sender: Peer| -> Outcome {
        sender.send_to(me()?)?;
        let got = rt::reply_receive(&answer(wrong.0), sender.0)?;
        check_eq!(got.status, Status::sent_with(Trap::Send).with_failed_reply(Errno::NotReady));
        check_eq!(got.message, message_from(sender.0, WORDS));
        Ok(())
    };
    // To somebody idle, in SENDREC with somebody else, and in SENDREC with the suite, but not taken yet.
    fails(a, c)?;
    b.perform(Trap::SendRec, c.0, Endpoint::NONE)?;
    fails(b, c)?;
    c.perform(Trap::SendRec, me()?, Endpoint::NONE)?;
    fails(c, a)?;
    // Once it is taken, the answer arrives.
    check_eq!(rt::receive(c.0)?.message, message_from(c.0, WORDS));
    a.send_to(me()?)?;
    check_eq!(rt::reply_receive(&answer(c.0), a.0)?.status, Status::sent_with(Trap::Send));
    check_eq!(c.outcome()?.digest, peer::digest(&answer(c.0).body));
    c.receive_from(b.0)?;
    c.perform(Trap::SendNb, b.0, Endpoint::NONE)?;
    check_eq!(b.result()?, Ok(0));
    Ok(())
}

pub(crate) fn an_answer_to_nobody_receives_all_the_same() -> Outcome {
    let a = Peer::named("a")?;
    let stale = Endpoint::from_raw(a.0.raw() | 1 << 15);
    for nobody in [Endpoint::NONE, Endpoint::SELF, Endpoint::ANY, stale, Endpoint::from_raw(u32::MAX)] {
        a.send_to(me()?)?;
        let got = rt::reply_receive(&answer(nobody), Endpoint::ANY)?;
        check_eq!(got.message, message_from(a.0, WORDS));
        check_eq!(got.status.failed_reply(), Some(Errno::DeadSrcDst));
    }
    Ok(())
}
