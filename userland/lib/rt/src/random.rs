//! Numbers that nobody can guess, as far as the processor helps.
//!
//! What they come from is stirred into a key of 128 bits before each number that is drawn: two words of the processor's generator if it has
//! one, and the time-stamp counter in any case. Key and numbers are SipHash-2-4 with 128 bits of output over that: whoever sees numbers
//! learns neither the key, nor what was drawn before or will be next.
//!
//! Nothing here waits: a generator that has nothing to give is asked a few times, and then goes without.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __rdtscp, _rdtsc};
use siphasher::sip128::SipHasher24;
use zerocopy::IntoBytes;

/// How often `RDRAND` is tried for one word. More failures in a row mean that the generator is broken (Intel SDM, vol. 1, 7.3.17.1).
pub const TRIES: usize = 10;

/// How often a new pool is stirred. What a counter tells by chance is little at a time.
pub const STIRS: usize = 64;

/// Bit of ECX in CPUID leaf 1: there is `RDRAND` (Intel SDM, vol. 2, CPUID).
const HAS_RDRAND: u32 = 1 << 30;
/// Bit of EDX in CPUID leaf 0x8000_0001: there is `RDTSCP`.
const HAS_RDTSCP: u32 = 1 << 27;
/// That leaf. Every x86-64 processor has it: it says that it is one.
const EXTENDED: u32 = 0x8000_0001;

/// What a hash is for, as its first word.
const NEXT_KEY: u64 = 1;
const OUTPUT: u64 = 2;

/// What numbers come from.
pub trait Source {
    /// Asks the processor's generator once. `None` if there is none, or if it has nothing to give right now.
    fn generated(&mut self) -> Option<u64>;

    /// A counter that is another one whenever it is read.
    fn ticks(&mut self) -> u64;
}

/// The processor that this program runs on.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    has_generator: bool,
    has_rdtscp: bool,
}

impl Processor {
    /// Sees what it has.
    #[must_use]
    pub fn new() -> Self {
        Self { has_generator: __cpuid(1).ecx & HAS_RDRAND != 0, has_rdtscp: __cpuid(EXTENDED).edx & HAS_RDTSCP != 0 }
    }
}

impl Default for Processor {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Processor {
    fn generated(&mut self) -> Option<u64> {
        if !self.has_generator {
            return None;
        }
        let (word, is_valid): (u64, u8);
        // SAFETY: the processor says that it has the instruction, which changes these registers and the flags and nothing else.
        unsafe {
            asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) is_valid, options(nomem, nostack));
        }
        (is_valid != 0).then_some(word)
    }

    /// By `RDTSCP` if that is there: it waits for what comes before it, so how long that took is in it. Nor is it taken for a reading of
    /// `mkimage bench`, which are by `RDTSC`.
    fn ticks(&mut self) -> u64 {
        if self.has_rdtscp {
            // SAFETY: the processor says that it has the instruction, and the kernel lets programs use it. It only reads counters.
            return unsafe { __rdtscp(&mut 0) };
        }
        // SAFETY: every x86-64 processor has the instruction, and the rest is as above.
        unsafe { _rdtsc() }
    }
}

/// A pool that numbers are drawn from. Each program makes its own; a copy of it in a child that was forked goes its own way with the next
/// number.
pub struct Random<S = Processor> {
    source: S,
    key: [u8; 16],
    /// Numbers that were drawn; so they differ whatever the source says.
    drawn: u64,
    is_weak: bool,
}

impl Random {
    /// A pool from what this processor has.
    #[must_use]
    pub fn new() -> Self {
        Self::from_source(Processor::new())
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Source> Random<S> {
    /// A pool from any source.
    pub fn from_source(source: S) -> Self {
        let mut new = Self { source, key: [0; 16], drawn: 0, is_weak: false };
        for _ in 0..STIRS {
            new.stir();
        }
        new
    }

    /// Whether all there was when it was last drawn from is the counter: who knows the machine and about when that was can try
    /// all numbers.
    pub fn is_weak(&self) -> bool {
        self.is_weak
    }

    /// Sixteen bytes.
    pub fn bytes(&mut self) -> [u8; 16] {
        self.stir();
        self.hash(&[OUTPUT, 0, 0, 0, 0])
    }

    /// A word.
    pub fn word(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes();
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }

    /// Puts into the key what there is.
    fn stir(&mut self) {
        self.drawn = self.drawn.wrapping_add(1);
        let (first, second) = (self.generated(), self.generated());
        self.is_weak = first.is_none() || second.is_none();
        let words = [first, second].map(Option::unwrap_or_default);
        let stirred = [NEXT_KEY, self.drawn, self.source.ticks(), words[0], words[1]];
        self.key = self.hash(&stirred);
    }

    fn generated(&mut self) -> Option<u64> {
        (0..TRIES).find_map(|_| self.source.generated())
    }

    fn hash(&self, words: &[u64; 5]) -> [u8; 16] {
        SipHasher24::new_with_key(&self.key).hash(words.as_bytes()).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::{BTreeSet, VecDeque};
    use std::vec::Vec;

    /// Answers of a generator, in their order, then none any more; a counter that grows by a step.
    #[derive(Clone, Default)]
    struct Told {
        generated: VecDeque<Option<u64>>,
        asked: usize,
        ticks: u64,
        step: u64,
    }

    impl Source for Told {
        fn generated(&mut self) -> Option<u64> {
            self.asked += 1;
            self.generated.pop_front().flatten()
        }

        fn ticks(&mut self) -> u64 {
            self.ticks = self.ticks.wrapping_add(self.step);
            self.ticks
        }
    }

    /// A pool without a past, whose source says this from now on.
    fn pool(told: Told) -> Random<Told> {
        Random { source: told, key: [7; 16], drawn: 0, is_weak: false }
    }

    fn ones(a: [u8; 16], b: [u8; 16]) -> u32 {
        (u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b)).count_ones()
    }

    #[test]
    fn a_generator_may_fail_nine_times() {
        for failures in 0..TRIES {
            let mut generated: VecDeque<_> = [None].repeat(failures).into();
            generated.extend([Some(5), Some(6)]);
            let mut random = pool(Told { generated, ..Told::default() });
            let bytes = random.bytes();
            assert_eq!((random.source.asked, random.is_weak()), (failures + 2, false));
            assert_eq!(bytes, pool(Told { generated: [Some(5), Some(6)].into(), ..Told::default() }).bytes());
        }
    }

    #[test]
    fn it_is_not_asked_for_ever() {
        let mut random = pool(Told { generated: [None].repeat(100).into(), ..Told::default() });
        let first = random.bytes();
        assert_eq!((random.source.asked, random.is_weak()), (2 * TRIES, true));
        assert_ne!(random.bytes(), first);
        // One word of two is not enough; and a generator that works again is believed.
        random.source.generated = [None].repeat(TRIES).into();
        random.source.generated.extend([Some(1), Some(2), Some(3)]);
        random.bytes();
        assert!(random.is_weak());
        random.bytes();
        assert!(!random.is_weak());
    }

    /// A new pool takes so much from the counter, and from a generator that is there.
    #[test]
    fn a_new_pool_is_stirred() {
        let told = Told { step: 1, ..Told::default() };
        let weak = Random::from_source(told.clone());
        assert_eq!((weak.source.ticks, weak.source.asked, weak.is_weak()), (STIRS as u64, STIRS * 2 * TRIES, true));
        let strong = Random::from_source(Told { generated: [Some(1)].repeat(2 * STIRS).into(), ..told });
        assert_eq!((strong.source.asked, strong.is_weak()), (2 * STIRS, false));
        assert_ne!(strong.key, weak.key);
    }

    /// Every bit of what is stirred in changes about half of the bits that come out.
    #[test]
    fn every_bit_counts() {
        let with = |ticks: u64, words: [u64; 2]| {
            pool(Told { generated: words.map(Some).into(), ticks, ..Told::default() }).bytes()
        };
        let (ticks, words) = (0x0123_4567_89ab_cdef, [3, 0]);
        let plain = with(ticks, words);
        for bit in 0..64 {
            let changed = [
                with(ticks ^ 1 << bit, words),
                with(ticks, [words[0] ^ 1 << bit, words[1]]),
                with(ticks, [words[0], words[1] ^ 1 << bit]),
            ];
            for bytes in changed {
                assert!((30..=98).contains(&ones(bytes, plain)), "{bit}: {}", ones(bytes, plain));
            }
        }
    }

    /// Neither from a source that always says the same, nor from one that counts, come numbers twice, or more ones than zeros.
    #[test]
    fn numbers_do_not_repeat() {
        const COUNT: u32 = 10_000;
        for (generated, step) in [(None, 0), (None, 1), (Some(u64::MAX), 0), (Some(0), 40)] {
            let mut random =
                pool(Told { generated: [generated].repeat(2 * COUNT as usize).into(), step, ..Told::default() });
            let drawn: Vec<_> = (0..COUNT).map(|_| random.bytes()).collect();
            let all: BTreeSet<_> = drawn.iter().collect();
            assert_eq!(all.len(), COUNT as usize);
            for bit in 0..128 {
                let ones = drawn.iter().filter(|bytes| u128::from_ne_bytes(**bytes) >> bit & 1 != 0).count();
                assert!((COUNT as usize * 47 / 100..COUNT as usize * 53 / 100).contains(&ones), "{bit}: {ones}");
            }
        }
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let told = Told { ticks: 1, ..Told::default() };
        let (mut parent, mut child) = (pool(told.clone()), pool(Told { ticks: 2, ..told }));
        assert_ne!(parent.bytes(), child.bytes());
    }

    #[test]
    fn this_processor_has_numbers() {
        let (mut one, mut other) = (Random::new(), Random::new());
        let all: BTreeSet<_> = (0..100).flat_map(|_| [one.bytes(), other.bytes()]).collect();
        assert_eq!(all.len(), 200);
        assert_ne!(one.word(), one.word());
    }
}
