//! An entry of the table, which the kernel reads at any moment.

use abi::grant::{GRANT_SIZE, GrantEntry, GrantId};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = GRANT_SIZE as usize / size_of::<u64>();
/// The word in which flags and grantee stand: with it the rest becomes valid.
const VALIDITY: usize = 0;
/// The word that the kernel writes.
const FAULTED: usize = offset_of!(GrantEntry, faulted) / size_of::<u64>();

/// A [`GrantEntry`], word by word.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Entry([AtomicU64; WORDS]);

const _: () = assert!(size_of::<Entry>() as u64 == GRANT_SIZE && align_of::<Entry>() as u64 == GRANT_SIZE);
const _: () = assert!(offset_of!(GrantEntry, flags) / size_of::<u64>() == VALIDITY);

impl Entry {
    /// All zeros: no grant.
    pub(super) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    /// Fills it, and makes it valid with the last store.
    pub(super) fn publish(&self, entry: GrantEntry) {
        let words: [u64; WORDS] = zerocopy::transmute!(entry);
        for (place, word) in self.0.iter().zip(words).skip(VALIDITY + 1) {
            place.store(word, Ordering::Relaxed);
        }
        self.0[VALIDITY].store(words[VALIDITY], Ordering::Release);
    }

    /// Makes it invalid, and returns the flags that it had. A copy that has begun may go on until the next trap of the program has
    /// returned.
    pub(super) fn clear(&self) -> u32 {
        self.0[VALIDITY].swap(0, Ordering::AcqRel) as u32
    }

    /// The mark that the kernel has left.
    pub(super) fn faulted(&self) -> GrantId {
        GrantId::from_raw(self.0[FAULTED].load(Ordering::Acquire))
    }

    /// Takes all of it over from another one, which nobody changes but the kernel.
    pub(super) fn copy_from(&self, other: &Self) {
        let words = other.0.each_ref().map(|word| word.load(Ordering::Acquire));
        self.publish(zerocopy::transmute!(words));
    }

    /// Takes the mark over from another one.
    pub(super) fn copy_mark_from(&self, other: &Self) {
        self.0[FAULTED].store(other.faulted().raw(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::Endpoint;

    fn some() -> GrantEntry {
        let grantee = Endpoint::from_raw(7);
        GrantEntry { flags: 0x1203, grantee, sequence: 3, start: 0x1000, len: 8, ..GrantEntry::FREE }
    }

    fn read(entry: &Entry) -> GrantEntry {
        let words = entry.0.each_ref().map(|word| word.load(Ordering::Relaxed));
        zerocopy::transmute!(words)
    }

    #[test]
    fn the_kernel_finds_what_was_published_until_it_is_cleared() {
        let entry = Entry::new();
        assert_eq!(read(&entry).flags, 0);
        entry.publish(some());
        assert_eq!(read(&entry), some());
        entry.clear();
        assert_eq!(read(&entry), GrantEntry { flags: 0, grantee: Endpoint::from_raw(0), ..some() });
    }

    #[test]
    fn a_copy_has_the_mark_too() {
        let (old, new) = (Entry::new(), Entry::new());
        old.publish(some());
        new.copy_from(&old);
        assert_eq!(read(&new), some());
        old.publish(GrantEntry { faulted: GrantId::from_raw(5), ..some() });
        new.copy_mark_from(&old);
        assert_eq!((new.faulted(), read(&new).start), (GrantId::from_raw(5), 0x1000));
    }
}
