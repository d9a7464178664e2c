//! The runner against real machines that end badly: each is called a failure, of the right kind.

mod guest;

use std::time::Duration;

use abi::report::{KERNEL_PANIC, SUITE_FAILED, SUITE_PASSED};
use guest::{Ending, Guest};
use qemu::{Accelerator, Counted, Cpu, End, Error, Failure, Firmware, Goal, Machine, Run, run};

/// A log in which two tests pass.
const GOOD: &str = "\nselix: boot\nt: plan 2\nt: ok a\nt: ok b\nt: done 2 passed, 0 failed, 0 skipped\n";
/// Time enough for a guest of which an end is not expected.
const SHORT: Duration = Duration::from_secs(8);

fn suite() -> Goal {
    Goal::Suite { name: "t".to_owned(), tests: vec!["a".to_owned(), "b".to_owned()] }
}

fn run_on(guest: &Guest, change: impl Fn(Machine) -> Machine, goal: &Goal) -> Run {
    run(&change(Machine::disk(guest.disk())), goal).unwrap()
}

/// Runs the suite `t` with the tests `a` and `b`, as which a guest poses.
fn run_suite(log: &str, ending: Ending) -> Run {
    run_on(&Guest::new(log, ending), |machine| machine, &suite())
}

#[track_caller]
fn fails(run: &Run, failures: &[Failure]) {
    assert_eq!(run.verdict.0, failures, "{:#?}", run.evidence);
}

fn missing(test: &str) -> Failure {
    Failure::MissingTest(test.to_owned())
}

#[test]
fn a_suite_that_does_all_right_passes() {
    let run = run_suite(GOOD, Ending::Exit(SUITE_PASSED));
    fails(&run, &[]);
    assert_eq!(run.evidence.end, End::Exited(SUITE_PASSED));
}

#[test]
fn a_suite_passes_on_other_machines_too() {
    let guest = Guest::new(GOOD, Ending::Exit(SUITE_PASSED));
    fails(&run_on(&guest, |machine| machine.accelerator(Accelerator::CountedTcg), &suite()), &[]);
    fails(&run_on(&guest, |machine| machine.cpu(Cpu::Plain).smp(4).memory_mib(64), &suite()), &[]);
}

#[test]
fn a_triple_fault_is_a_failure_even_after_all_went_well() {
    fails(&run_suite(GOOD, Ending::TripleFault), &[Failure::TripleFault]);
}

#[test]
fn a_triple_fault_amid_the_tests_leaves_tests_and_final_count_missing() {
    let run = run_suite("selix: boot\nt: plan 2\nt: ok a\n", Ending::TripleFault);
    let planned = Failure::CountMismatch { what: Counted::Planned, said: 2, counted: 1 };
    fails(&run, &[Failure::TripleFault, missing("b"), Failure::MissingFinalCount, planned]);
}

#[test]
fn a_reset_is_a_failure() {
    fails(&run_suite(GOOD, Ending::KeyboardReset), &[Failure::Reset]);
    fails(&run_suite(GOOD, Ending::ChipsetReset), &[Failure::Reset]);
}

#[test]
fn switching_off_is_a_failure_of_a_suite_and_the_end_of_a_session() {
    let guest = Guest::new(GOOD, Ending::PowerOff);
    fails(&run_on(&guest, |machine| machine, &suite()), &[Failure::PoweredOff]);
    fails(&run_on(&guest, |machine| machine, &Goal::Session), &[]);
}

#[test]
fn a_panic_that_leaves_is_a_failure() {
    let run = run_suite(&format!("{GOOD}selix: panic: out of luck\n"), Ending::Exit(KERNEL_PANIC));
    fails(&run, &[Failure::KernelPanic { line: Some("selix: panic: out of luck".to_owned()) }]);
}

#[test]
fn a_panic_that_hangs_is_a_panic_and_ends_before_the_time_is_up() {
    let run = run_suite(&format!("{GOOD}selix: panic: out of luck\n"), Ending::Hang);
    assert_eq!(run.evidence.end, End::HungAfterPanic);
    fails(&run, &[Failure::KernelPanic { line: Some("selix: panic: out of luck".to_owned()) }]);
}

#[test]
fn a_suite_whose_process_is_no_more_ends_before_the_time_is_up() {
    for line in ["selix: t exited, status 0", "selix: t stopped: invalid opcode"] {
        let run = run_suite(&format!("selix: boot\nt: plan 2\nt: ok a\nt: ok b\n{line}\n"), Ending::Hang);
        assert_eq!(run.evidence.end, End::SuiteEnded(line.to_owned()));
        fails(&run, &[Failure::SuiteEnded(line.to_owned()), Failure::MissingFinalCount]);
    }
}

#[test]
fn a_hang_is_a_failure_with_its_last_line() {
    let guest = Guest::new("selix: boot\nt: plan 2\nt: ok a\nt: ok b\nt: waiting\n", Ending::Hang);
    let run = run_on(&guest, |machine| machine.timeout(SHORT), &suite());
    let late = Failure::TimedOut { after: SHORT, last_line: Some("t: waiting".to_owned()) };
    fails(&run, &[late, Failure::MissingFinalCount]);
}

#[test]
fn a_skipped_test_is_a_failure_even_if_the_suite_says_that_it_passed() {
    let log = "selix: boot\nt: plan 2\nt: ok a\nt: skip b: no time\nt: done 1 passed, 0 failed, 1 skipped\n";
    let skipped = Failure::Skipped { test: "b".to_owned(), reason: "no time".to_owned() };
    fails(&run_suite(log, Ending::Exit(SUITE_FAILED)), &[Failure::SuiteFailed, skipped.clone()]);
    fails(&run_suite(log, Ending::Exit(SUITE_PASSED)), &[Failure::ClaimsPassed, skipped]);
}

#[test]
fn a_missing_final_count_is_a_failure() {
    let run = run_suite("selix: boot\nt: plan 2\nt: ok a\nt: ok b\n", Ending::Exit(SUITE_PASSED));
    fails(&run, &[Failure::ClaimsPassed, Failure::MissingFinalCount]);
}

#[test]
fn exit_code_and_lines_must_agree() {
    let log = "selix: boot\nt: plan 2\nt: ok a\nt: not ok b: 1 is not 2\nt: done 1 passed, 1 failed, 0 skipped\n";
    let failed = Failure::TestFailed { test: "b".to_owned(), reason: "1 is not 2".to_owned() };
    fails(&run_suite(log, Ending::Exit(SUITE_PASSED)), &[Failure::ClaimsPassed, failed.clone()]);
    fails(&run_suite(log, Ending::Exit(SUITE_FAILED)), &[Failure::SuiteFailed, failed]);
    fails(&run_suite(GOOD, Ending::Exit(SUITE_FAILED)), &[Failure::SuiteFailed, Failure::ClaimsFailed]);
}

#[test]
fn an_exit_code_that_nobody_agreed_on_is_a_failure() {
    fails(&run_suite(GOOD, Ending::Exit(0x7f)), &[Failure::UnexpectedExit(0x7f)]);
}

#[test]
fn a_flood_is_a_failure_and_bounded() {
    const LIMIT: usize = 100_000;
    let guest = Guest::new("selix: boot\n", Ending::Flood);
    let run = run_on(&guest, |machine| machine.serial_limit(LIMIT), &Goal::Line("selix: up".to_owned()));
    assert_eq!(run.evidence.serial.len(), LIMIT);
    fails(&run, &[Failure::Flooded { limit: LIMIT }, Failure::MissingLine("selix: up".to_owned())]);
}

#[test]
fn a_flood_does_not_hide_that_the_time_is_up() {
    let guest = Guest::new("selix: boot\n", Ending::Flood);
    let run = run_on(&guest, |machine| machine.timeout(SHORT).serial_limit(usize::MAX), &Goal::Session);
    assert_eq!(run.evidence.end, End::TimedOut(SHORT));
}

#[test]
fn the_line_to_wait_for_ends_a_guest_that_would_go_on() {
    let guest = Guest::new("selix: boot\nselix: up after 3 ms\n", Ending::Hang);
    let run = run_on(&guest, |machine| machine, &Goal::Line("selix: up".to_owned()));
    assert_eq!(run.evidence.end, End::GoalReached);
    fails(&run, &[]);
}

#[test]
fn a_kernel_that_never_prints_is_named_so() {
    let goal = Goal::Line("selix: up".to_owned());
    let run = run_on(&Guest::new("Loading...\n", Ending::KeyboardReset), |machine| machine, &goal);
    fails(&run, &[Failure::Reset, Failure::NoBoot, Failure::MissingLine("selix: up".to_owned())]);
}

#[test]
fn uefi_firmware_starts_and_finds_no_kernel() {
    let guest = Guest::new("", Ending::Hang);
    let goal = Goal::Line("BdsDxe: ".to_owned());
    let run = run_on(&guest, |machine| machine.firmware(Firmware::Uefi), &goal);
    assert_eq!(run.evidence.end, End::GoalReached);
    fails(&run, &[Failure::NoBoot]);
}

#[test]
fn a_machine_that_qemu_refuses_is_a_failure_of_qemu() {
    let guest = Guest::new(GOOD, Ending::Exit(SUITE_PASSED));
    let run = run_on(&guest, |machine| machine.smp(1_000_000), &Goal::Session);
    let [Failure::QemuError { status: 1, stderr }] = &run.verdict.0[..] else { panic!("{:?}", run.verdict) };
    assert!(stderr.contains("1000000"), "{stderr}");
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let error = run(&Machine::new("no/such.iso"), &Goal::Session).unwrap_err();
    assert!(matches!(&error, Error::MissingImage(path) if path.ends_with("such.iso")), "{error}");
}
