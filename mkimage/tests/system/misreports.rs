//! Suites that report wrongly on purpose: the runner sees through each of them.

use crate::run;
use crate::support::{bios, made};
use qemu::{Counted, Failure, Goal, Verdict, declared_tests};
use std::time::Duration;

/// Time enough to boot and to report, on a slow machine; those that never end use it up.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The process that reports.
const REPORTER: &str = "suite";

/// What the runner has against the suite of one of the manifests in `userland/tests/misreport`.
fn verdict(name: &str) -> Verdict {
    let made = made(&format!("userland/tests/misreport/{name}.toml")).expect("the image is built");
    let tests = declared_tests(&made.debug.join(REPORTER)).expect("it declares tests");
    let goal = Goal::Suite { name: REPORTER.into(), tests };
    run(&format!("misreport-{name}"), &bios(&made.iso).timeout(TIMEOUT), &goal).verdict
}

/// Exactly this speaks against the suite, in any order.
#[track_caller]
fn against(name: &str, wanted: &[Failure]) {
    let Verdict(found) = verdict(name);
    let same = found.len() == wanted.len() && wanted.iter().all(|failure| found.contains(failure));
    assert!(same, "{name}: {found:?}\nshould be {wanted:?}");
}

/// This speaks against the suite, perhaps among other things.
#[track_caller]
fn has(name: &str, wanted: impl Fn(&Failure) -> bool) {
    let Verdict(found) = verdict(name);
    assert!(found.iter().any(wanted), "{name}: {found:?}");
}

fn on_purpose(make: impl FnOnce(String, String) -> Failure) -> Failure {
    make("second".into(), "on purpose".into())
}

fn skipped() -> Failure {
    on_purpose(|test, reason| Failure::Skipped { test, reason })
}

#[test]
fn a_good_suite_passes() {
    assert!(verdict("good").passed());
}

#[test]
fn a_failed_test() {
    has("fail", |f| matches!(f, Failure::TestFailed { test, .. } if test == "second"));
    has("fail", |f| *f == Failure::SuiteFailed);
}

#[test]
fn a_skipped_test() {
    against("skip", &[skipped(), Failure::SuiteFailed]);
}

#[test]
fn a_skipped_test_behind_the_exit_code_of_success() {
    against("hide-skip", &[skipped(), Failure::ClaimsPassed]);
}

#[test]
fn a_failed_test_behind_the_exit_code_of_success() {
    let failed = on_purpose(|test, reason| Failure::TestFailed { test, reason });
    against("hide-failure", &[failed, Failure::ClaimsPassed]);
}

#[test]
fn a_wrong_count() {
    let count = Failure::CountMismatch { what: Counted::Passed, said: 3, counted: 2 };
    has("miscount", |f| *f == count);
}

#[test]
fn no_final_count() {
    has("no-count", |f| *f == Failure::MissingFinalCount);
}

#[test]
fn no_plan() {
    has("no-plan", |f| *f == Failure::NoPlan);
}

#[test]
fn a_test_that_never_reports() {
    has("unreported", |f| *f == Failure::MissingTest("third".into()));
}

#[test]
fn a_test_in_the_place_of_another() {
    has("twice", |f| *f == Failure::DuplicateTest("first".into()));
    has("twice", |f| *f == Failure::MissingTest("second".into()));
}

#[test]
fn a_test_that_nobody_declared() {
    has("undeclared", |f| *f == Failure::UnknownTest("second".into()));
}

#[test]
fn a_suite_that_hangs() {
    has("hang", |f| matches!(f, Failure::TimedOut { .. }));
}

#[test]
fn a_suite_that_dies() {
    let count = Failure::CountMismatch { what: Counted::Planned, said: 2, counted: 1 };
    let ended = Failure::SuiteEnded("selix: suite exited, status 101".into());
    against("die", &[ended, Failure::MissingTest("second".into()), Failure::MissingFinalCount, count]);
}

#[test]
fn a_reset_after_a_good_report() {
    has("reset", |f| *f == Failure::Reset);
}
