//! Judges a run. Whatever is not known to be right speaks against it. Pure.

use std::collections::BTreeSet;

use abi::report::{KERNEL_PANIC, SUITE_FAILED, SUITE_PASSED};

use crate::lines::{last_line, lines};
use crate::outcome::{KERNEL, PANIC};
use crate::report::{Counts, Line, Report, TestResult};
use crate::verdict::{Counted, Failure, Verdict};
use crate::{End, Evidence, Goal};

/// Judges a run.
pub fn judge(evidence: &Evidence, goal: &Goal) -> Verdict {
    let mut failures = Vec::new();
    let panic = lines(&evidence.serial).find(|line| line.starts_with(PANIC));
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
    Some(match evidence.end {
        End::QemuFailed(status) => Failure::QemuError { status, stderr: evidence.stderr.trim().to_owned() },
        End::TripleFault => Failure::TripleFault,
        End::Reset => Failure::Reset,
        End::PoweredOff | End::Interrupted if is_session => return None,
        End::PoweredOff => Failure::PoweredOff,
        End::Interrupted => Failure::Interrupted,
        End::Killed(signal) => Failure::KilledBySignal(signal),
        End::TimedOut(after) => Failure::TimedOut { after, last_line: last_line(&evidence.serial).map(str::to_owned) },
        End::Flooded(limit) => Failure::Flooded { limit },
        End::GoalReached | End::HungAfterPanic | End::Exited(KERNEL_PANIC) => return None,
        End::Exited(SUITE_PASSED) if is_session || matches!(goal, Goal::Suite { .. }) => return None,
        End::Exited(SUITE_FAILED) if !matches!(goal, Goal::Line(_)) => Failure::SuiteFailed,
        End::Exited(code) => Failure::UnexpectedExit(code),
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
