//! Memory that several programs see at once.

use super::patience::patiently;
use super::received::Received;
use super::scope::Rights;
use abi::Errno;
use abi::grant::GrantFlags;
use abi::layout::PAGE_SIZE;
use core::ops::Deref;
use core::sync::atomic::{AtomicU64, Ordering};
use protocol::kernel::{MAX_LENT, SafeMap, SafeUnmap, SafeUnmapped};

/// Words of a page.
const WORDS: usize = PAGE_SIZE as usize / size_of::<AtomicU64>();

/// Pages whose words others may change at any time.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Pages<const N: usize>([[AtomicU64; WORDS]; N]);

impl<const N: usize> Pages<N> {
    /// Filled with zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { [const { AtomicU64::new(0) }; WORDS] }; N])
    }

    /// A word, counted from the first of the first page; `None` behind the last.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<&AtomicU64> {
        self.0.as_flattened().get(index)
    }

    /// What stands there now; 0 behind the last.
    #[must_use]
    pub fn load(&self, index: usize) -> u64 {
        self.word(index).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Writes a word; nothing behind the last. It kills the program if it has mapped the page only to read it.
    pub fn store(&self, index: usize, value: u64) {
        if let Some(word) = self.word(index) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// The address of the first byte.
    pub(super) fn address(&self) -> u64 {
        (&raw const *self).expose_provenance() as u64
    }

    /// Their length in bytes.
    pub(super) const fn len() -> u64 {
        size_of::<Self>() as u64
    }
}

impl<const N: usize> Default for Pages<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Pages of somebody else, seen in the place of the program's own. When it is dropped, or the grant is taken back, they are the
/// program's own again, and hold what was seen last.
#[derive(Debug)]
pub struct Mapped<const N: usize> {
    place: &'static Pages<N>,
}

impl<const N: usize> Deref for Mapped<N> {
    type Target = Pages<N>;
    fn deref(&self) -> &Pages<N> {
        self.place
    }
}

impl<const N: usize> Drop for Mapped<N> {
    fn drop(&mut self) {
        unmap(self.place.address(), Pages::<N>::len());
    }
}

impl Received {
    /// Shows the granted memory from an offset on in the place of pages of the program, which lose what they hold.
    ///
    /// # Errors
    /// `EPERM` if it was not granted to be mapped, or not for these rights, `EINVAL` for an offset that is no multiple of the
    /// page size, `EBUSY` for pages in use for another mapping, `ENOSPC` if the granter's memory is mapped too often, `EFAULT`
    /// if memory is not there. The pages hold then what they did, or as far as they were mapped, what was seen there.
    pub fn map<const N: usize>(
        &self,
        offset: u64,
        place: &'static Pages<N>,
        rights: Rights,
    ) -> Result<Mapped<N>, Errno> {
        let (address, all) = (place.address(), Pages::<N>::len());
        let write = u32::from(rights.flags().contains(GrantFlags::WRITE));
        let mut done = 0;
        while done < all {
            let call = SafeMap {
                granter: self.granter,
                write,
                grant: self.id,
                offset: offset + done,
                address: address + done,
                len: all - done,
            };
            // SAFETY: whoever uses these pages expects others to change them at any time; they are never anything else.
            match patiently(|| unsafe { rt::call_unchecked(&call) }) {
                // 0: something else had to be done first.
                Ok(mapped) => done += mapped.done,
                Err(errno) => {
                    unmap(address, done);
                    return Err(errno);
                }
            }
        }
        Ok(Mapped { place })
    }
}

/// Unmaps what was mapped from an address on. What was taken back is not mapped any more, which is as good.
fn unmap(address: u64, len: u64) {
    let parts = (0..len).step_by((u64::from(MAX_LENT) * PAGE_SIZE) as usize);
    for part in parts {
        let call = SafeUnmap { address: address + part };
        while let Ok(SafeUnmapped { more: 1.. }) = crate::kernel().safeunmap(call) {}
    }
}
