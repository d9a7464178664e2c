//! Suites that misreport on purpose: the runner takes none of them for a passed one, and calls each by its fault.

use crate::run;
use crate::support::{bios, made};
use qemu::Failure::{self, *};
use qemu::{Counted, Goal, Run, declared_tests};
use std::time::Duration;

/// Time enough to boot, report and then do nothing, on a slow machine.
const HANG: Duration = Duration::from_secs(30);
/// The process that reports.
const REPORTER: &str = "suite";

fn misreport(name: &str) -> Run {
    let made = made(&format!("userland/tests/misreport/{name}.toml")).expect("the image is built");
    let tests = declared_tests(&made.debug.join(REPORTER)).expect("the suite declares its tests");
    let goal = Goal::Suite { name: REPORTER.into(), tests };
    run(&format!("misreport-{name}"), &bios(&made.iso).timeout(HANG), &goal)
}

/// The run fails, and with this fault among others.
fn fails(name: &str, fault: impl Fn(&Failure) -> bool) {
    let run = misreport(name);
    assert!(run.verdict.0.iter().any(fault), "{}\n{}", run.verdict, run.evidence.serial);
}

#[test]
fn a_good_report_passes() {
    let run = misreport("good");
    assert!(run.verdict.passed(), "{}\n{}", run.verdict, run.evidence.serial);
}

#[test]
fn a_failed_test() {
    fails("fail", |f| matches!(f, TestFailed { .. }));
}

#[test]
fn a_failed_test_of_a_suite_that_says_it_passed() {
    fails("hide-failure", |f| *f == ClaimsPassed);
}

#[test]
fn a_skipped_test() {
    fails("skip", |f| matches!(f, Skipped { .. }));
}

#[test]
fn a_skipped_test_of_a_suite_that_says_it_passed() {
    fails("hide-skip", |f| matches!(f, Skipped { .. }));
}

#[test]
fn no_final_count() {
    fails("no-count", |f| *f == MissingFinalCount);
}

#[test]
fn a_wrong_count() {
    fails("miscount", |f| matches!(f, CountMismatch { what: Counted::Passed, .. }));
}

#[test]
fn no_plan() {
    fails("no-plan", |f| *f == NoPlan);
}

#[test]
fn a_test_that_never_reports() {
    fails("unreported", |f| matches!(f, MissingTest(_)));
}

#[test]
fn a_test_that_was_not_declared() {
    fails("undeclared", |f| matches!(f, UnknownTest(_)));
}

#[test]
fn a_test_that_reports_twice() {
    fails("twice", |f| matches!(f, DuplicateTest(_)));
}

#[test]
fn a_suite_that_hangs() {
    fails("hang", |f| matches!(f, TimedOut { .. }));
}

#[test]
fn a_suite_that_ends_in_the_middle() {
    fails("die", |f| matches!(f, TimedOut { .. }));
}

#[test]
fn a_suite_that_resets_the_machine() {
    fails("reset", |f| *f == Reset);
}
