//! A set of processes whose first member is found at once.

use crate::{SLOTS, Slot};

const WORD: usize = u64::BITS as usize;
const WORDS: usize = SLOTS / WORD;

/// A set of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotSet {
    words: [u64; WORDS],
    /// A bit for each word that is not zero.
    occupied: u16,
}

const _: () = assert!(WORDS == u16::BITS as usize);

impl SlotSet {
    pub(crate) const EMPTY: Self = Self { words: [0; WORDS], occupied: 0 };

    pub(crate) fn insert(&mut self, slot: Slot) {
        let (word, bit) = (slot.index() / WORD, slot.index() % WORD);
        self.words[word] |= 1 << bit;
        self.occupied |= 1 << word;
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        let (word, bit) = (slot.index() / WORD, slot.index() % WORD);
        self.words[word] &= !(1 << bit);
        if self.words[word] == 0 {
            self.occupied &= !(1 << word);
        }
    }

    /// Whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Whether a slot is in it.
    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.words[slot.index() / WORD] >> (slot.index() % WORD) & 1 != 0
    }

    /// The members, in the order of slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        bits(self.occupied.into()).flat_map(|word| bits(self.words[word]).map(move |bit| Slot::at(word * WORD + bit)))
    }
}

/// The numbers of the bits that are set, the lowest first.
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let first = set.trailing_zeros() as usize;
        (set != 0).then(|| {
            set &= set - 1;
            first
        })
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn members_come_in_order() {
        let mut set = SlotSet::EMPTY;
        for slot in [1023, 0, 64, 63, 512] {
            set.insert(Slot::at(slot));
        }
        set.insert(Slot::at(64));
        assert!(!set.is_empty());
        let members: Vec<_> = set.iter().map(Slot::index).collect();
        assert_eq!(members, [0, 63, 64, 512, 1023]);
        assert!(set.contains(Slot::at(63)) && !set.contains(Slot::at(62)));
        for slot in members {
            set.remove(Slot::at(slot));
            set.remove(Slot::at(slot));
        }
        assert!(set == SlotSet::EMPTY && set.is_empty());
    }
}
