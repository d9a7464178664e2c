//! An actor, and the calls that it makes for the suite.

use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use ds_suite::ACTORS;
use ds_suite::orders::*;
use protocol::ds;
use protocol::ds::{EntryKind, Flags, Key, Kinds, Publish, Retrieve, Retrieved, SubscribeFlags};
use suite::Failure;
use sys::Ipc;

/// Bytes of a word.
pub(crate) const WORD: usize = size_of::<u64>();

/// One of the actors.
pub(crate) struct Actor {
    pub(crate) endpoint: Endpoint,
    /// What it does itself.
    pub(crate) own: Client<Ipc>,
    /// What it asks the data store.
    pub(crate) store: ds::Client<Ipc>,
}

impl Actor {
    pub(crate) fn find(name: &str) -> Result<Self, Failure> {
        let endpoint = sys::lookup(name).ok_or(Errno::NoEnt)?;
        let own = Client { to: endpoint, transport: Ipc::default() };
        Ok(Self { endpoint, own, store: ds::Client { to: endpoint, transport: Ipc::default() } })
    }

    pub(crate) fn publish(
        &mut self,
        key: Key,
        kind: EntryKind,
        flags: Flags,
        len: u32,
        value: u64,
    ) -> Result<(), Errno> {
        self.store.publish(Publish { key, kind, flags: flags.bits(), len, value }).map(drop)
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) -> Result<(), Errno> {
        self.publish(inline(key), EntryKind::Number, Flags::OVERWRITE, 0, value)
    }

    pub(crate) fn retrieve(&mut self, key: Key, kind: EntryKind) -> Result<Retrieved, Errno> {
        self.store.retrieve(Retrieve { key, kind, capacity: 0, reserved: 0, grant: GrantId::INVALID })
    }

    pub(crate) fn delete(&mut self, key: &str, kind: EntryKind) -> Result<(), Errno> {
        self.store.delete(ds::Delete { key: inline(key), kind }).map(drop)
    }

    pub(crate) fn subscribe(&mut self, pattern: &str, flags: SubscribeFlags) -> Result<(), Errno> {
        let (pattern, kinds) = (inline(pattern), Kinds::empty().bits());
        let flags = (flags | SubscribeFlags::OVERWRITE).bits();
        self.store.subscribe(ds::Subscribe { pattern, kinds, flags }).map(drop)
    }

    /// The key of the next change.
    pub(crate) fn check(&mut self) -> Result<Key, Errno> {
        self.store.check(ds::Check { grant: GrantId::INVALID }).map(|change| change.key)
    }

    pub(crate) fn notices(&mut self) -> Result<u64, Errno> {
        self.own.notices(GetNotices {}).map(|notices| notices.count)
    }

    pub(crate) fn lend(&mut self) -> Result<GrantId, Errno> {
        self.own.lend(Lend {}).map(|lent| lent.grant)
    }

    pub(crate) fn write(&mut self, word: u64, value: u64) -> Result<(), Errno> {
        self.own.write(Write { word, value }).map(drop)
    }

    pub(crate) fn read(&mut self, word: u64) -> Result<u64, Errno> {
        self.own.read(Read { word }).map(|read| read.value)
    }

    /// Puts bytes at the beginning of what it lends.
    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        for (word, chunk) in bytes.chunks(WORD).enumerate() {
            let mut value = [0; WORD];
            value[..chunk.len()].copy_from_slice(chunk);
            self.write(word as u64, u64::from_le_bytes(value))?;
        }
        Ok(())
    }

    pub(crate) fn read_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        for (word, chunk) in bytes.chunks_mut(WORD).enumerate() {
            let value = self.read(word as u64)?.to_le_bytes();
            chunk.copy_from_slice(&value[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) fn inline(key: &str) -> Key {
    Key::new(key.as_bytes()).unwrap_or(Key { bytes: [0; _], len: 0 })
}

/// The data store, asked by the suite itself.
pub(crate) fn store() -> Result<ds_client::DataStore, Failure> {
    Ok(ds_client::DataStore::find().ok_or(Errno::NoEnt)?)
}

/// Sets the labels of all actors anew: so none of them has anything.
pub(crate) fn begin() -> Result<(), Failure> {
    let mut store = store()?;
    for name in ACTORS {
        match store.delete_label(name) {
            Ok(()) | Err(Errno::Srch) => {}
            Err(error) => return Err(error.into()),
        }
        store.set_label(name, Actor::find(name)?.endpoint)?;
    }
    for name in &ACTORS[..3] {
        Actor::find(name)?.notices()?;
    }
    Ok(())
}
