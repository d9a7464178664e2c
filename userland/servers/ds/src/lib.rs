//! The data store: names of services and their endpoints, what services tell each other, and who is told when it changes.
//!
//! A call checks everything first. What it comes to is one `Change`, which cannot fail any more: it is made to the tables and written
//! to the journal, from which a successor learns all that was answered. The logic knows no traps: whatever copies and grants memory is given to
//! it, and whom to notify is told.
#![no_std]

#[cfg(test)]
extern crate std;

mod apply;
mod calls;
mod change;
mod index;
mod journal;
mod name;
mod pattern;
mod plan;
mod pool;
mod serve;
mod store;
#[cfg(test)]
mod tests;

pub use journal::{Damage, Journal, Words};
pub use name::Name;
pub use pattern::Pattern;
pub use serve::{Ds, Lending, Memory, Range};
pub use store::Store;

/// Services that can have a label: as many as the kernel has privileges for.
pub const LABELS: usize = abi::PRIVILEGES;

/// Entries beside labels.
pub const ENTRIES: usize = 256;

/// Entries that one service can have.
pub const OWNER_ENTRIES: usize = 64;

/// Snapshots of a range that are kept.
pub(crate) const KEPT: usize = protocol::ds::SNAPSHOTS as usize;

/// Bytes of values and snapshots.
pub const POOL: usize = 1 << 20;

/// Bytes of values and snapshots that one service can have.
pub const OWNER_BYTES: usize = 384 << 10;

/// Bytes for what is copied, and for one frame of a journal.
pub const SCRATCH: usize = protocol::ds::MAX_VALUE as usize + 512;

/// Bytes of each half of a journal: all that can be in the store, with what it takes to write that down, and one change more.
pub const JOURNAL_HALF: usize = POOL + (320 << 10);

/// No label, entry or subscription takes more to write down than this, beside its value.
const WRITTEN: usize = 160;
/// No snapshot takes more, beside its bytes.
const WRITTEN_SNAPSHOT: usize = 32;
const _: () =
    assert!(POOL + 2 * LABELS * WRITTEN + ENTRIES * (WRITTEN + KEPT * WRITTEN_SNAPSHOT) + SCRATCH < JOURNAL_HALF);
