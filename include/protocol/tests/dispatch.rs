//! The border between a server and its callers: what a message can be, and what must come of it.

use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use protocol::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use protocol::{Answer, Call, Caller, Transport, encode};

/// A type that few bit patterns are values of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u32)]
pub enum Colour {
    /// What a new lamp is painted.
    Red = 0,
    /// Between its neighbours.
    Green = 1,
    /// The last that is valid.
    Blue = 2,
}

mod lamp {
    use super::Colour;

    // A type of each sort: any bits, some bits, and nothing at all.
    protocol::protocol! {
        lamp = 0x7700;
        /// Any level up to the brightest.
        1 fn dim(Dim { level: u64 }) -> Dimmed { before: u64 };
        /// Only these colours.
        2 fn paint(Paint { colour: Colour, gloss: bool, reserved: [u8; 3] }) -> Painted { before: Colour };
        /// Answered when somebody switches the lamp off.
        5 fn wait(Wait {}) -> Waited {};
    }
}

const BRIGHTEST: u64 = 100;
const CALLER: Endpoint = Endpoint::from_raw(0x0001_8005);
const TAG: u16 = 0xbeef;

/// The server. Whoever gets past `dispatch` leaves a trace here.
#[derive(Debug, Default)]
struct Lamp {
    level: u64,
    colour: Option<Colour>,
    calls: Vec<&'static str>,
}

impl lamp::Server for Lamp {
    fn dim(&mut self, _: Caller, call: lamp::Dim) -> Answer<lamp::Dimmed> {
        self.calls.push(lamp::Dim::NAME);
        if call.level > BRIGHTEST {
            return Answer::Fail(Errno::Dom);
        }
        Answer::Reply(lamp::Dimmed { before: std::mem::replace(&mut self.level, call.level) })
    }

    fn paint(&mut self, _: Caller, call: lamp::Paint) -> Answer<lamp::Painted> {
        self.calls.push(lamp::Paint::NAME);
        Answer::Reply(lamp::Painted { before: self.colour.replace(call.colour).unwrap_or(Colour::Red) })
    }

    fn wait(&mut self, _: Caller, _: lamp::Wait) -> Answer<lamp::Waited> {
        self.calls.push(lamp::Wait::NAME);
        Answer::Later
    }
}

/// A kernel made of one function call.
struct Loop(Lamp);

impl Transport for &mut Loop {
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        message.peer = CALLER;
        message.tag = TAG;
        *message = lamp::dispatch(&mut self.0, message).ok_or(Errno::DeadSrcDst)?;
        Ok(())
    }
}

fn message(kind: Kind, body: [u64; BODY_WORDS]) -> Message {
    Message { peer: CALLER, kind, tag: TAG, body }
}

/// The refusal of `request`, of which the server must not have heard.
#[track_caller]
fn refusal(request: &Message) -> Errno {
    let mut server = Lamp::default();
    let answer = lamp::dispatch(&mut server, request).expect("a refusal is an answer");
    assert_eq!(server.calls, [""; 0], "reached the server: {request:?}");
    assert_eq!((answer.peer, answer.tag), (request.peer, request.tag), "a refusal goes back to its caller");
    assert_eq!(answer.body, [0; BODY_WORDS], "a refusal carries no payload");
    answer.kind.status().expect("a refusal is a reply").expect_err("a refusal is no success")
}

#[test]
fn round_trip() {
    let mut kernel = Loop(Lamp::default());
    let mut client = lamp::Client { to: Endpoint::from_raw(3), transport: &mut kernel };
    assert_eq!(client.dim(lamp::Dim { level: 40 }), Ok(lamp::Dimmed { before: 0 }));
    assert_eq!(client.dim(lamp::Dim { level: 50 }), Ok(lamp::Dimmed { before: 40 }));
    assert_eq!(client.dim(lamp::Dim { level: BRIGHTEST + 1 }), Err(Errno::Dom));
    let green = lamp::Paint { colour: Colour::Green, gloss: true, reserved: [0; 3] };
    assert_eq!(client.paint(green), Ok(lamp::Painted { before: Colour::Red }));
    assert_eq!(client.paint(green), Ok(lamp::Painted { before: Colour::Green }));
    assert_eq!((kernel.0.level, kernel.0.calls.len()), (50, 5));
}

#[test]
fn a_reply_goes_to_its_caller_with_its_tag() {
    let request = message(lamp::Dim::KIND, [7, 0, 0, 0, 0, 0, 0]);
    let answer = lamp::dispatch(&mut Lamp::default(), &request).unwrap();
    assert_eq!((answer.peer, answer.tag, answer.kind), (CALLER, TAG, Kind::OK));
}

#[test]
fn what_is_answered_later_is_not_answered_now() {
    let mut server = Lamp::default();
    assert_eq!(lamp::dispatch(&mut server, &message(lamp::Wait::KIND, [0; BODY_WORDS])), None);
    assert_eq!(server.calls, ["lamp.wait"]);
}

#[test]
fn an_invalid_value_is_refused() {
    let paint = |word| message(lamp::Paint::KIND, [word, 0, 0, 0, 0, 0, 0]);
    for colour in [3, 0xff, 0x100, 0x8000_0000, u64::from(u32::MAX)] {
        assert_eq!(refusal(&paint(colour)), Errno::Inval, "colour {colour:#x}");
    }
    for gloss in [2, 0x80, 0xff] {
        assert_eq!(refusal(&paint(gloss << 32)), Errno::Inval, "gloss {gloss:#x}");
    }
    assert_eq!(refusal(&message(lamp::Paint::KIND, [u64::MAX; BODY_WORDS])), Errno::Inval);
}

#[test]
fn an_unknown_kind_is_refused() {
    let known = [lamp::Dim::KIND, lamp::Paint::KIND, lamp::Wait::KIND];
    for kind in (0..=u16::MAX).map(Kind).filter(|k| !known.contains(k)) {
        assert_eq!(refusal(&message(kind, [0; BODY_WORDS])), Errno::NoSys, "{kind:?}");
    }
}

#[test]
fn replies_and_notifications_are_no_requests() {
    for kind in [Kind::OK, Kind::failed(Errno::Perm), Kind(u16::MAX), Kind::NOTIFY] {
        assert_eq!(refusal(&message(kind, [u64::MAX; BODY_WORDS])), Errno::NoSys, "{kind:?}");
    }
}

#[test]
fn an_encoded_request_has_zeros_behind_it() {
    let sent = encode(lamp::Dim::KIND, &lamp::Dim { level: u64::MAX });
    assert_eq!(sent.body, [u64::MAX, 0, 0, 0, 0, 0, 0]);
}

/// What must come of a request, worked out from the declaration by hand: the call that the server hears of, or the refusal.
fn expected(request: &Message) -> Result<&'static str, Errno> {
    let first = request.body[0];
    let (colour, gloss) = (first as u32, (first >> 32) as u8);
    match request.kind.0 {
        0x7701 => Ok("lamp.dim"),
        0x7702 if colour <= 2 && gloss <= 1 => Ok("lamp.paint"),
        0x7702 => Err(Errno::Inval),
        0x7705 => Ok("lamp.wait"),
        _ => Err(Errno::NoSys),
    }
}

fn any_request() -> impl Strategy<Value = Message> {
    let kind = prop_oneof![4 => 0x7700_u16..0x7708, 1 => any::<u16>()];
    let small_parts = (0_u64..5, 0_u64..4).prop_map(|(low, high)| low | high << 32);
    let first = prop_oneof![small_parts, any::<u64>()];
    (any::<u32>(), kind, any::<u16>(), first, any::<[u64; BODY_WORDS - 1]>()).prop_map(
        |(peer, kind, tag, first, rest)| {
            let mut body = [first; BODY_WORDS];
            body[1..].copy_from_slice(&rest);
            Message { peer: Endpoint::from_raw(peer), kind: Kind(kind), tag, body }
        },
    )
}

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("SELIX_SOAK").is_some() { 1_000_000 } else { 2_000 };
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(64), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_message_gets_what_the_declaration_says(request in any_request()) {
        let mut server = Lamp::default();
        let answer = lamp::dispatch(&mut server, &request);
        match expected(&request) {
            Ok(call) => prop_assert_eq!(&server.calls, &[call]),
            Err(errno) => {
                prop_assert!(server.calls.is_empty());
                prop_assert_eq!(answer.map(|a| a.kind), Some(Kind::failed(errno)));
            }
        }
        match answer {
            None => prop_assert_eq!(server.calls, ["lamp.wait"]),
            Some(a) => {
                prop_assert_eq!((a.peer, a.tag), (request.peer, request.tag));
                prop_assert!(a.kind.status().is_some());
            }
        }
    }
}
