//! A client believes no server: whatever comes back is a reply of the right form, or an error.

use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message};
use protocol::Transport;
use protocol::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// A type that few bit patterns are values of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u64)]
pub enum Mode {
    /// Zero.
    Off = 0,
    /// One.
    On = 1,
}

mod switch {
    use super::Mode;

    protocol::protocol! {
        switch = 0x7700;
        /// Turns it, and says what it was before.
        1 fn turn(Turn { to: Mode }) -> Turned { from: Mode };
    }
}

/// Brings back the same thing always, and keeps what was sent.
struct Canned {
    answer: Result<Message, Errno>,
    sent: Vec<(Endpoint, Message)>,
}

impl Transport for &mut Canned {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        self.sent.push((to, *message));
        *message = self.answer?;
        Ok(())
    }
}

const SERVER: Endpoint = Endpoint::from_raw(9);

fn turn(answer: Result<Message, Errno>) -> Result<switch::Turned, Errno> {
    let mut canned = Canned { answer, sent: Vec::new() };
    let result = switch::Client { to: SERVER, transport: &mut canned }.turn(switch::Turn { to: Mode::On });
    let (to, sent) = canned.sent[0];
    assert_eq!((canned.sent.len(), to, sent.kind), (1, SERVER, Kind(0x7701)));
    assert_eq!(sent.body, [1, 0, 0, 0, 0, 0, 0]);
    result
}

fn answered(kind: Kind, first_word: u64) -> Result<switch::Turned, Errno> {
    let mut message = Message { body: [u64::MAX; BODY_WORDS], ..Message::new(SERVER, kind) };
    message.body[0] = first_word;
    turn(Ok(message))
}

#[test]
fn a_good_reply_is_read() {
    assert_eq!(answered(Kind::OK, 0), Ok(switch::Turned { from: Mode::Off }));
    assert_eq!(answered(Kind::OK, 1), Ok(switch::Turned { from: Mode::On }));
}

#[test]
fn every_error_of_the_server_arrives() {
    for &errno in Errno::ALL {
        assert_eq!(answered(Kind::failed(errno), 0), Err(errno));
    }
}

#[test]
fn an_error_number_that_is_not_ours_is_a_broken_protocol() {
    for number in [100, 199, 0x7ffe, 0x7fff] {
        assert_eq!(Errno::from_number(number), None);
        assert_eq!(answered(Kind(0x8000 | number), 0), Err(Errno::Proto));
    }
}

#[test]
fn what_is_no_reply_is_a_broken_protocol() {
    for kind in (0..0x8000).map(Kind) {
        assert_eq!(answered(kind, 0), Err(Errno::Proto), "{kind:?}");
    }
}

#[test]
fn a_malformed_reply_is_a_broken_protocol() {
    for word in [2, 1 << 32, u64::MAX] {
        assert_eq!(answered(Kind::OK, word), Err(Errno::Proto), "{word:#x}");
    }
}

#[test]
fn an_error_of_the_transport_arrives() {
    for &errno in Errno::ALL {
        assert_eq!(turn(Err(errno)), Err(errno));
    }
}
