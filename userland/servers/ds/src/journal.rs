//! The journal: what a successor needs to go on as if nothing had happened, in memory that it can read when this instance is dead.
//!
//! It has two halves. The one in use begins with all that was in the store at some time, and goes on with each change since; when it is
//! full, or much longer than what it comes to, all is written to the other half, which is then the one in use.
//!
//! ```text
//!   word 0           1           2             3        4
//!   magic, format    sequence    words used    half     frame  frame  frame ...
//!
//!   frame:   bytes (32 bits), their checksum (32 bits)   the change, by postcard, with zeros up to whole words
//! ```
//!
//! Words are written one by one, and an instance can die between any two. A frame counts when `words used` says so, which is written behind it. A
//! half counts when its sequence number is not zero, which is written when all else is there; the higher one is the one in use.

use crate::change::Change;
use abi::Errno;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use crc32fast::Hasher;
use postcard::ser_flavors::Flavor;
use zerocopy::IntoBytes;

/// In the first word of a half: a name, and the format.
const MAGIC: u64 = u64::from_le_bytes(*b"dsjr\0\0\0\0");
/// The format, in the upper half of the first word.
const FORMAT: u32 = 1;

const SEQUENCE: usize = 1;
const USED: usize = 2;
const HALF: usize = 3;
const HEADER: usize = 4;

const WORD: usize = size_of::<u64>();

/// A half that is not longer than this is not written anew.
const SHORT: usize = 16 << 10;

/// The memory of a journal.
pub trait Words {
    /// How many words there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes one. Others see words in the order in which they are written, as far as a fence is between them.
    fn store(&mut self, index: usize, word: u64);
}

/// The journal that is being written.
#[derive(Debug)]
pub struct Journal<W> {
    words: W,
    /// Where the half in use begins.
    start: usize,
    sequence: u64,
    /// Words of the half that are used.
    used: usize,
    /// It is written anew when it has more words.
    limit: usize,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<W: Words> Journal<W> {
    /// In this memory, with nothing written.
    pub const fn new(words: W) -> Self {
        Self { words, start: 0, sequence: 0, used: HEADER, limit: 0 }
    }

    #[cfg(test)]
    pub(crate) const fn words(&self) -> &W {
        &self.words
    }

    #[cfg(test)]
    pub(crate) const fn words_mut(&mut self) -> &mut W {
        &mut self.words
    }

    fn half(&self) -> usize {
        self.words.len() / 2
    }

    /// Writes a change behind the others.
    ///
    /// # Errors
    /// That it should be written anew instead, with this change.
    pub(crate) fn append(&mut self, change: &Change<'_>) -> Result<(), Full> {
        if self.sequence == 0 {
            return Err(Full);
        }
        let end = self.frame(self.start, self.used, change)?;
        if end > self.limit {
            return Err(Full);
        }
        self.publish(self.start, USED, end as u64);
        self.used = end;
        Ok(())
    }

    /// Writes all anew, in the other half: as many changes as `each` hands on.
    ///
    /// # Errors
    /// That there is no room. What was written before counts then.
    pub(crate) fn rewrite(
        &mut self,
        each: impl FnOnce(&mut dyn FnMut(&Change<'_>) -> Result<(), Full>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let half = self.half();
        let start = if self.sequence == 0 || self.start != 0 { 0 } else { half };
        self.publish(start, SEQUENCE, 0);
        let mut used = HEADER;
        each(&mut |change| {
            used = self.frame(start, used, change)?;
            Ok(())
        })?;
        self.words.store(start, MAGIC | u64::from(FORMAT) << 32);
        self.words.store(start + USED, used as u64);
        // The second half is found by the header of the first, whether that counts or not.
        self.words.store(HALF, half as u64);
        self.publish(start, SEQUENCE, self.sequence + 1);
        self.sequence += 1;
        (self.start, self.used) = (start, used);
        self.limit = (2 * used).max(SHORT / WORD).min(half);
        Ok(())
    }

    /// Writes a frame behind words that are used; where it ends.
    fn frame(&mut self, start: usize, used: usize, change: &Change<'_>) -> Result<usize, Full> {
        let half = self.half();
        let writer = Writer {
            words: &mut self.words,
            at: start + used + 1,
            end: start + half,
            len: 0,
            checksum: Hasher::new(),
            buffer: [0; _],
        };
        let (len, checksum, end) = postcard::serialize_with_flavor(change, writer).map_err(|_| Full)?;
        self.words.store(start + used, u64::from(len) | u64::from(checksum) << 32);
        Ok(end - start)
    }

    /// Writes a word of a header, when all that was written before is there.
    fn publish(&mut self, start: usize, word: usize, value: u64) {
        fence(Ordering::Release);
        self.words.store(start + word, value);
        fence(Ordering::Release);
    }
}

/// Writes bytes into words.
struct Writer<'w, W> {
    words: &'w mut W,
    /// The next word.
    at: usize,
    end: usize,
    /// Bytes so far.
    len: u32,
    checksum: Hasher,
    /// Those that are not written yet.
    buffer: [u8; BUFFER],
}

const BUFFER: usize = 64;

impl<W: Words> Writer<'_, W> {
    fn in_buffer(&self) -> usize {
        self.len as usize % BUFFER
    }

    /// Writes the bytes in the buffer, with zeros up to a whole word.
    fn flush(&mut self, len: usize) -> postcard::Result<()> {
        self.checksum.update(&self.buffer[..len]);
        self.buffer[len..].fill(0);
        let words = len.div_ceil(WORD);
        if words > self.end.saturating_sub(self.at) {
            return Err(postcard::Error::SerializeBufferFull);
        }
        for chunk in &self.buffer.as_chunks::<WORD>().0[..words] {
            self.words.store(self.at, u64::from_le_bytes(*chunk));
            self.at += 1;
        }
        Ok(())
    }
}

impl<W: Words> Flavor for Writer<'_, W> {
    /// Bytes, their checksum, and the word behind them.
    type Output = (u32, u32, usize);

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, mut bytes: &[u8]) -> postcard::Result<()> {
        while !bytes.is_empty() {
            let at = self.in_buffer();
            let (now, rest) = bytes.split_at(bytes.len().min(BUFFER - at));
            self.buffer[at..at + now.len()].copy_from_slice(now);
            self.len += now.len() as u32;
            if self.in_buffer() == 0 {
                self.flush(BUFFER)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<Self::Output> {
        let rest = self.in_buffer();
        if rest != 0 {
            self.flush(rest)?;
        }
        Ok((self.len, self.checksum.finalize(), self.at))
    }
}

/// Why nothing can be learned of a predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its journal cannot be read.
    Read(Errno),
    /// It has written nothing.
    Nothing,
    /// It has written in another format.
    Format(u32),
    /// This frame, counted from 0, is none, or says what cannot be.
    Frame(u32),
    /// What was read cannot be written.
    Room,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the journal of the predecessor cannot be read: {error}"),
            Self::Nothing => f.write_str("the predecessor has written no journal"),
            Self::Format(format) => write!(f, "the journal of the predecessor has format {format}, not {FORMAT}"),
            Self::Frame(number) => write!(f, "frame {number} in the journal of the predecessor is damaged"),
            Self::Room => f.write_str("the journal of the predecessor does not fit"),
        }
    }
}

impl From<Errno> for Damage {
    fn from(error: Errno) -> Self {
        Self::Read(error)
    }
}

/// Reads the journal that a predecessor has left, change by change. `read` copies bytes from an offset in it.
///
/// # Errors
/// What is wrong with it, or that a change could not be made.
pub(crate) fn replay(
    scratch: &mut [u8],
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), Errno>,
    mut make: impl FnMut(&Change<'_>) -> bool,
) -> Result<(), Damage> {
    let (start, used) = half_in_use(&mut read)?;
    let offset = |at: u64| start.checked_add(at).and_then(|word| word.checked_mul(WORD as u64)).ok_or(Damage::Nothing);
    let mut at = HEADER as u64;
    for number in 0.. {
        if at == used {
            break;
        }
        let damaged = Damage::Frame(number);
        let mut head = [0_u8; WORD];
        read(offset(at)?, &mut head)?;
        let head = u64::from_le_bytes(head);
        let (len, checksum) = (head as u32, (head >> 32) as u32);
        let end = at + 1 + u64::from(len).div_ceil(WORD as u64);
        let bytes = scratch.get_mut(..len as usize).filter(|_| len != 0 && end <= used).ok_or(damaged)?;
        read(offset(at + 1)?, bytes)?;
        let change = postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty());
        let (change, _) = change.filter(|_| crc32fast::hash(bytes) == checksum).ok_or(damaged)?;
        if !make(&change) {
            return Err(damaged);
        }
        at = end;
    }
    Ok(())
}

/// Where the half in use begins, in words, and how many of it are used.
fn half_in_use(mut read: impl FnMut(u64, &mut [u8]) -> Result<(), Errno>) -> Result<(u64, u64), Damage> {
    let mut header = |start: u64| -> Result<[u64; HEADER], Damage> {
        let mut words = [0_u64; HEADER];
        read(start.checked_mul(WORD as u64).ok_or(Damage::Nothing)?, words.as_mut_bytes())?;
        Ok(words)
    };
    let first = header(0)?;
    let half = first[HALF];
    let second = if half == 0 { [0; HEADER] } else { header(half)? };
    let (start, best) = if second[SEQUENCE] > first[SEQUENCE] { (half, second) } else { (0, first) };
    match best[0] {
        _ if best[SEQUENCE] == 0 || best[0] as u32 != MAGIC as u32 => Err(Damage::Nothing),
        word if (word >> 32) as u32 != FORMAT => Err(Damage::Format((word >> 32) as u32)),
        _ if best[USED] < HEADER as u64 => Err(Damage::Nothing),
        _ => Ok((start, best[USED])),
    }
}
