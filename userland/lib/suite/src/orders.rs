//! Orders: how a suite has other programs, its players, do things.
//!
//! A player asks the suite for the next order with SENDREC, and so tells what has become of the last one. While it waits it can be forked, and
//! a child of it waits for an order, too. What orders there are is each suite's own: an enumeration with `repr(u64)`.

use abi::{Endpoint, Errno, Kind, Message};
use protocol::{Call, Transport, decode, encode, reply};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// The arguments of an order, and what it results in.
pub type Words = [u64; 6];

/// Nothing to tell.
pub const NOTHING: Words = [0; 6];

mod calls {
    //! The calls between players and suite.

    protocol::protocol! {
        player = 0x7200;

        /// The last order has been carried out; the next one is wanted.
        1 fn next(Next {
            /// 0, or the error of a call.
            error: u64,
            words: [u64; 6]
        }) -> Order {
            /// What to do.
            what: u64,
            words: [u64; 6]
        };
    }
}

use calls::Order;
pub use calls::{Next, PROTOCOL};

/// One word.
#[must_use]
pub fn one(word: u64) -> Words {
    [word, 0, 0, 0, 0, 0]
}

/// Carries out one order after the other. What is no order is answered with `EINVAL`. Returns only if the suite cannot be asked any more, or
/// answers what is no order: the program's status then.
pub fn obey<D>(suite: Endpoint, mut carry_out: impl FnMut(D, &Words) -> Result<Words, Errno>) -> u64
where
    D: TryFromBytes + KnownLayout + Immutable,
{
    let mut done = Ok(NOTHING);
    loop {
        let (error, words) = match done {
            Ok(words) => (0, words),
            Err(error) => (error as u64, NOTHING),
        };
        let mut message = Message { peer: suite, ..encode(Next::KIND, &Next { error, words }) };
        // Without a tag of its own: it can be forked, and be asked by a child that has made no call yet.
        if rt::sendrec(&mut message).is_err() {
            return 2;
        }
        let Ok(Order { what, words }) = decode(&message) else { return 3 };
        done =
            D::try_read_from_bytes(what.as_bytes()).map_err(|_| Errno::Inval).and_then(|what| carry_out(what, &words));
    }
}

/// The request that a player is to make: its kind, and its payload.
#[must_use]
pub fn request(words: &Words) -> Message {
    let mut message = Message::new(Endpoint::NONE, Kind(words[0] as u16));
    message.body[..5].copy_from_slice(&words[1..]);
    message
}

/// Makes it, and tells the payload of the answer.
///
/// # Errors
/// That the request cannot be sent, or what it is answered with.
pub fn ask(transport: &mut impl Transport, server: Endpoint, words: &Words) -> Result<Words, Errno> {
    let mut message = request(words);
    transport.sendrec(server, &mut message)?;
    message.kind.status().ok_or(Errno::Proto)??;
    Ok(core::array::from_fn(|i| message.body[i]))
}

/// The words by which a player is told to make a call; `None` if they have no room for it.
#[must_use]
pub fn words_of<C: Call>(call: &C) -> Option<Words> {
    let mut words = one(C::KIND.0.into());
    words[1..].as_mut_bytes().get_mut(..size_of::<C>())?.copy_from_slice(call.as_bytes());
    Some(words)
}

/// What a call that a player has made is answered with.
///
/// # Errors
/// `EPROTO` if that is no answer.
pub fn reply_of<C: Call>(words: &Words) -> Result<C::Reply, Errno> {
    C::Reply::try_read_from_prefix(words.as_bytes()).map(|(reply, _)| reply).map_err(|_| Errno::Proto)
}

/// Tells a player what to do, which waits for that with this request.
///
/// # Errors
/// That it does not wait.
pub fn order(waits: &Message, what: u64, arguments: &[u64]) -> Result<(), Errno> {
    let mut words = NOTHING;
    words[..arguments.len()].copy_from_slice(arguments);
    rt::send_nb(&reply(waits, Ok(&Order { what, words })))
}

/// What a player that asks for the next order tells of the last one.
///
/// # Errors
/// `EINVAL` if the message is not such a request.
pub fn outcome(request: &Message) -> Result<Result<Words, Errno>, Errno> {
    let Next { error, words } = decode(request)?;
    if error == 0 {
        return Ok(Ok(words));
    }
    Ok(Err(u16::try_from(error).ok().and_then(Errno::from_number).unwrap_or(Errno::Proto)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::vm::Brk;

    struct Answers(Message);

    impl Transport for Answers {
        fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
            (self.0, *message) = (*message, Message { kind: self.0.kind, ..*message });
            Ok(())
        }
    }

    #[test]
    fn a_call_goes_by_words_and_comes_back() {
        let words = words_of(&Brk { end: 0x1234 }).unwrap();
        let mut server = Answers(Message::new(Endpoint::NONE, Kind::OK));
        let answered = ask(&mut server, Endpoint::NONE, &words).unwrap();
        assert_eq!((server.0.kind, decode(&server.0)), (Brk::KIND, Ok(Brk { end: 0x1234 })));
        assert_eq!(reply_of::<Brk>(&answered).map(|done| done.end), Ok(0x1234));
    }

    #[test]
    fn what_fails_is_told() {
        for (kind, error) in [(Kind::failed(Errno::NoMem), Errno::NoMem), (Brk::KIND, Errno::Proto)] {
            let mut server = Answers(Message::new(Endpoint::NONE, kind));
            assert_eq!(ask(&mut server, Endpoint::NONE, &one(Brk::KIND.0.into())), Err(error));
        }
    }

    #[test]
    fn an_outcome_is_words_or_an_error() {
        let words = [1, 2, 3, 4, 5, 6];
        let told = |error| outcome(&encode(Next::KIND, &Next { error, words })).unwrap();
        assert_eq!((told(0), told(Errno::Busy as u64)), (Ok(words), Err(Errno::Busy)));
        assert_eq!(told(1 << 40), Err(Errno::Proto), "no error has this number");
    }

    #[test]
    fn a_call_that_is_too_long_has_no_words() {
        assert!(words_of(&Next { error: 0, words: NOTHING }).is_none());
    }
}
