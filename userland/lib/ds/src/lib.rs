//! What programs ask the data store with: labels, numbers, bytes, strings, ranges of memory, subscriptions. `docs/ds.md` tells what they are for,
//! and `protocol::ds` which errors there are.
//!
//! ```no_run
//! # use ds_client::{DataStore, Flags, Kinds, SubscribeFlags};
//! # fn driver_is_up(_: &str) {}
//! # fn look() -> Result<(), abi::Errno> {
//! let mut store = DataStore::find().ok_or(abi::Errno::NoEnt)?;
//! store.set_number("drv.blk.disk", 1, Flags::OVERWRITE)?;
//! store.subscribe(r"drv\.[bc]..\..*", Kinds::NUMBER, SubscribeFlags::INITIAL)?;
//! // At each notification:
//! while let Some(change) = store.next_change()? {
//!     driver_is_up(change.key());
//! }
//! # Ok(())
//! # }
//! ```
#![no_std]

mod changes;
mod ranges;

pub use changes::Change;
pub use protocol::ds::{EntryKind, Flags, Kinds, SubscribeFlags};

use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use protocol::ds::*;
use sys::Ipc;
use sys::grants::scope;

/// The name of the data store among the boot programs.
pub const NAME: &str = "ds";

/// The data store.
#[derive(Debug)]
pub struct DataStore {
    client: Client<Ipc>,
}

impl DataStore {
    /// The one that the system was booted with.
    #[must_use]
    pub fn find() -> Option<Self> {
        sys::lookup(NAME).map(Self::at)
    }

    /// The one with this endpoint.
    #[must_use]
    pub fn at(endpoint: Endpoint) -> Self {
        Self { client: Client { to: endpoint, transport: Ipc::default() } }
    }

    /// Says that a service has this endpoint, from now on.
    ///
    /// # Errors
    /// As of [`Publish`].
    pub fn set_label(&mut self, label: &str, endpoint: Endpoint) -> Result<(), Errno> {
        let value = endpoint.raw().into();
        self.publish(label, EntryKind::Label, Flags::OVERWRITE, 0, value)
    }

    /// Forgets a service and all that it has published.
    ///
    /// # Errors
    /// As of [`Delete`].
    pub fn delete_label(&mut self, label: &str) -> Result<(), Errno> {
        self.delete(label, EntryKind::Label)
    }

    /// The endpoint of a service now.
    ///
    /// # Errors
    /// As of [`Retrieve`].
    pub fn endpoint(&mut self, label: &str) -> Result<Endpoint, Errno> {
        let found = self.retrieve(label, EntryKind::Label, 0, GrantId::INVALID)?;
        Ok(Endpoint::from_raw(found.value as u32))
    }

    /// The label of a service.
    ///
    /// # Errors
    /// As of [`RetrieveLabel`].
    pub fn label(&mut self, endpoint: Endpoint) -> Result<Text, Errno> {
        let to = self.client.to;
        let ask = |grant| {
            let found = self.client.retrieve_label(RetrieveLabel { endpoint, reserved: 0, grant })?;
            Ok((found.label, ()))
        };
        Text::default().fetched(to, ask).map(|((), text)| text)
    }

    /// Publishes a number.
    ///
    /// # Errors
    /// As of [`Publish`].
    pub fn set_number(&mut self, key: &str, value: u32, flags: Flags) -> Result<(), Errno> {
        self.publish(key, EntryKind::Number, flags, 0, value.into())
    }

    /// A number.
    ///
    /// # Errors
    /// As of [`Retrieve`].
    pub fn number(&mut self, key: &str) -> Result<u32, Errno> {
        self.retrieve(key, EntryKind::Number, 0, GrantId::INVALID).map(|found| found.value as u32)
    }

    /// Publishes bytes.
    ///
    /// # Errors
    /// As of [`Publish`].
    pub fn set_bytes(&mut self, key: &str, bytes: &[u8], flags: Flags) -> Result<(), Errno> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::TooBig)?;
        if len == 0 {
            return Err(Errno::Inval);
        }
        let to = self.client.to;
        scope(|scope| {
            let grant = scope.read(bytes, to)?;
            self.publish(key, EntryKind::Bytes, flags, len, grant.id().raw())
        })
    }

    /// Copies bytes as far as there is room for them; how many there are.
    ///
    /// # Errors
    /// As of [`Retrieve`].
    pub fn bytes(&mut self, key: &str, into: &mut [u8]) -> Result<usize, Errno> {
        self.copy(key, EntryKind::Bytes, into)
    }

    fn copy(&mut self, key: &str, kind: EntryKind, into: &mut [u8]) -> Result<usize, Errno> {
        let found = lent(self.client.to, into, |grant, capacity| self.retrieve(key, kind, capacity, grant))?;
        Ok(found.len as usize)
    }

    /// Publishes a string: its bytes.
    ///
    /// # Errors
    /// As of [`Publish`].
    pub fn set_string(&mut self, key: &str, string: &str, flags: Flags) -> Result<(), Errno> {
        self.set_bytes(key, string.as_bytes(), flags)
    }

    /// A string, or as many of its characters as there is room for.
    ///
    /// # Errors
    /// As of [`Retrieve`]; `EINVAL` for bytes that are no string.
    pub fn string<'b>(&mut self, key: &str, into: &'b mut [u8]) -> Result<&'b str, Errno> {
        let len = self.bytes(key, into)?;
        characters(into, len)
    }

    /// Removes an entry of the caller.
    ///
    /// # Errors
    /// As of [`Delete`].
    pub fn delete(&mut self, key: &str, kind: EntryKind) -> Result<(), Errno> {
        self.with_key(key, |client, key| client.delete(Delete { key, kind })).map(drop)
    }

    fn publish(&mut self, key: &str, kind: EntryKind, flags: Flags, len: u32, value: u64) -> Result<(), Errno> {
        let flags = flags.bits();
        self.with_key(key, |client, key| client.publish(Publish { key, kind, flags, len, value })).map(drop)
    }

    #[inline]
    fn retrieve(&mut self, key: &str, kind: EntryKind, capacity: u32, grant: GrantId) -> Result<Retrieved, Errno> {
        self.with_key(key, |client, key| client.retrieve(Retrieve { key, kind, capacity, reserved: 0, grant }))
    }

    /// Asks something about a key: by a grant, if it is too long for a message.
    #[inline]
    fn with_key<R>(
        &mut self,
        key: &str,
        ask: impl FnOnce(&mut Client<Ipc>, Key) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let text = key.as_bytes();
        if let Some(key) = Key::new(text) {
            return ask(&mut self.client, key);
        }
        if text.len() > MAX_KEY as usize {
            return Err(Errno::Inval);
        }
        scope(|scope| {
            let grant = scope.read(text, self.client.to)?;
            ask(&mut self.client, Key::granted(grant.id(), text.len() as u32))
        })
    }
}

/// Lends memory to be written while something is asked, together with its length.
fn lent<R>(to: Endpoint, memory: &mut [u8], ask: impl FnOnce(GrantId, u32) -> Result<R, Errno>) -> Result<R, Errno> {
    let len = u32::try_from(memory.len()).unwrap_or(u32::MAX).min(MAX_VALUE);
    if len == 0 {
        return ask(GrantId::INVALID, 0);
    }
    scope(|scope| {
        let grant = scope.write(memory, to)?;
        ask(grant.id(), len)
    })
}

/// The characters at the beginning of bytes, of which the first `len` count: without the last one if only a part of it is there.
fn characters(bytes: &[u8], len: usize) -> Result<&str, Errno> {
    let bytes = bytes.get(..len).unwrap_or(bytes);
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            core::str::from_utf8(&bytes[..error.valid_up_to()]).map_err(|_| Errno::Inval)
        }
        Err(_) => Err(Errno::Inval),
    }
}

/// A key or a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; MAX_KEY as usize],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; MAX_KEY as usize], len: 0 }
    }
}

impl Text {
    /// The text; none if it is no string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Asks for something with a text: without memory for it at first, since most have room in a message.
    fn fetched<R>(
        mut self,
        to: Endpoint,
        mut ask: impl FnMut(GrantId) -> Result<(Key, R), Errno>,
    ) -> Result<(R, Self), Errno> {
        match ask(GrantId::INVALID) {
            Ok((key, answer)) => {
                let text = key.text().ok_or(Errno::Proto)?;
                self.bytes[..text.len()].copy_from_slice(text);
                self.len = text.len();
                Ok((answer, self))
            }
            Err(Errno::TooBig) => {
                let (key, answer) = lent(to, &mut self.bytes, |grant, _| ask(grant))?;
                self.len = (key.len as usize).min(self.bytes.len());
                if let Some(text) = key.text() {
                    // It has become another one meanwhile.
                    self.bytes[..text.len()].copy_from_slice(text);
                }
                Ok((answer, self))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_is_cut_ends_with_a_whole_character() {
        let text = "aß€";
        let bytes = text.as_bytes();
        for (room, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "aß"), (4, "aß"), (5, "aß"), (6, text)] {
            assert_eq!(characters(&bytes[..room], bytes.len()), Ok(expected), "{room}");
        }
        assert_eq!(characters(b"abcdef", 3), Ok("abc"));
        assert_eq!(characters(b"a\xffb", 3), Err(Errno::Inval));
    }

    #[test]
    fn a_text_that_has_room_needs_no_memory() {
        let asked = |grant: GrantId| {
            assert!(!grant.is_valid());
            Ok((Key::new(b"drv.blk.disk").unwrap(), 7))
        };
        let (answer, text) = Text::default().fetched(Endpoint::NONE, asked).unwrap();
        assert_eq!((answer, text.as_str()), (7, "drv.blk.disk"));
        let lying = |_| Ok((Key { len: 33, ..Key::new(b"x").unwrap() }, ()));
        assert_eq!(Text::default().fetched(Endpoint::NONE, lying).map(drop), Err(Errno::Proto));
    }
}
