//! Using memory that somebody has granted.

use super::patience::patiently;
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use core::fmt;
use protocol::kernel::{SafeCopyFrom, SafeCopyTo, SafeMemSet};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A grant that the program was given. Its methods count offsets in bytes from its beginning.
///
/// They fail with `EDOM` for no bytes, `EINVAL` if nobody is the granter or the id is none, `EPERM` if the grant is not valid
/// or does not allow it, `ELOOP` for a chain of more than [`abi::grant::MAX_HOPS`] that handed it on, `EFAULT` if memory
/// cannot be read or written, `ENOTREADY` if the granter is being updated for longer than the program waits (which it does if
/// it may use the alarm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who made it.
    pub granter: Endpoint,
    /// Its name there.
    pub id: GrantId,
}

/// A copy that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyError {
    /// Why.
    pub errno: Errno,
    /// How many bytes were copied before.
    pub done: u64,
}

impl From<CopyError> for Errno {
    fn from(error: CopyError) -> Self {
        error.errno
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} bytes", self.errno, self.done)
    }
}

impl Received {
    /// Copies from it until `into` is full.
    ///
    /// # Errors
    /// See [`Received`].
    pub fn copy_from<T>(&self, offset: u64, into: &mut T) -> Result<(), CopyError>
    where
        T: FromBytes + IntoBytes + ?Sized,
    {
        let bytes = into.as_mut_bytes();
        let (len, address) = (bytes.len() as u64, bytes.as_mut_ptr().expose_provenance() as u64);
        self.in_steps(offset, len, |step| {
            let Step { granter, grant, offset, done, len } = step;
            let call = SafeCopyFrom { granter, reserved: 0, grant, offset, address: address + done, len };
            // SAFETY: the memory is borrowed for this alone, and `T` may hold any bytes.
            unsafe { rt::call_unchecked(&call) }.map(|copied| copied.done)
        })
    }

    /// Copies all of `from` to it.
    ///
    /// # Errors
    /// See [`Received`].
    pub fn copy_to<T>(&self, offset: u64, from: &T) -> Result<(), CopyError>
    where
        T: IntoBytes + Immutable + ?Sized,
    {
        let bytes = from.as_bytes();
        let (len, address) = (bytes.len() as u64, bytes.as_ptr().expose_provenance() as u64);
        self.in_steps(offset, len, |step| {
            let Step { granter, grant, offset, done, len } = step;
            let call = SafeCopyTo { granter, reserved: 0, grant, offset, address: address + done, len };
            crate::kernel().safecopyto(call).map(|copied| copied.done)
        })
    }

    /// Copies a value from it.
    ///
    /// # Errors
    /// See [`Received`].
    pub fn value<T: FromBytes + IntoBytes>(&self, offset: u64) -> Result<T, CopyError> {
        let mut value = T::new_zeroed();
        self.copy_from(offset, &mut value)?;
        Ok(value)
    }

    /// Fills so many bytes of it.
    ///
    /// # Errors
    /// See [`Received`].
    pub fn fill(&self, offset: u64, len: u64, byte: u8) -> Result<(), CopyError> {
        self.in_steps(offset, len, |step| {
            let Step { granter, grant, offset, len, .. } = step;
            let call = SafeMemSet { granter, byte: byte.into(), grant, offset, len };
            crate::kernel().safememset(call).map(|filled| filled.done)
        })
    }

    fn in_steps(
        &self,
        offset: u64,
        len: u64,
        mut make: impl FnMut(Step) -> Result<u64, Errno>,
    ) -> Result<(), CopyError> {
        let Self { granter, id: grant } = *self;
        in_steps(len, |done, rest| {
            let offset = offset.checked_add(done).ok_or(Errno::Perm)?;
            patiently(|| make(Step { granter, grant, offset, done, len: rest }))
        })
    }
}

/// What is left of a copy.
struct Step {
    granter: Endpoint,
    grant: GrantId,
    offset: u64,
    /// Bytes that are copied.
    done: u64,
    /// Bytes that are not.
    len: u64,
}

/// Does something with `len` bytes in steps. Each is given how many bytes are done and how many are left, and tells how many
/// it has done.
fn in_steps(len: u64, mut step: impl FnMut(u64, u64) -> Result<u64, Errno>) -> Result<(), CopyError> {
    let mut done = 0;
    loop {
        let rest = len - done;
        match step(done, rest) {
            Ok(now) if now == rest => return Ok(()),
            Ok(now) if (1..rest).contains(&now) => done += now,
            Ok(_) => return Err(CopyError { errno: Errno::Proto, done }),
            Err(errno) => return Err(CopyError { errno, done }),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// What the steps are asked for, if each does so much.
    fn asked(len: u64, answers: &[Result<u64, Errno>]) -> (Result<(), CopyError>, Vec<(u64, u64)>) {
        let (mut answers, mut asked) = (answers.iter(), Vec::new());
        let result = in_steps(len, |done, rest| {
            asked.push((done, rest));
            *answers.next().expect("no more steps")
        });
        (result, asked)
    }

    #[test]
    fn a_copy_goes_on_until_all_is_done() {
        assert_eq!(asked(8, &[Ok(8)]), (Ok(()), std::vec![(0, 8)]));
        assert_eq!(asked(10, &[Ok(4), Ok(5), Ok(1)]), (Ok(()), std::vec![(0, 10), (4, 6), (9, 1)]));
    }

    #[test]
    fn the_kernel_hears_of_copies_without_bytes() {
        assert_eq!(asked(0, &[Err(Errno::Dom)]).0, Err(CopyError { errno: Errno::Dom, done: 0 }));
    }

    #[test]
    fn an_error_tells_how_far_it_came() {
        assert_eq!(asked(10, &[Ok(4), Err(Errno::Perm)]).0, Err(CopyError { errno: Errno::Perm, done: 4 }));
        let text = std::format!("{}", CopyError { errno: Errno::Fault, done: 4 });
        assert_eq!(text, "EFAULT after 4 bytes");
    }

    #[test]
    fn impossible_progress_ends_a_copy() {
        for now in [0, 7, u64::MAX] {
            assert_eq!(asked(10, &[Ok(4), Ok(now)]).0, Err(CopyError { errno: Errno::Proto, done: 4 }));
        }
    }
}
