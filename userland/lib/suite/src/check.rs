//! What a test can say.

use abi::Errno;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use core::panic::Location;
use sys::grants::{CopyError, Refused};

/// Most bytes of an explanation: it shares a line with the name of the test.
const TEXT_LEN: usize = 112;

/// A short explanation. What does not fit is cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text(ArrayString<TEXT_LEN>);

impl Text {
    /// Formats an explanation.
    #[must_use]
    pub fn new(text: fmt::Arguments) -> Self {
        let mut new = Self::default();
        // An error here means that the text is full, and what fits is kept.
        let _ = new.write_fmt(text);
        new
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A report is read line by line.
        text.chars().try_for_each(|c| self.0.try_push(if c == '\n' { ' ' } else { c })).map_err(|_| fmt::Error)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a test did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something is wrong.
    Failed(Text),
    /// It cannot be tested here.
    Skipped(Text),
}

/// How a test ends.
pub type Outcome = Result<(), Failure>;

impl From<Errno> for Failure {
    /// An error that the test did not expect, at the place of the `?`.
    #[track_caller]
    fn from(errno: Errno) -> Self {
        Self::Failed(Text::new(format_args!("line {}: {errno}", Location::caller().line())))
    }
}

impl From<CopyError> for Failure {
    /// A copy that the test did not expect to fail, at the place of the `?`.
    #[track_caller]
    fn from(error: CopyError) -> Self {
        Self::Failed(Text::new(format_args!("line {}: {error}", Location::caller().line())))
    }
}

impl<M> From<Refused<M>> for Failure {
    /// A grant that the test expected to get, at the place of the `?`.
    #[track_caller]
    fn from(refused: Refused<M>) -> Self {
        Self::from(refused.errno)
    }
}

/// Fails the test unless the condition holds; the rest, if there is one, says with what values.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {
        $crate::check!($condition, "not so: {}", stringify!($condition))
    };
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            $crate::fail!($($text)+);
        }
    };
}

/// Fails the test unless both values are equal; the second is the expected one.
#[macro_export]
macro_rules! check_eq {
    ($value:expr, $expected:expr $(,)?) => {{
        let (value, expected) = (&$value, &$expected);
        $crate::check!(value == expected, "{} is {:x?}, should be {:x?}", stringify!($value), value, expected);
    }};
}

/// Ends the test as failed.
#[macro_export]
macro_rules! fail {
    ($($text:tt)+) => {
        return Err($crate::Failure::Failed($crate::Text::new(
            format_args!("line {}: {}", line!(), format_args!($($text)+)),
        )))
    };
}

/// Ends the test as one that cannot be made here. A run with a skipped test does not pass.
#[macro_export]
macro_rules! skip {
    ($($text:tt)+) => {
        return Err($crate::Failure::Skipped($crate::Text::new(format_args!($($text)+))))
    };
}
