//! What is left of a run when it is over: how it ended, and what it wrote. Pure.

use std::process::ExitStatus;
use std::time::Duration;

use std::os::unix::process::ExitStatusExt;

/// Prefix of the kernel's own lines on the serial port.
pub(crate) const KERNEL: &str = "selix:";
/// Whether a line begins the kernel's report of its panic. A process may be called `panic`, and the kernel tell of its end.
pub(crate) fn is_panic(line: &str) -> bool {
    ["selix: panic at ", "selix: panic:"].iter().any(|start| line.starts_with(start))
}
/// The line of QEMU's log for a fault that no handler could take.
const TRIPLE_FAULT: &str = "Triple fault";
/// The line of QEMU's log for a shutdown that is neither a reset nor a signal's; its reason follows.
const SHUTDOWN: &str = "qemu_system_shutdown_request reason=";
/// QEMU's number for a guest that switched itself off (`SHUTDOWN_CAUSE_GUEST_SHUTDOWN` of `qapi/run-state.json`).
const GUEST_SHUTDOWN: &str = "6";
/// What QEMU says on its standard error when a signal makes it end in order.
const SIGNALLED: &str = "terminating on signal";
/// What QEMU says on its standard error when gdb's `kill` makes it end.
const ENDED_BY_GDB: &str = "Terminated via GDBstub";
/// QEMU's exit status for an orderly end, a reset (under `-no-reboot`) and a triple fault.
const ORDERLY: i32 = 0;
/// QEMU's exit status when it could not start.
const QEMU_FAILED: i32 = 1;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest wrote this code to the `isa-debug-exit` device, see `abi::report`.
    Exited(u32),
    /// A fault that no handler could take.
    TripleFault,
    /// The guest reset the machine.
    Reset,
    /// The guest switched the machine off.
    PoweredOff,
    /// Somebody ended QEMU: a signal to it or to the runner, gdb, or its window was closed.
    Interrupted,
    /// A signal that QEMU does not handle ended it.
    Killed(i32),
    /// QEMU itself failed, with this exit status; it says why on its standard error.
    QemuFailed(i32),
    /// The runner ended it after this time.
    TimedOut(Duration),
    /// The runner ended it, because the kernel had panicked and did not leave.
    HungAfterPanic,
    /// The runner ended it, because it wrote more than this number of bytes.
    Flooded(usize),
    /// The runner ended it, because the kernel had told by this line that the suite's process is no more.
    SuiteEnded(String),
    /// The runner ended it, because it had reached its goal.
    GoalReached,
}

/// What is left of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// How it ended.
    pub end: End,
    /// What the guest wrote to its serial port, up to the machine's limit; of a session, the last part.
    pub serial: String,
    /// What QEMU wrote to its standard error, up to a limit.
    pub stderr: String,
}

impl End {
    /// Tells how QEMU ended when it did so without its runner: from its exit status, its log and its
    /// standard error.
    pub fn of_qemu(status: ExitStatus, qemu_log: &str, stderr: &str) -> Self {
        let Some(code) = status.code() else {
            return Self::Killed(status.signal().unwrap_or_default());
        };
        let logged = |line: &str| qemu_log.lines().any(|logged| logged.trim_end() == line);
        match code {
            ORDERLY if logged(TRIPLE_FAULT) => Self::TripleFault,
            ORDERLY if [SIGNALLED, ENDED_BY_GDB].iter().any(|said| stderr.contains(said)) => Self::Interrupted,
            ORDERLY => match shutdown_reason(qemu_log) {
                None => Self::Reset,
                Some(GUEST_SHUTDOWN) => Self::PoweredOff,
                Some(_) => Self::Interrupted,
            },
            // `isa-debug-exit` makes odd numbers only; a guest's code 0 looks like QEMU's own failure, so none uses it.
            code if code == QEMU_FAILED || code & 1 == 0 => Self::QemuFailed(code),
            code => Self::Exited(code.unsigned_abs() >> 1),
        }
    }
}

/// The last shutdown that QEMU logged.
fn shutdown_reason(qemu_log: &str) -> Option<&str> {
    let (_, reason) = qemu_log.rsplit_once(SHUTDOWN)?;
    reason.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait status of a process that exited with `code`.
    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn a_debug_exit_gives_the_guest_code() {
        for code in [abi::report::SUITE_PASSED, abi::report::SUITE_FAILED, abi::report::KERNEL_PANIC, 0x7f] {
            let status = exited(i32::try_from(code << 1 | 1).unwrap());
            assert_eq!(End::of_qemu(status, "CPU Reset (CPU 0)\n", ""), End::Exited(code));
        }
    }

    #[test]
    fn a_triple_fault_is_told_from_a_reset_and_from_power_off() {
        let start = "CPU Reset (CPU 0)\nEAX=00000000\n";
        assert_eq!(End::of_qemu(exited(0), &format!("{start}Triple fault\n"), ""), End::TripleFault);
        assert_eq!(End::of_qemu(exited(0), start, "qemu: warning: no such feature\n"), End::Reset);
        let off = format!("{start}qemu_system_shutdown_request reason=6\n");
        assert_eq!(End::of_qemu(exited(0), &off, ""), End::PoweredOff);
    }

    #[test]
    fn an_end_from_outside_is_no_reset() {
        for reason in ["2", "5", "66"] {
            let log = format!("17@1.5:qemu_system_shutdown_request reason={reason}\n");
            assert_eq!(End::of_qemu(exited(0), &log, ""), End::Interrupted, "reason {reason}");
        }
        for said in ["terminating on signal 2", "QEMU: Terminated via GDBstub"] {
            let stderr = format!("qemu-system-x86_64: {said}\n");
            assert_eq!(End::of_qemu(exited(0), "CPU Reset (CPU 0)\n", &stderr), End::Interrupted, "{said}");
        }
    }

    #[test]
    fn signals_and_failures_of_qemu_are_their_own_kinds() {
        assert_eq!(End::of_qemu(ExitStatus::from_raw(9), "", ""), End::Killed(9));
        assert_eq!(End::of_qemu(exited(1), "", ""), End::QemuFailed(1));
        assert_eq!(End::of_qemu(exited(126), "", ""), End::QemuFailed(126));
    }
}
