//! Memory for values: blocks in one range, which are moved together when the room at its end is used up. So as long as there are as many
//! bytes as are wanted, a block can be had.

/// Most blocks.
pub(crate) const BLOCKS: usize = crate::ENTRIES * crate::KEPT;

/// A block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block(u16);

/// Where a block is. A free one has no length.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    len: u32,
}

impl Place {
    const FREE: Self = Self { start: 0, len: 0 };

    fn range(self) -> core::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// The memory.
#[derive(Debug)]
pub(crate) struct Pool<'m> {
    bytes: &'m mut [u8],
    places: [Place; BLOCKS],
    /// No block is behind this.
    end: usize,
    /// Bytes of all blocks.
    live: usize,
}

impl<'m> Pool<'m> {
    /// Without memory.
    pub(crate) const fn new() -> Self {
        Self { bytes: &mut [], places: [Place::FREE; BLOCKS], end: 0, live: 0 }
    }

    /// Has this memory from now on, and no blocks.
    pub(crate) fn begin(&mut self, bytes: &'m mut [u8]) {
        self.bytes = bytes;
        self.places.fill(Place::FREE);
        (self.end, self.live) = (0, 0);
    }

    /// Bytes that blocks can have.
    pub(crate) fn room(&self) -> usize {
        self.bytes.len() - self.live
    }

    /// A block with these bytes, of which there are some; `None` if there is no room.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Option<Block> {
        if bytes.is_empty() || bytes.len() > self.room() {
            return None;
        }
        let index = self.places.iter().position(|place| place.len == 0)?;
        if bytes.len() > self.bytes.len() - self.end {
            self.move_together();
        }
        let place = Place { start: u32::try_from(self.end).ok()?, len: u32::try_from(bytes.len()).ok()? };
        self.bytes[place.range()].copy_from_slice(bytes);
        self.places[index] = place;
        self.end += bytes.len();
        self.live += bytes.len();
        Some(Block(index as u16))
    }

    /// Gives a block back.
    pub(crate) fn remove(&mut self, block: Block) {
        let place = core::mem::replace(&mut self.places[usize::from(block.0)], Place::FREE);
        self.live -= place.len as usize;
        if place.range().end == self.end {
            self.end = place.start as usize;
        }
    }

    /// The bytes of a block.
    pub(crate) fn get(&self, block: &Block) -> &[u8] {
        &self.bytes[self.places[usize::from(block.0)].range()]
    }

    /// How many bytes it has.
    pub(crate) fn len(&self, block: &Block) -> usize {
        self.places[usize::from(block.0)].len as usize
    }

    /// Moves all blocks to the beginning.
    fn move_together(&mut self) {
        let mut order = [0_u16; BLOCKS];
        let mut used = 0;
        for (index, _) in self.places.iter().enumerate().filter(|(_, place)| place.len != 0) {
            order[used] = index as u16;
            used += 1;
        }
        let order = &mut order[..used];
        order.sort_unstable_by_key(|index| self.places[usize::from(*index)].start);
        self.end = 0;
        for index in order {
            let place = &mut self.places[usize::from(*index)];
            self.bytes.copy_within(place.range(), self.end);
            place.start = self.end as u32;
            self.end += place.len as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::vec::Vec;

    #[test]
    fn what_has_room_gets_it() {
        let mut memory = [0; 10];
        let mut pool = Box::new(Pool::new());
        assert_eq!(pool.add(b"a"), None, "it has no memory");
        pool.begin(&mut memory);
        assert_eq!(pool.add(b""), None);
        let [a, b, c] = [&b"aaa"[..], b"bbbb", b"ccc"].map(|bytes| pool.add(bytes).unwrap());
        assert_eq!((pool.room(), pool.add(b"d")), (0, None));
        pool.remove(a);
        pool.remove(c);
        // The free bytes are on both sides of `b`.
        let d = pool.add(b"dddddd").unwrap();
        assert_eq!((pool.get(&b), pool.get(&d), pool.len(&d)), (&b"bbbb"[..], &b"dddddd"[..], 6));
    }

    #[test]
    fn there_are_so_many_blocks_and_no_more() {
        let mut memory = [0; BLOCKS + 1];
        let mut pool = Box::new(Pool::new());
        pool.begin(&mut memory);
        for _ in 0..BLOCKS {
            pool.add(b"x").unwrap();
        }
        assert_eq!(pool.add(b"x"), None);
    }

    proptest! {
        #[test]
        fn blocks_keep_their_bytes(steps in proptest::collection::vec((any::<u8>(), 0_usize..40), 0..200)) {
            let mut memory = [0; 200];
            let mut pool = Box::new(Pool::new());
            pool.begin(&mut memory);
            let mut model: Vec<(Block, Vec<u8>)> = Vec::new();
            for (byte, len) in steps {
                if byte % 3 == 0 && !model.is_empty() {
                    let (block, _) = model.swap_remove(usize::from(byte) % model.len());
                    pool.remove(block);
                } else {
                    let bytes = std::vec![byte; len];
                    let live: usize = model.iter().map(|(_, bytes)| bytes.len()).sum();
                    let block = pool.add(&bytes);
                    prop_assert_eq!(block.is_some(), len > 0 && live + len <= 200);
                    model.extend(block.map(|block| (block, bytes)));
                }
                for (block, bytes) in &model {
                    prop_assert_eq!(pool.get(block), &bytes[..]);
                }
            }
        }
    }
}
