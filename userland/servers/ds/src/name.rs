//! Keys, labels and patterns: short texts that are compared often.

use abi::Errno;
use core::fmt;
use protocol::ds::{Key, MAX_KEY};
use zerocopy::IntoBytes;

/// Bytes of a name with its length.
const SIZE: usize = MAX_KEY as usize + 1;
const WORD: usize = size_of::<u64>();
const WORDS: usize = SIZE / WORD;

/// A text of 1 to [`MAX_KEY`] bytes, none of them zero.
///
/// It is kept in words, so that two are compared in few steps; the last byte is the length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u64; WORDS]);

impl Name {
    /// No text.
    pub(crate) const EMPTY: Self = Self([0; WORDS]);

    /// Of these bytes.
    ///
    /// # Errors
    /// `EINVAL` if they are none, too many, or one of them is zero.
    pub fn new(text: &[u8]) -> Result<Self, Errno> {
        if text.is_empty() || text.len() > MAX_KEY as usize || text.contains(&0) {
            return Err(Errno::Inval);
        }
        let mut name = Self::EMPTY;
        let bytes = name.0.as_mut_bytes();
        bytes[..text.len()].copy_from_slice(text);
        bytes[SIZE - 1] = text.len() as u8;
        Ok(name)
    }

    /// Of a key that stands in a message.
    ///
    /// # Errors
    /// `EINVAL` as of [`Name::new`], and for what is not zero behind it.
    pub(crate) fn inline(key: &Key) -> Result<Self, Errno> {
        let mut name = Self::EMPTY;
        let mut rest = key.len as usize;
        if rest == 0 || rest > key.bytes.len() {
            return Err(Errno::Inval);
        }
        for (word, chunk) in name.0.iter_mut().zip(key.bytes.as_chunks::<WORD>().0) {
            *word = u64::from_le_bytes(*chunk);
            let here = rest.min(WORD);
            // The bytes of the text.
            let inside = if here == WORD { u64::MAX } else { (1 << (8 * here)) - 1 };
            if *word & !inside != 0 || has_zero_byte(*word | !inside) {
                return Err(Errno::Inval);
            }
            rest -= here;
        }
        name.0.as_mut_bytes()[SIZE - 1] = key.len as u8;
        Ok(name)
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.0.as_bytes()[..self.len()]
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.0.as_bytes()[SIZE - 1])
    }

    /// A number that is seldom that of another text.
    pub(crate) fn hash(&self) -> u32 {
        /// An odd number with bits everywhere.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let words = self.len().div_ceil(WORD);
        let hash = self.0[..words].iter().fold(0_u64, |hash, word| (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR));
        (hash >> 32) as u32
    }

    /// As it stands in an answer: its first bytes, if it is too long.
    pub(crate) fn key(&self) -> Key {
        let mut key = Key { bytes: [0; protocol::ds::INLINE_KEY as usize], len: self.len() as u32 };
        let len = key.bytes.len();
        key.bytes.copy_from_slice(&self.0.as_bytes()[..len]);
        key
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text().escape_ascii())
    }
}

/// Whether one of the eight bytes is zero.
const fn has_zero_byte(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    word.wrapping_sub(ONES) & !word & ONES << 7 != 0
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_have_1_to_79_bytes_that_are_not_zero() {
        for len in [0, 80, 81, 500] {
            assert_eq!(Name::new(&std::vec![b'a'; len]), Err(Errno::Inval), "{len}");
        }
        for len in [1, 31, 32, 33, 78, 79] {
            assert_eq!(Name::new(&std::vec![b'a'; len]).unwrap().text(), std::vec![b'a'; len]);
        }
        assert_eq!(Name::new(b"a\0b"), Err(Errno::Inval));
        assert_ne!(Name::new(b"a").unwrap(), Name::new(b"aa").unwrap());
    }

    #[test]
    fn what_stands_in_a_message_is_zero_behind_the_text() {
        let good = Key::new(b"drv.blk.disk").unwrap();
        assert_eq!(Name::inline(&good), Name::new(b"drv.blk.disk"));
        for place in 12..32 {
            let mut bad = good;
            bad.bytes[place] = 1;
            assert_eq!(Name::inline(&bad), Err(Errno::Inval), "{place}");
        }
        for len in [0, 11, 13, 33, u32::MAX] {
            assert_eq!(Name::inline(&Key { len, ..good }), Err(Errno::Inval), "{len}");
        }
    }

    proptest! {
        #[test]
        fn a_key_in_a_message_is_the_name_of_its_bytes(text in proptest::collection::vec(0_u8..4, 0..=33)) {
            let key = Key::new(&text);
            prop_assert_eq!(key.is_some(), text.len() <= 32);
            if let Some(key) = key {
                let name = Name::inline(&key);
                prop_assert_eq!(name, Name::new(&text));
                prop_assert!(name.is_err() || name.unwrap().key() == key);
            }
        }
    }
}
