//! Making a change to the tables. What it may need has been checked before; since changes are also read from what another instance has
//! written, everything is checked here once more.

use crate::change::{Bytes, Change, Content, MARKS};
use crate::name::Name;
use crate::pattern::Pattern;
use crate::store::{Effects, Entry, Mapped, Marks, Owner, PLACES, REGISTRAR, Store, Subscription, Value, hash};
use crate::{ENTRIES, KEPT, LABELS};
use abi::Endpoint;
use abi::grant::GrantId;
use protocol::ds::{EntryKind, Flags, Kinds};

/// A change that cannot be made: nobody who checks would have come to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Impossible;

impl From<abi::Errno> for Impossible {
    fn from(_: abi::Errno) -> Self {
        Self
    }
}

fn ensure(condition: bool) -> Result<(), Impossible> {
    condition.then_some(()).ok_or(Impossible)
}

impl Store<'_> {
    /// Makes a change.
    ///
    /// # Errors
    /// That it is impossible. The tables may have changed then: they must not be used any more.
    pub(crate) fn apply(&mut self, change: &Change<'_>, effects: &mut Effects) -> Result<(), Impossible> {
        match *change {
            Change::Label { place, label, endpoint, flags } => {
                self.set_label(place.into(), label, Endpoint::from_raw(endpoint), flags, effects)
            }
            Change::Entry { place, owner, key, flags, content } => {
                self.set_entry(place.into(), owner.into(), key, flags, content, effects)
            }
            Change::Gone { place } if usize::from(place) < LABELS => self.remove_label(place.into(), effects),
            Change::Gone { place } => self.remove_entry(place.into(), effects),
            Change::Subscription { owner, kinds, pattern, marks } => {
                self.subscribe(owner.into(), kinds, pattern, marks, effects)
            }
            Change::Told { owner, place } => self.told(owner.into(), place.into()),
            Change::Snapshot { place, bytes } => self.add_snapshot(place.into(), bytes.0),
        }
    }

    fn set_label(
        &mut self,
        place: usize,
        label: Bytes<'_>,
        endpoint: Endpoint,
        flags: u32,
        effects: &mut Effects,
    ) -> Result<(), Impossible> {
        let label = Name::new(label.0)?;
        let flags = Flags::from_bits(flags).ok_or(Impossible)?;
        ensure(self.label_of(endpoint).is_none_or(|other| other == place))?;
        let before = self.find(EntryKind::Label, &label);
        match self.owners.get_mut(place).ok_or(Impossible)? {
            Some(owner) => {
                ensure(before == Some(place))?;
                let is_another = owner.endpoint != endpoint;
                (owner.endpoint, owner.flags) = (endpoint, flags);
                if is_another {
                    // What was mapped was the memory of another process.
                    self.remove_entries(
                        |entry| entry.owner == place && matches!(entry.value, Value::Mapped(_)),
                        effects,
                    )?;
                }
            }
            free => {
                ensure(before.is_none())?;
                *free = Some(Owner { label, endpoint, flags, entries: 0, bytes: 0, subscription: None });
                self.index.add(hash(EntryKind::Label, &label), place);
            }
        }
        self.tell(place, true, effects);
        Ok(())
    }

    fn remove_label(&mut self, place: usize, effects: &mut Effects) -> Result<(), Impossible> {
        ensure(place != REGISTRAR)?;
        let label = self.owner(place).ok_or(Impossible)?.label;
        self.remove_entries(|entry| entry.owner == place, effects)?;
        self.tell(place, false, effects);
        self.index.remove(hash(EntryKind::Label, &label), place);
        self.owners[place] = None;
        effects.notify &= !(1 << place);
        Ok(())
    }

    fn remove_entries(&mut self, which: impl Fn(&Entry) -> bool, effects: &mut Effects) -> Result<(), Impossible> {
        for place in LABELS..PLACES {
            if self.entry(place).is_some_and(&which) {
                self.remove_entry(place, effects)?;
            }
        }
        Ok(())
    }

    fn set_entry(
        &mut self,
        place: usize,
        owner: usize,
        key: Bytes<'_>,
        flags: u32,
        content: Content<'_>,
        effects: &mut Effects,
    ) -> Result<(), Impossible> {
        let key = Name::new(key.0)?;
        let flags = Flags::from_bits(flags).ok_or(Impossible)?;
        let at = place.checked_sub(LABELS).filter(|at| *at < ENTRIES).ok_or(Impossible)?;
        ensure(self.owner(owner).is_some())?;
        let before = self.find(content.kind(), &key);
        if self.entries[at].is_some() {
            ensure(before == Some(place) && content.kind() != EntryKind::Mapped)?;
            self.release(at)?;
        } else {
            ensure(before.is_none())?;
            self.index.add(hash(content.kind(), &key), place);
        }
        let value = self.keep(content)?;
        let bytes = if let Value::Bytes(block) = &value { self.pool.len(block) } else { 0 };
        let owned = self.owner_mut(owner).ok_or(Impossible)?;
        owned.entries += 1;
        owned.bytes += bytes;
        self.entries[at] = Some(Entry { key, owner, flags, value });
        self.tell(place, true, effects);
        Ok(())
    }

    fn keep(&mut self, content: Content<'_>) -> Result<Value, Impossible> {
        Ok(match content {
            Content::Number(number) => Value::Number(number),
            Content::Bytes(bytes) => {
                ensure(bytes.0.len() <= protocol::ds::MAX_VALUE as usize)?;
                Value::Bytes(self.pool.add(bytes.0).ok_or(Impossible)?)
            }
            Content::Mapped { granter, grant, len, taken } => {
                ensure((1..=protocol::ds::MAX_VALUE).contains(&len))?;
                let (granter, grant) = (Endpoint::from_raw(granter), GrantId::from_raw(grant));
                Value::Mapped(Mapped { granter, grant, len, taken, snapshots: [const { None }; KEPT] })
            }
        })
    }

    /// Takes an entry out of its place, with all that it has.
    fn release(&mut self, at: usize) -> Result<Entry, Impossible> {
        let mut entry = self.entries.get_mut(at).and_then(Option::take).ok_or(Impossible)?;
        let blocks = match core::mem::replace(&mut entry.value, Value::Number(0)) {
            Value::Number(_) => [const { None }; KEPT],
            Value::Bytes(block) => {
                let mut blocks = [const { None }; KEPT];
                blocks[0] = Some(block);
                blocks
            }
            Value::Mapped(mapped) => mapped.snapshots,
        };
        let mut bytes = 0;
        for block in blocks.into_iter().flatten() {
            bytes += self.pool.len(&block);
            self.pool.remove(block);
        }
        let owner = self.owner_mut(entry.owner).ok_or(Impossible)?;
        owner.entries -= 1;
        owner.bytes -= bytes;
        Ok(entry)
    }

    fn remove_entry(&mut self, place: usize, effects: &mut Effects) -> Result<(), Impossible> {
        let kind = self.entry(place).ok_or(Impossible)?.value.kind();
        self.tell(place, false, effects);
        effects.withdraw.set(place, kind == EntryKind::Mapped);
        let entry = self.release(place - LABELS)?;
        self.index.remove(hash(kind, &entry.key), place);
        Ok(())
    }

    fn subscribe(
        &mut self,
        owner: usize,
        kinds: u32,
        pattern: Bytes<'_>,
        marks: [u64; MARKS],
        effects: &mut Effects,
    ) -> Result<(), Impossible> {
        let pattern = Pattern::new(Name::new(pattern.0)?)?;
        let kinds = Kinds::from_bits(kinds).ok_or(Impossible)?;
        let marks = Marks(marks);
        ensure((0..PLACES).all(|place| !marks.has(place) || self.view(place).is_some()))?;
        self.owner_mut(owner).ok_or(Impossible)?.subscription = Some(Subscription { kinds, pattern, marks });
        if marks.first().is_some() {
            effects.notify |= 1 << owner;
        }
        Ok(())
    }

    fn told(&mut self, owner: usize, place: usize) -> Result<(), Impossible> {
        let subscription = self.owner_mut(owner).and_then(|owner| owner.subscription.as_mut()).ok_or(Impossible)?;
        ensure(place < PLACES && subscription.marks.has(place))?;
        subscription.marks.set(place, false);
        Ok(())
    }

    fn add_snapshot(&mut self, place: usize, bytes: &[u8]) -> Result<(), Impossible> {
        let Some(Entry { owner, value: Value::Mapped(mapped), .. }) = self.entry_mut(place) else {
            return Err(Impossible);
        };
        ensure(mapped.len as usize == bytes.len())?;
        let (owner, number) = (*owner, mapped.taken);
        mapped.taken = number.checked_add(1).ok_or(Impossible)?;
        let oldest = mapped.snapshots[number as usize % KEPT].take();
        let mut given_back = 0;
        if let Some(block) = oldest {
            given_back = self.pool.len(&block);
            self.pool.remove(block);
        }
        let block = self.pool.add(bytes).ok_or(Impossible)?;
        if let Some(Entry { value: Value::Mapped(mapped), .. }) = self.entry_mut(place) {
            mapped.snapshots[number as usize % KEPT] = Some(block);
        }
        let owned = self.owner_mut(owner).ok_or(Impossible)?;
        owned.bytes = owned.bytes + bytes.len() - given_back;
        Ok(())
    }

    /// Tells those who have subscribed to something that it has changed, or is about to disappear. Nobody has anything to learn of it who
    /// may not know of it any more.
    fn tell(&mut self, place: usize, is_there: bool, effects: &mut Effects) {
        for subscriber in 0..LABELS {
            let Some(subscription) = self.owner(subscriber).and_then(|owner| owner.subscription.as_ref()) else {
                continue;
            };
            let is_about = self.view(place).is_some_and(|view| subscription.is_about(subscriber, &view));
            if is_about {
                effects.notify |= 1 << subscriber;
            }
            if let Some(Owner { subscription: Some(subscription), .. }) = self.owner_mut(subscriber) {
                subscription.marks.set(place, is_about && is_there);
            }
        }
    }
}

impl Content<'_> {
    pub(crate) const fn kind(&self) -> EntryKind {
        match self {
            Self::Number(_) => EntryKind::Number,
            Self::Bytes(_) => EntryKind::Bytes,
            Self::Mapped { .. } => EntryKind::Mapped,
        }
    }
}
