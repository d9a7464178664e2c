//! The program around the server: its memory, and the way to that of others. Two programs are made of it: in one of them it is the root system process who sets
//! labels, in the other a suite.

use abi::grant::GrantId;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use core::mem::forget;
use ds::{Damage, Ds, ENTRIES, JOURNAL_HALF, LABELS, Lending, Memory, POOL, Range, SCRATCH, Store, Words};
use protocol::ds::STATE_GRANT;
use static_cell::ConstStaticCell;
use sys::grants::{FOREVER, IndirectGrant, Pages, Received, Rights, Room, add_room};

/// Bytes of the journal.
pub(crate) const JOURNAL_LEN: u64 = 2 * JOURNAL_HALF as u64;
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

pub(crate) type Server = Ds<'static, 'static, Written, Others>;

/// The journal, in pages that a successor can read.
pub(crate) struct Written;

impl Words for Written {
    fn len(&self) -> usize {
        2 * JOURNAL_HALF / size_of::<u64>()
    }

    fn store(&mut self, index: usize, word: u64) {
        WRITTEN.store(index, word);
    }
}

/// Memory of others.
pub(crate) struct Others {
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

/// Lets whoever succeeds this instance under its endpoint read its journal: with the first grant that it makes.
///
/// # Errors
/// Those of grants; `EEXIST` if another grant was made before.
pub(crate) fn grant_state() -> Result<(), Errno> {
    add_room(GRANTS.take())?;
    let state = FOREVER.share(&WRITTEN, Rights::READ, sys::whoami()?.endpoint)?;
    let id = state.id();
    forget(state);
    if id == GrantId::from_raw(STATE_GRANT) { Ok(()) } else { Err(Errno::Exist) }
}

/// The memory of this instance.
fn memory() -> Memory<'static, 'static> {
    Memory { store: STORE.take(), pool: VALUES.take(), scratch: COPIED.take() }
}

fn others() -> Others {
    Others { handed_on: HANDED_ON.take() }
}

/// A server without a predecessor.
///
/// # Errors
/// `EINVAL` for a label that is none.
pub(crate) fn begin(registrar: Endpoint, label: &[u8]) -> Result<Server, Errno> {
    Ds::new(memory(), Written, others(), registrar, label)
}

/// A server that goes on where its predecessor, which is reached by this endpoint now, has stopped: after a crash or for an update.
///
/// # Errors
/// What cannot be read of what that one has left.
#[allow(dead_code)] // In the image of the suite nobody is replaced.
pub(crate) fn succeed(predecessor: Endpoint) -> Result<Server, Damage> {
    let state = Received { granter: predecessor, id: GrantId::from_raw(STATE_GRANT) };
    Ds::succeed(memory(), Written, others(), |offset, bytes| Ok(state.copy_from(offset, bytes)?))
}

/// Answers a request in its place, and notifies those who have to look again.
pub(crate) fn answer(server: &mut Server, message: &mut Message) -> bool {
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
