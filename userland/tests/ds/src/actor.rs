//! A service that does what the suite says.
#![no_std]
#![no_main]

use abi::{Endpoint, Errno, Kind, Message};
use ds_suite::PAGES;
use ds_suite::orders::*;
use protocol::{Answer, Caller};
use sys::Traps;
use sys::grants::{FOREVER, Mapped, Pages, Place, Received, Rights, SharedGrant};

sys::entry!(main);

static LENT: Pages<PAGES> = Pages::new();
static PAGE: Pages<1> = Pages::new();
static PLACE: Place<1> = Place::of(&PAGE);

struct Actor {
    store: Endpoint,
    lent: Option<SharedGrant<'static, PAGES>>,
    shown: Option<Mapped<'static, 1>>,
    notices: u64,
}

fn main() -> u64 {
    let Some(store) = sys::lookup(ds_client::NAME) else {
        sys::log!("there is no data store");
        return 1;
    };
    let mut actor = Actor { store, lent: None, shown: None, notices: 0 };
    let stopped = sys::serve_over(&mut Traps, &mut actor, answer, |actor, notification| {
        actor.notices += u64::from(notification.peer == actor.store);
    });
    sys::log!("cannot receive any more: {}", stopped.error);
    1
}

fn answer(actor: &mut Actor, message: &mut Message) -> bool {
    if PROTOCOL.base <= message.kind.0 {
        return ds_suite::orders::answer(actor, message);
    }
    let request = *message;
    message.peer = actor.store;
    if let Err(error) = rt::sendrec(message) {
        message.kind = Kind::failed(error);
    }
    (message.peer, message.tag) = (request.peer, request.tag);
    true
}

impl Server for Actor {
    fn lend(&mut self, _: Caller, _: Lend) -> Answer<Lent> {
        self.lent = None;
        let grant = FOREVER.share(&LENT, Rights::READ_WRITE, self.store);
        grant.map(|grant| Lent { grant: self.lent.insert(grant).id() }).into()
    }

    fn take_back(&mut self, _: Caller, _: TakeBack) -> Answer<TakenBack> {
        self.lent = None;
        Answer::Reply(TakenBack {})
    }

    fn write(&mut self, _: Caller, call: Write) -> Answer<Written> {
        LENT.store(call.word as usize, call.value);
        Answer::Reply(Written {})
    }

    fn read(&mut self, _: Caller, call: Read) -> Answer<WordRead> {
        Answer::Reply(WordRead { value: LENT.load(call.word as usize) })
    }

    fn show(&mut self, _: Caller, call: Show) -> Answer<Shown> {
        self.shown = None;
        let shown = Received { granter: call.granter, id: call.grant }.map(0, &PLACE, Rights::READ);
        shown
            .map(|shown| {
                self.shown = Some(shown);
                Shown {}
            })
            .into()
    }

    fn look(&mut self, _: Caller, call: Look) -> Answer<Seen> {
        Answer::Reply(Seen { value: PAGE.load(call.word as usize) })
    }

    fn touch(&mut self, _: Caller, call: Touch) -> Answer<Touched> {
        match &self.shown {
            Some(shown) => {
                shown.store(call.word as usize, call.value);
                Answer::Reply(Touched {})
            }
            None => Answer::Fail(Errno::NoEnt),
        }
    }

    fn hide(&mut self, _: Caller, _: Hide) -> Answer<Hidden> {
        self.shown = None;
        Answer::Reply(Hidden {})
    }

    fn notices(&mut self, _: Caller, _: GetNotices) -> Answer<Notices> {
        Answer::Reply(Notices { count: core::mem::take(&mut self.notices) })
    }

    fn leave(&mut self, _: Caller, _: Leave) -> Answer<Left> {
        sys::exit(0)
    }
}
