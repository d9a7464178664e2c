//! Asynchronous messages.

use crate::trap::{Registers, trap_unchecked};
use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::{BODY_WORDS, Errno, Trap};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

/// A place for an asynchronous message, in memory that the kernel reads and writes whenever the receiver comes.
#[derive(Debug)]
#[repr(transparent)]
pub struct AsyncSlot(UnsafeCell<AsyncEntry>);

// SAFETY: a program has one thread, and what the kernel writes beside it is read through an atomic first.
unsafe impl Sync for AsyncSlot {}

impl AsyncSlot {
    /// A place without a message.
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(AsyncEntry::EMPTY))
    }

    /// Puts a message here, to be sent by the next [`senda`]. The flags VALID and DONE need not be set.
    ///
    /// # Errors
    /// `EBUSY` if there is one that has not been sent.
    pub fn put(&self, entry: &AsyncEntry) -> Result<(), Errno> {
        if self.is_open() {
            return Err(Errno::Busy);
        }
        self.flags().store(0, Ordering::Release);
        // SAFETY: the slot is the program's own while its flags are 0; the kernel does not look at the rest then.
        unsafe { self.0.get().write_volatile(AsyncEntry { flags: 0, ..*entry }) };
        let flags = entry.flags & !AsyncFlags::DONE.bits() | AsyncFlags::VALID.bits();
        self.flags().store(flags, Ordering::Release);
        Ok(())
    }

    /// Takes the message that was sent, with its result; `None` while there is none, or it has not been sent.
    pub fn take(&self) -> Option<AsyncEntry> {
        let flags = self.flags().load(Ordering::Acquire);
        if flags & AsyncFlags::DONE.bits() == 0 {
            return None;
        }
        // SAFETY: the kernel has finished with an entry that it has marked as done.
        let entry = unsafe { self.0.get().read_volatile() };
        self.flags().store(0, Ordering::Release);
        Some(entry)
    }

    /// Whether there is a message that has not been sent.
    pub fn is_open(&self) -> bool {
        let flags = self.flags().load(Ordering::Acquire);
        flags & (AsyncFlags::VALID | AsyncFlags::DONE).bits() == AsyncFlags::VALID.bits()
    }

    fn flags(&self) -> &AtomicU32 {
        // SAFETY: the flags are the first field, aligned to 4 bytes, and nothing else accesses them while the slot is shared.
        unsafe { AtomicU32::from_ptr(self.0.get().cast()) }
    }
}

impl Default for AsyncSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// Registers a table of messages, instead of the one before, and sends those whose receivers wait already; never blocks.
/// Without any slot it withdraws what has not been sent.
///
/// # Errors
/// `EDOM` for more than [`abi::asynchronous::MAX_ENTRIES`] slots, `EPERM` for a program that is no service, `ETRAPDENIED`.
pub fn senda(slots: &'static [AsyncSlot]) -> Result<(), Errno> {
    let registers = Registers {
        rax: Trap::SendA.rax(),
        rdi: slots.as_ptr() as u64,
        rsi: 0,
        rdx: slots.len() as u64,
        body: [0; BODY_WORDS],
    };
    // SAFETY: the slots stay where they are, and whoever has one expects the kernel to write it.
    let out = unsafe { trap_unchecked(registers) };
    Errno::from_result(out.rax as i64).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::{Endpoint, Kind, Message};

    fn entry(tag: u16) -> AsyncEntry {
        let mut message = Message::new(Endpoint::NONE, Kind(0x7001));
        message.tag = tag;
        AsyncEntry { flags: AsyncFlags::NOTIFY.bits(), destination: Endpoint::SELF, result: 0, message }
    }

    #[test]
    fn a_slot_holds_one_message_until_it_is_done() {
        let slot = AsyncSlot::new();
        assert!(!slot.is_open());
        assert_eq!(slot.take(), None);
        assert_eq!(slot.put(&entry(1)), Ok(()));
        assert!(slot.is_open());
        assert_eq!((slot.put(&entry(2)), slot.take()), (Err(Errno::Busy), None));

        // The kernel finishes with it.
        slot.flags().fetch_or(AsyncFlags::DONE.bits(), Ordering::Release);
        assert!(!slot.is_open());
        let flags = (AsyncFlags::VALID | AsyncFlags::NOTIFY | AsyncFlags::DONE).bits();
        assert_eq!(slot.take(), Some(AsyncEntry { flags, ..entry(1) }));
        assert_eq!((slot.take(), slot.put(&entry(2))), (None, Ok(())));
    }

    #[test]
    fn a_message_that_says_it_is_done_is_sent_all_the_same() {
        let slot = AsyncSlot::new();
        let done = AsyncEntry { flags: AsyncFlags::DONE.bits(), ..entry(3) };
        assert_eq!(slot.put(&done), Ok(()));
        assert!(slot.is_open());
        assert_eq!(slot.take(), None);
    }
}
