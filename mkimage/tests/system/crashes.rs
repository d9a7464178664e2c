//! A kernel that crashes on purpose: the runner calls each kind by its name, and panics tell where they came from.

use crate::support::{bios, made};
use crate::{DEBUG_EXIT, SHIPPED, changed, run};
use mkimage::symbolize::Symbolizer;
use qemu::{Failure, Goal, Machine, Run};
use std::time::Duration;

/// Time enough to boot and to hang, on a slow machine.
const HANG: Duration = Duration::from_secs(30);

/// Time enough for the watchdog to wait besides.
const WATCH: Duration = Duration::from_secs(180);

fn crash(how: &str) -> Run {
    crash_on(how, |machine| machine.timeout(HANG))
}

fn crash_on(how: &str, change: impl FnOnce(Machine) -> Machine) -> Run {
    let disk = changed(|image| image.cmdline = format!("{DEBUG_EXIT} crash={how}"));
    let goal = Goal::Line("selix: up".into());
    run(&format!("crash-{how}"), &change(bios(&disk.iso)), &goal)
}

fn has(run: &Run, wanted: impl Fn(&Failure) -> bool) {
    assert!(run.verdict.0.iter().any(wanted), "{}\n{}", run.verdict, run.evidence.serial);
}

/// The functions that a backtrace names, once symbolized.
fn backtrace(run: &Run) -> String {
    let made = made(SHIPPED).unwrap();
    let mut symbolizer = Symbolizer::new(&made.debug);
    let mut text: Vec<_> = run.evidence.serial.lines().map(|line| symbolizer.line(line)).collect();
    let start = text.iter().position(|line| line.starts_with("selix: backtrace:")).expect("there is a backtrace");
    text.split_off(start).join("\n")
}

/// Each of the names stands in the backtrace, in this order.
fn names_in_order(backtrace: &str, names: &[&str]) {
    let mut rest = backtrace;
    for name in names {
        let at = rest.find(name).unwrap_or_else(|| panic!("`{name}` is not where it should be in\n{backtrace}"));
        rest = &rest[at + name.len()..];
    }
}

#[test]
fn a_panic_is_told_with_its_functions() {
    let run = crash("panic");
    has(&run, |f| matches!(f, Failure::KernelPanic { .. }));
    assert!(run.evidence.serial.contains("selix: the command line asked for it"));
    let text = backtrace(&run);
    names_in_order(&text, &["panic_on_purpose", "crash.rs:", "kernel_main", "main.rs:"]);
}

#[test]
fn a_page_fault_in_ring_0_is_told_with_its_registers_and_functions() {
    let run = crash("page-fault");
    has(&run, |f| matches!(f, Failure::KernelPanic { .. }));
    let serial = &run.evidence.serial;
    assert!(serial.contains("page fault reading 0xdead0000, not mapped"), "{serial}");
    for register in ["rax", "rsp", "r15", "cr3", "rflags"] {
        assert!(
            serial.lines().any(|line| line.starts_with("selix: ") && line.contains(register)),
            "{register}\n{serial}"
        );
    }
    let text = backtrace(&run);
    names_in_order(&text, &["fault_on_purpose", "crash.rs:", "kernel_main"]);
}

#[test]
fn a_stack_overflow_is_told() {
    let run = crash("stack");
    has(&run, |f| matches!(f, Failure::KernelPanic { .. }));
    assert!(run.evidence.serial.contains("page fault writing"), "{}", run.evidence.serial);
    names_in_order(&backtrace(&run), &["overflow_on_purpose", "overflow_on_purpose"]);
}

#[test]
fn a_processor_that_keeps_the_kernel_lock_is_told_with_its_place() {
    let run = crash_on("lock", |machine| machine.smp(4).timeout(WATCH));
    has(&run, |f| matches!(f, Failure::KernelPanic { .. }));
    let serial = &run.evidence.serial;
    assert!(serial.contains("selix: processor 0 holds the kernel lock for too long, at 0x"), "{serial}");
    names_in_order(&backtrace(&run), &["hold_lock", "hold_lock_on_purpose", "crash.rs:", "kernel_main"]);
}

#[test]
fn a_triple_fault_is_told() {
    has(&crash("triple-fault"), |f| *f == Failure::TripleFault);
}

#[test]
fn a_reset_is_told() {
    has(&crash("reset"), |f| *f == Failure::Reset);
}

#[test]
fn a_hang_is_told() {
    has(&crash("hang"), |f| matches!(f, Failure::TimedOut { .. }));
}

#[test]
fn a_panic_without_an_exit_is_told_all_the_same() {
    let disk = changed(|image| image.cmdline = "crash=panic".into());
    let run = run("crash-silent", &bios(&disk.iso).timeout(HANG), &Goal::Line("selix: up".into()));
    has(&run, |f| matches!(f, Failure::KernelPanic { .. }));
}
