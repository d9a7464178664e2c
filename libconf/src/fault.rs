//! Places in a text, and what is wrong there.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Most faults that are shown of one text: whoever has more has no policy but something else.
pub const MAX_FAULTS: usize = 200;

/// A place in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl Position {
    /// The position of a byte of `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Position,
    /// What, and what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// The faults found so far, each with the byte where it is.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(usize, String)>);

impl Faults {
    pub(crate) fn add(&mut self, at: usize, message: impl Into<String>) {
        if self.0.len() <= MAX_FAULTS {
            self.0.push((at, message.into()));
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        other.0.into_iter().for_each(|(at, message)| self.add(at, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of the text.
    pub(crate) fn into_list(mut self, text: &str) -> Vec<Fault> {
        let cut = self.0.len() > MAX_FAULTS;
        self.0.truncate(MAX_FAULTS);
        self.0.sort_by_key(|(at, _)| *at);
        let mut list: Vec<Fault> =
            self.0.into_iter().map(|(at, message)| Fault { at: Position::of(text, at), message }).collect();
        if let Some(last) = list.last().filter(|_| cut) {
            let message = format!("there are more faults than {MAX_FAULTS}: mend these first");
            list.push(Fault { at: last.at, message });
        }
        list
    }
}

/// A word of the text as it may stand in a message: short, and without what a terminal would act upon.
pub(crate) fn shown(word: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = word.chars().take(MOST).flat_map(char::escape_debug).collect();
    if word.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}
