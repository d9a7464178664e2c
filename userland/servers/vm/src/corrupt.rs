//! Spoils kernel requests, for a memory server that is wrong on purpose: numbers of frames, addresses, spaces, processes, counts, flags and
//! the order of requests are not what the server meant.

use abi::layout::PAGE_SIZE;
use abi::{BODY_WORDS, Message};
use core::sync::atomic::{AtomicU64, Ordering};

/// Words of requests and answers that are remembered: one that is right somewhere is wrong elsewhere.
const WORDS: usize = 64;
/// Requests that are remembered, to come too late.
const REQUESTS: usize = 16;
/// A frame that is drawn is below this.
const FRAMES: u64 = 1 << 15;

/// What is to be spoilt, from a seed, and how much was.
#[derive(Debug)]
pub(crate) struct Corruptor {
    random: AtomicU64,
    words: [AtomicU64; WORDS],
    noted: AtomicU64,
    requests: [[AtomicU64; 1 + BODY_WORDS]; REQUESTS],
    made: AtomicU64,
    spoilt: AtomicU64,
}

impl Corruptor {
    /// One that remembers nothing.
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            random: AtomicU64::new(seed),
            words: [const { AtomicU64::new(0) }; WORDS],
            noted: AtomicU64::new(0),
            requests: [const { [const { AtomicU64::new(0) }; 1 + BODY_WORDS] }; REQUESTS],
            made: AtomicU64::new(0),
            spoilt: AtomicU64::new(0),
        }
    }

    /// Requests that were not what they should have been.
    pub(crate) fn spoilt(&self) -> u64 {
        self.spoilt.load(Ordering::Relaxed)
    }

    /// Makes what is drawn from now on depend on a number.
    pub(crate) fn stir(&self, number: u64) {
        let before = self.random.load(Ordering::Relaxed);
        self.random.store((before ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15), Ordering::Relaxed);
    }

    /// 64 bits that look random: SplitMix64.
    fn random(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&self, bound: u64) -> u64 {
        self.random() % bound
    }

    /// Remembers the words of a request or an answer.
    pub(crate) fn note(&self, body: &[u64; BODY_WORDS]) {
        for word in body.iter().filter(|word| **word != 0) {
            let at = self.noted.fetch_add(1, Ordering::Relaxed);
            self.words[at as usize % WORDS].store(*word, Ordering::Relaxed);
        }
    }

    fn known(&self) -> u64 {
        self.words[self.below(WORDS as u64) as usize].load(Ordering::Relaxed)
    }

    /// Spoils one request in so many. Whether it is another one now: `keep` says whether that may be made, else it stays as it was.
    pub(crate) fn spoil(&self, message: &mut Message, one_in: u64, keep: impl Fn(&Message) -> bool) -> bool {
        let good = *message;
        let place = self.made.fetch_add(1, Ordering::Relaxed) as usize % REQUESTS;
        if self.below(one_in) == 0 {
            self.change(&mut message.body, good.kind.0);
            if !keep(message) {
                *message = good;
            }
        }
        for (old, word) in self.requests[place].iter().zip([u64::from(good.kind.0)].into_iter().chain(good.body)) {
            old.store(word, Ordering::Relaxed);
        }
        let is_another = message.body != good.body;
        self.spoilt.fetch_add(is_another.into(), Ordering::Relaxed);
        is_another
    }

    /// Changes a body, most often one word of it.
    fn change(&self, body: &mut [u64; BODY_WORDS], kind: u16) {
        let at = self.below(5) as usize;
        let word = &mut body[at];
        match self.below(11) {
            0 | 1 => *word = self.known(),
            2 => *word = word.wrapping_add(PAGE_SIZE.wrapping_mul(self.below(9).wrapping_sub(4))),
            3 => *word ^= 1 << self.below(64),
            4 => *word = self.below(FRAMES) * PAGE_SIZE,
            5 => *word = [0, 1, u64::MAX, 1 << 63, PAGE_SIZE][self.below(5) as usize],
            6 => body.swap(at, self.below(5) as usize),
            7 => self.change_half(word, |half, this| half.wrapping_add(this.below(5) as u32).wrapping_sub(2)),
            8 => self.change_half(word, |_, this| this.below(4) as u32),
            9 => self.change_half(word, |_, this| (this.known() >> (32 * this.below(2))) as u32),
            _ => self.make_late(body, kind),
        }
    }

    /// Half a word is a count, an access, a process.
    fn change_half(&self, word: &mut u64, change: impl Fn(u32, &Self) -> u32) {
        let shift = 32 * self.below(2);
        let half = u64::from(change((*word >> shift) as u32, self));
        *word = *word & !(0xffff_ffff << shift) | half << shift;
    }

    /// An earlier request of this kind takes the place of this one.
    fn make_late(&self, body: &mut [u64; BODY_WORDS], kind: u16) {
        let first = self.random() as usize;
        for i in 0..REQUESTS {
            let old = &self.requests[first.wrapping_add(i) % REQUESTS];
            let [of, words @ ..] = old;
            if of.load(Ordering::Relaxed) == u64::from(kind) {
                *body = words.each_ref().map(|word| word.load(Ordering::Relaxed));
                return;
            }
        }
    }
}
