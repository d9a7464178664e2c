//! Messages arrive whole, from whom they say, and in order.

use crate::peers::{Peer, WORDS, me, message_from, program};
use abi::{Endpoint, Kind, Message, Status, Trap};
use suite::{Outcome, check, check_eq};

pub(crate) fn a_queued_message_arrives_whole() -> Outcome {
    let a = Peer::named("a")?;
    a.send_to(me()?)?;
    check!(!a.is_idle()?, "the sender did not wait");
    let got = rt::receive(a.0)?;
    check_eq!(got.message, message_from(a.0, WORDS));
    check_eq!(got.status, Status::sent_with(Trap::Send));
    check_eq!(a.result()?, Ok(0));
    Ok(())
}

pub(crate) fn a_message_to_a_waiting_receiver_arrives_whole() -> Outcome {
    let a = Peer::named("a")?;
    let words = WORDS.map(|w| !w);
    for (trap, from) in [(Trap::Send, Endpoint::ANY), (Trap::SendNb, me()?)] {
        a.receive_from(from)?;
        let message = Message { peer: a.0, ..message_from(a.0, words) };
        if trap == Trap::Send {
            rt::send(&message)?
        } else {
            rt::send_nb(&message)?
        }
        let outcome = a.outcome()?;
        check_eq!(outcome.rax, 0);
        check_eq!(outcome.rdi, u64::from(me()?.raw()));
        check_eq!(outcome.rsi, message.header());
        check_eq!(Status(outcome.rdx), Status::sent_with(trap));
        check_eq!(outcome.digest, peer::digest(&message.body));
    }
    Ok(())
}

pub(crate) fn senders_are_served_in_turn() -> Outcome {
    let senders = [Peer::named("c")?, Peer::named("a")?, Peer::named("b")?];
    for sender in senders {
        sender.send_to(me()?)?;
    }
    for sender in senders {
        check_eq!(rt::receive(Endpoint::ANY)?.message, message_from(sender.0, WORDS));
        check_eq!(sender.result()?, Ok(0));
    }
    Ok(())
}

pub(crate) fn receiving_from_one_passes_over_the_others() -> Outcome {
    let [a, b, c] = [Peer::named("a")?, Peer::named("b")?, Peer::named("c")?];
    for sender in [a, b, c] {
        sender.send_to(me()?)?;
    }
    check_eq!(rt::receive(c.0)?.message.peer, c.0);
    check!(c.is_idle()? && !a.is_idle()? && !b.is_idle()?, "another sender went on");
    check_eq!(rt::receive(b.0)?.message.peer, b.0);
    check_eq!(rt::receive(Endpoint::ANY)?.message.peer, a.0);
    Ok(())
}

pub(crate) fn a_tag_comes_back_with_the_answer() -> Outcome {
    for tag in [0, 1, 0x8000, 0xffff] {
        let mut message = Message { peer: program("echo")?, tag, ..Message::new(Endpoint::NONE, Kind(0x7002)) };
        rt::sendrec(&mut message)?;
        check_eq!(message.tag, tag);
        check_eq!(message.kind, Kind::OK);
        check_eq!(message.peer, program("echo")?);
    }
    Ok(())
}
