//! Patterns of keys. One fits a key as a whole, from its beginning to its end:
//!
//! | in a pattern | fits |
//! |---|---|
//! | `.` | any byte |
//! | `[ab0-9]`, `[^ab]` | one of these bytes; any other one |
//! | `\.` | the punctuation character behind it |
//! | what is none of `\ . [ ] * \| ( ) { } + ? ^ $` | itself |
//! | `x*` | what `x` fits, any number of times, also none; `x` is one of the above |
//! | `a\|b` | what `a` fits or `b` fits; never inside of anything |
//!
//! All places where the match can be are followed at once, so a key of `n` bytes takes at most `n` times the length of the pattern, whatever the
//! pattern is.

use crate::name::Name;
use abi::Errno;
use arrayvec::ArrayVec;
use protocol::ds::MAX_KEY;

/// One more than bytes of a pattern: its end.
const ATOMS: usize = MAX_KEY as usize + 1;

/// A set of places in a pattern.
type Places = u128;
const _: () = assert!(ATOMS < Places::BITS as usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// This byte.
    Byte(u8),
    /// Any byte.
    Any,
    /// One of those that stand between these places of the text, or none of them.
    Set { start: u8, end: u8, others: bool },
    /// The end of the pattern, or of one of its alternatives.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Atom {
    what: What,
    /// Any number of times.
    repeated: bool,
}

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Name,
    atoms: ArrayVec<Atom, ATOMS>,
    /// Where a match begins.
    first: Places,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `EINVAL` if it is none.
    pub fn new(text: Name) -> Result<Self, Errno> {
        let mut pattern = Self { text, atoms: ArrayVec::new(), first: 0 };
        let (text, mut at) = (text.text(), 0);
        while let Some(&byte) = text.get(at) {
            at += 1;
            match byte {
                b'|' => pattern.end()?,
                b'*' => match pattern.atoms.last_mut() {
                    Some(atom) if atom.what != What::End && !atom.repeated => atom.repeated = true,
                    _ => return Err(Errno::Inval),
                },
                b'.' => pattern.push(What::Any)?,
                b'\\' => {
                    let escaped = text.get(at).copied().filter(u8::is_ascii_punctuation).ok_or(Errno::Inval)?;
                    pattern.push(What::Byte(escaped))?;
                    at += 1;
                }
                b'[' => {
                    let others = text.get(at) == Some(&b'^');
                    let start = at + usize::from(others);
                    let end = end_of_set(text, start).ok_or(Errno::Inval)?;
                    pattern.push(What::Set { start: start as u8, end: end as u8, others })?;
                    at = end + 1;
                }
                b']' | b'(' | b')' | b'{' | b'}' | b'+' | b'?' | b'^' | b'$' => return Err(Errno::Inval),
                literal => pattern.push(What::Byte(literal))?,
            }
        }
        pattern.end()?;
        let starts = pattern.atoms.iter().enumerate().filter(|(_, atom)| atom.what == What::End).map(|(at, _)| at + 1);
        let first = core::iter::once(0).chain(starts).filter(|start| *start < pattern.atoms.len());
        pattern.first = first.fold(0, |places, at| pattern.with(places, at));
        Ok(pattern)
    }

    /// The text that it was made of.
    pub(crate) const fn text(&self) -> &Name {
        &self.text
    }

    fn push(&mut self, what: What) -> Result<(), Errno> {
        self.atoms.try_push(Atom { what, repeated: false }).map_err(|_| Errno::Inval)
    }

    /// Ends an alternative, which is not empty.
    fn end(&mut self) -> Result<(), Errno> {
        match self.atoms.last() {
            Some(atom) if atom.what != What::End => self.push(What::End),
            _ => Err(Errno::Inval),
        }
    }

    /// Places, and one more with those behind it that are reached without a byte.
    fn with(&self, mut places: Places, mut at: usize) -> Places {
        places |= 1 << at;
        while self.atoms[at].repeated {
            at += 1;
            places |= 1 << at;
        }
        places
    }

    /// Whether it fits all of a key.
    #[must_use]
    pub fn fits(&self, key: &[u8]) -> bool {
        let mut places = self.first;
        for byte in key {
            let mut next = 0;
            while places != 0 {
                let at = places.trailing_zeros() as usize;
                places &= places - 1;
                let atom = self.atoms[at];
                if self.fits_byte(atom.what, *byte) {
                    next = self.with(next, if atom.repeated { at } else { at + 1 });
                }
            }
            places = next;
            if places == 0 {
                return false;
            }
        }
        self.atoms.iter().enumerate().any(|(at, atom)| atom.what == What::End && places >> at & 1 != 0)
    }

    fn fits_byte(&self, what: What, byte: u8) -> bool {
        match what {
            What::Byte(literal) => literal == byte,
            What::Any => true,
            What::Set { start, end, others } => others != contains(&self.text.text()[start.into()..end.into()], byte),
            What::End => false,
        }
    }
}

/// The place of the bracket that ends a set, whose contents begin at a place. A bracket that comes first is one of the bytes; a range
/// must not end before it begins.
fn end_of_set(text: &[u8], start: usize) -> Option<usize> {
    let contents = text.get(start + 1..)?;
    let end = start + 1 + contents.iter().position(|byte| *byte == b']')?;
    let ranges = text[start..end].windows(3).filter(|window| window[1] == b'-');
    ranges.clone().all(|range| range[0] <= range[2]).then_some(end)
}

/// Whether a byte is in a set: bytes, and ranges with a `-` between their ends.
fn contains(mut set: &[u8], byte: u8) -> bool {
    while let Some((&first, rest)) = set.split_first() {
        set = match rest {
            [b'-', last, behind @ ..] => {
                if (first..=*last).contains(&byte) {
                    return true;
                }
                behind
            }
            _ if first == byte => return true,
            _ => rest,
        };
    }
    false
}

#[cfg(test)]
#[path = "tests/pattern.rs"]
mod tests;
