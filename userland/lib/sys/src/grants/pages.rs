//! Memory that several programs see at once.

use super::patience::patiently;
use super::received::Received;
use super::scope::Rights;
use abi::Errno;
use abi::grant::GrantFlags;
use abi::layout::PAGE_SIZE;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// Pages in whose place those of somebody else can be seen.
#[derive(Debug)]
pub struct Place<const N: usize> {
    pages: &'static Pages<N>,
    /// Whether there is a guard for it. A grant may have been taken back long before its guard ends, which must not end what is
    /// seen there by then.
    taken: AtomicBool,
}

impl<const N: usize> Place<N> {
    /// All of these pages, of which no other place is made.
    #[must_use]
    pub const fn of(pages: &'static Pages<N>) -> Self {
        Self { pages, taken: AtomicBool::new(false) }
    }

    /// Takes it for a guard.
    fn take(&self) -> Result<Mapped<'_, N>, Errno> {
        if self.taken.swap(true, Ordering::Acquire) { Err(Errno::Busy) } else { Ok(Mapped { place: self, done: 0 }) }
    }
}

/// Pages of somebody else, seen in the place of the program's own. When it is dropped, or the grant is taken back, they are the
/// program's own again, and hold what was seen last.
#[derive(Debug)]
pub struct Mapped<'p, const N: usize> {
    place: &'p Place<N>,
    /// So many bytes are mapped.
    done: u64,
}

impl<const N: usize> Deref for Mapped<'_, N> {
    type Target = Pages<N>;
    fn deref(&self) -> &Pages<N> {
        self.place.pages
    }
}

impl<const N: usize> Drop for Mapped<'_, N> {
    /// What was taken back is not mapped any more, which is as good.
    fn drop(&mut self) {
        for part in (0..self.done).step_by((u64::from(MAX_LENT) * PAGE_SIZE) as usize) {
            let call = SafeUnmap { address: self.address() + part };
            while let Ok(SafeUnmapped { more: 1.. }) = crate::kernel().safeunmap(call) {}
        }
        self.place.taken.store(false, Ordering::Release);
    }
}

impl Received {
    /// Shows the granted memory from an offset on in the place of pages of the program, which lose what they hold.
    ///
    /// # Errors
    /// `EPERM` if it was not granted to be mapped, or not for these rights, `EINVAL` for an offset that is no multiple of the
    /// page size, `EBUSY` for a place that has a guard still, and for pages in use for another mapping, `ENOSPC` if the granter's
    /// memory is mapped too often, `EFAULT` if memory is not there. The pages hold then what they did, or as far as they were
    /// mapped, what was seen there.
    pub fn map<'p, const N: usize>(
        &self,
        offset: u64,
        place: &'p Place<N>,
        rights: Rights,
    ) -> Result<Mapped<'p, N>, Errno> {
        let mut mapped = place.take()?;
        let write = u32::from(rights.flags().contains(GrantFlags::WRITE));
        while mapped.done < Pages::<N>::len() {
            let call = SafeMap {
                granter: self.granter,
                write,
                grant: self.id,
                offset: offset + mapped.done,
                address: mapped.address() + mapped.done,
                len: Pages::<N>::len() - mapped.done,
            };
            // SAFETY: whoever uses these pages expects others to change them at any time; they are never anything else.
            // 0: something else had to be done first.
            mapped.done += patiently(|| unsafe { rt::call_unchecked(&call) })?.done;
        }
        Ok(mapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_guard_at_a_time() {
        static PAGES: Pages<1> = Pages::new();
        let place = Place::of(&PAGES);
        let guard = place.take().expect("it is free");
        assert_eq!(place.take().map(drop), Err(Errno::Busy));
        drop(guard);
        assert!(place.take().is_ok());
    }
}
