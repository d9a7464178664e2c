//! Running tests and telling of it, line by line.

use crate::{Failure, Outcome};
use core::fmt;

/// A test and its name.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// As it stands in the report.
    pub name: &'static str,
    /// The test itself.
    pub run: fn() -> Outcome,
}

/// Runs tests one after the other and writes the lines of [`abi::report`]. Returns whether each of them passed.
pub fn report(tests: &[Test], mut line: impl FnMut(fmt::Arguments)) -> bool {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    line(format_args!("plan {}", tests.len()));
    for Test { name, run } in tests {
        match run() {
            Ok(()) => {
                passed += 1;
                line(format_args!("ok {name}"));
            }
            Err(Failure::Failed(why)) => {
                failed += 1;
                line(format_args!("not ok {name}: {why}"));
            }
            Err(Failure::Skipped(why)) => {
                skipped += 1;
                line(format_args!("skip {name}: {why}"));
            }
        }
    }
    line(format_args!("done {passed} passed, {failed} failed, {skipped} skipped"));
    passed == tests.len()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use abi::Errno;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn lines(tests: &[Test]) -> (Vec<String>, bool) {
        let mut lines = Vec::new();
        let passed = report(tests, |line| lines.push(line.to_string()));
        (lines, passed)
    }

    fn good() -> Outcome {
        crate::check!(true);
        crate::check_eq!(2 + 2, 4);
        Ok(())
    }

    fn bad() -> Outcome {
        crate::check_eq!(2 + 2, 5);
        Ok(())
    }

    fn needs_more() -> Outcome {
        crate::skip!("there is {} processor", 1)
    }

    const UNEXPECTED_LINE: u32 = line!() + 3;

    fn unexpected() -> Outcome {
        Err(Errno::Locked)?;
        Ok(())
    }

    fn long() -> Outcome {
        crate::check!(false, "one\ntwo {}", "x".repeat(500));
        Ok(())
    }

    #[test]
    fn all_good() {
        let (lines, passed) = lines(&[Test { name: "a", run: good }, Test { name: "b", run: good }]);
        assert_eq!(lines, ["plan 2", "ok a", "ok b", "done 2 passed, 0 failed, 0 skipped"]);
        assert!(passed);
    }

    #[test]
    fn each_kind_of_outcome() {
        let (lines, passed) =
            lines(&[Test { name: "a", run: bad }, Test { name: "b", run: needs_more }, Test { name: "c", run: good }]);
        assert_eq!(lines[0], "plan 3");
        assert!(lines[1].starts_with("not ok a: line "), "{}", lines[1]);
        assert!(lines[1].ends_with(": 2 + 2 is 4, should be 5"), "{}", lines[1]);
        assert_eq!(lines[2..], ["skip b: there is 1 processor", "ok c", "done 1 passed, 1 failed, 1 skipped"]);
        assert!(!passed);
    }

    #[test]
    fn a_skipped_test_alone_is_no_pass() {
        assert!(!lines(&[Test { name: "a", run: needs_more }]).1);
    }

    #[test]
    fn an_unexpected_error_names_its_line() {
        let line = &lines(&[Test { name: "a", run: unexpected }]).0[1];
        assert_eq!(*line, std::format!("not ok a: line {UNEXPECTED_LINE}: ELOCKED"));
    }

    #[test]
    fn long_text_is_cut_and_stays_one_line() {
        let line = &lines(&[Test { name: "a", run: long }]).0[1];
        assert!(line.contains("one two xxx") && line.len() < 130, "{line}");
    }
}
