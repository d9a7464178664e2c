//! Connects a machine's serial port to the terminal.

use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::process::{Output, Process};
use crate::run::Run;
use crate::{End, Error, Goal, Machine};

/// How long the beginning of a line waits for the rest of it before it is shown, and how often signals are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How much of the last output is kept to judge the run by.
const KEPT_BYTES: usize = 1 << 20;
/// A line that is longer is shown in parts.
const LINE_BYTES: usize = 64 << 10;

/// Boots `machine` with its serial port on the terminal: what is typed goes to the guest, and what the guest writes
/// goes to `output`, each line passed through `rewrite` (without its end). Ctrl-C ends it. The start of a line that
/// waits for its rest, such as a prompt, is shown as it is; if `rewrite` then changes the whole line, the changed one
/// follows.
///
/// # Errors
///
/// What keeps the run from being made, or `output` from being written; all that goes wrong in the run is in its verdict
/// (for [`Goal::Session`]).
pub fn interactive(machine: &Machine, output: impl Write, rewrite: impl FnMut(&str) -> String) -> Result<Run, Error> {
    let interrupts = Interrupts::catch()?;
    let process = Process::start(machine, Stdio::inherit())?;
    let mut printer = Printer::new(output, rewrite);
    let stopped = talk(&process, machine, &mut printer, &interrupts)?;
    let remains = if stopped.is_some() { process.stop()? } else { process.finish()? };
    let serial = String::from_utf8_lossy(&printer.kept).into_owned();
    Ok(Run::judged(serial, stopped, remains, &Goal::Session))
}

/// Shows the output until the run is over or is to be ended so.
fn talk<W: Write, F: FnMut(&str) -> String>(
    process: &Process,
    machine: &Machine,
    printer: &mut Printer<W, F>,
    interrupts: &Interrupts,
) -> Result<Option<End>, Error> {
    let limit = machine.time_limit();
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let failed = || Error::io("write to", Path::new("the terminal"));
    loop {
        let output = process.next(Some(Instant::now() + TICK));
        match &output {
            Output::Bytes(bytes) => printer.feed(bytes).map_err(failed())?,
            Output::Late | Output::Over => printer.show_start().map_err(failed())?,
        }
        if matches!(output, Output::Over) {
            return Ok(None);
        }
        if interrupts.came() {
            return Ok(Some(End::Interrupted));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(Some(End::TimedOut(limit.unwrap_or_default())));
        }
    }
}

/// Catches Ctrl-C and a request to end, so that QEMU can be ended in order and give the terminal back as it was. When
/// this is dropped, the signals have their usual effect again.
struct Interrupts {
    came: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Interrupts {
    fn catch() -> Result<Self, Error> {
        let interrupts = Self { came: Arc::default(), over: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&interrupts.over))
                .and_then(|_| flag::register(signal, Arc::clone(&interrupts.came)))
                .map_err(Error::io("catch signals for", Path::new("QEMU")))?;
        }
        Ok(interrupts)
    }

    fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Shows the guest's output line by line.
struct Printer<W, F> {
    output: W,
    rewrite: F,
    /// The line under way.
    line: Vec<u8>,
    /// How much of it has been shown as it is.
    shown: usize,
    /// The last of all that came.
    kept: Vec<u8>,
}

impl<W: Write, F: FnMut(&str) -> String> Printer<W, F> {
    fn new(output: W, rewrite: F) -> Self {
        Self { output, rewrite, line: Vec::new(), shown: 0, kept: Vec::new() }
    }

    fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.keep(bytes);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line()?;
            } else if self.line.len() > LINE_BYTES {
                self.show_start()?;
                self.line.clear();
                self.shown = 0;
            }
        }
        self.output.flush()
    }

    /// Shows what has come of a line whose rest lets wait for it.
    fn show_start(&mut self) -> io::Result<()> {
        self.output.write_all(&self.line[self.shown..])?;
        self.shown = self.line.len();
        self.output.flush()
    }

    fn end_line(&mut self) -> io::Result<()> {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches(['\r', '\n']);
        let rewritten = (self.rewrite)(text);
        if self.shown > 0 {
            self.output.write_all(&self.line[self.shown..])?;
        }
        if self.shown == 0 || rewritten != text {
            writeln!(self.output, "{rewritten}")?;
        }
        self.line.clear();
        self.shown = 0;
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        // Cut seldom, since it moves the rest.
        if self.kept.len() > 2 * KEPT_BYTES {
            self.kept.drain(..self.kept.len() - KEPT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer() -> Printer<Vec<u8>, fn(&str) -> String> {
        Printer::new(Vec::new(), |line| line.replace("0x10", "main (0x10)"))
    }

    #[track_caller]
    fn shows<F: FnMut(&str) -> String>(printer: &Printer<Vec<u8>, F>, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&printer.output), expected);
    }

    #[test]
    fn lines_are_rewritten_when_they_are_whole() {
        let mut printer = printer();
        printer.feed(b"selix: at 0x").unwrap();
        shows(&printer, "");
        printer.feed(b"10\r\nup\n").unwrap();
        shows(&printer, "selix: at main (0x10)\nup\n");
    }

    #[test]
    fn a_prompt_is_shown_before_its_line_ends() {
        let mut printer = printer();
        printer.feed(b"$ ").unwrap();
        printer.show_start().unwrap();
        printer.show_start().unwrap();
        shows(&printer, "$ ");
        printer.feed(b"ls\n$ ").unwrap();
        shows(&printer, "$ ls\n");
    }

    #[test]
    fn a_line_that_was_shown_and_then_rewritten_is_shown_again() {
        let mut printer = printer();
        printer.feed(b"at ").unwrap();
        printer.show_start().unwrap();
        printer.feed(b"0x10\n").unwrap();
        shows(&printer, "at 0x10\nat main (0x10)\n");
    }

    #[test]
    fn a_line_without_end_is_shown_in_parts() {
        let mut printer = printer();
        let part = vec![b'a'; LINE_BYTES + 1];
        printer.feed(&part).unwrap();
        assert_eq!(printer.output, part);
        assert!(printer.line.is_empty());
        printer.feed(b"0x10\n").unwrap();
        assert!(printer.output.ends_with(b"amain (0x10)\n"));
    }

    #[test]
    fn the_last_of_the_output_is_kept() {
        let mut printer = Printer::new(io::sink(), str::to_owned);
        for _ in 0..3 {
            printer.feed(&vec![b'a'; KEPT_BYTES]).unwrap();
        }
        printer.feed(b"selix: panic\n").unwrap();
        assert!(printer.kept.len() <= 2 * KEPT_BYTES && printer.kept.len() >= KEPT_BYTES);
        assert!(printer.kept.ends_with(b"aselix: panic\n"));
    }
}
