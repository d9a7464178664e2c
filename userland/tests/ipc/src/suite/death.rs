//! The end of a process.

use crate::peers::{Peer, WORDS, me, message_from};
use abi::{Endpoint, Errno, Message, Trap};
use peer::Leave;
use protocol::{Call, encode};
use suite::{Outcome, check, check_eq};

pub(crate) fn whoever_is_in_sendrec_is_told() -> Outcome {
    let mortal = Peer::named("mortal1")?;
    let order = Message { peer: mortal.0, ..encode(Leave::KIND, &Leave {}) };
    let mut message = order;
    check_eq!(rt::sendrec(&mut message), Err(Errno::DeadSrcDst));
    check_eq!(message, order);
    Ok(())
}

pub(crate) fn whoever_receives_from_the_dead_is_told() -> Outcome {
    let [a, mortal] = [Peer::named("a")?, Peer::named("mortal2")?];
    a.receive_from(mortal.0)?;
    mortal.end()?;
    check_eq!(a.result()?, Err(Errno::DeadSrcDst));
    Ok(())
}

pub(crate) fn whoever_sends_to_the_dead_is_told() -> Outcome {
    let [a, b, mortal] = [Peer::named("a")?, Peer::named("b")?, Peer::named("mortal3")?];
    a.send_to(mortal.0)?;
    b.perform(Trap::SendRec, mortal.0, Endpoint::NONE)?;
    check!(!a.is_idle()? && !b.is_idle()?, "they do not wait");
    mortal.end()?;
    for sender in [a, b] {
        let outcome = sender.outcome()?;
        check_eq!(outcome.rax as i64, Errno::DeadSrcDst.to_result());
        check_eq!(outcome.digest, peer::digest(&peer::body(WORDS)));
    }
    Ok(())
}

pub(crate) fn whoever_receives_from_anybody_goes_on_waiting() -> Outcome {
    let [a, mortal] = [Peer::named("a")?, Peer::named("mortal4")?];
    a.receive_from(Endpoint::ANY)?;
    // What the dead left behind: a notification, which goes with it.
    mortal.perform(Trap::Notify, me()?, Endpoint::NONE)?;
    mortal.end()?;
    let message = message_from(a.0, WORDS);
    rt::send_nb(&message)?;
    let outcome = a.outcome()?;
    check_eq!((outcome.rax, outcome.rdi, outcome.rsi), (0, u64::from(me()?.raw()), message.header()));
    a.send_to(me()?)?;
    check_eq!(rt::receive(Endpoint::ANY)?.message, message_from(a.0, WORDS));
    Ok(())
}

pub(crate) fn the_dead_stay_dead() -> Outcome {
    for name in ["mortal1", "mortal2", "mortal3", "mortal4"] {
        let mortal = Peer::named(name)?;
        check_eq!(rt::send(&message_from(mortal.0, WORDS)), Err(Errno::DeadSrcDst));
        check_eq!(rt::send_nb(&message_from(mortal.0, WORDS)), Err(Errno::DeadSrcDst));
        check_eq!(rt::notify(mortal.0), Err(Errno::DeadSrcDst));
        check_eq!(rt::receive(mortal.0).map(drop), Err(Errno::DeadSrcDst));
    }
    Ok(())
}
