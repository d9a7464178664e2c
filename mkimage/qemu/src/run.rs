//! Runs a machine to its end, or to the point where it is to be ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::{Output, Process, Remains};
use crate::watch::Watch;
use crate::{End, Error, Evidence, Goal, Machine, Verdict, judge};

/// How long a panicking kernel may take to print what it has to and to leave.
const PANIC_GRACE: Duration = Duration::from_secs(10);

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is left of it.
    pub evidence: Evidence,
    /// What that comes to.
    pub verdict: Verdict,
    /// QEMU's command line.
    pub command_line: String,
    /// QEMU's own log, with the state of the processor at each reset.
    pub qemu_log: String,
    /// What the plugin wrote by which the machine was watched; empty without one.
    pub watched: String,
}

impl Run {
    /// Judges what is left of a QEMU which the runner ended with `stopped`, or which ended by itself.
    pub(crate) fn judged(serial: String, stopped: Option<End>, remains: Remains, goal: &Goal) -> Self {
        let Remains { end, stderr, qemu_log, watched, command_line } = remains;
        let evidence = Evidence { end: stopped.unwrap_or(end), serial, stderr };
        let verdict = judge(&evidence, goal);
        Self { evidence, verdict, command_line, qemu_log, watched }
    }

    /// Keeps the whole serial log as `FOLDER/NAME.serial.log`, and beside it `NAME.qemu.log` with all the rest. Gives
    /// the path of the former.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn save(&self, folder: &Path, name: &str) -> Result<PathBuf, Error> {
        fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
        let rest = format!(
            "{}\n\nended: {:?}\n\nverdict: {}\n\nstandard error:\n{}\nlog:\n{}",
            self.command_line, self.evidence.end, self.verdict, self.evidence.stderr, self.qemu_log
        );
        let (serial_log, qemu_log) =
            (folder.join(format!("{name}.serial.log")), folder.join(format!("{name}.qemu.log")));
        fs::write(&serial_log, &self.evidence.serial).map_err(Error::io("write", &serial_log))?;
        fs::write(&qemu_log, rest).map_err(Error::io("write", &qemu_log))?;
        Ok(serial_log)
    }
}

/// Boots `machine` and judges its run by `goal`. Blocks until the run is over.
///
/// # Errors
///
/// Only what keeps the run from being made; all that goes wrong in it is in the verdict.
pub fn run(machine: &Machine, goal: &Goal) -> Result<Run, Error> {
    let process = Process::start(machine, Stdio::null())?;
    let mut watch = Watch::new(machine.serial_limit_bytes(), goal.clone());
    let stopped = follow(&process, machine, &mut watch);
    let remains = if stopped.is_some() { process.stop()? } else { process.finish()? };
    Ok(Run::judged(watch.into_log(), stopped, remains, goal))
}

/// Watches a run until it ends, or is to be ended so.
pub(crate) fn follow(process: &Process, machine: &Machine, watch: &mut Watch) -> Option<End> {
    let limit = machine.time_limit();
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut panic_deadline = None;
    loop {
        let next = [deadline, panic_deadline].into_iter().flatten().min();
        match process.next(next) {
            Output::Bytes(bytes) => {
                if let Some(end) = watch.feed(&bytes) {
                    return Some(end);
                }
                if watch.panicked() && panic_deadline.is_none() {
                    panic_deadline = Some(Instant::now() + PANIC_GRACE);
                }
            }
            Output::Late if watch.panicked() => return Some(End::HungAfterPanic),
            Output::Late => return Some(End::TimedOut(limit.unwrap_or_default())),
            Output::Over => return None,
        }
    }
}
