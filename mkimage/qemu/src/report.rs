//! Reads the lines of a suite out of a serial log. The form of the lines stands in `abi::report`. Pure.

use std::fmt;

use crate::lines::lines;

/// What a test reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestResult {
    /// It passed.
    Ok,
    /// It failed, for this reason.
    NotOk(String),
    /// It was not run, for this reason.
    Skip(String),
}

/// The numbers of a final count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many tests passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were skipped.
    pub skipped: usize,
}

/// One line of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// So many tests are going to report.
    Plan(usize),
    /// The test of this name reports.
    Test(String, TestResult),
    /// The suite is done, and says so of its tests.
    Done(Counts),
    /// A line that begins like a report and does not go on like one.
    Malformed(String),
    /// Anything else that the suite prints.
    Remark(String),
}

/// All lines of one suite, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Line>);

impl Report {
    /// Reads the lines of the process `suite`. Lines of all others, the kernel too, are none of them.
    pub fn read(serial: &str, suite: &str) -> Self {
        let own = lines(serial).filter_map(|line| strip_word(line.strip_prefix(suite)?, ":"));
        Self(own.map(Line::read).collect())
    }

    /// What the test `name` reported first.
    pub fn result(&self, name: &str) -> Option<&TestResult> {
        self.tests().find(|(test, _)| *test == name).map(|(_, result)| result)
    }

    /// All tests that reported, in order.
    pub fn tests(&self) -> impl Iterator<Item = (&str, &TestResult)> {
        self.0.iter().filter_map(|line| match line {
            Line::Test(name, result) => Some((name.as_str(), result)),
            _ => None,
        })
    }
}

impl Line {
    /// Reads what follows the suite's name.
    fn read(text: &str) -> Self {
        let read = if let Some(rest) = strip_word(text, "plan") {
            rest.parse().ok().map(Self::Plan)
        } else if let Some(rest) = strip_word(text, "ok") {
            is_name(rest).then(|| Self::Test(rest.to_owned(), TestResult::Ok))
        } else if let Some(rest) = strip_word(text, "not ok") {
            with_reason(rest, TestResult::NotOk)
        } else if let Some(rest) = strip_word(text, "skip") {
            with_reason(rest, TestResult::Skip)
        } else if let Some(rest) = strip_word(text, "done") {
            counts(rest).map(Self::Done)
        } else {
            return Self::Remark(text.to_owned());
        };
        read.unwrap_or_else(|| Self::Malformed(text.to_owned()))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(count) => write!(f, "plan {count}"),
            Self::Test(name, TestResult::Ok) => write!(f, "ok {name}"),
            Self::Test(name, TestResult::NotOk(reason)) => write!(f, "not ok {name}: {reason}"),
            Self::Test(name, TestResult::Skip(reason)) => write!(f, "skip {name}: {reason}"),
            Self::Done(Counts { passed, failed, skipped }) => {
                write!(f, "done {passed} passed, {failed} failed, {skipped} skipped")
            }
            Self::Malformed(text) | Self::Remark(text) => f.write_str(text),
        }
    }
}

/// What follows the word `word` and a space; nothing, if the text is just the word.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

/// Reads `NAME: REASON`.
fn with_reason(text: &str, result: fn(String) -> TestResult) -> Option<Line> {
    let (name, reason) = text.split_once(": ")?;
    (is_name(name) && !reason.is_empty()).then(|| Line::Test(name.to_owned(), result(reason.to_owned())))
}

/// Reads `1 passed, 2 failed, 3 skipped`.
fn counts(text: &str) -> Option<Counts> {
    let mut parts = text.split(", ");
    let mut count = |word: &str| parts.next()?.strip_suffix(word)?.parse().ok();
    let counts = Counts { passed: count(" passed")?, failed: count(" failed")?, skipped: count(" skipped")? };
    parts.next().is_none().then_some(counts)
}

/// Tells whether `name` can name a test: a path in Rust.
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    name.split("::").all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Line {
        Line::read(text)
    }

    fn test(name: &str, result: TestResult) -> Line {
        Line::Test(name.to_owned(), result)
    }

    #[test]
    fn each_kind_of_line_is_read() {
        assert_eq!(read("plan 3"), Line::Plan(3));
        assert_eq!(read("ok memory::reads_kernel"), test("memory::reads_kernel", TestResult::Ok));
        assert_eq!(read("not ok jumps: went on: twice"), test("jumps", TestResult::NotOk("went on: twice".to_owned())));
        assert_eq!(read("skip smp: there is one"), test("smp", TestResult::Skip("there is one".to_owned())));
        let counts = Counts { passed: 1, failed: 2, skipped: 30 };
        assert_eq!(read("done 1 passed, 2 failed, 30 skipped"), Line::Done(counts));
        assert_eq!(read("okay, let us see"), Line::Remark("okay, let us see".to_owned()));
        assert_eq!(read(""), Line::Remark(String::new()));
    }

    #[test]
    fn a_line_is_shown_as_it_was_written() {
        for text in ["plan 3", "ok a::b", "not ok a: b: c", "skip a: b", "done 1 passed, 2 failed, 3 skipped", "ok"] {
            assert_eq!(read(text).to_string(), text);
        }
    }

    #[test]
    fn a_line_that_only_begins_like_a_report_is_malformed() {
        for text in [
            "plan",
            "plan x",
            "plan -1",
            "plan 1 2",
            "plan 99999999999999999999999",
            "ok",
            "ok ",
            "ok a b",
            "ok  a",
            "ok a:",
            "ok a::",
            "ok a: because",
            "not ok",
            "not ok a",
            "not ok a: ",
            "not ok a b: c",
            "skip a",
            "skip : b",
            "done",
            "done 1",
            "done 1 passed",
            "done 1 passed, 0 failed",
            "done 1 passed, 0 failed, 0 skipped, 0 lost",
            "done 0 failed, 1 passed, 0 skipped",
            "done 1 passed, 0 failed, 0 skipped ",
            "done x passed, 0 failed, 0 skipped",
        ] {
            assert_eq!(read(text), Line::Malformed(text.to_owned()));
        }
    }

    #[test]
    fn only_lines_of_the_suite_itself_count() {
        let serial =
            "selix: ok a\nother: ok b\nother: suite: ok c\nsuite2: ok d\n suite: ok e\nsuite:ok f\nsuite: ok g\n";
        assert_eq!(Report::read(serial, "suite"), Report(vec![test("g", TestResult::Ok)]));
    }

    #[test]
    fn a_carriage_return_begins_no_line() {
        let serial = "other: x\rsuite: ok a\r\nsuite: ok b\r\n";
        assert_eq!(Report::read(serial, "suite"), Report(vec![test("b", TestResult::Ok)]));
    }

    #[test]
    fn the_first_of_two_results_is_the_result() {
        let report = Report::read("s: not ok a: no\ns: ok a\n", "s");
        assert_eq!(report.result("a"), Some(&TestResult::NotOk("no".to_owned())));
        assert_eq!(report.result("b"), None);
        assert_eq!(report.tests().count(), 2);
    }
}
