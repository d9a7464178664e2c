extern crate std;
use super::*;
use abi::grant::GrantId;
use abi::{Kind, Message, Signal, Status, Trap};
use protocol::Call;
use protocol::rs::{Begun, GetInit, Init, InitDone, InitInfo, NO_STATE, Ready};
use protocol::sef::{Prepare, Signaled};
use rt::Received;
use std::collections::VecDeque;
use std::vec::Vec;
use sys::Port;

const ME: Endpoint = Endpoint::from_raw(9);
const ROOT: Endpoint = Endpoint::from_raw(1);
const CLIENT: Endpoint = Endpoint::from_raw(20);

/// What the service and the framework did, in order.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Done(u32),
    Pong,
    Answered(Endpoint, u16),
    Ready(u32, Vec<u8>),
    Refused(u32, u32),
    Served(u16),
    Signal(u32),
    State(u32, u32),
    Notified(Endpoint),
}

/// Plays messages, and the root system process.
struct Script {
    how: Init,
    incoming: VecDeque<Received>,
    /// What the root system process answers to [`Ready`].
    ready: Errno,
    events: std::rc::Rc<core::cell::RefCell<Vec<Event>>>,
}

impl Script {
    fn note(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }
}

impl Port for Script {
    fn receive(&mut self) -> Result<Received, Errno> {
        self.incoming.pop_front().ok_or(Errno::TrapDenied)
    }

    fn reply_receive(&mut self, reply: &Message) -> Result<Received, Errno> {
        self.note(Event::Answered(reply.peer, reply.tag));
        self.receive()
    }
}

impl Link for Script {
    fn ask<C: Call>(&mut self, root: Endpoint, call: &C) -> Result<C::Reply, Errno> {
        assert_eq!(root, ROOT);
        let message = protocol::encode(C::KIND, call);
        let answer = match C::KIND {
            GetInit::KIND => {
                let info = InitInfo {
                    how: self.how,
                    restarts: 4,
                    endpoint: ME,
                    old: CLIENT,
                    state_grant: GrantId::from_raw(5),
                    state_len: 8,
                    table_grant: GrantId::from_raw(6),
                    prepared: 1,
                    reserved: 0,
                };
                protocol::reply(&message, Ok(&info))
            }
            InitDone::KIND => {
                let InitDone { error, state_len, .. } = protocol::decode(&message).expect("a call");
                assert_eq!(state_len, 77);
                self.note(Event::Done(error));
                protocol::reply(&message, Ok(&Begun {}))
            }
            Ready::KIND => {
                let Ready { state, error, .. } = protocol::decode(&message).expect("a call");
                self.note(Event::Refused(state, error));
                protocol::reply::<u64>(&message, Err(Errno::Intr))
            }
            other => panic!("{other:?}"),
        };
        answer.kind.status().expect("an answer")?;
        protocol::decode(&answer)
    }

    fn ready(&mut self, root: Endpoint, me: Endpoint, state: u32, saved: &[u8]) -> Result<(), Errno> {
        assert_eq!((root, me), (ROOT, ME));
        self.note(Event::Ready(state, saved.to_vec()));
        // One that found the root system process busy finds it free the next time.
        Err(core::mem::replace(&mut self.ready, Errno::Intr))
    }

    fn notify(&mut self, to: Endpoint) -> Result<(), Errno> {
        assert_eq!(to, ROOT);
        self.note(Event::Pong);
        Ok(())
    }

    fn answer(&mut self, answer: &Message) {
        self.note(Event::Answered(answer.peer, answer.tag));
    }
}

/// A service that notes what it gets.
struct Noted {
    begun: Option<Begin>,
    events: std::rc::Rc<core::cell::RefCell<Vec<Event>>>,
    fails: Option<Errno>,
    /// How often it says that it is not ready yet.
    busy: u32,
    cannot_save: bool,
    is_well: bool,
}

impl Noted {
    fn start(&mut self, begin: &Begin, how: Init) -> Result<(), Errno> {
        assert_eq!(begin.how, how);
        self.begun = Some(*begin);
        self.fails.map_or(Ok(()), Err)
    }
}

impl Service for Noted {
    fn begin(&mut self, begin: &Begin) -> Result<(), Errno> {
        self.start(begin, Init::Fresh)
    }

    fn begin_again(&mut self, begin: &Begin) -> Result<(), Errno> {
        self.start(begin, Init::Restart)
    }

    fn take_over(&mut self, begin: &Begin) -> Result<(), Errno> {
        self.start(begin, Init::LiveUpdate)
    }

    fn accepts(&self, wanted: u32) -> Result<(), Errno> {
        if wanted <= state::REQUEST_FREE { Ok(()) } else { Err(Errno::Inval) }
    }

    fn prepare(&mut self, _: u32) -> Prepared {
        if self.busy == 0 {
            return Prepared::Ready;
        }
        self.busy -= 1;
        Prepared::NotYet
    }

    fn state_changed(&mut self, old: u32, new: u32) {
        self.events.borrow_mut().push(Event::State(old, new));
    }

    fn save(&mut self) -> Result<&[u8], Errno> {
        if self.cannot_save { Err(Errno::Io) } else { Ok(b"state") }
    }

    fn kept_state(&self) -> Option<(GrantId, u64)> {
        Some((GrantId::from_raw(3), 77))
    }

    fn answer(&mut self, request: &mut Message) -> bool {
        self.events.borrow_mut().push(Event::Served(request.tag));
        request.tag != 99
    }

    fn notified(&mut self, notification: &Message) {
        self.events.borrow_mut().push(Event::Notified(notification.peer));
    }

    fn signal(&mut self, signal: Signal) {
        self.events.borrow_mut().push(Event::Signal(signal.number()));
    }

    fn is_well(&mut self) -> bool {
        self.is_well
    }
}

struct Stage {
    steward: Steward<Script>,
    service: Noted,
    events: std::rc::Rc<core::cell::RefCell<Vec<Event>>>,
}

impl Stage {
    fn new(how: Init, incoming: &[Received]) -> Self {
        let events = std::rc::Rc::<core::cell::RefCell<Vec<Event>>>::default();
        let link =
            Script { how, incoming: incoming.iter().copied().collect(), ready: Errno::Intr, events: events.clone() };
        let service =
            Noted { begun: None, events: events.clone(), fails: None, busy: 0, cannot_save: false, is_well: true };
        Self { steward: Steward::new(link, ME, ROOT), service, events }
    }

    fn played(mut self) -> Vec<Event> {
        assert_eq!(self.steward.serve(&mut self.service), Errno::TrapDenied);
        self.events.take()
    }
}

fn request(from: Endpoint, tag: u16) -> Received {
    let mut message = Message::new(from, Kind(0x7001));
    message.tag = tag;
    Received { message, status: Status::sent_with(Trap::SendRec) }
}

fn told<C: Call>(from: Endpoint, call: &C) -> Received {
    let message = Message { peer: from, ..protocol::encode(C::KIND, call) };
    Received { message, status: Status::sent_with(Trap::SendA) }
}

fn notification(from: Endpoint) -> Received {
    Received { message: Message::new(from, Kind::NOTIFY), status: Status::sent_with(Trap::Notify) }
}

fn prepare(state: u32) -> Received {
    told(ROOT, &Prepare { state, reserved: 0 })
}

#[test]
fn it_begins_as_the_root_says_and_tells_how_it_went() {
    for how in [Init::Fresh, Init::Restart, Init::LiveUpdate] {
        let mut stage = Stage::new(how, &[]);
        assert_eq!(stage.steward.begin(&mut stage.service), Ok(()));
        assert_eq!(stage.events.take(), [Event::Done(0)]);
        let begun = stage.service.begun.expect("it has begun");
        assert_eq!((begun.restarts, begun.endpoint, begun.root), (4, ME, ROOT));
        let old = begun.old.expect("there is state");
        assert_eq!((old.state.granter, old.state.id.raw(), old.len), (CLIENT, 5, 8));
        assert_eq!((begun.table.granter, begun.table.id.raw(), begun.prepared), (ROOT, 6, 1));
    }
}

#[test]
fn it_says_that_it_cannot_begin() {
    let mut stage = Stage::new(Init::Fresh, &[]);
    stage.service.fails = Some(Errno::Io);
    assert_eq!(stage.steward.begin(&mut stage.service), Err(Errno::Io));
    assert_eq!(stage.events.take(), [Event::Done(Errno::Io as u32)]);
}

#[test]
fn requests_are_served_and_pings_answered() {
    let incoming =
        [request(CLIENT, 1), notification(ROOT), request(CLIENT, 99), notification(CLIENT), request(CLIENT, 2)];
    let (served, answered) = (Event::Served, |tag| Event::Answered(CLIENT, tag));
    let expected = [served(1), answered(1), Event::Pong, served(99), Event::Notified(CLIENT), served(2), answered(2)];
    assert_eq!(Stage::new(Init::Fresh, &incoming).played(), expected);
    let mut unwell = Stage::new(Init::Fresh, &[notification(ROOT)]);
    unwell.service.is_well = false;
    assert_eq!(unwell.played(), []);
}

#[test]
fn what_others_send_is_an_ordinary_request() {
    let forged = [told(CLIENT, &Prepare { state: 1, reserved: 0 }), told(CLIENT, &Signaled { signal: 9, reserved: 0 })];
    assert_eq!(Stage::new(Init::Fresh, &forged).played(), [Event::Served(0), Event::Served(0)]);
}

#[test]
fn signals_are_handed_on() {
    let incoming = [1, 15, 0, 32, u32::MAX].map(|signal| told(ROOT, &Signaled { signal, reserved: 0 }));
    assert_eq!(Stage::new(Init::Fresh, &incoming).played(), [Event::Signal(1), Event::Signal(15)]);
}

#[test]
fn it_is_replaced_when_it_receives_next_and_goes_on_if_that_fails() {
    let incoming = [request(CLIENT, 1), prepare(state::WORK_FREE), request(CLIENT, 2)];
    let one = state::WORK_FREE;
    let expected = [
        Event::Served(1),
        Event::Answered(CLIENT, 1),
        Event::State(NO_STATE, one),
        Event::Ready(one, b"state".to_vec()),
        Event::State(one, NO_STATE),
        Event::Served(2),
        Event::Answered(CLIENT, 2),
    ];
    assert_eq!(Stage::new(Init::Fresh, &incoming).played(), expected);
}

#[test]
fn it_is_asked_before_each_message_until_it_is_ready() {
    let two = state::REQUEST_FREE;
    let mut stage = Stage::new(Init::Fresh, &[prepare(two), request(CLIENT, 1), request(CLIENT, 2)]);
    stage.service.busy = 2;
    let expected = [
        Event::State(NO_STATE, two),
        Event::Served(1),
        // The answer is out before it may be replaced.
        Event::Answered(CLIENT, 1),
        Event::Served(2),
        Event::Answered(CLIENT, 2),
        Event::Ready(two, b"state".to_vec()),
        Event::State(two, NO_STATE),
    ];
    assert_eq!(stage.played(), expected);
}

#[test]
fn it_tries_again_where_the_root_wants_something_of_it() {
    let one = state::WORK_FREE;
    let mut stage = Stage::new(Init::Fresh, &[prepare(one), request(ROOT, 7)]);
    stage.steward.link_mut().ready = Errno::Locked;
    let ready = Event::Ready(one, b"state".to_vec());
    let expected = [
        Event::State(NO_STATE, one),
        ready.clone(),
        Event::Served(7),
        Event::Answered(ROOT, 7),
        ready,
        Event::State(one, NO_STATE),
    ];
    assert_eq!(stage.played(), expected);
}

#[test]
fn what_it_cannot_be_replaced_in_is_refused() {
    let three = state::PROTOCOL_FREE;
    assert_eq!(Stage::new(Init::Fresh, &[prepare(three)]).played(), [Event::Refused(three, Errno::Inval as u32)]);
    let one = state::WORK_FREE;
    let mut stage = Stage::new(Init::Fresh, &[prepare(one)]);
    stage.service.cannot_save = true;
    let refused = Event::Refused(one, Errno::Io as u32);
    assert_eq!(stage.played(), [Event::State(NO_STATE, one), refused, Event::State(one, NO_STATE)]);
}

#[test]
fn an_update_is_called_off_once_and_a_second_one_is_refused() {
    let never = state::UNREACHABLE;
    let incoming = [prepare(NO_STATE), prepare(never), prepare(1), prepare(NO_STATE), prepare(NO_STATE)];
    let expected =
        [Event::State(NO_STATE, never), Event::Refused(1, Errno::Busy as u32), Event::State(never, NO_STATE)];
    assert_eq!(Stage::new(Init::Fresh, &incoming).played(), expected);
}

#[test]
#[should_panic(expected = "told to crash")]
fn a_test_can_make_it_crash() {
    Stage::new(Init::Fresh, &[prepare(state::CRASH)]).played();
}
