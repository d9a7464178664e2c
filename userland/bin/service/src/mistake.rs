//! What can be wrong with a command line.

use crate::help::{USAGES, usage};
use abi::Errno;
use core::fmt;
use protocol::rs::MAX_ARGUMENTS;

/// What is wrong with a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake<'a> {
    /// It is empty.
    NoCommand,
    /// It begins with what is no command.
    Command(&'a [u8]),
    /// The command lacks this.
    Missing {
        /// The command.
        command: &'static str,
        /// What it lacks.
        what: &'static str,
    },
    /// The command has this, and needs no more.
    Surplus {
        /// The command.
        command: &'static str,
        /// The first word that it has no use for.
        word: &'a [u8],
    },
    /// The command has no such option.
    Option {
        /// The command.
        command: &'static str,
        /// The option.
        word: &'a [u8],
    },
    /// The option is there twice.
    Twice(&'static str),
    /// The option stands at the end, without a value.
    NoValue(&'static str),
    /// It is no name.
    Name {
        /// What it should be the name of.
        what: &'static str,
        /// What was given.
        word: &'a [u8],
    },
    /// It is no number, or none that is allowed.
    Number {
        /// The option.
        option: &'static str,
        /// What was given.
        word: &'a [u8],
        /// The least number.
        least: u32,
        /// The greatest one.
        most: u32,
    },
    /// The arguments have so many bytes.
    TooLong(usize),
    /// The arguments are no text.
    NoText,
}

impl Mistake<'_> {
    /// The number that says so.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Command(_) => Errno::NoSys,
            Self::TooLong(_) => Errno::TooBig,
            _ => Errno::Inval,
        }
    }

    /// How the command is written rightly, if it is known which one it is.
    #[must_use]
    pub fn usage(&self) -> Option<&'static str> {
        match self {
            Self::Missing { command, .. } | Self::Surplus { command, .. } | Self::Option { command, .. } => {
                usage(command)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Mistake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoCommand => {
                f.write_str("a command is missing: ")?;
                commands(f)
            }
            Self::Command(word) => {
                write!(f, "there is no command `{}`: ", Shown(word))?;
                commands(f)
            }
            Self::Missing { command, what } => write!(f, "`{command}` needs {what}"),
            Self::Surplus { command, word } => {
                write!(f, "`{command}` has no use for `{}`: leave it out, or quote what belongs together", Shown(word))
            }
            Self::Option { command, word } => write!(f, "`{command}` has no option `{}`", Shown(word)),
            Self::Twice(option) => write!(f, "`{option}` is there twice: write one of the two"),
            Self::NoValue(option) => write!(f, "`{option}` needs a value behind it"),
            Self::Name { what, word } => {
                write!(f, "`{}` is no name of a {what}: it has 1 to 15 of a-z 0-9 - _", Shown(word))
            }
            Self::Number { option, word, least, most } => {
                write!(f, "`{}` is no number for `{option}`: write {least} to {most}", Shown(word))
            }
            Self::TooLong(len) => {
                write!(f, "the text behind `-args` has {len} bytes: shorten it to {MAX_ARGUMENTS}")
            }
            Self::NoText => f.write_str("the text behind `-args` is none: write it in UTF-8"),
        }
    }
}

fn commands(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("write")?;
    for (i, (name, _)) in USAGES.iter().enumerate() {
        let before = match i {
            0 => " ",
            i if i + 1 == USAGES.len() => " or ",
            _ => ", ",
        };
        write!(f, "{before}{name}")?;
    }
    Ok(())
}

/// A word that somebody has written: of one line, and not too long.
struct Shown<'a>(&'a [u8]);

/// So many bytes of it.
const SHOWN: usize = 24;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.0.split_at_checked(SHOWN).unwrap_or((self.0, &[]));
        write!(f, "{}{}", shown.escape_ascii(), if rest.is_empty() { "" } else { "..." })
    }
}
