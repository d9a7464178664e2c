//! Which frame each page of a space has: sparse, in chunks of what a page table maps.

use crate::frames::Frame;
use crate::heap::OVERHEAD;
use crate::sorted::{At, Sorted};
use alloc::boxed::Box;
use core::ops::Range;

/// Pages in a chunk.
const PAGES: usize = 512;
const BITS: usize = u64::BITS as usize;

/// What one page table maps.
struct Chunk {
    /// A bit for each page that is there.
    present: [u64; PAGES / BITS],
    frames: [Option<Frame>; PAGES],
}

impl Chunk {
    const EMPTY: Self = Self { present: [0; PAGES / BITS], frames: [None; PAGES] };

    fn set(&mut self, at: usize, frame: Option<Frame>) -> Option<Frame> {
        let bit = 1 << (at % BITS);
        match frame {
            Some(_) => self.present[at / BITS] |= bit,
            None => self.present[at / BITS] &= !bit,
        }
        core::mem::replace(&mut self.frames[at], frame)
    }

    fn is_empty(&self) -> bool {
        self.present.iter().all(|word| *word == 0)
    }

    /// The first page that is there in a range of places.
    fn next(&self, range: Range<usize>) -> Option<usize> {
        let mut at = range.start;
        while at < range.end {
            let rest = self.present[at / BITS] >> (at % BITS);
            if rest != 0 {
                return Some(at + rest.trailing_zeros() as usize).filter(|at| *at < range.end);
            }
            at = (at / BITS + 1) * BITS;
        }
        None
    }

    /// Tells all that are there in a range of places.
    fn each(&self, range: Range<usize>, mut tell: impl FnMut(usize, Frame)) {
        for (word, present) in self.present.iter().enumerate().take(range.end.div_ceil(BITS)).skip(range.start / BITS) {
            let first = word * BITS;
            let mut rest = present & (u64::MAX << range.start.saturating_sub(first));
            if range.end - first < BITS {
                rest &= !(u64::MAX << (range.end - first));
            }
            while rest != 0 {
                let at = first + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if let Some(frame) = self.frames[at] {
                    tell(at, frame);
                }
            }
        }
    }

    /// The last page that is there in a range of places.
    fn last(&self, range: Range<usize>) -> Option<usize> {
        let mut end = range.end;
        while end > range.start {
            let word = (end - 1) / BITS;
            let rest = self.present[word] << (BITS - 1 - (end - 1) % BITS);
            if rest != 0 {
                return Some(end - 1 - rest.leading_zeros() as usize).filter(|at| *at >= range.start);
            }
            end = word * BITS;
        }
        None
    }
}

/// The pages of a space, by their numbers: addresses in pages.
#[derive(Default)]
pub(crate) struct Pages {
    chunks: Sorted<Box<Chunk>>,
    len: u64,
}

fn place(page: u64) -> (u64, usize) {
    (page / PAGES as u64, page as usize % PAGES)
}

/// The places of a chunk that are in a range of pages, some of which it has.
fn places_in(chunk: u64, range: &Range<u64>) -> Range<usize> {
    let first = chunk * PAGES as u64;
    range.start.saturating_sub(first) as usize..(range.end - first).min(PAGES as u64) as usize
}

impl Pages {
    /// The most bytes that putting frames at so many pages, one behind the other, allocates.
    pub(crate) fn bytes_for(&self, pages: u64) -> usize {
        // At both ends there may be one more.
        let chunks = pages as usize / PAGES + 2;
        chunks * (size_of::<Chunk>() + OVERHEAD) + self.chunks.bytes_to_insert(chunks)
    }

    /// The most bytes that a copy of all allocates.
    pub(crate) fn bytes(&self) -> usize {
        let chunks = self.chunks.len();
        chunks * (size_of::<Chunk>() + OVERHEAD) + Sorted::<Box<Chunk>>::bytes_to_fill(chunks)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The frame of a page.
    pub(crate) fn get(&self, page: u64) -> Option<Frame> {
        let (chunk, at) = place(page);
        self.chunks.value(self.chunks.find(chunk)?).frames[at]
    }

    /// Where a chunk is, which is made if it is not there.
    #[inline]
    fn chunk(&mut self, number: u64) -> At {
        match self.chunks.find(number) {
            Some(found) => found,
            None => self.new_chunk(number),
        }
    }

    #[cold]
    fn new_chunk(&mut self, number: u64) -> At {
        self.chunks.insert(number, Box::new(Chunk::EMPTY))
    }

    /// Puts a frame at a page; returns the one that was there.
    #[inline]
    pub(crate) fn set(&mut self, page: u64, frame: Frame) -> Option<Frame> {
        let (chunk, at) = place(page);
        let found = self.chunk(chunk);
        let before = self.chunks.value_mut(found).set(at, Some(frame));
        self.len += u64::from(before.is_none());
        before
    }

    /// Puts neighbouring frames at neighbouring pages where nothing is.
    #[inline]
    pub(crate) fn set_run(&mut self, first: u64, frame: Frame, count: u32) {
        // So it most often is.
        if count == 1 {
            self.set(first, frame);
        } else {
            self.set_many(first, frame, count);
        }
    }

    fn set_many(&mut self, first: u64, frame: Frame, count: u32) {
        let mut done = 0;
        while done < count {
            let (number, at) = place(first + u64::from(done));
            let found = self.chunk(number);
            let chunk = self.chunks.value_mut(found);
            let end = done + count.saturating_sub(done).min((PAGES - at) as u32);
            for (place, skip) in (at..).zip(done..end) {
                chunk.set(place, Some(frame.after(skip)));
            }
            self.len += u64::from(end - done);
            done = end;
        }
    }

    /// The chunks that a range has pages of.
    fn chunks_of(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Chunk)> {
        let first = if range.is_empty() { None } else { self.chunks.ceiling(place(range.start).0) };
        let end = range.end;
        let chunks = self.chunks.from(first).map(|(number, chunk)| (number, &**chunk));
        chunks.take_while(move |(number, _)| *number * (PAGES as u64) < end)
    }

    /// The first page in a range that is there, and its frame.
    pub(crate) fn next(&self, range: Range<u64>) -> Option<(u64, Frame)> {
        if range.is_empty() {
            return None;
        }
        self.chunks_of(range.clone()).find_map(|(number, chunk)| {
            let (first, places) = (number * PAGES as u64, places_in(number, &range));
            let at = chunk.next(places)?;
            Some((first + at as u64, chunk.frames[at]?))
        })
    }

    /// All pages in a range.
    pub(crate) fn in_range(&self, range: Range<u64>) -> impl Iterator<Item = (u64, Frame)> {
        self.chunks_of(range.clone()).flat_map(move |(number, chunk)| {
            let first = number * PAGES as u64;
            let end = (range.end - first).min(PAGES as u64) as usize;
            let mut at = range.start.saturating_sub(first) as usize;
            core::iter::from_fn(move || {
                let found = chunk.next(at..end)?;
                at = found + 1;
                Some((first + found as u64, chunk.frames[found]?))
            })
        })
    }

    /// All pages.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, Frame)> {
        self.in_range(0..u64::MAX)
    }

    /// From the first page of a range that is there to the last, for each chunk: so kernel calls about them look at few others.
    pub(crate) fn spans(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        self.chunks_of(range.clone()).filter_map(move |(number, chunk)| {
            let (first, places) = (number * PAGES as u64, places_in(number, &range));
            let (lowest, highest) = (chunk.next(places.clone())?, chunk.last(places)?);
            Some(first + lowest as u64..first + highest as u64 + 1)
        })
    }

    /// The frame of the first page of a range; if it is missing, how many are from there on, in its chunk and at most all of
    /// the range.
    #[inline]
    pub(crate) fn first_or_missing(&self, range: Range<u64>) -> Result<Frame, u64> {
        let (number, at) = place(range.start);
        let most = (range.end - range.start).min((PAGES - at) as u64);
        let Some(found) = self.chunks.find(number) else {
            return Err(most);
        };
        let chunk = self.chunks.value(found);
        match chunk.frames[at] {
            Some(frame) => Ok(frame),
            None if most == 1 => Err(1),
            None => Err(chunk.next(at..at + most as usize).map_or(most, |next| (next - at) as u64)),
        }
    }

    /// Puts the frames of a range at the same pages of another, where nothing is, and tells them.
    pub(crate) fn copy_to(&self, range: Range<u64>, other: &mut Self, mut each: impl FnMut(Frame)) {
        for (number, chunk) in self.chunks_of(range.clone()) {
            let places = places_in(number, &range);
            if chunk.next(places.clone()).is_none() {
                continue;
            }
            let found = other.chunk(number);
            let copy = other.chunks.value_mut(found);
            let mut count = 0;
            chunk.each(places, |at, frame| {
                each(frame);
                copy.set(at, Some(frame));
                count += 1;
            });
            other.len += count;
        }
    }

    /// Tells all frames.
    pub(crate) fn for_each(&self, mut each: impl FnMut(Frame)) {
        let chunks = self.chunks_of(0..u64::MAX);
        chunks.for_each(|(_, chunk)| chunk.each(0..PAGES, |_, frame| each(frame)));
    }

    /// Takes all pages of a range out, and tells them.
    pub(crate) fn take(&mut self, range: Range<u64>, mut each: impl FnMut(u64, Frame)) {
        let mut from = range.start;
        while from < range.end
            && let Some(found) = self.chunks.ceiling(place(from).0)
        {
            let first = self.chunks.key(found) * PAGES as u64;
            if first >= range.end {
                return;
            }
            let chunk = self.chunks.value_mut(found);
            let end = (range.end - first).min(PAGES as u64) as usize;
            let mut at = from.saturating_sub(first) as usize;
            while let Some(taken) = chunk.next(at..end) {
                if let Some(frame) = chunk.set(taken, None) {
                    self.len -= 1;
                    each(first + taken as u64, frame);
                }
                at = taken + 1;
            }
            if chunk.is_empty() {
                self.chunks.remove(found);
            }
            from = first + PAGES as u64;
        }
    }
}

impl core::fmt::Debug for Pages {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.all().map(|(page, frame)| (page, frame.number()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    const SPAN: u64 = 3 * PAGES as u64;

    #[test]
    fn they_are_as_a_plain_map_has_them() {
        let (mut pages, mut plain) = (Pages::default(), BTreeMap::new());
        let mut word = 0x1234_5678_9abc_def1_u64;
        for _ in 0..2000 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            let first = 1000 + (word >> 40) % SPAN;
            let count = word % 90;
            let range = first..first + count;
            if word & 0x10000 == 0 {
                let mut taken = Vec::new();
                pages.take(range.clone(), |page, frame| taken.push((page, frame)));
                let expected: Vec<_> = plain.extract_if(range.clone(), |_, _| true).collect();
                assert_eq!(taken, expected);
            } else {
                for page in range.clone().step_by(1 + (word >> 20) as usize % 5) {
                    let frame = Frame::new((word >> 8) as u32 | 1).unwrap();
                    assert_eq!(pages.set(page, frame), plain.insert(page, frame));
                }
            }
            assert_eq!(pages.len(), plain.len() as u64);
            let around = first - 40..first + 700;
            let listed = |range: Range<u64>| plain.range(range).map(|(page, frame)| (*page, *frame));
            assert!(pages.in_range(around.clone()).eq(listed(around.clone())));
            assert_eq!(pages.next(around.clone()), listed(around.clone()).next());
            assert_eq!(pages.get(first), plain.get(&first).copied());
            let spans: Vec<_> = pages.spans(around.clone()).collect();
            let expected: BTreeMap<u64, Vec<u64>> =
                listed(around.clone()).fold(BTreeMap::new(), |mut chunks, (page, _)| {
                    chunks.entry(place(page).0).or_insert_with(Vec::new).push(page);
                    chunks
                });
            let ends = |chunk: &Vec<u64>| chunk[0]..chunk[chunk.len() - 1] + 1;
            assert_eq!(spans, expected.values().map(ends).collect::<Vec<_>>());
            let (mut copy, mut told) = (Pages::default(), Vec::new());
            pages.copy_to(around.clone(), &mut copy, |frame| told.push(frame));
            assert!(copy.all().eq(listed(around.clone())) && copy.len() == told.len() as u64);
            assert!(told.into_iter().eq(listed(around.clone()).map(|(_, frame)| frame)));
            let missing = around.clone().take_while(|page| !plain.contains_key(page)).count() as u64;
            let in_chunk = PAGES as u64 - around.start % PAGES as u64;
            let expected = plain.get(&around.start).copied().ok_or(missing.min(in_chunk));
            assert_eq!(pages.first_or_missing(around.clone()), expected);
        }
        let mut told = Vec::new();
        pages.for_each(|frame| told.push(frame));
        assert!(told.iter().eq(plain.values()));
        assert!(pages.all().eq(plain.iter().map(|(page, frame)| (*page, *frame))));
        pages.take(0..u64::MAX, |_, _| {});
        assert!(pages.len() == 0 && pages.chunks.len() == 0, "no chunk stays for nothing");
    }

    #[test]
    fn empty_ranges_are_empty() {
        let mut pages = Pages::default();
        pages.set(7, Frame::new(3).unwrap());
        assert_eq!((pages.next(7..7), pages.in_range(7..7).count()), (None, 0));
        pages.take(7..7, |_, _| panic!("nothing was asked for"));
        assert_eq!(pages.len(), 1);
    }
}
