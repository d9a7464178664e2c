//! The file, as a planner and a loader read it.

use crate::READ_MAX;
use core::fmt;
use core::future::Future;
use object::pod::{self, Pod};

/// A file that can be read in pieces.
///
/// Reading is asynchronous, because a file server waits for its file systems in tasks. Whoever has the file in memory
/// never waits, and runs the whole with [`crate::run`].
pub trait Source {
    /// Why reading failed.
    type Error;

    /// Bytes in the file. The same number each time.
    fn len(&self) -> u64;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills the buffer with the bytes at `offset`. Never asked for bytes beyond [`Source::len`], nor for more than
    /// [`crate::READ_MAX`] at once.
    ///
    /// # Errors
    /// Anything that keeps the buffer from being filled.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> impl Future<Output = Result<(), Self::Error>>;
}

/// A file in memory, as it is.
impl Source for &[u8] {
    type Error = EndOfFile;

    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    async fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), EndOfFile> {
        let bytes = usize::try_from(offset).ok().and_then(|start| self.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(EndOfFile)?);
        Ok(())
    }
}

/// There are no bytes there: the file has ended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndOfFile;

impl fmt::Display for EndOfFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the file ends before")
    }
}

impl core::error::Error for EndOfFile {}

impl From<EndOfFile> for abi::Errno {
    fn from(_: EndOfFile) -> Self {
        Self::Io
    }
}

/// A part of a file that has been read, so that many small pieces take few reads.
pub(crate) struct Window {
    bytes: [u8; READ_MAX],
    start: u64,
    len: usize,
}

impl Window {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; READ_MAX], start: 0, len: 0 }
    }

    /// The record at `offset`, no larger than [`READ_MAX`]. The caller knows that the file has it.
    pub(crate) async fn record<T: Pod, S: Source>(&mut self, source: &mut S, offset: u64) -> Result<T, S::Error> {
        const { assert!(size_of::<T>() <= READ_MAX && align_of::<T>() == 1) };
        if !self.holds(offset, size_of::<T>()) {
            let rest = source.len().saturating_sub(offset);
            self.len = 0;
            let len = rest.clamp(size_of::<T>() as u64, READ_MAX as u64) as usize;
            source.read(offset, &mut self.bytes[..len]).await?;
            (self.start, self.len) = (offset, len);
        }
        let skip = (offset - self.start) as usize;
        let (record, _) = pod::from_bytes(&self.bytes[skip..self.len]).expect("the window holds it");
        Ok(*record)
    }

    fn holds(&self, offset: u64, len: usize) -> bool {
        let inside = offset.checked_sub(self.start).and_then(|skip| skip.checked_add(len as u64));
        inside.is_some_and(|end| end <= self.len as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run;

    /// Spoils the buffer of its second read and fails.
    struct Spoiling(u32);

    impl Source for Spoiling {
        type Error = EndOfFile;

        fn len(&self) -> u64 {
            4 * READ_MAX as u64
        }

        async fn read(&mut self, _: u64, buffer: &mut [u8]) -> Result<(), EndOfFile> {
            self.0 += 1;
            buffer.fill(self.0 as u8);
            if self.0 == 2 { Err(EndOfFile) } else { Ok(()) }
        }
    }

    #[test]
    fn a_failed_read_leaves_nothing_behind() {
        let (mut source, mut window) = (Spoiling(0), Window::new());
        let mut byte = |at| run(window.record::<u8, _>(&mut source, at));
        assert_eq!([byte(0), byte(0)], [Ok(1); 2]);
        assert_eq!(byte(2 * READ_MAX as u64), Err(EndOfFile));
        assert_eq!(byte(0), Ok(3));
    }

    #[test]
    fn a_window_ends_with_the_file() {
        let bytes: [u8; 10] = core::array::from_fn(|i| i as u8);
        let (mut source, mut window) = (&bytes[..], Window::new());
        let mut pair = |at| run(window.record::<[u8; 2], _>(&mut source, at));
        assert_eq!([pair(8), pair(0), pair(8)], [Ok([8, 9]), Ok([0, 1]), Ok([8, 9])]);
        assert_eq!([pair(9), pair(u64::MAX)], [Err(EndOfFile); 2]);
    }
}
