//! The program around the server: its memory, and the way to that of others. Two programs are made of it: in one of them it is the root system process who sets
//! labels, in the other a suite.

use abi::grant::GrantId;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use core::fmt;
use core::mem::forget;
use ds::{Damage, Ds, ENTRIES, JOURNAL_HALF, LABELS, Lending, Memory, POOL, Range, SCRATCH, Store, Words};
use protocol::ds::STATE_GRANT;
use static_cell::ConstStaticCell;
use sys::grants::{FOREVER, IndirectGrant, Pages, Received, Rights, Room, add_room};
use sys::{Stopped, Traps};

/// Pages of the journal.
const JOURNAL: usize = 2 * JOURNAL_HALF / PAGE_SIZE as usize;

static STORE: ConstStaticCell<Store<'static>> = ConstStaticCell::new(Store::new());
static VALUES: ConstStaticCell<[u8; POOL]> = ConstStaticCell::new([0; POOL]);
static COPIED: ConstStaticCell<[u8; SCRATCH]> = ConstStaticCell::new([0; SCRATCH]);
static WRITTEN: Pages<JOURNAL> = Pages::new();
/// A grant for the journal, and one for each range that is handed on.
static GRANTS: ConstStaticCell<Room<{ ENTRIES + 1 }>> = ConstStaticCell::new(Room::new());
static HANDED_ON: ConstStaticCell<HandedOn> = ConstStaticCell::new([const { None }; ENTRIES]);

/// By the places of entries.
type HandedOn = [Option<IndirectGrant<'static>>; ENTRIES];

type Server = Ds<'static, 'static, Written, Others>;

/// The journal, in pages that a successor can read.
struct Written;

impl Words for Written {
    fn len(&self) -> usize {
        2 * JOURNAL_HALF / size_of::<u64>()
    }

    fn store(&mut self, index: usize, word: u64) {
        WRITTEN.store(index, word);
    }
}

/// Memory of others.
struct Others {
    handed_on: &'static mut HandedOn,
}

impl Others {
    fn at(&mut self, place: usize) -> Option<&mut Option<IndirectGrant<'static>>> {
        self.handed_on.get_mut(place.checked_sub(LABELS)?)
    }
}

impl Lending for Others {
    fn fetch(&mut self, granter: Endpoint, id: GrantId, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        Ok(Received { granter, id }.copy_from(offset, into)?)
    }

    fn deliver(&mut self, granter: Endpoint, id: GrantId, bytes: &[u8]) -> Result<(), Errno> {
        Ok(Received { granter, id }.copy_to(0, bytes)?)
    }

    fn hand_on(&mut self, place: usize, range: Range, to: Endpoint) -> Result<GrantId, Errno> {
        let handed_on = self.at(place).ok_or(Errno::NoSpc)?;
        if let Some(grant) = handed_on {
            return Ok(grant.id());
        }
        let received = Received { granter: range.granter, id: range.grant };
        let grant = FOREVER.hand_on(received, 0..range.len.into(), Rights::READ.mapping(), to)?;
        Ok(handed_on.insert(grant).id())
    }

    fn withdraw(&mut self, place: usize) {
        if let Some(handed_on) = self.at(place) {
            *handed_on = None;
        }
    }
}

/// Why the server cannot begin.
enum Failure {
    Call(Errno),
    NoRegistrar,
    /// The grant for the journal has another id than a successor expects.
    StateGrant(GrantId),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::NoRegistrar => write!(f, "there is no program {} to set labels", crate::REGISTRAR),
            Self::StateGrant(id) => write!(f, "the grant for its state is {:#x}", id.raw()),
        }
    }
}

pub(crate) fn main() -> u64 {
    match serve() {
        Ok(stopped) => sys::log!("cannot receive any more: {}", stopped.error),
        Err(failure) => sys::log!("cannot begin: {failure}"),
    }
    1
}

fn serve() -> Result<Stopped, Failure> {
    grant_state()?;
    let registrar = sys::lookup(crate::REGISTRAR).ok_or(Failure::NoRegistrar)?;
    let mut server = begin(registrar)?;
    Ok(sys::serve_over(&mut Traps, &mut server, answer, notified))
}

/// Lets whoever succeeds this instance under its endpoint read its journal: with the first grant that it makes.
fn grant_state() -> Result<(), Failure> {
    add_room(GRANTS.take())?;
    let state = FOREVER.share(&WRITTEN, Rights::READ, sys::whoami()?.endpoint)?;
    let id = state.id();
    forget(state);
    if id == GrantId::from_raw(STATE_GRANT) { Ok(()) } else { Err(Failure::StateGrant(id)) }
}

/// The memory of this instance.
fn memory() -> Memory<'static, 'static> {
    Memory { store: STORE.take(), pool: VALUES.take(), scratch: COPIED.take() }
}

fn others() -> Others {
    Others { handed_on: HANDED_ON.take() }
}

/// A server without a predecessor.
fn begin(registrar: Endpoint) -> Result<Server, Errno> {
    Ds::new(memory(), Written, others(), registrar, crate::REGISTRAR.as_bytes())
}

/// A server that goes on where its predecessor, which is reached by this endpoint now, has stopped: after a crash or for an update.
#[expect(dead_code, reason = "nobody replaces services yet")]
fn succeed(predecessor: Endpoint) -> Result<Server, Damage> {
    let state = Received { granter: predecessor, id: GrantId::from_raw(STATE_GRANT) };
    Ds::succeed(memory(), Written, others(), |offset, bytes| Ok(state.copy_from(offset, bytes)?))
}

fn answer(server: &mut Server, message: &mut Message) -> bool {
    let answered = protocol::ds::answer(server, message);
    tell(server);
    answered
}

/// Notifies those who have to look again. Who cannot be notified does not look any more.
fn tell(server: &mut Server) {
    while let Some(who) = server.next_notice() {
        let _ = rt::notify(who);
    }
}

/// Nobody has anything to say by a notification yet.
fn notified(_: &mut Server, _: &Message) {}
