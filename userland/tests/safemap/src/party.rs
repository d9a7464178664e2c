//! Children that lend their pages and borrow those of others, with the library or by kernel calls of their own making. The suite
//! tells them what to do by their boards.

use crate::field::{FIELD, Field, WORDS};
use abi::grant::GrantId;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::sync::atomic::{AtomicU64, Ordering};
use family::kit::{called, settle};
use family::{Board, Child, Plan, own_board};
use protocol::Call;
use protocol::kernel::SafeMap;
use suite::{Failure, Outcome, check_eq};
use sys::grants::{FOREVER, IndirectGrant, Mapped, Pages, Place, Received, Rights, SharedGrant, register_again};

/// Kernel calls that are needed to lend and to borrow memory, and none besides.
pub(crate) const LENDING_CALLS: &[&str] = &[
    "setgrant",
    "safemap",
    "safeunmap",
    "saferevmap",
    "saferevmap_at",
    "safecopyfrom",
    "safecopyto",
    "times",
    "setalarm",
];

/// Pages that are lent with one grant and seen with one mapping of the library.
pub(crate) const PAGES: usize = 8;
/// Bytes of them.
pub(crate) const LEN: u64 = PAGES as u64 * PAGE_SIZE;
/// Pages that are lent with one grant, where many are: more than an owner can lend each by itself.
pub(crate) const MANY: usize = 1100;
/// How many grants a party can hold at a time.
const MOST_GRANTS: usize = 4;

/// What stands in a word that was painted with a seed.
pub(crate) const fn paint(seed: u64, word: usize) -> u64 {
    (seed << 32 | word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What a party is told to do; the numbers on its board.
mod deed {
    /// The trap whose registers stand on the board.
    pub(super) const TRAP: u64 = 0;
    pub(super) const LOAD: u64 = 1;
    pub(super) const STORE: u64 = 2;
    pub(super) const PAINT: u64 = 3;
    pub(super) const CHECK: u64 = 4;
    pub(super) const SHARE: u64 = 5;
    pub(super) const HAND_ON: u64 = 6;
    pub(super) const REVOKE: u64 = 7;
    pub(super) const MAP: u64 = 8;
    pub(super) const UNMAP: u64 = 9;
    pub(super) const MAP_EACH: u64 = 10;
    pub(super) const REGISTER: u64 = 11;
    pub(super) const WRITE_ALWAYS: u64 = 12;
    pub(super) const SHARE_MANY: u64 = 13;
    pub(super) const MAP_AGAIN: u64 = 14;
}

/// Words of the board: what to do, with what, and what came of it.
const DEED: usize = Board::FREE;
const ARGUMENTS: usize = Board::FREE + 1;
const ERROR: usize = Board::FREE + 16;
const VALUE: usize = Board::FREE + 17;
/// How often a writer has written all pages, and what stops it.
const ROUNDS: usize = Board::FREE + 18;
const STOP: usize = Board::FREE + 19;
/// Stands where there is no such place.
const NOWHERE: u64 = u64::MAX;
/// Stands for a right to write, too.
const WRITABLE: u64 = 1;

/// The words of a deed.
type Words = [u64; 6];

/// A word of a party's field.
fn word(index: u64) -> &'static AtomicU64 {
    // SAFETY: the suite says only what the field has; every word of it is used like this. Where nothing is mapped the kernel
    // stops the party.
    unsafe { &*core::ptr::with_exposed_provenance((FIELD + index * 8) as usize) }
}

/// The first pages of a party's field.
fn pages<const N: usize>() -> &'static Pages<N> {
    // SAFETY: the suite says only what the field has, as long as its party lives, and all accesses are atomic.
    unsafe { &*core::ptr::with_exposed_provenance(FIELD as usize) }
}

fn rights(writable: u64) -> Rights {
    if writable == WRITABLE { Rights::READ_WRITE } else { Rights::READ }
}

/// What a party holds.
#[derive(Default)]
struct Held<'p> {
    lent: [Option<SharedGrant<'static, PAGES>>; MOST_GRANTS],
    lent_many: Option<SharedGrant<'static, MANY>>,
    handed_on: [Option<IndirectGrant<'static>>; MOST_GRANTS],
    mapped: Option<Mapped<'p, PAGES>>,
}

/// Executes deeds for ever.
pub(crate) extern "C" fn party() -> ! {
    let board = own_board();
    let partner = Endpoint::from_raw(board.get(Board::PARTNER) as u32);
    let place = Place::of(pages());
    let mut held = Held::default();
    while rt::receive(partner).is_ok() {
        let words = core::array::from_fn(|i| board.get(ARGUMENTS + i));
        if board.get(DEED) == deed::TRAP {
            // SAFETY: the suite gives its orders about a field only.
            let after = unsafe { rt::trap_unchecked(board.registers()) };
            board.set_registers(&after);
        } else {
            let (errno, value) = match held.perform(&place, board.get(DEED), &words) {
                Ok(value) => (0, value),
                Err(errno) => (errno as u64, 0),
            };
            board.set(ERROR, errno);
            board.set(VALUE, value);
        }
        board.set(DEED, deed::TRAP);
        board.count(Board::COUNT);
    }
    sys::exit(0)
}

impl<'p> Held<'p> {
    fn perform(&mut self, place: &'p Place<PAGES>, deed: u64, words: &Words) -> Result<u64, Errno> {
        let [granter, id, start, len, writable, to] = *words;
        let grant = Received { granter: Endpoint::from_raw(granter as u32), id: GrantId::from_raw(id) };
        let to = Endpoint::from_raw(to as u32);
        match deed {
            deed::SHARE => {
                let free = self.lent.iter_mut().find(|place| place.is_none()).ok_or(Errno::NoSpc)?;
                return Ok(free.insert(FOREVER.share(pages(), rights(writable), to)?).id().raw());
            }
            deed::SHARE_MANY => {
                return Ok(self.lent_many.insert(FOREVER.share(pages(), rights(writable), to)?).id().raw());
            }
            deed::HAND_ON => {
                let free = self.handed_on.iter_mut().find(|place| place.is_none()).ok_or(Errno::NoSpc)?;
                let made = FOREVER.hand_on(grant, start..start + len, rights(writable).mapping(), to)?;
                return Ok(free.insert(made).id().raw());
            }
            deed::REVOKE => {
                drop(self.lent_many.take_if(|held| held.id() == grant.id));
                self.lent.iter_mut().for_each(|place| drop(place.take_if(|held| held.id() == grant.id)));
                self.handed_on.iter_mut().for_each(|place| drop(place.take_if(|held| held.id() == grant.id)));
            }
            deed::MAP => {
                // One that was taken back has its guard still.
                self.mapped = None;
                self.mapped = Some(grant.map(start, place, rights(writable))?);
            }
            deed::MAP_AGAIN => self.mapped = Some(grant.map(start, place, rights(writable))?),
            deed::UNMAP => drop(self.mapped.take().ok_or(Errno::NoEnt)?),
            deed::REGISTER => register_again()?,
            _ => return use_field(deed, grant, words),
        }
        Ok(0)
    }
}

/// Deeds that only have to do with the field.
fn use_field(deed: u64, grant: Received, &[_, _, first, count, seed, _]: &Words) -> Result<u64, Errno> {
    let mut words = first..first + count;
    match deed {
        deed::LOAD => return Ok(word(first).load(Ordering::SeqCst)),
        deed::STORE => word(first).store(seed, Ordering::SeqCst),
        deed::PAINT => words.for_each(|i| word(i).store(paint(seed, i as usize), Ordering::SeqCst)),
        deed::CHECK => {
            let wrong = words.find(|&i| word(i).load(Ordering::SeqCst) != paint(seed, i as usize));
            return Ok(wrong.unwrap_or(NOWHERE));
        }
        deed::MAP_EACH => return map_each(grant, words),
        deed::WRITE_ALWAYS => write_always(seed),
        _ => return Err(Errno::NoSys),
    }
    Ok(0)
}

/// Maps pages, each with a call of its own; returns how many could be mapped.
fn map_each(grant: Received, pages: core::ops::Range<u64>) -> Result<u64, Errno> {
    for page in pages.clone() {
        let (granter, offset) = (grant.granter, page * PAGE_SIZE);
        let call = SafeMap { granter, write: 1, grant: grant.id, offset, address: FIELD + offset, len: PAGE_SIZE };
        // SAFETY: it is of the field.
        while match unsafe { rt::call_unchecked(&call) } {
            Ok(mapped) => mapped.done == 0,
            Err(Errno::NoSpc) => return Ok(page - pages.start),
            Err(errno) => return Err(errno),
        } {}
    }
    Ok(pages.end - pages.start)
}

/// Writes to all pages until it is told to stop: in each its own word, by a number, which nobody else writes.
fn write_always(number: u64) {
    let board = own_board();
    let mut value = 0;
    while board.get(STOP) == 0 {
        value += 1;
        for page in 0..PAGES {
            let word = word((page * WORDS) as u64 + number);
            word.store(value, Ordering::SeqCst);
            if word.load(Ordering::SeqCst) != value {
                board.count(Board::TROUBLE);
            }
        }
        board.count(ROUNDS);
    }
}

/// A child that does so.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) child: Child,
    pub(crate) field: Field,
}

impl Party {
    /// Starts one which can do nothing but lend and borrow.
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::start_with(&Plan::new(party)?.calls(LENDING_CALLS), PAGES)
    }

    /// One that has so many pages.
    pub(crate) fn start_large(pages: usize) -> Result<Self, Failure> {
        Self::start_with(&Plan::new(party)?.calls(LENDING_CALLS), pages)
    }

    /// With a plan of one's own, and so many pages.
    pub(crate) fn start_with(plan: &Plan, pages: usize) -> Result<Self, Failure> {
        let child = Child::start(plan)?;
        let party = Self { field: Field::make(&child, pages)?, child };
        settle()?;
        // It was copied from the suite, whose grants the kernel knows.
        party.tell(deed::REGISTER, [0; 6])?;
        crate::kit::eventually(|| party.deeds() == 1)?;
        party.told()?;
        Ok(party)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.child.endpoint
    }

    /// How many deeds it has done.
    pub(crate) fn deeds(&self) -> u64 {
        self.child.board().get(Board::COUNT)
    }

    /// Tells it what to do.
    fn tell(&self, deed: u64, words: Words) -> Outcome {
        let board = self.child.board();
        board.set(DEED, deed);
        words.into_iter().enumerate().for_each(|(i, word)| board.set(ARGUMENTS + i, word));
        rt::notify(self.endpoint())?;
        Ok(())
    }

    /// What came of what it was told.
    pub(crate) fn told(&self) -> Result<u64, Errno> {
        let board = self.child.board();
        Errno::from_number(board.get(ERROR) as u16).map_or(Ok(board.get(VALUE)), Err)
    }

    /// Tells it what to do, and waits until that is done.
    #[track_caller]
    fn does(&self, deed: u64, words: Words) -> Result<Result<u64, Errno>, Failure> {
        let line = core::panic::Location::caller().line();
        let before = self.deeds();
        self.tell(deed, words)?;
        settle()?;
        check_eq!((line, self.deeds()), (line, before + 1));
        Ok(self.told())
    }

    /// What it reads in a word of its field.
    #[track_caller]
    pub(crate) fn load(&self, word: usize) -> Result<u64, Failure> {
        Ok(self.does(deed::LOAD, [0, 0, word as u64, 0, 0, 0])??)
    }

    /// It writes a word.
    #[track_caller]
    pub(crate) fn store(&self, word: usize, value: u64) -> Outcome {
        self.does(deed::STORE, [0, 0, word as u64, 0, value, 0])??;
        Ok(())
    }

    /// It tries to, and does not come back.
    pub(crate) fn tries_to_store(&self, word: usize, value: u64) -> Outcome {
        self.tell(deed::STORE, [0, 0, word as u64, 0, value, 0])
    }

    /// It writes whole pages.
    #[track_caller]
    pub(crate) fn paint(&self, seed: u64, page: usize, count: usize) -> Outcome {
        self.does(deed::PAINT, [0, 0, (page * WORDS) as u64, (count * WORDS) as u64, seed, 0])??;
        Ok(())
    }

    /// It reads whole pages, which must be painted so.
    #[track_caller]
    pub(crate) fn check(&self, seed: u64, page: usize, count: usize) -> Outcome {
        let line = core::panic::Location::caller().line();
        let wrong = self.does(deed::CHECK, [0, 0, (page * WORDS) as u64, (count * WORDS) as u64, seed, 0])??;
        check_eq!((line, seed, wrong), (line, seed, NOWHERE));
        Ok(())
    }

    /// It grants its first pages, to be mapped.
    #[track_caller]
    pub(crate) fn shares(&self, writable: bool, to: Endpoint) -> Result<Received, Failure> {
        let id = self.does(deed::SHARE, [0, 0, 0, 0, writable.into(), to.raw().into()])??;
        Ok(Received { granter: self.endpoint(), id: GrantId::from_raw(id) })
    }

    /// It grants many pages, to be mapped.
    #[track_caller]
    pub(crate) fn shares_many(&self, to: Endpoint) -> Result<Received, Failure> {
        let id = self.does(deed::SHARE_MANY, [0, 0, 0, 0, WRITABLE, to.raw().into()])??;
        Ok(Received { granter: self.endpoint(), id: GrantId::from_raw(id) })
    }

    /// It hands on a part of what it was given, to be mapped.
    #[track_caller]
    pub(crate) fn hands_on(
        &self,
        grant: Received,
        start: u64,
        len: u64,
        writable: bool,
        to: Endpoint,
    ) -> Result<Received, Failure> {
        let words = [grant.granter.raw().into(), grant.id.raw(), start, len, writable.into(), to.raw().into()];
        Ok(Received { granter: self.endpoint(), id: GrantId::from_raw(self.does(deed::HAND_ON, words)??) })
    }

    /// It takes back what it has granted or handed on.
    #[track_caller]
    pub(crate) fn revokes(&self, grant: Received) -> Outcome {
        self.does(deed::REVOKE, [0, grant.id.raw(), 0, 0, 0, 0])??;
        Ok(())
    }

    /// It maps its first pages.
    #[track_caller]
    pub(crate) fn maps(&self, grant: Received, offset: u64, writable: bool) -> Result<Result<u64, Errno>, Failure> {
        self.does(deed::MAP, map_words(grant, offset, writable))
    }

    /// The same while it has the guard of another mapping.
    pub(crate) fn maps_again(&self, grant: Received) -> Result<Result<u64, Errno>, Failure> {
        self.does(deed::MAP_AGAIN, map_words(grant, 0, true))
    }

    /// It begins to.
    pub(crate) fn begins_to_map(&self, grant: Received, offset: u64, writable: bool) -> Outcome {
        self.tell(deed::MAP, map_words(grant, offset, writable))?;
        settle()
    }

    /// It ends what it has mapped.
    #[track_caller]
    pub(crate) fn unmaps(&self) -> Outcome {
        self.does(deed::UNMAP, [0; 6])??;
        Ok(())
    }

    /// It maps so many pages from the same places of a grant, each by itself; returns how many the kernel has room for.
    #[track_caller]
    pub(crate) fn maps_each(&self, grant: Received, count: usize) -> Result<u64, Failure> {
        let words = [grant.granter.raw().into(), grant.id.raw(), 0, count as u64, 0, 0];
        Ok(self.does(deed::MAP_EACH, words)??)
    }

    /// It makes a kernel call.
    pub(crate) fn calls<C: Call>(&self, call: &C) -> Result<Result<C::Reply, Errno>, Failure> {
        called(&self.child, call)
    }

    /// Takes a page of its field away, until it is needed.
    pub(crate) fn loses(&self, page: usize) -> Outcome {
        self.field.lose(&self.child, page)
    }

    /// Ends it while the memory server is held, which goes on then.
    pub(crate) fn dies(self) -> Outcome {
        sys::kernel().clear(protocol::kernel::Clear { process: self.endpoint() })?;
        family::go_on()?;
        self.child.home.end()?;
        self.field.end()
    }

    pub(crate) fn end(self) -> Outcome {
        self.child.end()?;
        self.field.end()
    }
}

/// One that runs on another processor, or in turns with the suite.
impl Party {
    /// Has it map its first pages, and write to them from then on.
    pub(crate) fn maps_and_writes(&self, grant: Received, number: u64) -> Outcome {
        let before = self.deeds();
        self.tell(deed::MAP, map_words(grant, 0, true))?;
        crate::kit::eventually(|| self.deeds() > before)?;
        self.told()?;
        self.child.board().set(STOP, 0);
        self.tell(deed::WRITE_ALWAYS, [0, 0, 0, 0, number, 0])
    }

    /// Waits until it has written all pages some times more.
    pub(crate) fn goes_on_writing(&self) -> Outcome {
        const SOME: u64 = 3;
        let board = self.child.board();
        let start = board.get(ROUNDS);
        crate::kit::eventually(|| board.get(ROUNDS) > start + SOME)?;
        check_eq!(board.get(Board::TROUBLE), 0);
        Ok(())
    }

    /// Stops it.
    pub(crate) fn stops_writing(&self) -> Outcome {
        let before = self.deeds();
        self.child.board().set(STOP, 1);
        crate::kit::eventually(|| self.deeds() > before)?;
        self.told()?;
        Ok(())
    }

    /// Has it end its mapping, of which nothing is left if it was taken back.
    pub(crate) fn forgets_mapping(&self) -> Outcome {
        let before = self.deeds();
        self.tell(deed::UNMAP, [0; 6])?;
        crate::kit::eventually(|| self.deeds() > before)?;
        self.told()?;
        Ok(())
    }
}

fn map_words(grant: Received, offset: u64, writable: bool) -> Words {
    [grant.granter.raw().into(), grant.id.raw(), offset, 0, writable.into(), 0]
}
