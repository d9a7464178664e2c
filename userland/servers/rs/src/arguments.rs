//! The arguments of services.

use abi::Errno;
use core::fmt;
use protocol::rs::MAX_ARGUMENTS;

/// Bytes of the longest text.
const MOST: usize = MAX_ARGUMENTS as usize;

/// Arguments of a program behind its name, each with a zero byte at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Arguments {
    len: usize,
    /// The last one may have got its end from here.
    bytes: [u8; MOST + 1],
}

impl Arguments {
    /// No arguments.
    pub const NONE: Self = Self { len: 0, bytes: [0; MOST + 1] };

    /// Those of a text: zero bytes end them if there are any, and else spaces do.
    ///
    /// # Errors
    /// `E2BIG` for a text that is too long.
    pub(crate) fn of_text(text: &[u8]) -> Result<Self, Errno> {
        if text.len() > MOST {
            return Err(Errno::TooBig);
        }
        let mut arguments = Self::NONE;
        if text.contains(&0) {
            text.strip_suffix(&[0])
                .unwrap_or(text)
                .split(|byte| *byte == 0)
                .try_for_each(|word| arguments.add(word))?;
        } else {
            let words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            words.into_iter().try_for_each(|word| arguments.add(word))?;
        }
        Ok(arguments)
    }

    /// Adds one, in which there is no zero byte.
    ///
    /// # Errors
    /// `E2BIG` if there is no room for it.
    pub(crate) fn add(&mut self, word: &[u8]) -> Result<(), Errno> {
        self.append(word)?;
        self.append(&[0])
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let end = self.len + bytes.len();
        self.bytes.get_mut(self.len..end).ok_or(Errno::TooBig)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// All of them, as a program gets them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Text for an argument that is not complete yet: the zero byte is written like any other.
impl fmt::Write for Arguments {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.bytes().split_inclusive(|byte| *byte == 0).map(<[u8]>::trim_ascii)).finish()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    fn bytes(text: &[u8]) -> vec::Vec<u8> {
        Arguments::of_text(text).expect("it is short").bytes().to_vec()
    }

    #[test]
    fn spaces_end_arguments() {
        assert_eq!(bytes(b""), b"");
        assert_eq!(bytes(b"  "), b"");
        assert_eq!(bytes(b"list"), b"list\0");
        assert_eq!(bytes(b" up  hello -label \xff "), b"up\0hello\0-label\0\xff\0");
    }

    #[test]
    fn zero_bytes_end_arguments_with_spaces_in_them() {
        assert_eq!(bytes(b"up\0a b\0"), b"up\0a b\0");
        assert_eq!(bytes(b"up\0a b"), b"up\0a b\0");
        assert_eq!(bytes(b"\0"), b"\0", "there is one, and it is empty");
        assert_eq!(bytes(b"\0\0x\0\0"), b"\0\0x\0\0");
    }

    #[test]
    fn the_longest_text_fits_and_no_longer_one() {
        for text in [vec![b'x'; MOST], vec![0; MOST], [vec![0], vec![b'x'; MOST - 1]].concat()] {
            assert_eq!(bytes(&text).len(), MOST + usize::from(text.last() != Some(&0)));
            let longer = [text, vec![b'y']].concat();
            assert_eq!(Arguments::of_text(&longer), Err(Errno::TooBig));
        }
        assert_eq!(bytes(&[&[b' '; MOST - 1][..], b"x"].concat()), b"x\0");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing_before_it() {
        let mut arguments = Arguments::of_text(&[b'x'; MOST - 1]).unwrap();
        let before = arguments;
        assert_eq!(arguments.add(b"y"), Err(Errno::TooBig));
        assert!(arguments.bytes().starts_with(before.bytes()));
        assert!(fmt::Write::write_str(&mut arguments, "123").is_err());
    }
}
