//! The calls.

use crate::change::{Bytes, Change, Content};
use crate::journal::Words;
use crate::pattern::Pattern;
use crate::plan::Publication;
use crate::serve::{Ds, Lending, Range, commit};
use crate::store::{Marks, PLACES, REGISTRAR, Value, View};
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use protocol::ds::*;
use protocol::{Answer, Caller};

impl<W: Words, L: Lending> Ds<'_, '_, W, L> {
    fn do_publish(&mut self, from: Endpoint, call: &Publish) -> Result<(), Errno> {
        let owner = self.caller(from, Errno::Perm)?;
        let Publish { kind, len, value, .. } = *call;
        let flags = Flags::from_bits(call.flags).ok_or(Errno::Inval)?;
        let publication = Publication { owner, kind, flags, len, value };
        publication.check()?;
        let key = self.text(from, &call.key)?;
        let place = self.store.place_for(&key, &publication)? as u16;
        let flags = (flags - Flags::OVERWRITE).bits();
        let (key, owner) = (Bytes(key.text()), owner as u16);
        let content = match kind {
            EntryKind::Label => {
                return self.commit(&Change::Label { place, label: key, endpoint: value as u32, flags });
            }
            EntryKind::Number => Content::Number(value as u32),
            EntryKind::Bytes => {
                let len = len as usize;
                let grant = GrantId::from_raw(value);
                self.lending.fetch(from, grant, 0, &mut self.scratch[..len])?;
                let content = Content::Bytes(Bytes(&self.scratch[..len]));
                let change = Change::Entry { place, owner, key, flags, content };
                return commit(self.store, &mut self.journal, &mut self.effects, &change);
            }
            EntryKind::Mapped => {
                // What cannot be read to its last byte is not what it is said to be.
                let grant = GrantId::from_raw(value);
                self.lending.fetch(from, grant, u64::from(len) - 1, &mut self.scratch[..1])?;
                Content::Mapped { granter: from.raw(), grant: value, len, taken: 0 }
            }
        };
        self.commit(&Change::Entry { place, owner, key, flags, content })
    }

    #[inline]
    fn do_retrieve(&mut self, from: Endpoint, call: &Retrieve) -> Result<Retrieved, Errno> {
        let key = self.text(from, &call.key)?;
        let (place, View { value, len, owner, .. }) = self.store.retrievable(from, call.kind, &key)?;
        let owner = self.store.endpoint(owner);
        let value = match call.kind {
            EntryKind::Number | EntryKind::Label => value,
            EntryKind::Bytes | EntryKind::Mapped => self.copy_out(from, call, place, len)?.into(),
        };
        Ok(Retrieved { value, len, owner })
    }

    /// Copies the bytes of an entry as far as there is room for them; how many that were.
    fn copy_out(&mut self, from: Endpoint, call: &Retrieve, place: usize, len: u32) -> Result<u32, Errno> {
        let copied = len.min(call.capacity) as usize;
        if copied == 0 {
            return Ok(0);
        }
        match self.store.entry(place).map(|entry| &entry.value) {
            Some(Value::Bytes(block)) => {
                self.lending.deliver(from, call.grant, &self.store.pool.get(block)[..copied])?;
            }
            Some(Value::Mapped(mapped)) => {
                let bytes = &mut self.scratch[..copied];
                self.lending.fetch(mapped.granter, mapped.grant, 0, bytes)?;
                self.lending.deliver(from, call.grant, bytes)?;
            }
            _ => return Err(Errno::Srch),
        }
        Ok(copied as u32)
    }

    fn do_subscribe(&mut self, from: Endpoint, call: &Subscribe) -> Result<(), Errno> {
        let place = self.caller(from, Errno::Srch)?;
        let flags = SubscribeFlags::from_bits(call.flags).ok_or(Errno::Inval)?;
        let kinds = Kinds::from_bits(call.kinds).ok_or(Errno::Inval)?;
        let kinds = if kinds.is_empty() { Kinds::all() } else { kinds };
        let has_one = self.store.owner(place).is_some_and(|owner| owner.subscription.is_some());
        if has_one && !flags.contains(SubscribeFlags::OVERWRITE) {
            return Err(Errno::Exist);
        }
        let text = self.text(from, &call.pattern)?;
        let pattern = Pattern::new(text)?;
        let Marks(marks) = if flags.contains(SubscribeFlags::INITIAL) {
            self.store.marks_for(place, kinds, pattern)
        } else {
            Marks::default()
        };
        let (owner, kinds, pattern) = (place as u16, kinds.bits(), Bytes(text.text()));
        self.commit(&Change::Subscription { owner, kinds, pattern, marks })
    }

    fn do_check(&mut self, from: Endpoint, call: &Check) -> Result<Changed, Errno> {
        let place = self.caller(from, Errno::Srch)?;
        let owner = self.store.owner(place).ok_or(Errno::Srch)?;
        let marked = owner.subscription.as_ref().ok_or(Errno::Srch)?.marks.first().ok_or(Errno::NoEnt)?;
        let view = self.store.view(marked).ok_or(Errno::NoEnt)?;
        let (kind, name, owner) = (view.kind, *view.key, self.store.endpoint(view.owner));
        let value = if matches!(kind, EntryKind::Bytes | EntryKind::Mapped) { view.len.into() } else { view.value };
        // What only its owner may retrieve is told of, but not what it says.
        let value = if self.store.may_retrieve(from, &view) { value } else { 0 };
        let key = self.answered(from, call.grant, &name)?;
        self.commit(&Change::Told { owner: place as u16, place: marked as u16 })?;
        Ok(Changed { value, key, kind, owner, reserved: 0 })
    }

    fn do_delete(&mut self, from: Endpoint, call: &Delete) -> Result<(), Errno> {
        let caller = self.caller(from, Errno::Perm)?;
        let key = self.text(from, &call.key)?;
        let place = self.store.find(call.kind, &key).ok_or(Errno::Srch)?;
        let view = self.store.view(place).ok_or(Errno::Srch)?;
        if view.owner != caller || place == REGISTRAR {
            return Err(Errno::Perm);
        }
        self.commit(&Change::Gone { place: place as u16 })
    }

    fn do_snapshot(&mut self, from: Endpoint, call: &Snapshot) -> Result<u32, Errno> {
        let caller = self.caller(from, Errno::Perm)?;
        let key = self.text(from, &call.key)?;
        let (place, view) = self.store.retrievable(from, EntryKind::Mapped, &key)?;
        if view.owner != caller && view.flags.contains(Flags::PRIVATE_OVERWRITE) {
            return Err(Errno::Perm);
        }
        self.store.check_room_for_snapshot(place)?;
        let Some(Value::Mapped(mapped)) = self.store.entry(place).map(|entry| &entry.value) else {
            return Err(Errno::Srch);
        };
        let (len, index) = (mapped.len as usize, mapped.taken);
        self.lending.fetch(mapped.granter, mapped.grant, 0, &mut self.scratch[..len])?;
        let change = Change::Snapshot { place: place as u16, bytes: Bytes(&self.scratch[..len]) };
        commit(self.store, &mut self.journal, &mut self.effects, &change)?;
        Ok(index)
    }

    fn do_retrieve_snapshot(&mut self, from: Endpoint, call: &RetrieveSnapshot) -> Result<SnapshotRetrieved, Errno> {
        let key = self.text(from, &call.key)?;
        let (place, View { len, .. }) = self.store.retrievable(from, EntryKind::Mapped, &key)?;
        let Some(Value::Mapped(mapped)) = self.store.entry(place).map(|entry| &entry.value) else {
            return Err(Errno::Srch);
        };
        if !mapped.kept().contains(&call.index) {
            return Err(Errno::Inval);
        }
        let block = mapped.snapshots[call.index as usize % mapped.snapshots.len()].as_ref().ok_or(Errno::Inval)?;
        let copied = len.min(call.capacity);
        if copied != 0 {
            self.lending.deliver(from, call.grant, &self.store.pool.get(block)[..copied as usize])?;
        }
        Ok(SnapshotRetrieved { len, copied })
    }

    fn do_map(&mut self, from: Endpoint, call: &MapRange) -> Result<RangeGranted, Errno> {
        let key = self.text(from, &call.key)?;
        let (place, view) = self.store.retrievable(from, EntryKind::Mapped, &key)?;
        let owner = self.store.endpoint(view.owner);
        // All may read what one who asks may; so one grant is enough for all of them.
        let to = if view.flags.contains(Flags::PRIVATE_RETRIEVE) { owner } else { Endpoint::ANY };
        let Some(Value::Mapped(mapped)) = self.store.entry(place).map(|entry| &entry.value) else {
            return Err(Errno::Srch);
        };
        let range = Range { granter: mapped.granter, grant: mapped.grant, len: mapped.len };
        let grant = self.lending.hand_on(place, range, to)?;
        Ok(RangeGranted { grant, len: range.len, owner })
    }

    fn do_retrieve_label(&mut self, from: Endpoint, call: &RetrieveLabel) -> Result<Key, Errno> {
        let place = self.store.label_of(call.endpoint).ok_or(Errno::Srch)?;
        let view = self.store.view(place).ok_or(Errno::Srch)?;
        if !self.store.may_retrieve(from, &view) {
            return Err(Errno::Perm);
        }
        let label = *view.key;
        self.answered(from, call.grant, &label)
    }

    fn do_info(&mut self, from: Endpoint, call: &GetInfo) -> Result<EntryInfo, Errno> {
        let caller = self.caller(from, Errno::Perm)?;
        let shown = |view: &View<'_>| caller == REGISTRAR || self.store.may_retrieve(from, view);
        let mut views = (call.place as usize..PLACES).filter_map(|place| Some((place, self.store.view(place)?)));
        let (place, view) = views.find(|(_, view)| shown(view)).ok_or(Errno::NoEnt)?;
        let View { kind, flags, len, .. } = view;
        let (place, flags, owner, name) = (place as u32, flags.bits(), self.store.endpoint(view.owner), *view.key);
        let key = self.answered(from, call.grant, &name)?;
        Ok(EntryInfo { place, kind, key, owner, flags, len })
    }
}

impl<W: Words, L: Lending> Server for Ds<'_, '_, W, L> {
    fn publish(&mut self, from: Caller, call: Publish) -> Answer<Published> {
        self.do_publish(from.endpoint, &call).map(|()| Published {}).into()
    }

    fn retrieve(&mut self, from: Caller, call: Retrieve) -> Answer<Retrieved> {
        self.do_retrieve(from.endpoint, &call).into()
    }

    fn subscribe(&mut self, from: Caller, call: Subscribe) -> Answer<Subscribed> {
        self.do_subscribe(from.endpoint, &call).map(|()| Subscribed {}).into()
    }

    fn check(&mut self, from: Caller, call: Check) -> Answer<Changed> {
        self.do_check(from.endpoint, &call).into()
    }

    fn delete(&mut self, from: Caller, call: Delete) -> Answer<Deleted> {
        self.do_delete(from.endpoint, &call).map(|()| Deleted {}).into()
    }

    fn snapshot(&mut self, from: Caller, call: Snapshot) -> Answer<SnapshotTaken> {
        self.do_snapshot(from.endpoint, &call).map(|index| SnapshotTaken { index }).into()
    }

    fn retrieve_label(&mut self, from: Caller, call: RetrieveLabel) -> Answer<LabelRetrieved> {
        self.do_retrieve_label(from.endpoint, &call).map(|label| LabelRetrieved { label }).into()
    }

    fn info(&mut self, from: Caller, call: GetInfo) -> Answer<EntryInfo> {
        self.do_info(from.endpoint, &call).into()
    }

    fn retrieve_snapshot(&mut self, from: Caller, call: RetrieveSnapshot) -> Answer<SnapshotRetrieved> {
        self.do_retrieve_snapshot(from.endpoint, &call).into()
    }

    fn map(&mut self, from: Caller, call: MapRange) -> Answer<RangeGranted> {
        self.do_map(from.endpoint, &call).into()
    }
}
