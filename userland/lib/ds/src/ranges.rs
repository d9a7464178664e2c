//! Ranges of memory that others can see.

use crate::{DataStore, lent};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use protocol::ds::*;
use sys::grants::{Mapped, Pages, Place, Received, Rights, Scope, SharedGrant};

impl DataStore {
    /// Publishes pages that the program goes on using. They can be seen until the entry is deleted, or the grant that comes back is dropped.
    ///
    /// # Errors
    /// As of [`Publish`] and [`Scope`].
    pub fn share<'scope, const N: usize>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        key: &str,
        pages: &'scope Pages<N>,
        flags: Flags,
    ) -> Result<SharedGrant<'scope, N>, Errno> {
        let len = u32::try_from(N as u64 * PAGE_SIZE).map_err(|_| Errno::TooBig)?;
        let grant = scope.share(pages, Rights::READ, self.client.to)?;
        self.publish(key, EntryKind::Mapped, flags, len, grant.id().raw())?;
        Ok(grant)
    }

    /// Copies what a range shows now, as far as there is room for it; how long it is.
    ///
    /// # Errors
    /// As of [`Retrieve`].
    pub fn copy_range(&mut self, key: &str, into: &mut [u8]) -> Result<usize, Errno> {
        self.copy(key, EntryKind::Mapped, into)
    }

    /// Shows a range, or its first pages, in the place of pages of the program.
    ///
    /// # Errors
    /// As of [`MapRange`] and [`Received::map`]; `EINVAL` if the range is shorter.
    pub fn map<'p, const N: usize>(&mut self, key: &str, place: &'p Place<N>) -> Result<Mapped<'p, N>, Errno> {
        let RangeGranted { grant, len, .. } = self.with_key(key, |client, key| client.map(MapRange { key }))?;
        if u64::from(len) < N as u64 * PAGE_SIZE {
            return Err(Errno::Inval);
        }
        Received { granter: self.client.to, id: grant }.map(0, place, Rights::READ)
    }

    /// Has what a range shows now copied and kept; the number of the copy.
    ///
    /// # Errors
    /// As of [`Snapshot`].
    pub fn snapshot(&mut self, key: &str) -> Result<u32, Errno> {
        self.with_key(key, |client, key| client.snapshot(Snapshot { key })).map(|taken| taken.index)
    }

    /// Copies a snapshot, as far as there is room for it; how long it is.
    ///
    /// # Errors
    /// As of [`RetrieveSnapshot`].
    pub fn copy_snapshot(&mut self, key: &str, index: u32, into: &mut [u8]) -> Result<usize, Errno> {
        let to = self.client.to;
        let copied = lent(to, into, |grant, capacity| {
            let ask = |key| RetrieveSnapshot { key, index, capacity, reserved: 0, grant };
            self.with_key(key, |client, key| client.retrieve_snapshot(ask(key)))
        })?;
        Ok(copied.len as usize)
    }
}
