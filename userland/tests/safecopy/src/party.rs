//! Children that use the library of grants: they copy, check what they got, and hand grants on. The suite tells them what to do
//! by their boards.

use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use family::kit::settle;
use family::{Board, Child, Plan, own_board};
use static_cell::ConstStaticCell;
use suite::{Failure, Outcome, check_eq};
use sys::grants::{CopyError, FOREVER, IndirectGrant, Received, Rights, register_again};

/// Bytes of a party's own memory: 32 KiB, and room for odd offsets and for guards around.
pub(crate) const SIZE: usize = 10 * 4096;

/// Kernel calls that are needed to grant memory and to use what is granted, and none besides.
pub(crate) const SAFE_CALLS: &[&str] =
    &["setgrant", "safecopyfrom", "safecopyto", "vsafecopy", "safememset", "times", "setalarm"];

/// How many grants a party can hand on at a time.
const MOST_HANDED_ON: usize = 8;

/// Memory that starts with a page.
#[repr(align(4096))]
pub(crate) struct Memory(pub(crate) [u8; SIZE]);

/// That of each party: each has its own copy, which the suite itself does not use.
static OWN: ConstStaticCell<Memory> = ConstStaticCell::new(Memory([0; SIZE]));

/// The byte at a place of memory that was painted with a seed.
pub(crate) const fn paint(seed: u64, at: usize) -> u8 {
    let at = at as u64;
    (seed.wrapping_mul(0x9d) ^ at ^ (at >> 8).wrapping_mul(7)) as u8
}

/// Paints all of it.
pub(crate) fn paint_all(memory: &mut [u8], seed: u64) {
    memory.iter_mut().enumerate().for_each(|(at, byte)| *byte = paint(seed, at));
}

/// A part of memory that was painted with a seed beginning at some place, while all around was painted with another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Painting {
    pub(crate) around: u64,
    pub(crate) at: usize,
    pub(crate) len: usize,
    pub(crate) seed: u64,
    pub(crate) from: usize,
}

impl Painting {
    /// The first place where memory differs from it.
    pub(crate) fn wrong(&self, memory: &[u8]) -> Option<usize> {
        let Self { around, at, len, seed, from } = *self;
        let expected = |i| if (at..at + len).contains(&i) { paint(seed, from + (i - at)) } else { paint(around, i) };
        memory.iter().enumerate().position(|(i, &byte)| byte != expected(i))
    }
}

/// What a party is told to do; the numbers on its board.
mod deed {
    pub(super) const PAINT: u64 = 1;
    pub(super) const FETCH: u64 = 2;
    pub(super) const STORE: u64 = 3;
    pub(super) const FILL: u64 = 4;
    pub(super) const CHECK: u64 = 5;
    pub(super) const HAND_ON: u64 = 6;
    pub(super) const TAKE_BACK: u64 = 7;
    pub(super) const REGISTER: u64 = 8;
}

/// Words of the board: what to do, with what, and what came of it.
const DEED: usize = Board::FREE;
const WORDS: usize = Board::FREE + 1;
const ERROR: usize = Board::FREE + 16;
const VALUE: usize = Board::FREE + 17;
/// Stands where there is no such place.
const NOWHERE: u64 = u64::MAX;
/// Stands for a right to write, too.
const WRITABLE: u64 = 1;

/// A deed, and its words.
type Words = [u64; 7];

/// Executes deeds for ever.
pub(crate) extern "C" fn party() -> ! {
    let board = own_board();
    let memory = &mut OWN.take().0;
    let mut handed_on = [const { None }; MOST_HANDED_ON];
    let partner = Endpoint::from_raw(board.get(Board::PARTNER) as u32);
    while rt::receive(partner).is_ok() {
        let words = core::array::from_fn(|i| board.get(WORDS + i));
        let (errno, value) = match perform(board.get(DEED), &words, memory, &mut handed_on) {
            Ok(value) => (0, value),
            Err(CopyError { errno, done }) => (errno as u64, done),
        };
        board.set(ERROR, errno);
        board.set(VALUE, value);
        board.count(Board::COUNT);
    }
    sys::exit(0)
}

fn perform(
    deed: u64,
    words: &Words,
    memory: &mut [u8; SIZE],
    handed_on: &mut [Option<IndirectGrant<'static>>; MOST_HANDED_ON],
) -> Result<u64, CopyError> {
    let failed = |errno| CopyError { errno, done: 0 };
    let [granter, id, offset, len, at, seed, from] = *words;
    let grant = Received { granter: Endpoint::from_raw(granter as u32), id: GrantId::from_raw(id) };
    let part = at as usize..(at + len) as usize;
    match deed {
        deed::PAINT => paint_all(memory, seed),
        deed::FETCH => grant.copy_from(offset, &mut memory[part])?,
        deed::STORE => grant.copy_to(offset, &memory[part])?,
        deed::FILL => grant.fill(offset, len, seed as u8)?,
        deed::CHECK => {
            // Besides the part, it was painted with what stands in the place of the offset.
            let painting = Painting { around: offset, at: part.start, len: part.len(), seed, from: from as usize };
            return Ok(painting.wrong(memory).map_or(NOWHERE, |place| place as u64));
        }
        deed::HAND_ON => {
            let free = handed_on.iter_mut().find(|place| place.is_none()).ok_or(failed(Errno::NoSpc))?;
            let rights = if seed == WRITABLE { Rights::READ_WRITE } else { Rights::READ };
            let to = Endpoint::from_raw(from as u32);
            let made = FOREVER.hand_on(grant, offset..offset + len, rights, to).map_err(failed)?;
            return Ok(free.insert(made).id().raw());
        }
        deed::TAKE_BACK => {
            let held = |place: &&mut Option<IndirectGrant<'_>>| place.as_ref().is_some_and(|it| it.id() == grant.id);
            let place = handed_on.iter_mut().find(held).ok_or(failed(Errno::NoEnt))?;
            place.take();
        }
        deed::REGISTER => register_again().map_err(failed)?,
        _ => return Err(failed(Errno::NoSys)),
    }
    Ok(0)
}

/// A child that does so.
#[derive(Debug)]
pub(crate) struct Party(pub(crate) Child);

impl Party {
    /// Starts one which can do nothing but grant memory and copy.
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::start_with(&Plan::new(party)?.calls(SAFE_CALLS))
    }

    /// The same with a plan of one's own.
    pub(crate) fn start_with(plan: &Plan) -> Result<Self, Failure> {
        let party = Self(Child::start(plan)?);
        settle()?;
        // It was copied from the suite, whose grants the kernel knows.
        party.does(deed::REGISTER, [0; 7])??;
        Ok(party)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.0.endpoint
    }

    /// Tells it what to do.
    fn tell(&self, deed: u64, words: Words) -> Outcome {
        let board = self.0.board();
        board.set(DEED, deed);
        words.into_iter().enumerate().for_each(|(i, word)| board.set(WORDS + i, word));
        rt::notify(self.0.endpoint)?;
        Ok(())
    }

    /// What came of what it was told.
    fn told(&self) -> Result<u64, CopyError> {
        let (error, value) = (self.0.board().get(ERROR), self.0.board().get(VALUE));
        match Errno::from_number(error as u16) {
            None => Ok(value),
            Some(errno) => Err(CopyError { errno, done: value }),
        }
    }

    /// Tells it what to do, and waits until that is done.
    fn does(&self, deed: u64, words: Words) -> Result<Result<u64, CopyError>, Failure> {
        let before = self.0.board().get(Board::COUNT);
        self.tell(deed, words)?;
        settle()?;
        check_eq!(self.0.board().get(Board::COUNT), before + 1);
        Ok(self.told())
    }

    /// Paints all of its memory.
    pub(crate) fn paint(&self, seed: u64) -> Outcome {
        self.does(deed::PAINT, [0, 0, 0, 0, 0, seed, 0])??;
        Ok(())
    }

    /// Copies from a grant to a place in its memory.
    pub(crate) fn fetch(&self, grant: Received, offset: usize, at: usize, len: usize) -> Result<Copied, Failure> {
        self.copies(deed::FETCH, grant, offset, at, len)
    }

    /// Copies to a grant.
    pub(crate) fn store(&self, grant: Received, offset: usize, at: usize, len: usize) -> Result<Copied, Failure> {
        self.copies(deed::STORE, grant, offset, at, len)
    }

    /// Fills a part of a grant with a byte.
    pub(crate) fn fill(&self, grant: Received, offset: usize, len: usize, byte: u8) -> Result<Copied, Failure> {
        let words = [grant.granter.raw().into(), grant.id.raw(), offset as u64, len as u64, 0, byte.into(), 0];
        Ok(self.does(deed::FILL, words)?.map(drop))
    }

    fn copies(&self, deed: u64, grant: Received, offset: usize, at: usize, len: usize) -> Result<Copied, Failure> {
        Ok(self.does(deed, copy_words(grant, offset, at, len))?.map(drop))
    }

    /// Begins to copy from a grant.
    pub(crate) fn begin_to_fetch(&self, grant: Received, len: usize) -> Outcome {
        self.tell(deed::FETCH, copy_words(grant, 0, 0, len))
    }

    /// What came of that, if it has ended.
    pub(crate) fn fetched(&self, before: u64) -> Option<Copied> {
        (self.0.board().get(Board::COUNT) > before).then(|| self.told().map(drop))
    }

    /// How many deeds it has done.
    pub(crate) fn deeds(&self) -> u64 {
        self.0.board().get(Board::COUNT)
    }

    /// Checks all of its memory.
    #[track_caller]
    pub(crate) fn check(&self, painting: &Painting) -> Outcome {
        let Painting { around, at, len, seed, from } = *painting;
        let words = [0, 0, around, len as u64, at as u64, seed, from as u64];
        check_eq!((painting, self.does(deed::CHECK, words)??), (painting, NOWHERE));
        Ok(())
    }

    /// Hands on all of what it was given from a byte on.
    pub(crate) fn hands_on(
        &self,
        grant: Received,
        start: usize,
        len: usize,
        to: Endpoint,
    ) -> Result<Received, Failure> {
        let to = u64::from(to.raw());
        let words = [grant.granter.raw().into(), grant.id.raw(), start as u64, len as u64, 0, WRITABLE, to];
        let id = GrantId::from_raw(self.does(deed::HAND_ON, words)??);
        Ok(Received { granter: self.endpoint(), id })
    }

    /// Takes back what it has handed on.
    pub(crate) fn takes_back(&self, grant: Received) -> Outcome {
        self.does(deed::TAKE_BACK, [0, grant.id.raw(), 0, 0, 0, 0, 0])??;
        Ok(())
    }

    pub(crate) fn end(self) -> Outcome {
        self.0.end()
    }
}

/// How a copy ended.
pub(crate) type Copied = Result<(), CopyError>;

fn copy_words(grant: Received, offset: usize, at: usize, len: usize) -> Words {
    [grant.granter.raw().into(), grant.id.raw(), offset as u64, len as u64, at as u64, 0, 0]
}
