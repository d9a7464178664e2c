//! Small pieces of memory gathered to larger writes.

use crate::WRITE_MAX;
use crate::failure::{Failure, Step};
use crate::target::Target;
use arrayvec::ArrayVec;

/// Writes to a target: what comes one behind the other goes there in one piece, up to [`WRITE_MAX`] bytes.
pub(crate) struct Writer<'t, T> {
    target: &'t mut T,
    address: u64,
    pending: ArrayVec<u8, WRITE_MAX>,
}

impl<'t, T: Target> Writer<'t, T> {
    pub(crate) fn new(target: &'t mut T, address: u64) -> Self {
        Self { target, address, pending: ArrayVec::new() }
    }

    /// Goes on at another address.
    pub(crate) async fn seek<S>(&mut self, address: u64) -> Result<(), Failure<S, T::Error>> {
        if address != self.address + self.pending.len() as u64 {
            self.flush().await?;
            self.address = address;
        }
        Ok(())
    }

    pub(crate) async fn word<S>(&mut self, word: u64) -> Result<(), Failure<S, T::Error>> {
        self.bytes(&word.to_le_bytes()).await
    }

    pub(crate) async fn bytes<S>(&mut self, mut bytes: &[u8]) -> Result<(), Failure<S, T::Error>> {
        while !bytes.is_empty() {
            if self.pending.is_full() {
                self.flush().await?;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(self.pending.remaining_capacity()));
            self.pending.try_extend_from_slice(now).expect("no more than fits");
            bytes = rest;
        }
        Ok(())
    }

    /// Writes what has been gathered.
    pub(crate) async fn flush<S>(&mut self) -> Result<(), Failure<S, T::Error>> {
        let (start, end) = (self.address, self.address + self.pending.len() as u64);
        if !self.pending.is_empty() {
            let written = self.target.write(start, &self.pending).await;
            written.map_err(|error| Failure::Target(Step::Write(start..end), error))?;
        }
        self.address = end;
        self.pending.clear();
        Ok(())
    }
}
