//! What the tests have in common: grants written by hand, and copies that must fail.

use crate::party::{Memory, SAFE_CALLS, SIZE};
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::{Endpoint, Errno, PrivilegeFlags};
use atomic_refcell::AtomicRefCell;
use family::kit::{called, settle};
use family::{Board, Child, Page, Plan, programs};
use protocol::kernel::SetGrant;
use suite::{Failure, Outcome, check, check_eq};
use sys::grants::{CopyError, Received};
use zerocopy::IntoBytes;

/// The suite's own memory, to be granted.
pub(crate) static MINE: AtomicRefCell<Memory> = AtomicRefCell::new(Memory([0; SIZE]));

pub(crate) const READ: GrantFlags = GrantFlags::READ;
pub(crate) const WRITE: GrantFlags = GrantFlags::WRITE;
pub(crate) const BOTH: GrantFlags = READ.union(WRITE);

/// Where a child that grants by hand has its table.
pub(crate) const TABLE: Page = Page(3);
/// Entries of a page.
pub(crate) const ENTRIES: u64 = 64;
/// What it grants: a page, and the one behind it.
pub(crate) const DATA: Page = Page(1);
pub(crate) const MORE: Page = Page(2);
/// Bytes of what it grants, if it grants all.
pub(crate) const LEN: u64 = 8192;

/// A complete entry of a kind.
fn entry(kind: GrantFlags, to: Endpoint, rights: GrantFlags, start: u64, len: u64) -> GrantEntry {
    let flags = GrantFlags::USED | GrantFlags::VALID | kind | rights;
    GrantEntry { flags: flags.bits(), grantee: to, start, len, ..GrantEntry::FREE }
}

pub(crate) fn direct(to: Endpoint, rights: GrantFlags, start: u64, len: u64) -> GrantEntry {
    entry(GrantFlags::DIRECT, to, rights, start, len)
}

pub(crate) fn indirect(to: Endpoint, rights: GrantFlags, what: Received, start: u64, len: u64) -> GrantEntry {
    GrantEntry { parent: what.id, other: what.granter, ..entry(GrantFlags::INDIRECT, to, rights, start, len) }
}

pub(crate) fn magic(to: Endpoint, rights: GrantFlags, owner: Endpoint, start: u64, len: u64) -> GrantEntry {
    GrantEntry { other: owner, ..entry(GrantFlags::MAGIC, to, rights, start, len) }
}

/// The first grant of a place.
pub(crate) fn id(index: u64) -> GrantId {
    GrantId::new(index, 0).unwrap_or(GrantId::INVALID)
}

/// A child whose grants are written by the suite, into a page that both see. It makes whatever kernel calls it is told.
#[derive(Debug)]
pub(crate) struct Granter(pub(crate) Child);

impl Granter {
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::start_with(PrivilegeFlags::empty())
    }

    /// With privileges besides.
    pub(crate) fn start_with(flags: PrivilegeFlags) -> Result<Self, Failure> {
        let plan = Plan::new(programs::obey)?.calls(SAFE_CALLS).calls_too(&["vircopy"]).privileged(flags);
        let granter = Self(Child::start(&plan)?);
        settle()?;
        for page in [DATA, MORE] {
            (0..512).for_each(|word| granter.0.home.page(page).set(word, word as u64 | (page.0 as u64) << 32));
        }
        granter.register(TABLE.address(), ENTRIES)??;
        Ok(granter)
    }

    /// Tells the kernel where its table is.
    pub(crate) fn register(&self, address: u64, count: u64) -> Result<Result<(), Errno>, Failure> {
        Ok(called(&self.0, &SetGrant { address, count })?.map(drop))
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.0.endpoint
    }

    /// Writes an entry into its table, the flags last.
    pub(crate) fn grant(&self, index: u64, entry: GrantEntry) -> Received {
        let words: [u64; 8] = zerocopy::transmute!(entry);
        let table = self.0.home.page(TABLE);
        for (i, word) in words.into_iter().enumerate().rev() {
            table.set(index as usize * words.len() + i, word);
        }
        let id = GrantId::new(index, entry.sequence).unwrap_or(GrantId::INVALID);
        Received { granter: self.endpoint(), id }
    }

    /// Grants all its data.
    pub(crate) fn grant_data(&self, to: Endpoint, rights: GrantFlags) -> Received {
        self.grant(0, direct(to, rights, DATA.address(), LEN))
    }

    /// The mark of an entry.
    pub(crate) fn mark(&self, index: u64) -> GrantId {
        const FAULTED: usize = core::mem::offset_of!(GrantEntry, faulted) / 8;
        GrantId::from_raw(self.0.home.page(TABLE).get(index as usize * 8 + FAULTED))
    }

    /// A word of its data.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.0.home.page(if index < 512 { DATA } else { MORE }).get(index % 512)
    }

    /// The words of its data.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        let of_page = |page| (0..512).map(move |word| self.0.home.page(page).get(word));
        of_page(DATA).chain(of_page(MORE))
    }

    /// A number that is another one if a word of its data is.
    pub(crate) fn sum(&self) -> u64 {
        self.words().fold(0, |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31))
    }

    pub(crate) fn end(self) -> Outcome {
        self.0.end()
    }
}

/// The suite can read and write 8 bytes at an offset of a grant.
pub(crate) fn usable(grant: Received, offset: u64) -> Outcome {
    let word: u64 = grant.value(offset)?;
    grant.copy_to(offset, &!word)?;
    check_eq!(grant.value::<u64>(offset)?, !word);
    grant.copy_to(offset, &word)?;
    Ok(())
}

/// It can do neither, nor fill them, and nothing changes.
#[track_caller]
pub(crate) fn useless(granter: &Granter, grant: Received, errno: Errno) -> Outcome {
    unreadable(granter, grant, 0, 8, errno)?;
    unwritable(granter, grant, 0, 8, errno)
}

/// The suite cannot copy from a part of a grant, and keeps what it has.
#[track_caller]
pub(crate) fn unreadable(granter: &Granter, grant: Received, offset: u64, len: usize, errno: Errno) -> Outcome {
    const CANARY: u64 = 0x5ca1_ab1e_0dd5_eed5;
    let line = core::panic::Location::caller().line();
    let mut words = [CANARY; 8];
    let before = granter.sum();
    let result = grant.copy_from(offset, &mut words.as_mut_bytes()[8..8 + len]);
    check_eq!((line, result), (line, Err(CopyError { errno, done: 0 })));
    check!(words == [CANARY; 8] && granter.sum() == before, "line {line}: something was copied");
    Ok(())
}

/// The suite can neither copy to a part of a grant nor fill it, and nothing changes there.
#[track_caller]
pub(crate) fn unwritable(granter: &Granter, grant: Received, offset: u64, len: usize, errno: Errno) -> Outcome {
    let line = core::panic::Location::caller().line();
    let before = granter.sum();
    let expected = Err(CopyError { errno, done: 0 });
    check_eq!((line, grant.copy_to(offset, &[!0_u8; 64][..len])), (line, expected));
    check_eq!((line, grant.fill(offset, len as u64, 0xff)), (line, expected));
    check!(granter.sum() == before, "line {line}: something was written");
    Ok(())
}

/// Takes a page from a child, until it is needed.
pub(crate) fn take(child: &Child, page: Page) -> Outcome {
    child.home.lose(page)
}

/// How many traps a child has made.
pub(crate) fn traps(child: &Child) -> u64 {
    child.board().get(Board::COUNT)
}
