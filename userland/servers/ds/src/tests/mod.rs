//! The data store on the host: with memory that is granted in a table here, and a journal that others can read.

use crate::journal::{Damage, Words};
use crate::serve::{Ds, Lending, Memory, Range};
use crate::store::{PLACES, Store, Value};
use crate::{JOURNAL_HALF, SCRATCH};
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use protocol::ds::{Server as _, *};
use protocol::{Answer, Caller};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

mod against_model;
mod denials;
mod entries;
mod journal;
mod labels;
mod limits;
mod mapped;
mod subscriptions;

/// Who sets labels.
pub(super) const RS: Endpoint = Endpoint::from_raw(1);
/// Services, and somebody without a label.
pub(super) const A: Endpoint = Endpoint::from_raw(10);
pub(super) const B: Endpoint = Endpoint::from_raw(11);
pub(super) const C: Endpoint = Endpoint::from_raw(12);
pub(super) const USER: Endpoint = Endpoint::from_raw(99);

/// A grant that is not there.
pub(super) const BAD: GrantId = GrantId::from_raw(0xbad);

/// Memory that somebody has granted, and what was handed on.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) memory: BTreeMap<(u32, u64), Vec<u8>>,
    next: u64,
    pub(super) handed_on: BTreeMap<usize, (GrantId, Range, Endpoint)>,
    pub(super) copies: usize,
}

impl Granted {
    fn at(&mut self, granter: Endpoint, grant: GrantId) -> Result<&mut Vec<u8>, Errno> {
        self.copies += 1;
        self.memory.get_mut(&(granter.raw(), grant.raw())).ok_or(Errno::Perm)
    }
}

impl Lending for Granted {
    fn fetch(&mut self, granter: Endpoint, grant: GrantId, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        let memory = self.at(granter, grant)?;
        let (start, len) = (offset as usize, into.len());
        into.copy_from_slice(memory.get(start..start + len).ok_or(Errno::Perm)?);
        Ok(())
    }

    fn deliver(&mut self, granter: Endpoint, grant: GrantId, bytes: &[u8]) -> Result<(), Errno> {
        self.at(granter, grant)?.get_mut(..bytes.len()).ok_or(Errno::Perm)?.copy_from_slice(bytes);
        Ok(())
    }

    fn hand_on(&mut self, place: usize, range: Range, to: Endpoint) -> Result<GrantId, Errno> {
        let (grant, before, _) =
            self.handed_on.entry(place).or_insert((GrantId::from_raw(1000 + self.next), range, to));
        assert_eq!(*before, range, "what was handed on for this place must have been taken back");
        self.next += 1;
        Ok(*grant)
    }

    fn withdraw(&mut self, place: usize) {
        self.handed_on.remove(&place);
    }
}

/// A journal in memory, whose writer dies after so many words.
#[derive(Clone, Debug)]
pub(super) struct Paper {
    pub(super) words: Vec<u64>,
    /// Words that are still written.
    pub(super) left: usize,
    /// Words that have been written.
    pub(super) written: usize,
}

impl Paper {
    pub(super) fn new(words: usize) -> Self {
        Self { words: vec![0; words], left: usize::MAX, written: 0 }
    }
}

impl Words for Paper {
    fn len(&self) -> usize {
        self.words.len()
    }

    fn store(&mut self, index: usize, word: u64) {
        if self.left > 0 {
            self.left -= 1;
            self.written += 1;
            self.words[index] = word;
        }
    }
}

/// Copies bytes from a journal, as a successor reads it.
pub(super) fn reader(words: &[u64]) -> impl FnMut(u64, &mut [u8]) -> Result<(), Errno> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    move |offset, into| {
        let start = usize::try_from(offset).map_err(|_| Errno::Perm)?;
        let end = start.checked_add(into.len()).ok_or(Errno::Perm)?;
        into.copy_from_slice(bytes.get(start..end).ok_or(Errno::Perm)?);
        Ok(())
    }
}

/// The memory of a server.
pub(super) struct Ground {
    store: Store<'static>,
    pool: usize,
    scratch: [u8; SCRATCH],
}

impl Ground {
    /// With so many bytes for values.
    pub(super) fn new(pool: usize) -> Box<Self> {
        Box::new(Self { store: Store::new(), pool, scratch: [0; SCRATCH] })
    }

    fn memory(&mut self) -> Memory<'_, 'static> {
        Memory { store: &mut self.store, pool: Box::leak(vec![0; self.pool].into()), scratch: &mut self.scratch }
    }

    /// A new server, whose journal has so many words.
    pub(super) fn fresh(&mut self, words: usize) -> World<'_> {
        let ds = Ds::new(self.memory(), Paper::new(words), Granted::default(), RS, b"rs");
        World { ds: ds.unwrap(), grants: 0 }
    }

    /// One with the labels of three services.
    pub(super) fn with_services(&mut self) -> World<'_> {
        let mut world = self.fresh(PAPER);
        for (label, endpoint) in [("a", A), ("b", B), ("c", C)] {
            world.label(label, endpoint).unwrap();
        }
        world
    }

    /// The successor of one that has left this journal.
    pub(super) fn successor(&mut self, journal: &[u64]) -> Result<World<'_>, Damage> {
        let paper = Paper::new(journal.len());
        let ds = Ds::succeed(self.memory(), paper, Granted::default(), reader(journal))?;
        Ok(World { ds, grants: 0 })
    }
}

/// Room for values, and words for the journal, in most tests.
pub(super) const SMALL: usize = 4 << 10;
pub(super) const PAPER: usize = 2 * JOURNAL_HALF / 8;

/// A server, and those who call it.
pub(super) struct World<'s> {
    pub(super) ds: Ds<'s, 'static, Paper, Granted>,
    grants: u64,
}

/// No flags.
pub(super) const PLAIN: Flags = Flags::empty();

fn result<R>(answer: Answer<R>) -> Result<R, Errno> {
    match answer {
        Answer::Reply(reply) => Ok(reply),
        Answer::Fail(error) => Err(error),
        Answer::Later => panic!("it answers at once"),
    }
}

pub(super) const fn caller(endpoint: Endpoint) -> Caller {
    Caller { endpoint, tag: 0 }
}

impl World<'_> {
    /// Grants memory to the server.
    pub(super) fn grant(&mut self, from: Endpoint, bytes: &[u8]) -> GrantId {
        self.grants += 1;
        self.ds.lending.memory.insert((from.raw(), self.grants), bytes.to_vec());
        GrantId::from_raw(self.grants)
    }

    pub(super) fn granted(&mut self, from: Endpoint, grant: GrantId) -> &mut Vec<u8> {
        self.ds.lending.memory.get_mut(&(from.raw(), grant.raw())).unwrap()
    }

    /// A key for a message, by a grant if it is long.
    pub(super) fn key(&mut self, from: Endpoint, key: &[u8]) -> Key {
        Key::new(key).unwrap_or_else(|| Key::granted(self.grant(from, key), key.len() as u32))
    }

    pub(super) fn publish(
        &mut self,
        from: Endpoint,
        key: &str,
        kind: EntryKind,
        flags: Flags,
        (len, value): (u32, u64),
    ) -> Result<(), Errno> {
        let key = self.key(from, key.as_bytes());
        let call = Publish { key, kind, flags: flags.bits(), len, value };
        result(self.ds.publish(caller(from), call)).map(drop)
    }

    /// Sets a label, whether it is there or not.
    pub(super) fn label(&mut self, label: &str, endpoint: Endpoint) -> Result<(), Errno> {
        self.publish(RS, label, EntryKind::Label, Flags::OVERWRITE, (0, endpoint.raw().into()))
    }

    pub(super) fn number(&mut self, from: Endpoint, key: &str, value: u32) -> Result<(), Errno> {
        self.publish(from, key, EntryKind::Number, PLAIN, (0, value.into()))
    }

    pub(super) fn set_number(&mut self, from: Endpoint, key: &str, value: u32) -> Result<(), Errno> {
        self.publish(from, key, EntryKind::Number, Flags::OVERWRITE, (0, value.into()))
    }

    pub(super) fn bytes(&mut self, from: Endpoint, key: &str, bytes: &[u8], flags: Flags) -> Result<(), Errno> {
        let grant = self.grant(from, bytes);
        let done = self.publish(from, key, EntryKind::Bytes, flags, (bytes.len() as u32, grant.raw()));
        self.ds.lending.memory.remove(&(from.raw(), grant.raw()));
        done
    }

    /// Publishes a range of whole pages, filled with a byte.
    pub(super) fn range(&mut self, from: Endpoint, key: &str, byte: u8, pages: usize) -> Result<GrantId, Errno> {
        let bytes = vec![byte; pages * 4096];
        let grant = self.grant(from, &bytes);
        self.publish(from, key, EntryKind::Mapped, PLAIN, (bytes.len() as u32, grant.raw())).map(|()| grant)
    }

    pub(super) fn retrieve(&mut self, from: Endpoint, key: &str, kind: EntryKind) -> Result<Retrieved, Errno> {
        let key = self.key(from, key.as_bytes());
        result(self.ds.retrieve(caller(from), Retrieve { key, kind, capacity: 0, reserved: 0, grant: BAD }))
    }

    pub(super) fn get(&mut self, from: Endpoint, key: &str) -> Result<u64, Errno> {
        self.retrieve(from, key, EntryKind::Number).map(|found| found.value)
    }

    pub(super) fn endpoint(&mut self, label: &str) -> Result<u64, Errno> {
        self.retrieve(USER, label, EntryKind::Label).map(|found| found.value)
    }

    /// Bytes, into so much room, and how many there are.
    pub(super) fn get_bytes(
        &mut self,
        from: Endpoint,
        key: &str,
        kind: EntryKind,
        room: usize,
    ) -> Result<(Vec<u8>, u32), Errno> {
        let grant = self.grant(from, &vec![0; room]);
        let key = self.key(from, key.as_bytes());
        let call = Retrieve { key, kind, capacity: room as u32, reserved: 0, grant };
        let Retrieved { value, len, .. } = result(self.ds.retrieve(caller(from), call))?;
        let rest = self.granted(from, grant).split_off(value as usize);
        assert!(rest.iter().all(|byte| *byte == 0), "no more is copied than it says");
        Ok((self.granted(from, grant).clone(), len))
    }

    pub(super) fn delete(&mut self, from: Endpoint, key: &str, kind: EntryKind) -> Result<(), Errno> {
        let key = self.key(from, key.as_bytes());
        result(self.ds.delete(caller(from), Delete { key, kind })).map(drop)
    }

    pub(super) fn subscribe_to(
        &mut self,
        from: Endpoint,
        pattern: &str,
        kinds: Kinds,
        flags: SubscribeFlags,
    ) -> Result<(), Errno> {
        let pattern = self.key(from, pattern.as_bytes());
        let call = Subscribe { pattern, kinds: kinds.bits(), flags: flags.bits() };
        result(self.ds.subscribe(caller(from), call)).map(drop)
    }

    pub(super) fn subscribe(&mut self, from: Endpoint, pattern: &str) -> Result<(), Errno> {
        self.subscribe_to(from, pattern, Kinds::empty(), SubscribeFlags::empty())
    }

    /// The next change: its key, long or short, and its kind.
    pub(super) fn check(&mut self, from: Endpoint) -> Result<(String, EntryKind), Errno> {
        let grant = self.grant(from, &[0; 79]);
        let Changed { key, kind, .. } = result(self.ds.check(caller(from), Check { grant }))?;
        let copied = self.granted(from, grant)[..key.len as usize].to_vec();
        let text = key.text().map_or(copied, <[u8]>::to_vec);
        Ok((String::from_utf8(text).unwrap(), kind))
    }

    /// All changes, until there are no more.
    pub(super) fn checks(&mut self, from: Endpoint) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match self.check(from) {
                Ok((key, _)) => all.push(key),
                Err(error) => {
                    assert_eq!(error, Errno::NoEnt);
                    return all;
                }
            }
        }
    }

    /// Who is to be notified, since this was asked last.
    pub(super) fn notices(&mut self) -> Vec<Endpoint> {
        core::iter::from_fn(|| self.ds.next_notice()).collect()
    }

    /// All that the server knows, as text.
    pub(super) fn dump(&self) -> String {
        dump(self.ds.store)
    }
}

fn dump(store: &Store<'_>) -> String {
    let mut text = String::new();
    for place in 0..PLACES {
        if let Some(view) = store.view(place) {
            text += &format!("{place}: {view:?}");
            match store.entry(place).map(|entry| &entry.value) {
                Some(Value::Bytes(block)) => text += &format!(" {:?}", store.pool.get(block)),
                Some(Value::Mapped(mapped)) => {
                    text += &format!(" {} {:?} {:?}", mapped.granter, mapped.grant, mapped.kept());
                    for number in mapped.kept() {
                        let block = mapped.snapshots[number as usize % crate::KEPT].as_ref().unwrap();
                        text += &format!(" {:x}", crc32fast::hash(store.pool.get(block)));
                    }
                }
                _ => {}
            }
            text.push('\n');
        }
    }
    for (place, owner) in store.owners.iter().enumerate() {
        let Some(owner) = owner else { continue };
        text += &format!("{place}: {} entries, {} bytes", owner.entries, owner.bytes);
        if let Some(subscription) = &owner.subscription {
            let marked: Vec<_> = (0..PLACES).filter(|place| subscription.marks.has(*place)).collect();
            text += &format!(" {:?} {:?} {marked:?}", subscription.kinds, subscription.pattern.text());
        }
        text.push('\n');
    }
    text
}
