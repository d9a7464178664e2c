//! Errors that cross the border between kernel and programs, or between programs.

use core::fmt;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $code:literal;)*) => {
        /// An error number. POSIX conditions have their Linux numbers, conditions of the message system start at 200.
        /// In registers an error is the negative number; in a reply it stands in the kind (see [`crate::Kind`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Errno { $($(#[$doc])* $name = $number,)* }

        impl Errno {
            /// Every error, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The error with this positive number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The name as it is written in manuals, such as `EINVAL`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

errnos! {
    /// Not allowed to this caller.
    Perm = 1, "EPERM";
    /// No such file, program or name.
    NoEnt = 2, "ENOENT";
    /// No such process or key.
    Srch = 3, "ESRCH";
    /// Interrupted.
    Intr = 4, "EINTR";
    /// Input or output failed.
    Io = 5, "EIO";
    /// No such device, or one of another kind.
    NxIo = 6, "ENXIO";
    /// Argument list too long, or a length over the limit.
    TooBig = 7, "E2BIG";
    /// Not a program that can be run here.
    NoExec = 8, "ENOEXEC";
    /// No such open file, or not one for this.
    BadF = 9, "EBADF";
    /// No such child.
    Child = 10, "ECHILD";
    /// Try again later.
    Again = 11, "EAGAIN";
    /// Out of memory.
    NoMem = 12, "ENOMEM";
    /// Not allowed on this object.
    Access = 13, "EACCES";
    /// An address that is not mapped, or not for this kind of access.
    Fault = 14, "EFAULT";
    /// Busy.
    Busy = 16, "EBUSY";
    /// It exists already.
    Exist = 17, "EEXIST";
    /// Malformed argument.
    Inval = 22, "EINVAL";
    /// Too many open at once.
    NFile = 23, "ENFILE";
    /// The device knows no such request.
    NoTty = 25, "ENOTTY";
    /// No space left in a table.
    NoSpc = 28, "ENOSPC";
    /// A number outside its range.
    Dom = 33, "EDOM";
    /// The server knows no such call.
    NoSys = 38, "ENOSYS";
    /// Too many links in a chain.
    Loop = 40, "ELOOP";
    /// The other side broke the protocol.
    Proto = 71, "EPROTO";
    /// Meant for an instance that has ended: ask again, from the start.
    Restart = 85, "ERESTART";
    /// Not supported in this way.
    NotSup = 95, "ENOTSUP";
    /// Timed out.
    TimedOut = 110, "ETIMEDOUT";
    /// The endpoint names nobody, or whoever it named died or released its waiters.
    DeadSrcDst = 200, "EDEADSRCDST";
    /// The caller's privileges do not include this target or this kernel call.
    CallDenied = 201, "ECALLDENIED";
    /// The caller's privileges do not include this trap.
    TrapDenied = 202, "ETRAPDENIED";
    /// Blocking would close a cycle of processes that wait for each other.
    Locked = 203, "ELOCKED";
    /// The target is not waiting for this message.
    NotReady = 204, "ENOTREADY";
    /// No such trap.
    BadCall = 205, "EBADCALL";
    /// No such kernel call.
    BadRequest = 206, "EBADREQUEST";
    /// The processor does not run.
    BadCpu = 207, "EBADCPU";
}

impl Errno {
    /// The value of a result register that says "this error".
    pub const fn to_result(self) -> i64 {
        -(self as u16 as i64)
    }

    /// Reads a result register: what is not negative is a value, what is negative an error. A negative number that is no
    /// error of ours comes out as [`Errno::Proto`].
    pub const fn from_result(result: i64) -> Result<u64, Self> {
        if result >= 0 {
            return Ok(result as u64);
        }
        match result.checked_neg() {
            Some(number @ 1..=0xffff) => match Self::from_number(number as u16) {
                Some(errno) => Err(errno),
                None => Err(Self::Proto),
            },
            _ => Err(Self::Proto),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_results_round_trip() {
        for &e in Errno::ALL {
            assert_eq!(Errno::from_number(e as u16), Some(e));
            assert_eq!(Errno::from_result(e.to_result()), Err(e));
        }
        assert_eq!(Errno::from_result(0), Ok(0));
        assert_eq!(Errno::from_result(i64::MAX), Ok(i64::MAX as u64));
    }

    #[test]
    fn foreign_numbers_are_no_errors_of_ours() {
        assert_eq!(Errno::from_number(0), None);
        for odd in [-199, -0x1_0000, i64::MIN] {
            assert_eq!(Errno::from_result(odd), Err(Errno::Proto));
        }
    }
}
