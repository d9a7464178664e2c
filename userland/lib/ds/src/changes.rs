//! Being told of what changes.

use crate::{DataStore, Text};
use abi::{Endpoint, Errno};
use protocol::ds::*;

/// Something that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    text: Text,
    /// What kind of entry.
    pub kind: EntryKind,
    /// Whose it is now.
    pub owner: Endpoint,
    /// The number or the endpoint; the length of others.
    pub value: u64,
}

impl Change {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.text.as_str()
    }
}

impl DataStore {
    /// Has the caller notified when entries change or disappear whose whole keys fit a pattern; of these kinds, or of all if there are none.
    ///
    /// # Errors
    /// As of [`Subscribe`].
    pub fn subscribe(&mut self, pattern: &str, kinds: Kinds, flags: SubscribeFlags) -> Result<(), Errno> {
        let (kinds, flags) = (kinds.bits(), flags.bits());
        self.with_key(pattern, |client, pattern| client.subscribe(Subscribe { pattern, kinds, flags })).map(drop)
    }

    /// The next change; `None` if there are no more. When that comes first after a notification, something has disappeared.
    ///
    /// # Errors
    /// As of [`Check`].
    pub fn next_change(&mut self) -> Result<Option<Change>, Errno> {
        let to = self.client.to;
        let ask = |grant| {
            let Changed { value, key, kind, owner, .. } = self.client.check(Check { grant })?;
            Ok((key, (kind, owner, value)))
        };
        match Text::default().fetched(to, ask) {
            Ok(((kind, owner, value), text)) => Ok(Some(Change { text, kind, owner, value })),
            Err(Errno::NoEnt) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
