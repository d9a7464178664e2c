//! Several copies with few kernel calls.

use super::patience::patiently;
use super::received::Received;
use abi::{Endpoint, Errno};
use arrayvec::ArrayVec;
use core::fmt;
use core::marker::PhantomData;
use protocol::kernel::{MAX_COPIES, SafeCopy, VCopied, VSafeCopy};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A list of copies from and to granted memory, which are made together.
#[derive(Debug, Default)]
pub struct Copies<'m> {
    list: ArrayVec<SafeCopy, { MAX_COPIES as usize }>,
    memory: PhantomData<&'m mut [u8]>,
}

/// A list that failed. Copies before the one that failed are complete, those behind it were not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiesError {
    /// Why.
    pub errno: Errno,
    /// How many copies are complete.
    pub complete: u64,
    /// How many bytes of the next one were copied.
    pub done: u64,
}

impl From<CopiesError> for Errno {
    fn from(error: CopiesError) -> Self {
        error.errno
    }
}

impl fmt::Display for CopiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in copy {} after {} bytes", self.errno, self.complete, self.done)
    }
}

impl<'m> Copies<'m> {
    /// No copies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy from granted memory, until `into` is full.
    ///
    /// # Errors
    /// `E2BIG` if there are [`MAX_COPIES`] already.
    pub fn copy_from<T>(&mut self, grant: Received, offset: u64, into: &'m mut T) -> Result<(), Errno>
    where
        T: FromBytes + IntoBytes + ?Sized,
    {
        let bytes = into.as_mut_bytes();
        let (len, address) = (bytes.len() as u64, bytes.as_mut_ptr().expose_provenance() as u64);
        let (source, destination) = (grant.granter, Endpoint::SELF);
        self.push(SafeCopy { source, destination, grant: grant.id, offset, address, len })
    }

    /// A copy of all of `from` to granted memory.
    ///
    /// # Errors
    /// `E2BIG` if there are [`MAX_COPIES`] already.
    pub fn copy_to<T>(&mut self, grant: Received, offset: u64, from: &'m T) -> Result<(), Errno>
    where
        T: IntoBytes + Immutable + ?Sized,
    {
        let bytes = from.as_bytes();
        let (len, address) = (bytes.len() as u64, bytes.as_ptr().expose_provenance() as u64);
        let (source, destination) = (Endpoint::SELF, grant.granter);
        self.push(SafeCopy { source, destination, grant: grant.id, offset, address, len })
    }

    fn push(&mut self, copy: SafeCopy) -> Result<(), Errno> {
        self.list.try_push(copy).map_err(|_| Errno::TooBig)
    }

    /// Makes them, in the order in which they were given.
    ///
    /// # Errors
    /// That of the first copy that fails: as told by [`Received`]; `EINVAL` if there are none.
    pub fn make(self) -> Result<(), CopiesError> {
        let (address, count) = (self.list.as_ptr().expose_provenance() as u64, self.list.len() as u64);
        go_through(count, |at| {
            let VCopied { next: first, skip } = at;
            let call = VSafeCopy { address, count, first, skip };
            // SAFETY: what the list has copied to is borrowed for that alone, and may hold any bytes.
            patiently(|| unsafe { rt::call_unchecked(&call) })
        })
    }
}

/// Makes the copies of a list with calls that start at a place and tell how far they came.
fn go_through(count: u64, mut call: impl FnMut(VCopied) -> Result<VCopied, Errno>) -> Result<(), CopiesError> {
    let mut at = VCopied { next: 0, skip: 0 };
    loop {
        let error = |errno| CopiesError { errno, complete: at.next, done: at.skip };
        let now = call(at).map_err(error)?;
        if now == (VCopied { next: count, skip: 0 }) {
            return Ok(());
        }
        if (now.next, now.skip) <= (at.next, at.skip) || now.next >= count {
            return Err(error(Errno::Proto));
        }
        at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::grant::GrantId;

    fn at(next: u64, skip: u64) -> VCopied {
        VCopied { next, skip }
    }

    fn played(count: u64, answers: &[Result<VCopied, Errno>]) -> Result<(), CopiesError> {
        let mut answers = answers.iter();
        let mut last = at(0, 0);
        go_through(count, |from| {
            assert_eq!(from, last, "each call starts where the last one came to");
            let answer = *answers.next().expect("no more calls");
            last = answer.unwrap_or(last);
            answer
        })
    }

    #[test]
    fn calls_go_on_until_the_list_is_complete() {
        assert_eq!(played(2, &[Ok(at(2, 0))]), Ok(()));
        assert_eq!(played(3, &[Ok(at(0, 9)), Ok(at(1, 3)), Ok(at(2, 0)), Ok(at(3, 0))]), Ok(()));
    }

    #[test]
    fn errors_tell_the_place() {
        let error = CopiesError { errno: Errno::Perm, complete: 1, done: 3 };
        assert_eq!(played(3, &[Ok(at(1, 3)), Err(Errno::Perm)]), Err(error));
        assert_eq!(played(0, &[Err(Errno::Inval)]).map_err(Errno::from), Err(Errno::Inval));
    }

    #[test]
    fn impossible_progress_ends_a_list() {
        for odd in [at(0, 5), at(1, 3), at(3, 1), at(4, 0), at(u64::MAX, 0)] {
            let error = CopiesError { errno: Errno::Proto, complete: 1, done: 3 };
            assert_eq!(played(3, &[Ok(at(1, 3)), Ok(odd)]), Err(error));
        }
    }

    #[test]
    fn a_list_has_its_copies_in_order_and_no_more_than_a_call_takes() {
        let grant = Received { granter: Endpoint::from_raw(5), id: GrantId::from_raw(9) };
        let (from, mut into) = ([1_u8; 4], [0_u32; 2]);
        let mut copies = Copies::new();
        copies.copy_from(grant, 7, &mut into).unwrap();
        for _ in 1..MAX_COPIES {
            copies.copy_to(grant, 8, &from).unwrap();
        }
        assert_eq!(copies.copy_to(grant, 8, &from), Err(Errno::TooBig));
        let [first, second] = [copies.list[0], copies.list[1]];
        assert_eq!((first.source, first.destination, first.offset, first.len), (grant.granter, Endpoint::SELF, 7, 8));
        assert_eq!((second.source, second.destination, second.len), (Endpoint::SELF, grant.granter, 4));
        assert_eq!(second.address, from.as_ptr().addr() as u64);
    }
}
