//! What all protocols share: the shape of a call, its encoding in a message, and the tables.

use abi::{BODY_LEN, BODY_WORDS, Endpoint, Errno, Kind, Message};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// One call of one protocol: what every client, dispatcher and table is derived from.
pub trait Call: TryFromBytes + IntoBytes + KnownLayout + Immutable + Sized {
    /// What the server answers when the call succeeds.
    type Reply: TryFromBytes + IntoBytes + KnownLayout + Immutable;
    /// The kind of a request: base of the protocol + number of the call.
    const KIND: Kind;
    /// `protocol.call`, for people.
    const NAME: &'static str;
    /// Evaluated for every declared call: both directions fit a message, and the kind is that of a request.
    const FITS: () = {
        assert!(size_of::<Self>() <= BODY_LEN, "the request is longer than a message's payload");
        assert!(size_of::<Self::Reply>() <= BODY_LEN, "the reply is longer than a message's payload");
        assert!(align_of::<Self>() <= 8 && align_of::<Self::Reply>() <= 8, "a message is aligned to 8 bytes only");
        assert!(Self::KIND.status().is_none(), "the call number has the bit that marks replies");
        assert!(Self::KIND.0 != Kind::NOTIFY.0, "the call number is that of notifications");
    };
}

/// A call as the tables show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallInfo {
    /// Number within the protocol.
    pub number: u16,
    /// `protocol.call`.
    pub name: &'static str,
    /// Fields of the request and their types, as declared.
    pub request: &'static str,
    /// Fields of the reply and their types, as declared.
    pub reply: &'static str,
    /// Name of the request's type.
    pub request_type: &'static str,
    /// Fields of the request, one by one.
    pub request_fields: &'static [FieldInfo],
    /// Name of the reply's type.
    pub reply_type: &'static str,
    /// Fields of the reply, one by one.
    pub reply_fields: &'static [FieldInfo],
    /// Bytes of the request.
    pub request_len: usize,
    /// Bytes of the reply.
    pub reply_len: usize,
    /// What the call does: its documentation.
    pub doc: &'static str,
}

impl CallInfo {
    /// The name without the protocol's.
    pub const fn short_name(&self) -> &'static str {
        let mut rest = self.name;
        while let Some((first, behind)) = rest.as_bytes().split_first() {
            rest = rest.split_at(rest.len() - behind.len()).1;
            if *first == b'.' {
                return rest;
            }
        }
        self.name
    }
}

/// A field of a request or a reply, for the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name.
    pub name: &'static str,
    /// Its type, as declared.
    pub field_type: &'static str,
    /// Its documentation; empty if the name says all.
    pub doc: &'static str,
}

/// A protocol as the tables show it.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Name of the protocol: that of its module.
    pub name: &'static str,
    /// Added to the numbers of its calls.
    pub base: u16,
    /// Its calls, in the order of their numbers.
    pub calls: &'static [CallInfo],
}

impl Protocol {
    /// The names of the calls without the protocol's, by their numbers; empty where there is none. A constant of them is all that a program has
    /// of the tables which needs nothing else.
    pub(crate) const fn short_names(&self) -> [&'static str; u64::BITS as usize] {
        let mut names = [""; u64::BITS as usize];
        let mut i = 0;
        while i < self.calls.len() {
            names[self.calls[i].number as usize] = self.calls[i].short_name();
            i += 1;
        }
        names
    }

    /// The call with this name, without the protocol's.
    pub fn call(&self, name: &str) -> Option<&'static CallInfo> {
        self.calls.iter().find(|call| call.short_name() == name)
    }
}

/// Numbers must grow from call to call: so none is there twice, and a table is easily read.
#[doc(hidden)]
pub const fn assert_ascending(calls: &[CallInfo]) {
    let mut i = 1;
    while i < calls.len() {
        assert!(
            calls[i - 1].number < calls[i].number,
            "call numbers of a protocol must be declared in ascending order"
        );
        i += 1;
    }
}

/// No kind may belong to two protocols: bases ascend, and the calls of each stay below the next base.
pub(crate) const fn assert_distinct(protocols: &[Protocol]) {
    let mut i = 1;
    while i < protocols.len() {
        let (this, next) = (&protocols[i - 1], &protocols[i]);
        assert!(this.base < next.base, "protocols must be listed in the order of their bases");
        let last = this.calls[this.calls.len() - 1].number;
        assert!(this.base + last < next.base, "the call numbers of two protocols overlap");
        i += 1;
    }
}

/// What a server does with a request.
#[derive(Debug)]
pub enum Answer<R> {
    /// Answers it with success.
    Reply(R),
    /// Answers it with an error.
    Fail(Errno),
    /// Answers it later; the server keeps the caller's endpoint and the tag of the request.
    Later,
}

impl<R> From<Result<R, Errno>> for Answer<R> {
    fn from(result: Result<R, Errno>) -> Self {
        match result {
            Ok(value) => Self::Reply(value),
            Err(errno) => Self::Fail(errno),
        }
    }
}

/// Whatever carries a request to its server and brings back the reply.
pub trait Transport {
    /// Sends `message` to `to` and replaces it by the reply.
    ///
    /// # Errors
    /// That the message could not be sent, or that no reply can come any more.
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno>;
}

impl<T: Transport + ?Sized> Transport for &mut T {
    #[inline]
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        (**self).sendrec(to, message)
    }
}

/// A message with `value` as payload; the rest of the payload is zero.
#[inline]
pub fn encode<T: IntoBytes + Immutable>(kind: Kind, value: &T) -> Message {
    let mut message = Message::new(Endpoint::NONE, kind);
    let bytes = value.as_bytes();
    message.body.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    message
}

/// The payload as a value.
///
/// # Errors
/// [`Errno::Inval`] if the bytes are no value of the type.
#[inline]
pub fn decode<T: TryFromBytes + KnownLayout + Immutable>(message: &Message) -> Result<T, Errno> {
    T::try_read_from_prefix(message.body.as_bytes()).map(|(value, _)| value).map_err(|_| Errno::Inval)
}

/// Makes a call and waits for its reply.
///
/// # Errors
/// Those of the transport, those that the server answers, and [`Errno::Proto`] if the answer is no valid reply.
#[inline]
pub fn call<C: Call>(transport: &mut impl Transport, to: Endpoint, request: &C) -> Result<C::Reply, Errno> {
    const { C::FITS };
    let mut message = encode(C::KIND, request);
    transport.sendrec(to, &mut message)?;
    message.kind.status().ok_or(Errno::Proto)??;
    decode(&message).map_err(|_| Errno::Proto)
}

/// The reply to `request` that carries `answer`, addressed to its sender with its tag.
#[inline]
pub fn reply<R: IntoBytes + Immutable>(request: &Message, answer: Result<&R, Errno>) -> Message {
    let mut message = match answer {
        Ok(value) => encode(Kind::OK, value),
        Err(errno) => Message::new(Endpoint::NONE, Kind::failed(errno)),
    };
    message.peer = request.peer;
    message.tag = request.tag;
    message
}

/// Who made a request: what a later answer must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The true source.
    pub endpoint: Endpoint,
    /// The tag that the answer must carry.
    pub tag: u16,
}

impl From<&Message> for Caller {
    fn from(request: &Message) -> Self {
        Self { endpoint: request.peer, tag: request.tag }
    }
}

/// Where the payload of a request stands, and its answer's is to stand: beside the server, or somewhere in it.
pub trait Place<S> {
    /// The payload.
    fn payload<'a>(&'a mut self, server: &'a mut S) -> &'a mut [u64; BODY_WORDS];
}

impl<S> Place<S> for [u64; BODY_WORDS] {
    fn payload<'a>(&'a mut self, _: &'a mut S) -> &'a mut [u64; BODY_WORDS] {
        self
    }
}

/// [`handle`] as a function of its own for each call with arguments: so a table of many calls stays a table, and those
/// without arguments, which are the cheap ones, stand in it.
#[inline(always)]
pub fn handle_apart<C: Call, S>(
    server: &mut S,
    place: &mut impl Place<S>,
    serve: impl FnOnce(&mut S, C) -> Answer<C::Reply>,
) -> Option<Kind> {
    #[inline(never)]
    fn apart<C: Call, S>(
        server: &mut S,
        place: &mut impl Place<S>,
        serve: impl FnOnce(&mut S, C) -> Answer<C::Reply>,
    ) -> Option<Kind> {
        handle(server, place, serve)
    }
    if size_of::<C>() == 0 { handle(server, place, serve) } else { apart(server, place, serve) }
}

/// Decodes the payload of a request, hands it to `serve`, and puts the payload of the answer in its place. Returns the kind of
/// the answer; `None` if the server answers later. A malformed request is answered without `serve` hearing of it. The
/// payload of a failure has no meaning; it is that of the request still.
#[inline(always)]
pub fn handle<C: Call, S>(
    server: &mut S,
    place: &mut impl Place<S>,
    serve: impl FnOnce(&mut S, C) -> Answer<C::Reply>,
) -> Option<Kind> {
    let Ok((call, _)) = C::try_read_from_prefix(place.payload(server).as_bytes()) else {
        return Some(Kind::failed(Errno::Inval));
    };
    match serve(server, call) {
        Answer::Reply(value) => {
            let bytes = value.as_bytes();
            let (filled, rest) = place.payload(server).as_mut_bytes().split_at_mut(bytes.len());
            filled.copy_from_slice(bytes);
            rest.fill(0);
            Some(Kind::OK)
        }
        Answer::Fail(errno) => Some(Kind::failed(errno)),
        Answer::Later => None,
    }
}
