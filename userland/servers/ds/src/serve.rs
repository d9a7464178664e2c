//! The server: what is known of a caller, how memory comes and goes, and what is done when something has changed.

use crate::change::{Bytes, Change, Content, MARKS};
use crate::journal::{Damage, Full, Journal, Words, replay};
use crate::name::Name;
use crate::store::{Effects, Entry, Marks, PLACES, REGISTRAR, Store, Value, View};
use crate::{LABELS, SCRATCH};
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use protocol::ds::{INLINE_KEY, Key, MAX_KEY};

/// The way to memory of others.
pub trait Lending {
    /// Copies from memory that somebody has granted, from an offset on, until `into` is full.
    ///
    /// # Errors
    /// That of the copy.
    fn fetch(&mut self, granter: Endpoint, grant: GrantId, offset: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// Copies to the beginning of memory that somebody has granted.
    ///
    /// # Errors
    /// That of the copy.
    fn deliver(&mut self, granter: Endpoint, grant: GrantId, bytes: &[u8]) -> Result<(), Errno>;

    /// Hands on the first bytes of a grant, to be read and mapped by somebody or by all: the grant that belongs to a place. If it has been handed on before, that is
    /// the grant.
    ///
    /// # Errors
    /// `ENOSPC` if that cannot be.
    fn hand_on(&mut self, place: usize, range: Range, to: Endpoint) -> Result<GrantId, Errno>;

    /// Takes back what was handed on for a place, if it was.
    fn withdraw(&mut self, place: usize);
}

/// A range that somebody has granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// By whom.
    pub granter: Endpoint,
    /// The grant.
    pub grant: GrantId,
    /// Its bytes.
    pub len: u32,
}

/// What a server is made of.
#[derive(Debug)]
pub struct Memory<'s, 'm> {
    /// The tables.
    pub store: &'s mut Store<'m>,
    /// For values: [`crate::POOL`] bytes.
    pub pool: &'m mut [u8],
    /// For what is copied.
    pub scratch: &'s mut [u8; SCRATCH],
}

/// The data store.
#[derive(Debug)]
pub struct Ds<'s, 'm, W, L> {
    pub(crate) store: &'s mut Store<'m>,
    pub(crate) journal: Journal<W>,
    pub(crate) lending: L,
    pub(crate) scratch: &'s mut [u8; SCRATCH],
    pub(crate) effects: Effects,
}

impl<'s, 'm, W: Words, L: Lending> Ds<'s, 'm, W, L> {
    /// With nothing but the label of who sets labels.
    ///
    /// # Errors
    /// `EINVAL` if that is no label; `ENOSPC` if the memory is too small.
    pub fn new(memory: Memory<'s, 'm>, words: W, lending: L, registrar: Endpoint, label: &[u8]) -> Result<Self, Errno> {
        let mut ds = Self::empty(memory, words, lending);
        let place = REGISTRAR as u16;
        ds.commit(&Change::Label { place, label: Bytes(label), endpoint: registrar.raw(), flags: 0 })?;
        ds.effects = Effects::default();
        Ok(ds)
    }

    /// With all that a predecessor had, whose journal `read` copies from. Everybody who has subscribed is notified: some of that
    /// may have been lost.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn succeed(
        memory: Memory<'s, 'm>,
        words: W,
        lending: L,
        read: impl FnMut(u64, &mut [u8]) -> Result<(), Errno>,
    ) -> Result<Self, Damage> {
        let mut ds = Self::empty(memory, words, lending);
        let (store, mut ignored) = (&mut *ds.store, Effects::default());
        replay(ds.scratch, read, |change| store.apply(change, &mut ignored).is_ok())?;
        if ds.store.owner(REGISTRAR).is_none() {
            return Err(Damage::Nothing);
        }
        ds.write_anew().map_err(|Full| Damage::Room)?;
        for place in 0..LABELS {
            if ds.store.owner(place).is_some_and(|owner| owner.subscription.is_some()) {
                ds.effects.notify |= 1 << place;
            }
        }
        Ok(ds)
    }

    fn empty(memory: Memory<'s, 'm>, words: W, lending: L) -> Self {
        let Memory { store, pool, scratch } = memory;
        store.begin(pool);
        Self { store, journal: Journal::new(words), lending, scratch, effects: Effects::default() }
    }

    /// Writes all that there is to the journal, anew.
    pub(crate) fn write_anew(&mut self) -> Result<(), Full> {
        let store = &*self.store;
        self.journal.rewrite(|write| store.for_each_change(write))
    }

    /// The next of those who are to be notified, because something has changed that they have subscribed to.
    pub fn next_notice(&mut self) -> Option<Endpoint> {
        while self.effects.notify != 0 {
            let place = self.effects.notify.trailing_zeros() as usize;
            self.effects.notify &= self.effects.notify - 1;
            if let Some(owner) = self.store.owner(place) {
                return Some(owner.endpoint);
            }
        }
        None
    }

    /// The label of a caller.
    pub(crate) fn caller(&self, endpoint: Endpoint, otherwise: Errno) -> Result<usize, Errno> {
        self.store.label_of(endpoint).ok_or(otherwise)
    }

    /// The text that a caller means.
    #[inline]
    pub(crate) fn text(&mut self, caller: Endpoint, key: &Key) -> Result<Name, Errno> {
        if key.len <= INLINE_KEY { Name::inline(key) } else { self.granted_text(caller, key) }
    }

    #[inline(never)]
    fn granted_text(&mut self, caller: Endpoint, key: &Key) -> Result<Name, Errno> {
        let mut bytes = [0; MAX_KEY as usize];
        let text = bytes.get_mut(..key.len as usize).ok_or(Errno::Inval)?;
        let (grant, rest) = key.bytes.split_first_chunk().ok_or(Errno::Inval)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Errno::Inval);
        }
        self.lending.fetch(caller, GrantId::from_raw(u64::from_le_bytes(*grant)), 0, text)?;
        Name::new(text)
    }

    /// A text as it goes into an answer; a long one is copied to the grant.
    pub(crate) fn answered(&mut self, caller: Endpoint, grant: GrantId, text: &Name) -> Result<Key, Errno> {
        if text.len() > INLINE_KEY as usize {
            if !grant.is_valid() {
                return Err(Errno::TooBig);
            }
            self.lending.deliver(caller, grant, text.text())?;
        }
        Ok(text.key())
    }

    /// Makes a change and writes it down.
    pub(crate) fn commit(&mut self, change: &Change<'_>) -> Result<(), Errno> {
        commit(self.store, &mut self.journal, &mut self.effects, change)?;
        self.withdraw();
        Ok(())
    }

    /// Takes back what must not be handed on any more.
    pub(crate) fn withdraw(&mut self) {
        while let Some(place) = self.effects.withdraw.first() {
            self.effects.withdraw.set(place, false);
            self.lending.withdraw(place);
        }
    }
}

/// Makes a change and writes it down. What is asked of a store that has checked it cannot fail.
pub(crate) fn commit<W: Words>(
    store: &mut Store<'_>,
    journal: &mut Journal<W>,
    effects: &mut Effects,
    change: &Change<'_>,
) -> Result<(), Errno> {
    store.apply(change, effects).map_err(|_| Errno::Io)?;
    if journal.append(change).is_ok() {
        return Ok(());
    }
    journal.rewrite(|write| store.for_each_change(write)).map_err(|Full| Errno::NoSpc)
}

impl Store<'_> {
    /// Hands on the changes that would make these tables of empty ones.
    fn for_each_change(&self, write: &mut dyn FnMut(&Change<'_>) -> Result<(), Full>) -> Result<(), Full> {
        for place in 0..PLACES {
            let Some(View { key, flags, value, .. }) = self.view(place) else { continue };
            let (place, key, flags) = (place as u16, Bytes(key.text()), flags.bits());
            let Some(entry) = self.entry(place.into()) else {
                write(&Change::Label { place, label: key, endpoint: value as u32, flags })?;
                continue;
            };
            self.write_entry(place, entry, write)?;
        }
        for (place, owner) in self.owners.iter().enumerate() {
            if let Some(subscription) = owner.as_ref().and_then(|owner| owner.subscription.as_ref()) {
                let (kinds, pattern) = (subscription.kinds.bits(), Bytes(subscription.pattern.text().text()));
                let Marks(marks) = subscription.marks;
                write(&Change::Subscription { owner: place as u16, kinds, pattern, marks })?;
            }
        }
        Ok(())
    }

    fn write_entry(
        &self,
        place: u16,
        entry: &Entry,
        write: &mut dyn FnMut(&Change<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let content = match &entry.value {
            Value::Number(number) => Content::Number(*number),
            Value::Bytes(block) => Content::Bytes(Bytes(self.pool.get(block))),
            Value::Mapped(mapped) => Content::Mapped {
                granter: mapped.granter.raw(),
                grant: mapped.grant.raw(),
                len: mapped.len,
                taken: mapped.kept().start,
            },
        };
        let (owner, key, flags) = (entry.owner as u16, Bytes(entry.key.text()), entry.flags.bits());
        write(&Change::Entry { place, owner, key, flags, content })?;
        if let Value::Mapped(mapped) = &entry.value {
            for number in mapped.kept() {
                if let Some(block) = &mapped.snapshots[number as usize % mapped.snapshots.len()] {
                    write(&Change::Snapshot { place, bytes: Bytes(self.pool.get(block)) })?;
                }
            }
        }
        Ok(())
    }
}

const _: () = assert!(MARKS * u64::BITS as usize >= PLACES);
