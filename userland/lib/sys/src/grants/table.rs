//! The program's table of grants, and the kernel's knowledge of it.

use super::book::{Book, Place};
use super::entry::Entry;
use abi::Errno;
use abi::grant::{GrantEntry, GrantFlags, GrantId, MAX_GRANTS};
use abi::layout::PAGE_SIZE;
use atomic_refcell::AtomicRefCell;
use protocol::kernel::{SafeRevMap, SafeRevMapped, SetGrant, Times};
use static_cell::ConstStaticCell;

/// As many grants as a program can make without giving more memory for them.
const FIRST_GRANTS: usize = 16;

/// Memory for a table of up to [`MAX_GRANTS`] grants: see [`add_room`].
#[derive(Debug)]
pub struct Room<const N: usize> {
    entries: [Entry; N],
    places: [Place; N],
}

impl<const N: usize> Room<N> {
    /// Without any grant. All of its bytes are zero, so that it takes no room in a program's file.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N as u64 <= MAX_GRANTS, "a table has no more entries than that") }
        Self { entries: [const { Entry::new() }; N], places: [Place::NEW; N] }
    }
}

impl<const N: usize> Default for Room<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The table: its entries, which the kernel reads, and what the program knows of their places.
struct Table {
    entries: &'static [Entry],
    book: Book<'static>,
    /// Whether the kernel knows where it is.
    registered: bool,
}

static TABLE: AtomicRefCell<Table> = AtomicRefCell::new(Table { entries: &[], book: Book::new(), registered: false });

static FIRST_ROOM: ConstStaticCell<Room<FIRST_GRANTS>> = ConstStaticCell::new(Room::new());

impl Table {
    /// Has a first place at least, and is known to the kernel.
    fn make_ready(&mut self) -> Result<(), Errno> {
        if self.book.len() == 0
            && let Some(room) = FIRST_ROOM.try_take()
        {
            self.book.grow(&mut room.places);
            self.entries = &room.entries;
        }
        if !self.registered {
            register(self.entries)?;
            self.registered = true;
        }
        Ok(())
    }

    fn entry(&self, id: GrantId) -> &'static Entry {
        &self.entries[id.index() as usize]
    }
}

/// Tells the kernel where entries are.
fn register(entries: &[Entry]) -> Result<(), Errno> {
    let call = SetGrant { address: entries.as_ptr().expose_provenance() as u64, count: entries.len() as u64 };
    // SAFETY: an entry is valid only while what it grants is lent.
    unsafe { rt::call_unchecked(&call) }.map(drop)
}

/// When this returns, no copy is under way that began before: each of them holds the kernel lock, which every trap takes. It
/// does not matter if the call is denied.
fn wait_for_copies() {
    let _ = crate::kernel().times(Times {});
}

/// Gives the table more room. Grants that there are stay, with their ids; the room before is not used any more.
///
/// # Errors
/// `EINVAL` if it is not more than before, `ECALLDENIED`, `EPERM` for what is no service. The table is then as it was.
pub fn add_room<const N: usize>(room: &'static mut Room<N>) -> Result<(), Errno> {
    let table = &mut *TABLE.borrow_mut();
    let Room { entries, places } = room;
    let entries = &*entries;
    if N <= table.book.len() {
        return Err(Errno::Inval);
    }
    for (new, old) in entries.iter().zip(table.entries) {
        new.copy_from(old);
    }
    register(entries)?;
    // The kernel may have marked entries of the old table after they were copied.
    for (new, old) in entries.iter().zip(table.entries) {
        new.copy_mark_from(old);
    }
    table.book.grow(places);
    (table.entries, table.registered) = (entries, true);
    Ok(())
}

/// Tells the kernel anew where the grants are: for a program that goes on under another endpoint, which is that of the instance
/// that it replaces. Until then nobody can use its grants.
///
/// # Errors
/// `ECALLDENIED`, `EPERM` for what is no service.
pub fn register_again() -> Result<(), Errno> {
    let mut table = TABLE.borrow_mut();
    table.registered = false;
    table.make_ready()
}

/// The number of a new scope.
pub(super) fn new_scope() -> u64 {
    TABLE.borrow_mut().book.new_scope()
}

/// Makes a grant of a scope.
pub(super) fn grant(scope: u64, entry: GrantEntry) -> Result<GrantId, Errno> {
    if is_mapping(entry.flags) {
        if !entry.start.is_multiple_of(PAGE_SIZE) || !entry.len.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::Inval);
        }
        // What could not be taken back is not granted.
        crate::kernel().saferevmap(SafeRevMap { grant: GrantId::INVALID })?;
    }
    let mut table = TABLE.borrow_mut();
    table.make_ready()?;
    let id = table.book.take(scope).ok_or(Errno::NoSpc)?;
    table.entry(id).publish(GrantEntry { sequence: id.sequence(), ..entry });
    Ok(id)
}

/// Takes a grant back. Returns whether a copy with it failed because it should not wait for memory.
pub(super) fn revoke(id: GrantId) -> bool {
    let mut table = TABLE.borrow_mut();
    let entry = table.entry(id);
    take_back(entry, id);
    table.book.give_back(id);
    entry.faulted() == id
}

/// Takes all grants of a scope back.
pub(super) fn revoke_all(scope: u64) {
    let mut table = TABLE.borrow_mut();
    while let Some(id) = table.book.grant_of(scope) {
        take_back(table.entry(id), id);
        table.book.give_back(id);
    }
}

fn is_mapping(flags: u32) -> bool {
    GrantFlags::from_bits_retain(flags).contains(GrantFlags::MAP)
}

/// Ends a grant: when this returns, nobody uses it.
fn take_back(entry: &Entry, id: GrantId) {
    let flags = entry.clear();
    if is_mapping(flags) {
        while let Ok(SafeRevMapped { more: 1.. }) = crate::kernel().saferevmap(SafeRevMap { grant: id }) {}
    } else {
        wait_for_copies();
    }
}
