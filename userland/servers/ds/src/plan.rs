//! What is checked before something changes: where an entry goes, and whether the one who asks may do that.

use crate::name::Name;
use crate::pattern::Pattern;
use crate::store::{Marks, PLACES, REGISTRAR, Store, Subscription, Value, View};
use crate::{LABELS, OWNER_BYTES, OWNER_ENTRIES};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::ds::{EntryKind, Flags, Kinds, MAX_VALUE};

/// What is to be published, as far as it is known before its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publication {
    /// The label of the caller.
    pub(crate) owner: usize,
    pub(crate) kind: EntryKind,
    pub(crate) flags: Flags,
    pub(crate) len: u32,
    pub(crate) value: u64,
}

impl Publication {
    /// Checks what can be checked without the key.
    pub(crate) fn check(&self) -> Result<(), Errno> {
        match self.kind {
            EntryKind::Label if self.owner != REGISTRAR => Err(Errno::Perm),
            EntryKind::Label if !is_process(self.value) || self.len != 0 => Err(Errno::Inval),
            EntryKind::Number if u32::try_from(self.value).is_err() || self.len != 0 => Err(Errno::Inval),
            EntryKind::Bytes | EntryKind::Mapped if self.len == 0 => Err(Errno::Inval),
            EntryKind::Mapped if self.flags.contains(Flags::OVERWRITE) => Err(Errno::Inval),
            EntryKind::Mapped if !u64::from(self.len).is_multiple_of(PAGE_SIZE) => Err(Errno::Inval),
            _ if self.len > MAX_VALUE => Err(Errno::TooBig),
            _ => Ok(()),
        }
    }
}

/// Whether a number is an endpoint that a process can have.
fn is_process(value: u64) -> bool {
    let endpoint = u32::try_from(value).map(Endpoint::from_raw);
    endpoint.is_ok_and(|name| Endpoint::new(name.slot(), name.generation()) == Some(name))
}

impl Store<'_> {
    /// The place where something is published.
    ///
    /// # Errors
    /// As of [`protocol::ds::Publish`].
    pub(crate) fn place_for(&self, key: &Name, publication: &Publication) -> Result<usize, Errno> {
        let before = self.find(publication.kind, key);
        if let Some(view) = before.and_then(|place| self.view(place)) {
            if !publication.flags.contains(Flags::OVERWRITE) {
                return Err(Errno::Exist);
            }
            if view.owner != publication.owner && view.flags.contains(Flags::PRIVATE_OVERWRITE) {
                return Err(Errno::Perm);
            }
        }
        match publication.kind {
            EntryKind::Label => self.place_for_label(before, publication.value),
            _ => self.place_for_entry(before, publication),
        }
    }

    fn place_for_label(&self, before: Option<usize>, endpoint: u64) -> Result<usize, Errno> {
        let endpoint = Endpoint::from_raw(endpoint as u32);
        // Who sets labels is not told by one.
        if before == Some(REGISTRAR) && self.endpoint(REGISTRAR) != endpoint {
            return Err(Errno::Perm);
        }
        if self.label_of(endpoint).is_some_and(|other| before != Some(other)) {
            return Err(Errno::Exist);
        }
        before.or_else(|| self.owners.iter().position(Option::is_none)).ok_or(Errno::NoMem)
    }

    fn place_for_entry(&self, before: Option<usize>, publication: &Publication) -> Result<usize, Errno> {
        let bytes = if publication.kind == EntryKind::Bytes { publication.len as usize } else { 0 };
        let owner = self.owner(publication.owner).ok_or(Errno::Perm)?;
        // What is overwritten gives back what it has.
        let (mut entries, mut owned, mut room) = (owner.entries, owner.bytes, self.pool.room());
        if let Some(entry) = before.and_then(|place| self.entry(place)) {
            let old = if let Value::Bytes(block) = &entry.value { self.pool.len(block) } else { 0 };
            room += old;
            if entry.owner == publication.owner {
                entries -= 1;
                owned -= old;
            }
        }
        if entries >= OWNER_ENTRIES || owned + bytes > OWNER_BYTES || bytes > room {
            return Err(Errno::NoMem);
        }
        before.or_else(|| self.free_place()).ok_or(Errno::NoMem)
    }

    fn free_place(&self) -> Option<usize> {
        self.entries.iter().position(Option::is_none).map(|at| LABELS + at)
    }

    /// An entry that somebody wants to know.
    ///
    /// # Errors
    /// `ESRCH` if there is none, `EPERM` if only its owner may.
    #[inline]
    pub(crate) fn retrievable(
        &self,
        caller: Endpoint,
        kind: EntryKind,
        key: &Name,
    ) -> Result<(usize, View<'_>), Errno> {
        let place = self.find(kind, key).ok_or(Errno::Srch)?;
        let view = self.view(place).ok_or(Errno::Srch)?;
        if self.may_retrieve(caller, &view) { Ok((place, view)) } else { Err(Errno::Perm) }
    }

    #[inline]
    pub(crate) fn may_retrieve(&self, caller: Endpoint, view: &View<'_>) -> bool {
        !view.flags.contains(Flags::PRIVATE_RETRIEVE) || self.endpoint(view.owner) == caller
    }

    /// Whether a snapshot of so many bytes can be taken now.
    ///
    /// # Errors
    /// `ENOMEM` if not.
    pub(crate) fn check_room_for_snapshot(&self, place: usize) -> Result<(), Errno> {
        let entry = self.entry(place).ok_or(Errno::Srch)?;
        let Value::Mapped(mapped) = &entry.value else { return Err(Errno::Srch) };
        let oldest = &mapped.snapshots[mapped.taken as usize % mapped.snapshots.len()];
        let given_back = oldest.as_ref().map_or(0, |block| self.pool.len(block));
        let (owned, len) = (self.owner(entry.owner).map_or(0, |owner| owner.bytes), mapped.len as usize);
        let fits = owned + len <= OWNER_BYTES + given_back && len <= self.pool.room() + given_back;
        if fits && mapped.taken < u32::MAX { Ok(()) } else { Err(Errno::NoMem) }
    }

    /// What is there now of what somebody wants to subscribe to.
    pub(crate) fn marks_for(&self, subscriber: usize, kinds: Kinds, pattern: Pattern) -> Marks {
        let subscription = Subscription { kinds, pattern, marks: Marks::default() };
        let mut marks = Marks::default();
        for place in 0..PLACES {
            if self.view(place).is_some_and(|view| subscription.is_about(subscriber, &view)) {
                marks.set(place, true);
            }
        }
        marks
    }
}
