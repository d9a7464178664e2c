//! A set of frame numbers as bits, with a summary above: a bit of a level says whether a word of the one below has any. So
//! the next member is found in a handful of steps, however large the set is.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

const BITS: usize = u64::BITS as usize;

/// Numbers below a limit that is given when it is made. No call but [`new`](Self::new) allocates.
#[derive(Debug)]
pub(crate) struct FrameSet {
    /// The members, then the summaries; the last has one word.
    levels: Vec<Vec<u64>>,
    len: u64,
}

impl FrameSet {
    /// Without members, for numbers below `limit`.
    pub(crate) fn new(limit: u32) -> Self {
        let mut levels = Vec::new();
        let mut bits = limit as usize;
        loop {
            let words = bits.div_ceil(BITS).max(1);
            levels.push(vec![0; words]);
            if words == 1 {
                return Self { levels, len: 0 };
            }
            bits = words;
        }
    }

    /// How many bytes a set of this size takes at most.
    pub(crate) const fn bytes(limit: u32) -> usize {
        // The summaries are a 63rd of the members, and there are no more than six of them.
        const WORDS_BESIDE: usize = 64;
        (limit as usize / BITS * BITS / (BITS - 1) + WORDS_BESIDE) * size_of::<u64>()
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether a number is a member.
    pub(crate) fn contains(&self, number: u32) -> bool {
        let at = number as usize;
        self.levels[0].get(at / BITS).is_some_and(|word| word >> (at % BITS) & 1 != 0)
    }

    /// Adds a number below the limit.
    pub(crate) fn insert(&mut self, number: u32) {
        if self.contains(number) {
            return;
        }
        self.len += 1;
        let mut at = number as usize;
        for level in &mut self.levels {
            let word = &mut level[at / BITS];
            let was_empty = *word == 0;
            *word |= 1 << (at % BITS);
            if !was_empty {
                return;
            }
            at /= BITS;
        }
    }

    /// Takes a number out.
    #[inline]
    pub(crate) fn remove(&mut self, number: u32) {
        if !self.contains(number) {
            return;
        }
        self.len -= 1;
        let mut at = number as usize;
        for level in &mut self.levels {
            let word = &mut level[at / BITS];
            *word &= !(1 << (at % BITS));
            if *word != 0 {
                return;
            }
            at /= BITS;
        }
    }

    /// The first member that is not below `from`.
    #[inline]
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let mut at = from as usize;
        for (height, level) in self.levels.iter().enumerate() {
            let rest = level.get(at / BITS)? & u64::MAX << (at % BITS);
            if rest != 0 {
                let found = at / BITS * BITS + rest.trailing_zeros() as usize;
                let below = self.levels[..height].iter().rev();
                let down = |at: usize, level: &Vec<u64>| at * BITS + level[at].trailing_zeros() as usize;
                return Some(below.fold(found, down) as u32);
            }
            at = at / BITS + 1;
        }
        None
    }

    /// How many members follow one another from `first` on, at most `most`.
    pub(crate) fn run(&self, first: u32, most: u32) -> u32 {
        let mut len = 0;
        while len < most {
            let at = first as usize + len as usize;
            let Some(word) = self.levels[0].get(at / BITS) else {
                break;
            };
            let ones = (word >> (at % BITS)).trailing_ones();
            len += ones;
            if (ones as usize) < BITS - at % BITS {
                break;
            }
        }
        len.min(most)
    }

    /// The first of `count` neighbours below `limit`, whose number is a multiple of `align`.
    pub(crate) fn find_run(&self, count: u32, align: u32, limit: u32) -> Option<u32> {
        let mut at = 0;
        loop {
            let first = self.next(at)?.checked_next_multiple_of(align)?;
            if first.checked_add(count)? > limit {
                return None;
            }
            let len = self.run(first, count);
            if len == count {
                return Some(first);
            }
            at = first + len + 1;
        }
    }

    /// All runs of neighbours, each no longer than `most`.
    pub(crate) fn runs(&self, most: u32) -> impl Iterator<Item = Range<u32>> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let first = self.next(at)?;
            at = first + self.run(first, most);
            Some(first..at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    const LIMIT: u32 = 5000;

    /// A set with levels to spare, and a plain one with the same members.
    fn random(steps: u64, each: impl Fn(&FrameSet, &BTreeSet<u32>)) {
        let (mut set, mut plain) = (FrameSet::new(LIMIT), BTreeSet::new());
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..steps {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            let number = (word >> 32) as u32 % LIMIT;
            // Runs come up when neighbours are added together.
            for number in number..(number + (word as u32 % 80)).min(LIMIT) {
                if word & 0x100 == 0 {
                    set.insert(number);
                    plain.insert(number);
                } else {
                    set.remove(number);
                    plain.remove(&number);
                }
            }
            assert_eq!(set.len(), plain.len() as u64);
            each(&set, &plain);
        }
    }

    #[test]
    fn it_is_a_set() {
        random(200, |set, plain| {
            for from in (0..LIMIT + 70).step_by(7) {
                assert_eq!(set.contains(from), plain.contains(&from));
                assert_eq!(set.next(from), plain.range(from..).next().copied(), "from {from}");
            }
        });
    }

    #[test]
    fn runs_are_as_long_as_they_are() {
        random(200, |set, plain| {
            for first in (0..LIMIT + 70).step_by(11) {
                let len = (first..).take_while(|n| plain.contains(n)).count() as u32;
                assert_eq!(set.run(first, 100), len.min(100));
            }
            let covered: u32 = set.runs(50).map(|run| run.end - run.start).sum();
            assert_eq!(u64::from(covered), set.len());
        });
    }

    #[test]
    fn a_run_is_found_if_there_is_one() {
        random(100, |set, plain| {
            for (count, align, limit) in [(1, 1, LIMIT), (3, 1, 600), (65, 1, LIMIT), (40, 16, LIMIT), (130, 32, 4000)]
            {
                let fits = |first: &u32| (*first..*first + count).all(|n| plain.contains(&n)) && first + count <= limit;
                let first = (0..limit).step_by(align as usize).find(fits);
                assert_eq!(set.find_run(count, align, limit), first, "{count} {align} {limit}");
            }
        });
    }

    #[test]
    fn the_bytes_are_enough() {
        for limit in [0, 1, 64, 65, 4096, 4097, 1 << 20] {
            let set = FrameSet::new(limit);
            let bytes: usize = set.levels.iter().map(|level| level.len() * size_of::<u64>()).sum();
            assert!(bytes <= FrameSet::bytes(limit), "{limit}: {bytes}");
        }
    }
}
