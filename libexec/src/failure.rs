//! Why an exec did not come off, and what is left of the old program.

use crate::error::{ElfError, PlanError};
use abi::Errno;
use core::fmt;
use core::ops::Range;

/// Why a program was not started, with the errors of its source and its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecError<S, T> {
    /// Nothing was done to the target: the old program goes on.
    Before(Refusal<S>),
    /// The old program is gone and the new one is not whole: the process has to be ended.
    After(Failure<S, T>),
}

/// Why nothing was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<S> {
    /// The file is no good.
    Elf(ElfError),
    /// The program was built for this version of our ABI, or it has no Selix note and needed one.
    Abi(Option<u32>),
    /// The file cannot be read.
    Read(S),
    /// What the program is to be told.
    Frame(FrameFault),
    /// The range for the stack.
    Stack(StackFault),
}

/// What is wrong with arguments and environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// The last argument has no zero byte at its end.
    Arguments,
    /// The last string of the environment has none.
    Environment,
    /// The stack frame would have this many bytes, above [`crate::ARG_MAX`] or too much for the stack.
    TooBig {
        /// Bytes of the frame.
        len: u64,
        /// How many may be.
        limit: u64,
    },
}

/// What is wrong with the range for the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackFault {
    /// Empty, not of whole pages, or not in user space.
    Range(Range<u64>),
    /// The segment of this program header is there, or in the page below.
    Segment(u16),
}

/// What failed half-way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<S, T> {
    /// A step of the target.
    Target(Step, T),
    /// The file cannot be read any more.
    Read(S),
    /// The file is another one than before: this is wrong with it now.
    Changed(ElfError),
}

/// A step of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// [`crate::Target::clear`].
    Clear,
    /// [`crate::Target::reserve`] of these pages.
    Reserve(Range<u64>),
    /// [`crate::Target::reserve_stack`] of these pages.
    ReserveStack(Range<u64>),
    /// [`crate::Target::copy_in`] to these addresses.
    CopyIn(Range<u64>),
    /// [`crate::Target::map_file`] to these pages.
    MapFile(Range<u64>),
    /// [`crate::Target::write`] to these addresses.
    Write(Range<u64>),
    /// [`crate::Target::zero`] of these addresses.
    Zero(Range<u64>),
    /// [`crate::Target::protect`] of these pages.
    Protect(Range<u64>),
    /// [`crate::Target::set_entry`].
    SetEntry,
}

impl<S, T> From<Refusal<S>> for ExecError<S, T> {
    fn from(refusal: Refusal<S>) -> Self {
        Self::Before(refusal)
    }
}

impl<S> From<PlanError<S>> for Refusal<S> {
    fn from(error: PlanError<S>) -> Self {
        match error {
            PlanError::Elf(error) => Self::Elf(error),
            PlanError::Read(error) => Self::Read(error),
        }
    }
}

/// The file was good when the plan was made.
impl<S, T> From<PlanError<S>> for Failure<S, T> {
    fn from(error: PlanError<S>) -> Self {
        match error {
            PlanError::Elf(error) => Self::Changed(error),
            PlanError::Read(error) => Self::Read(error),
        }
    }
}

impl<S: Into<Errno>, T: Into<Errno>> From<ExecError<S, T>> for Errno {
    fn from(error: ExecError<S, T>) -> Self {
        match error {
            ExecError::Before(refusal) => refusal.into(),
            ExecError::After(Failure::Target(_, error)) => error.into(),
            ExecError::After(Failure::Read(error)) => error.into(),
            ExecError::After(Failure::Changed(_)) => Self::NoExec,
        }
    }
}

impl<S: Into<Errno>> From<Refusal<S>> for Errno {
    fn from(refusal: Refusal<S>) -> Self {
        match refusal {
            Refusal::Elf(_) | Refusal::Abi(_) | Refusal::Stack(StackFault::Segment(_)) => Self::NoExec,
            Refusal::Read(error) => error.into(),
            Refusal::Frame(FrameFault::TooBig { .. }) => Self::TooBig,
            Refusal::Frame(FrameFault::Arguments | FrameFault::Environment) | Refusal::Stack(StackFault::Range(_)) => {
                Self::Inval
            }
        }
    }
}

impl<S: fmt::Display, T: fmt::Display> fmt::Display for ExecError<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(refusal) => refusal.fmt(f),
            Self::After(failure) => write!(f, "{failure}; the old program is gone, end the process"),
        }
    }
}

impl<S: fmt::Debug + fmt::Display, T: fmt::Debug + fmt::Display> core::error::Error for ExecError<S, T> {}

impl<S: fmt::Display> fmt::Display for Refusal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => error.fmt(f),
            Self::Abi(Some(found)) => {
                write!(f, "is built for ABI {found}, this is {}: see UPDATING.md, build it again", abi::ABI_VERSION)
            }
            Self::Abi(None) => f.write_str("has no Selix ABI note; build it with the crate rt"),
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::Frame(fault) => fault.fmt(f),
            Self::Stack(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments => f.write_str("the last argument has no zero byte at its end; add it"),
            Self::Environment => f.write_str("the last string of the environment has no zero byte at its end; add it"),
            Self::TooBig { len, limit } => {
                write!(
                    f,
                    "arguments and environment take {len} bytes, the limit is {limit}; give fewer or shorter ones"
                )
            }
        }
    }
}

impl fmt::Display for StackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(Range { start, end }) => {
                write!(f, "no stack can be at {start:#x} to {end:#x}; give whole pages in user space")
            }
            Self::Segment(index) => {
                write!(f, "program header {index}: the segment is where the stack goes; link the program elsewhere")
            }
        }
    }
}

impl<S: fmt::Display, T: fmt::Display> fmt::Display for Failure<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(step, error) => write!(f, "{step}: {error}"),
            Self::Read(error) => write!(f, "the file cannot be read any more: {error}"),
            Self::Changed(error) => write!(f, "the file was changed while it was loaded: {error}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, at) = match self {
            Self::Clear => return f.write_str("the old program cannot be cleared"),
            Self::SetEntry => return f.write_str("the entry point cannot be set"),
            Self::Reserve(at) => ("reserve pages", at),
            Self::ReserveStack(at) => ("reserve the stack", at),
            Self::CopyIn(at) => ("copy the file", at),
            Self::MapFile(at) => ("map the file", at),
            Self::Write(at) => ("write", at),
            Self::Zero(at) => ("write zeros", at),
            Self::Protect(at) => ("protect pages", at),
        };
        write!(f, "cannot {what} at {:#x} to {:#x}", at.start, at.end)
    }
}
