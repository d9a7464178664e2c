//! Judges a run. Whatever is not known to be right speaks against it. Pure.

use std::collections::BTreeSet;

use abi::report::{KERNEL_PANIC, SUITE_FAILED, SUITE_PASSED};

use crate::lines::{last_line, lines};
use crate::outcome::{KERNEL, is_panic};
use crate::report::{Counts, Line, Report, TestResult};
use crate::verdict::{Counted, Failure, Verdict};
use crate::{End, Evidence, Goal};

/// Judges a run.
pub fn judge(evidence: &Evidence, goal: &Goal) -> Verdict {
    let mut failures = Vec::new();
    let panic = lines(&evidence.serial).find(|line| is_panic(line));
    if panic.is_some() || matches!(evidence.end, End::HungAfterPanic | End::Exited(KERNEL_PANIC)) {
        failures.push(Failure::KernelPanic { line: panic.map(str::to_owned) });
    }
    failures.extend(against_end(evidence, goal));
    let booted = lines(&evidence.serial).any(|line| line.starts_with(KERNEL));
    if !booted && *goal != Goal::Session && !matches!(evidence.end, End::QemuFailed(_)) {
        failures.push(Failure::NoBoot);
    }
    match goal {
        Goal::Suite { name, tests } => {
            failures.extend(against_suite(&Report::read(&evidence.serial, name), tests, &evidence.end));
        }
        Goal::Line(wanted) if !lines(&evidence.serial).any(|line| line.starts_with(wanted)) => {
            failures.push(Failure::MissingLine(wanted.clone()));
        }
        Goal::Line(_) | Goal::Session => {}
    }
    Verdict(failures)
}

/// What the end of the run itself says against it.
fn against_end(evidence: &Evidence, goal: &Goal) -> Option<Failure> {
    let is_session = *goal == Goal::Session;
    Some(match &evidence.end {
        End::QemuFailed(status) => Failure::QemuError { status: *status, stderr: evidence.stderr.trim().to_owned() },
        End::TripleFault => Failure::TripleFault,
        End::Reset => Failure::Reset,
        End::PoweredOff | End::Interrupted if is_session => return None,
        End::PoweredOff => Failure::PoweredOff,
        End::Interrupted => Failure::Interrupted,
        End::Killed(signal) => Failure::KilledBySignal(*signal),
        End::TimedOut(after) => {
            Failure::TimedOut { after: *after, last_line: last_line(&evidence.serial).map(str::to_owned) }
        }
        End::Flooded(limit) => Failure::Flooded { limit: *limit },
        End::SuiteEnded(line) => Failure::SuiteEnded(line.clone()),
        End::GoalReached | End::HungAfterPanic | End::Exited(KERNEL_PANIC) => return None,
        End::Exited(SUITE_PASSED) if is_session || matches!(goal, Goal::Suite { .. }) => return None,
        End::Exited(SUITE_FAILED) if !matches!(goal, Goal::Line(_)) => Failure::SuiteFailed,
        End::Exited(code) => Failure::UnexpectedExit(*code),
    })
}

/// What the lines of a suite say against it.
fn against_suite(report: &Report, declared: &[String], end: &End) -> Vec<Failure> {
    let mut failures = against_tests(report, declared);
    failures.extend(against_order(report));
    failures.extend(against_counts(report));
    match end {
        End::Exited(SUITE_PASSED) if !failures.is_empty() => failures.insert(0, Failure::ClaimsPassed),
        End::Exited(SUITE_FAILED) if failures.is_empty() => failures.insert(0, Failure::ClaimsFailed),
        _ => {}
    }
    failures
}

/// What was reported of each test, and of which nothing was.
fn against_tests(report: &Report, declared: &[String]) -> Vec<Failure> {
    let declared: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    let mut reported = BTreeSet::new();
    let mut failures = Vec::new();
    for (test, result) in report.tests() {
        let test = test.to_owned();
        if !reported.insert(test.clone()) {
            failures.push(Failure::DuplicateTest(test.clone()));
        } else if !declared.contains(test.as_str()) {
            failures.push(Failure::UnknownTest(test.clone()));
        }
        match result.clone() {
            TestResult::Ok => {}
            TestResult::NotOk(reason) => failures.push(Failure::TestFailed { test, reason }),
            TestResult::Skip(reason) => failures.push(Failure::Skipped { test, reason }),
        }
    }
    let missing = declared.into_iter().filter(|test| !reported.contains(*test));
    failures.extend(missing.map(|test| Failure::MissingTest(test.to_owned())));
    failures
}

/// What is wrong with the order and the form of the lines: a plan, then tests, then the final count.
fn against_order(report: &Report) -> Vec<Failure> {
    let mut failures = Vec::new();
    let reports: Vec<_> = report.0.iter().filter(|line| !matches!(line, Line::Remark(_))).collect();
    if !matches!(reports.first(), Some(Line::Plan(_))) {
        failures.push(Failure::NoPlan);
    }
    let done = reports.iter().position(|line| matches!(line, Line::Done(_)));
    if done.is_none() {
        failures.push(Failure::MissingFinalCount);
    }
    for (place, line) in reports.into_iter().enumerate() {
        if done.is_some_and(|done| place > done) {
            failures.push(Failure::AfterDone(line.to_string()));
            continue;
        }
        match line {
            Line::Plan(count) if place > 0 => failures.push(Failure::LatePlan(*count)),
            Line::Malformed(text) => failures.push(Failure::Malformed(text.clone())),
            _ => {}
        }
    }
    failures
}

/// Which of the suite's numbers are not what its lines come to.
fn against_counts(report: &Report) -> Vec<Failure> {
    let mut counted = Counts::default();
    for (_, result) in report.tests() {
        match result {
            TestResult::Ok => counted.passed += 1,
            TestResult::NotOk(_) => counted.failed += 1,
            TestResult::Skip(_) => counted.skipped += 1,
        }
    }
    let total = report.tests().count();
    let mismatch = |what, said, counted| (said != counted).then_some(Failure::CountMismatch { what, said, counted });
    let against_line = |line: &Line| match line {
        Line::Plan(planned) => vec![mismatch(Counted::Planned, *planned, total)],
        Line::Done(said) => vec![
            mismatch(Counted::Passed, said.passed, counted.passed),
            mismatch(Counted::Failed, said.failed, counted.failed),
            mismatch(Counted::Skipped, said.skipped, counted.skipped),
        ],
        _ => Vec::new(),
    };
    report.0.iter().flat_map(against_line).flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GOOD: &str = "selix: boot\nt: plan 2\nt: ok a\nt: ok b\nt: done 2 passed, 0 failed, 0 skipped\n";

    fn evidence(end: End, serial: &str) -> Evidence {
        Evidence { end, serial: serial.to_owned(), stderr: " why \n".to_owned() }
    }

    fn suite(end: End, serial: &str) -> Vec<Failure> {
        let goal = Goal::Suite { name: "t".to_owned(), tests: vec!["a".to_owned(), "b".to_owned()] };
        judge(&evidence(end, serial), &goal).0
    }

    /// What speaks against a suite whose lines, after the kernel's, are these, and that leaves as one that passed.
    fn lines_of_suite(lines: &[&str]) -> Vec<Failure> {
        let own: String = lines.iter().map(|line| format!("t: {line}\n")).collect();
        suite(End::Exited(SUITE_PASSED), &format!("selix: boot\n{own}"))
    }

    fn mismatch(what: Counted, said: usize, counted: usize) -> Failure {
        Failure::CountMismatch { what, said, counted }
    }

    fn named(failure: fn(String) -> Failure, name: &str) -> Failure {
        failure(name.to_owned())
    }

    #[test]
    fn every_end_but_one_fails_a_suite_whose_lines_are_good() {
        let late = Duration::from_secs(3);
        let last_line = Some("t: done 2 passed, 0 failed, 0 skipped".to_owned());
        for (end, failures) in [
            (End::Exited(SUITE_PASSED), vec![]),
            (End::Exited(SUITE_FAILED), vec![Failure::SuiteFailed, Failure::ClaimsFailed]),
            (End::Exited(KERNEL_PANIC), vec![Failure::KernelPanic { line: None }]),
            (End::Exited(0), vec![Failure::UnexpectedExit(0)]),
            (End::TripleFault, vec![Failure::TripleFault]),
            (End::Reset, vec![Failure::Reset]),
            (End::PoweredOff, vec![Failure::PoweredOff]),
            (End::Interrupted, vec![Failure::Interrupted]),
            (End::Killed(11), vec![Failure::KilledBySignal(11)]),
            (End::QemuFailed(1), vec![Failure::QemuError { status: 1, stderr: "why".to_owned() }]),
            (End::TimedOut(late), vec![Failure::TimedOut { after: late, last_line }]),
            (End::HungAfterPanic, vec![Failure::KernelPanic { line: None }]),
            (End::Flooded(9), vec![Failure::Flooded { limit: 9 }]),
            (End::SuiteEnded("selix: t exited".to_owned()), vec![named(Failure::SuiteEnded, "selix: t exited")]),
        ] {
            assert_eq!(suite(end.clone(), GOOD), failures, "{end:?}");
        }
    }

    #[test]
    fn a_panic_line_speaks_against_any_end() {
        let serial = format!("{GOOD}selix: panic: no frames\nselix: rip 0\n");
        let panic = Failure::KernelPanic { line: Some("selix: panic: no frames".to_owned()) };
        assert_eq!(suite(End::Exited(SUITE_PASSED), &serial), std::slice::from_ref(&panic));
        assert_eq!(suite(End::TripleFault, &serial), [panic.clone(), Failure::TripleFault]);
        assert_eq!(judge(&evidence(End::Interrupted, &serial), &Goal::Session).0, [panic]);
    }

    #[test]
    fn a_process_that_writes_of_a_panic_is_none() {
        assert_eq!(suite(End::Exited(SUITE_PASSED), &format!("{GOOD}x: selix: panic: ha\n")), []);
    }

    #[test]
    fn a_run_without_a_kernel_line_did_not_boot() {
        let serial = GOOD.replace("selix: boot", "SELIX: boot\nx: selix: boot");
        assert_eq!(suite(End::Exited(SUITE_PASSED), &serial), [Failure::NoBoot]);
        assert_eq!(judge(&evidence(End::Interrupted, ""), &Goal::Session).0, []);
    }

    #[test]
    fn results_of_other_processes_do_not_count() {
        let serial = "selix: boot\nt: plan 2\nt: ok a\nu: ok b\nt: done 1 passed, 0 failed, 0 skipped\n";
        let failures = suite(End::Exited(SUITE_PASSED), serial);
        let planned = mismatch(Counted::Planned, 2, 1);
        assert_eq!(failures, [Failure::ClaimsPassed, named(Failure::MissingTest, "b"), planned]);
    }

    #[test]
    fn a_suite_may_print_remarks_anywhere() {
        let done = "done 2 passed, 0 failed, 0 skipped";
        assert_eq!(lines_of_suite(&["hello", "plan 2", "ok a", "so far", "ok b", done, "bye"]), []);
    }

    #[test]
    fn a_suite_without_a_plan_fails() {
        let done = "done 2 passed, 0 failed, 0 skipped";
        assert_eq!(lines_of_suite(&["ok a", "ok b", done]), [Failure::ClaimsPassed, Failure::NoPlan]);
        let late = [Failure::ClaimsPassed, Failure::NoPlan, Failure::LatePlan(2)];
        assert_eq!(lines_of_suite(&["ok a", "plan 2", "ok b", done]), late);
        let twice = [Failure::ClaimsPassed, Failure::LatePlan(2)];
        assert_eq!(lines_of_suite(&["plan 2", "plan 2", "ok a", "ok b", done]), twice);
    }

    #[test]
    fn numbers_that_are_wrong_fail_the_suite() {
        let wrong = |plan, done, failure| {
            assert_eq!(lines_of_suite(&[plan, "ok a", "ok b", done]), [Failure::ClaimsPassed, failure]);
        };
        let done = "done 2 passed, 0 failed, 0 skipped";
        wrong("plan 3", done, mismatch(Counted::Planned, 3, 2));
        wrong("plan 0", done, mismatch(Counted::Planned, 0, 2));
        wrong("plan 2", "done 3 passed, 0 failed, 0 skipped", mismatch(Counted::Passed, 3, 2));
        wrong("plan 2", "done 2 passed, 1 failed, 0 skipped", mismatch(Counted::Failed, 1, 0));
        wrong("plan 2", "done 2 passed, 0 failed, 1 skipped", mismatch(Counted::Skipped, 1, 0));
    }

    #[test]
    fn each_declared_test_reports_once_and_no_other() {
        let done = "done 3 passed, 0 failed, 0 skipped";
        let unknown = [Failure::ClaimsPassed, named(Failure::UnknownTest, "c")];
        assert_eq!(lines_of_suite(&["plan 3", "ok a", "ok b", "ok c", done]), unknown);
        let twice = [Failure::ClaimsPassed, named(Failure::DuplicateTest, "a")];
        assert_eq!(lines_of_suite(&["plan 3", "ok a", "ok b", "ok a", done]), twice);
    }

    #[test]
    fn a_second_report_that_fails_is_a_failure_too() {
        let failures =
            lines_of_suite(&["plan 3", "ok a", "ok b", "not ok a: no", "done 2 passed, 1 failed, 0 skipped"]);
        let failed = Failure::TestFailed { test: "a".to_owned(), reason: "no".to_owned() };
        assert_eq!(failures, [Failure::ClaimsPassed, named(Failure::DuplicateTest, "a"), failed]);
    }

    #[test]
    fn nothing_is_reported_after_the_final_count() {
        let done = "done 2 passed, 0 failed, 0 skipped";
        for line in ["ok b", "plan 2", done, "ok"] {
            let failures = lines_of_suite(&["plan 2", "ok a", "ok b", done, line]);
            assert!(failures.contains(&named(Failure::AfterDone, line)), "{failures:?}");
            assert_eq!(failures[0], Failure::ClaimsPassed);
        }
    }

    #[test]
    fn a_malformed_report_is_a_failure() {
        let done = "done 2 passed, 0 failed, 0 skipped";
        let malformed = [Failure::ClaimsPassed, named(Failure::Malformed, "ok a b")];
        assert_eq!(lines_of_suite(&["plan 2", "ok a", "ok a b", "ok b", done]), malformed);
    }

    #[test]
    fn a_suite_that_never_ran_misses_all() {
        let failures = suite(End::Exited(SUITE_PASSED), "selix: boot\n");
        let missing = ["a", "b"].map(|test| named(Failure::MissingTest, test));
        let rest = [Failure::NoPlan, Failure::MissingFinalCount];
        assert_eq!(failures, [&[Failure::ClaimsPassed][..], &missing, &rest].concat());
    }

    #[test]
    fn a_line_is_reached_or_missing() {
        let goal = Goal::Line("selix: up".to_owned());
        assert!(judge(&evidence(End::GoalReached, "selix: up 3\n"), &goal).passed());
        let missing = judge(&evidence(End::PoweredOff, "x: selix: up\nselix: u\n"), &goal);
        assert_eq!(missing.0, [Failure::PoweredOff, named(Failure::MissingLine, "selix: up")]);
        for code in [SUITE_PASSED, SUITE_FAILED, 0x7f] {
            let left = judge(&evidence(End::Exited(code), "selix: up\n"), &goal);
            assert_eq!(left.0, [Failure::UnexpectedExit(code)]);
        }
    }

    #[test]
    fn a_session_fails_by_a_crash_only() {
        let session = |end| judge(&evidence(end, "selix: up\n"), &Goal::Session).0;
        for end in [End::PoweredOff, End::Interrupted, End::Exited(SUITE_PASSED)] {
            assert_eq!(session(end), []);
        }
        assert_eq!(session(End::Exited(SUITE_FAILED)), [Failure::SuiteFailed]);
        assert_eq!(session(End::Exited(0x7f)), [Failure::UnexpectedExit(0x7f)]);
        assert_eq!(session(End::TripleFault), [Failure::TripleFault]);
        assert_eq!(session(End::Reset), [Failure::Reset]);
    }

    #[test]
    fn a_test_that_never_reported_says_what_ended_the_run() {
        let serial = "selix: boot\nt: plan 2\nt: not ok a: no\n";
        let verdict = Verdict(suite(End::TripleFault, serial));
        let against_a = verdict.against("a");
        assert_eq!(against_a, [&Failure::TestFailed { test: "a".to_owned(), reason: "no".to_owned() }]);
        assert_eq!(verdict.against("b"), [&named(Failure::MissingTest, "b"), &Failure::TripleFault]);
        assert!(Verdict(suite(End::TripleFault, GOOD)).against("a").is_empty());
    }
}
