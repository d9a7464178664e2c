//! A file that is read in pieces, by a reader that has to wait and that may fail.

use libexec::{READ_MAX, Source};
use std::future::poll_fn;
use std::task::Poll;

/// A file as a file system would give it. Each read waits once before it is done.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// How many reads there were.
    pub reads: usize,
    /// The read that fails, counted from 0.
    pub failing: Option<usize>,
    /// From which read on the file has other bytes, and which. There are as many.
    pub changed: Option<(usize, Vec<u8>)>,
}

/// The read of this number failed, because that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFailed(pub usize);

impl Pieces {
    /// A file whose reads all go well.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), reads: 0, failing: None, changed: None }
    }
}

impl Source for Pieces {
    type Error = ReadFailed;

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailed> {
        wait().await;
        let number = self.reads;
        self.reads += 1;
        if self.failing == Some(number) {
            return Err(ReadFailed(number));
        }
        let bytes = match &self.changed {
            Some((from, other)) if *from <= number => other,
            _ => &self.bytes,
        };
        assert!((1..=READ_MAX).contains(&buffer.len()), "a read of {} bytes", buffer.len());
        let end = offset.checked_add(buffer.len() as u64).filter(|&end| end <= self.len());
        let end = end.unwrap_or_else(|| panic!("{} bytes at {offset:#x} are not in the file", buffer.len()));
        buffer.copy_from_slice(&bytes[offset as usize..end as usize]);
        Ok(())
    }
}

/// Is ready when it is asked for the second time.
pub(crate) async fn wait() {
    let mut asked = false;
    poll_fn(|context| {
        if asked {
            return Poll::Ready(());
        }
        asked = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
