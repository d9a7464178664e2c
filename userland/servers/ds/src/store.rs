//! The tables: labels, entries, subscriptions.

use crate::change::MARKS;
use crate::index::Index;
use crate::name::Name;
use crate::pattern::Pattern;
use crate::pool::{Block, Pool};
use crate::{ENTRIES, KEPT, LABELS};
use abi::Endpoint;
use abi::grant::GrantId;
use protocol::ds::{EntryKind, Flags, Kinds};

/// Places of labels and entries. Those of labels come first.
pub(crate) const PLACES: usize = LABELS + ENTRIES;
const _: () = assert!(LABELS == u64::BITS as usize && PLACES < u16::MAX as usize);

/// The place of the label of who sets labels.
pub(crate) const REGISTRAR: usize = 0;

/// A set of places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(pub(crate) [u64; MARKS]);

impl Marks {
    pub(crate) fn set(&mut self, place: usize, is_marked: bool) {
        let (word, bit) = (place / u64::BITS as usize, 1 << (place % u64::BITS as usize));
        self.0[word] = if is_marked { self.0[word] | bit } else { self.0[word] & !bit };
    }

    pub(crate) fn first(&self) -> Option<usize> {
        let word = self.0.iter().position(|word| *word != 0)?;
        Some(word * u64::BITS as usize + self.0[word].trailing_zeros() as usize)
    }

    pub(crate) fn has(&self, place: usize) -> bool {
        self.0[place / u64::BITS as usize] >> (place % u64::BITS as usize) & 1 != 0
    }
}

/// What is to be done when something has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// The labels whose services are to be notified: a bit each.
    pub(crate) notify: u64,
    /// The places whose ranges must not be handed on any more.
    pub(crate) withdraw: Marks,
}

/// A label, and what its service has.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) label: Name,
    pub(crate) endpoint: Endpoint,
    pub(crate) flags: Flags,
    pub(crate) entries: usize,
    /// Of values and snapshots.
    pub(crate) bytes: usize,
    pub(crate) subscription: Option<Subscription>,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) kinds: Kinds,
    pub(crate) pattern: Pattern,
    /// What it has not been told of.
    pub(crate) marks: Marks,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Name,
    pub(crate) owner: usize,
    pub(crate) flags: Flags,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Number(u32),
    Bytes(Block),
    Mapped(Mapped),
}

/// A range that its owner has granted.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) granter: Endpoint,
    pub(crate) grant: GrantId,
    pub(crate) len: u32,
    /// How many snapshots have been taken.
    pub(crate) taken: u32,
    /// The last ones: number `n` at `n % KEPT`.
    pub(crate) snapshots: [Option<Block>; KEPT],
}

impl Mapped {
    /// The numbers of the snapshots that there are.
    pub(crate) fn kept(&self) -> core::ops::Range<u32> {
        let count = self.snapshots.iter().flatten().count() as u32;
        self.taken - count..self.taken
    }
}

impl Value {
    pub(crate) const fn kind(&self) -> EntryKind {
        match self {
            Self::Number(_) => EntryKind::Number,
            Self::Bytes(_) => EntryKind::Bytes,
            Self::Mapped(_) => EntryKind::Mapped,
        }
    }
}

/// All that the data store knows.
#[derive(Debug)]
pub struct Store<'m> {
    pub(crate) owners: [Option<Owner>; LABELS],
    pub(crate) entries: [Option<Entry>; ENTRIES],
    pub(crate) index: Index,
    pub(crate) pool: Pool<'m>,
}

impl<'m> Store<'m> {
    /// Without anything, and without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            owners: [const { None }; LABELS],
            entries: [const { None }; ENTRIES],
            index: Index::new(),
            pool: Pool::new(),
        }
    }

    /// Empty, with this memory for values.
    pub(crate) fn begin(&mut self, pool: &'m mut [u8]) {
        self.owners.fill_with(|| None);
        self.entries.fill_with(|| None);
        self.index = Index::new();
        self.pool.begin(pool);
    }

    /// The label of a service.
    pub(crate) fn label_of(&self, endpoint: Endpoint) -> Option<usize> {
        self.owners.iter().position(|owner| owner.as_ref().is_some_and(|owner| owner.endpoint == endpoint))
    }

    pub(crate) fn owner(&self, place: usize) -> Option<&Owner> {
        self.owners.get(place)?.as_ref()
    }

    pub(crate) fn owner_mut(&mut self, place: usize) -> Option<&mut Owner> {
        self.owners.get_mut(place)?.as_mut()
    }

    pub(crate) fn entry(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place.checked_sub(LABELS)?)?.as_ref()
    }

    pub(crate) fn entry_mut(&mut self, place: usize) -> Option<&mut Entry> {
        self.entries.get_mut(place.checked_sub(LABELS)?)?.as_mut()
    }

    /// Where the entry of a kind with a key is.
    #[inline]
    pub(crate) fn find(&self, kind: EntryKind, key: &Name) -> Option<usize> {
        let mut next = self.index.first(hash(kind, key));
        while let Some(place) = next {
            let is_it = match kind {
                EntryKind::Label => self.owner(place).is_some_and(|owner| owner.label == *key),
                _ => self.entry(place).is_some_and(|entry| entry.key == *key && entry.value.kind() == kind),
            };
            if is_it {
                return Some(place);
            }
            next = self.index.after(place);
        }
        None
    }

    /// What can be told of a place, whatever is there.
    pub(crate) fn view(&self, place: usize) -> Option<View<'_>> {
        if let Some(Owner { label, endpoint, flags, .. }) = self.owner(place) {
            let (value, len) = (endpoint.raw().into(), 0);
            return Some(View { key: label, kind: EntryKind::Label, owner: REGISTRAR, flags: *flags, value, len });
        }
        let Entry { key, owner, flags, value } = self.entry(place)?;
        let (number, len) = match value {
            Value::Number(number) => (u64::from(*number), 0),
            Value::Bytes(block) => (0, self.pool.len(block) as u32),
            Value::Mapped(mapped) => (0, mapped.len),
        };
        Some(View { key, kind: value.kind(), owner: *owner, flags: *flags, value: number, len })
    }

    /// The endpoint of a label now.
    pub(crate) fn endpoint(&self, place: usize) -> Endpoint {
        self.owner(place).map_or(Endpoint::NONE, |owner| owner.endpoint)
    }
}

impl Default for Store<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// An entry or a label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) key: &'a Name,
    pub(crate) kind: EntryKind,
    pub(crate) owner: usize,
    pub(crate) flags: Flags,
    /// The number or the endpoint.
    pub(crate) value: u64,
    /// Bytes.
    pub(crate) len: u32,
}

impl View<'_> {
    /// Whether a subscriber may know of it.
    pub(crate) fn is_visible_to(&self, subscriber: usize) -> bool {
        self.owner == subscriber || !self.flags.contains(Flags::PRIVATE_SUBSCRIBE)
    }
}

impl Subscription {
    /// Whether it is about something.
    pub(crate) fn is_about(&self, subscriber: usize, view: &View<'_>) -> bool {
        self.kinds.contains(kinds(view.kind)) && view.is_visible_to(subscriber) && self.pattern.fits(view.key.text())
    }
}

/// The set of one kind.
pub(crate) const fn kinds(kind: EntryKind) -> Kinds {
    Kinds::from_bits_retain(1 << kind as u32)
}

#[inline]
pub(crate) fn hash(kind: EntryKind, key: &Name) -> u32 {
    key.hash() ^ kind as u32
}
