//! A sorted map of numbers in blocks: found by two short searches, and what is found knows its neighbours.
//!
//! What was found is often looked for next: it is remembered where that was.

use crate::heap::OVERHEAD;
use alloc::vec::Vec;
use core::cell::Cell;

/// A list that grows is twice as long afterwards, and the old one is there until it has been copied; an empty one begins with
/// room for four.
const LISTS: usize = 4;

/// Entries of a block.
const BLOCK: usize = 32;

/// The entries of a block, never none. It never grows.
type Block<V> = Vec<(u64, V)>;

/// Where an entry is, until the map changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    block: usize,
    entry: usize,
}

/// The map.
pub(crate) struct Sorted<V> {
    blocks: Vec<Block<V>>,
    /// Where something was found last.
    recent: Cell<At>,
    len: usize,
}

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Self { blocks: Vec::new(), recent: Cell::new(At { block: 0, entry: 0 }), len: 0 }
    }
}

impl<V> Sorted<V> {
    /// The most bytes that so many insertions allocate.
    pub(crate) fn bytes_to_insert(&self, entries: usize) -> usize {
        // A block may be split by each insertion, and the list of blocks moves when it is full.
        let blocks = entries * (BLOCK * size_of::<(u64, V)>() + OVERHEAD);
        let list = (self.blocks.len() + entries) * size_of::<Block<V>>();
        blocks + LISTS * list + 2 * OVERHEAD
    }

    /// The most bytes that a map takes that gets so many entries in their order.
    pub(crate) fn bytes_to_fill(entries: usize) -> usize {
        Self::default().bytes_to_insert(entries.div_ceil(BLOCK / 2) + 1)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The key of an entry.
    pub(crate) fn key(&self, at: At) -> u64 {
        self.blocks[at.block][at.entry].0
    }

    /// The value of an entry.
    pub(crate) fn value(&self, at: At) -> &V {
        &self.blocks[at.block][at.entry].1
    }

    /// The same, to be changed.
    pub(crate) fn value_mut(&mut self, at: At) -> &mut V {
        &mut self.blocks[at.block][at.entry].1
    }

    /// The last entry that is not behind a key.
    #[inline]
    pub(crate) fn floor(&self, key: u64) -> Option<At> {
        let recent = self.recent.get();
        if self.is_floor(recent, key) {
            return Some(recent);
        }
        let block = self.blocks.partition_point(|block| block[0].0 <= key).checked_sub(1)?;
        let entry = self.blocks[block].partition_point(|entry| entry.0 <= key).checked_sub(1)?;
        self.recent.set(At { block, entry });
        Some(At { block, entry })
    }

    #[inline]
    fn is_floor(&self, At { block, entry }: At, key: u64) -> bool {
        let Some(entries) = self.blocks.get(block) else {
            return false;
        };
        let next = || entries.get(entry + 1).or_else(|| self.blocks.get(block + 1)?.first());
        entries.get(entry).is_some_and(|entry| entry.0 <= key) && next().is_none_or(|next| key < next.0)
    }

    /// The first entry that is not before a key.
    #[inline]
    pub(crate) fn ceiling(&self, key: u64) -> Option<At> {
        match self.floor(key) {
            Some(at) if self.key(at) == key => Some(at),
            Some(at) => self.after(at),
            None => self.first(),
        }
    }

    /// The entry with a key.
    #[inline]
    pub(crate) fn find(&self, key: u64) -> Option<At> {
        self.floor(key).filter(|at| self.key(*at) == key)
    }

    /// The first entry.
    pub(crate) fn first(&self) -> Option<At> {
        (self.len > 0).then_some(At { block: 0, entry: 0 })
    }

    /// The entry behind another.
    #[inline]
    pub(crate) fn after(&self, at: At) -> Option<At> {
        if at.entry + 1 < self.blocks[at.block].len() {
            return Some(At { entry: at.entry + 1, ..at });
        }
        (at.block + 1 < self.blocks.len()).then_some(At { block: at.block + 1, entry: 0 })
    }

    /// The entry before another.
    #[inline]
    pub(crate) fn before(&self, at: At) -> Option<At> {
        if at.entry > 0 {
            return Some(At { entry: at.entry - 1, ..at });
        }
        let block = at.block.checked_sub(1)?;
        Some(At { block, entry: self.blocks[block].len() - 1 })
    }

    /// The entries from one on.
    pub(crate) fn from(&self, first: Option<At>) -> impl Iterator<Item = (u64, &V)> {
        let mut next = first;
        core::iter::from_fn(move || {
            let at = next?;
            next = self.after(at);
            let (key, value) = &self.blocks[at.block][at.entry];
            Some((*key, value))
        })
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        self.from(self.first())
    }

    /// Puts an entry in its place; there is none with this key. Returns where it is.
    pub(crate) fn insert(&mut self, key: u64, value: V) -> At {
        self.len += 1;
        let mut at = self.floor(key).map_or(At { block: 0, entry: 0 }, |at| At { entry: at.entry + 1, ..at });
        if self.blocks.is_empty() {
            self.blocks.push(Vec::with_capacity(BLOCK));
        } else if self.blocks[at.block].len() == BLOCK {
            let mut second = Vec::with_capacity(BLOCK);
            second.extend(self.blocks[at.block].drain(BLOCK / 2..));
            self.blocks.insert(at.block + 1, second);
            if at.entry > BLOCK / 2 {
                at = At { block: at.block + 1, entry: at.entry - BLOCK / 2 };
            }
        }
        self.blocks[at.block].insert(at.entry, (key, value));
        at
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, at: At) -> V {
        self.len -= 1;
        let (_, value) = self.blocks[at.block].remove(at.entry);
        if self.blocks[at.block].is_empty() {
            self.blocks.remove(at.block);
        } else {
            self.join(at.block);
            self.join(at.block.saturating_sub(1));
        }
        value
    }

    /// Makes one block of two that are nearly empty.
    fn join(&mut self, block: usize) {
        let Some(next) = self.blocks.get(block + 1) else {
            return;
        };
        if self.blocks[block].len() + next.len() <= BLOCK / 4 {
            let rest = self.blocks.remove(block + 1);
            self.blocks[block].extend(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn check(sorted: &Sorted<u64>, plain: &BTreeMap<u64, u64>, key: u64) {
        let pair = |at: Option<At>| at.map(|at| (sorted.key(at), *sorted.value(at)));
        let of = |entry: Option<(&u64, &u64)>| entry.map(|(key, value)| (*key, *value));
        assert_eq!(sorted.len(), plain.len());
        assert_eq!(pair(sorted.floor(key)), of(plain.range(..=key).next_back()));
        assert_eq!(pair(sorted.ceiling(key)), of(plain.range(key..).next()));
        assert_eq!(pair(sorted.find(key)), of(plain.get_key_value(&key)));
        assert_eq!(pair(sorted.first()), of(plain.first_key_value()));
        if let Some(at) = sorted.floor(key) {
            let floor = sorted.key(at);
            assert_eq!(pair(sorted.after(at)), of(plain.range(floor + 1..).next()));
            assert_eq!(pair(sorted.before(at)), of(plain.range(..floor).next_back()));
        }
        assert!(sorted.blocks.iter().all(|block| !block.is_empty() && block.capacity() == BLOCK));
    }

    #[test]
    fn it_is_a_sorted_map() {
        let (mut sorted, mut plain) = (Sorted::default(), BTreeMap::new());
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        for step in 0..20_000_u64 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            // It grows, then shrinks, and again.
            let (key, grows) = (word % 2_000, (step / 3_000).is_multiple_of(2));
            match sorted.find(key) {
                None if grows || word >> 60 == 0 => {
                    let at = sorted.insert(key, step);
                    assert_eq!((sorted.key(at), *sorted.value(at)), (key, step));
                    plain.insert(key, step);
                }
                Some(at) if !grows || word >> 60 == 0 => assert_eq!(Some(sorted.remove(at)), plain.remove(&key)),
                Some(at) => {
                    *sorted.value_mut(at) += 1;
                    *plain.get_mut(&key).unwrap() += 1;
                }
                None => {}
            }
            check(&sorted, &plain, key);
            check(&sorted, &plain, (word >> 20) % 2_100);
        }
        assert!(sorted.iter().eq(plain.iter().map(|(key, value)| (*key, value))));
    }

    #[test]
    fn blocks_that_are_nearly_empty_become_one() {
        let mut sorted = Sorted::default();
        for key in 0..1000 {
            sorted.insert(key, ());
        }
        for key in (0..1000).filter(|key| key % 64 != 0) {
            sorted.remove(sorted.find(key).expect("it is there"));
        }
        assert_eq!(sorted.len(), 16);
        assert!(sorted.blocks.len() <= 8, "{} blocks", sorted.blocks.len());
    }

    #[test]
    fn in_order_it_needs_no_more_than_is_said() {
        for entries in [0, 1, 16, 17, 500] {
            let mut sorted = Sorted::default();
            for key in 0..entries as u64 {
                sorted.insert(key, [0_u64; 5]);
            }
            let blocks = sorted.blocks.len() * (BLOCK * size_of::<(u64, [u64; 5])>() + OVERHEAD);
            assert!(blocks <= Sorted::<[u64; 5]>::bytes_to_fill(entries));
        }
    }
}
