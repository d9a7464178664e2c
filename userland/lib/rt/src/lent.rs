//! Memory that somebody outside the program may write for a time.

use core::marker::PhantomData;
use core::ptr::NonNull;

/// Memory that was borrowed, without a reference to it: while somebody else writes it, there must be none. It is the borrower's
/// alone until it is taken back.
#[derive(Debug)]
pub struct Lent<'m, T: ?Sized> {
    memory: NonNull<T>,
    len: u64,
    borrowed: PhantomData<&'m mut T>,
}

impl<'m, T: ?Sized> Lent<'m, T> {
    /// Keeps memory without using it.
    pub fn new(memory: &'m mut T) -> Self {
        let len = size_of_val(memory) as u64;
        Self { memory: NonNull::from(memory), len, borrowed: PhantomData }
    }

    /// Address of its first byte, for a kernel call.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.memory.as_ptr().expose_provenance() as u64
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes it back. Nobody else writes it any more: whoever let others do so has ended that before, with a trap, so that the
    /// compiler expects whatever they have written.
    #[must_use]
    pub fn back(mut self) -> &'m mut T {
        // SAFETY: it came from a reference that was borrowed for `'m`, and there is no other one.
        unsafe { self.memory.as_mut() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_comes_back() {
        let mut bytes = [1_u8, 2, 3];
        let lent = Lent::new(&mut bytes[1..]);
        assert_eq!((lent.len(), lent.is_empty()), (2, false));
        let address = lent.address();
        let back = lent.back();
        assert_eq!((back as *const [u8]).addr() as u64, address);
        back[0] = 9;
        assert_eq!(bytes, [1, 9, 3]);
        assert!(Lent::new(&mut bytes[..0]).is_empty());
    }
}
