//! What is around the server: its memory, and the way to that of others.

use abi::grant::GrantId;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use ds::{Damage, Ds, ENTRIES, JOURNAL_HALF, LABELS, Lending, Memory, POOL, Range, SCRATCH, Store, Words};
use static_cell::ConstStaticCell;
use sys::grants::{FOREVER, IndirectGrant, Pages, Received, Rights, Room, SharedGrant, add_room};

/// Pages of the journal.
pub(crate) const JOURNAL: usize = 2 * JOURNAL_HALF / PAGE_SIZE as usize;

static STORE: ConstStaticCell<Store<'static>> = ConstStaticCell::new(Store::new());
static VALUES: ConstStaticCell<[u8; POOL]> = ConstStaticCell::new([0; POOL]);
static COPIED: ConstStaticCell<[u8; SCRATCH]> = ConstStaticCell::new([0; SCRATCH]);
static WRITTEN: Pages<JOURNAL> = Pages::new();
/// A grant for the journal, and one for each range that is handed on.
static GRANTS: ConstStaticCell<Room<{ ENTRIES + 1 }>> = ConstStaticCell::new(Room::new());
static HANDED_ON: ConstStaticCell<HandedOn> = ConstStaticCell::new([const { None }; ENTRIES]);

/// The grant of the journal.
pub(crate) type JournalGrant = SharedGrant<'static, JOURNAL>;

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

/// The memory of this instance, which begins once.
fn memory() -> Result<(Memory<'static, 'static>, Others), Errno> {
    let store = STORE.try_take().ok_or(Errno::Busy)?;
    let (pool, scratch, handed_on) = (VALUES.take(), COPIED.take(), HANDED_ON.take());
    add_room(GRANTS.take())?;
    Ok((Memory { store, pool, scratch }, Others { handed_on }))
}

/// A server without a predecessor, where this one sets labels.
pub(crate) fn begin(registrar: Endpoint, label: &str) -> Result<Server, Errno> {
    let (memory, others) = memory()?;
    Ds::new(memory, Written, others, registrar, label.as_bytes())
}

/// A server that goes on where the one stopped whose journal this is.
pub(crate) fn succeed(journal: Received) -> Result<Server, Damage> {
    let (memory, others) = memory()?;
    Ds::succeed(memory, Written, others, |offset, bytes| Ok(journal.copy_from(offset, bytes)?))
}

/// Lets whoever succeeds this instance under its endpoint read its journal.
pub(crate) fn grant_journal(me: Endpoint) -> Result<JournalGrant, Errno> {
    FOREVER.share(&WRITTEN, Rights::READ, me)
}

/// Answers a request, and notifies those who have to look again.
pub(crate) fn answer(server: &mut Server, message: &mut Message) -> bool {
    let answered = protocol::ds::answer(server, message);
    tell(server);
    answered
}

/// Notifies those who have to look again. Who cannot be notified does not look any more.
pub(crate) fn tell(server: &mut Server) {
    while let Some(who) = server.next_notice() {
        let _ = rt::notify(who);
    }
}
