//! QEMU as a child process that never outlives its runner.

use std::fs;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::firmware::Uefi;
use crate::machine::{Firmware, Machine, RunFiles};
use crate::outcome::End;
use crate::qmp::Monitor;
use crate::{Error, tools};

/// How many pieces of serial output wait to be looked at before QEMU is made to wait.
const PIECES: usize = 256;
const PIECE_BYTES: usize = 16 << 10;
const STDERR_LIMIT: u64 = 64 << 10;
/// How long QEMU's monitor may take to open and for each answer, and how long if QEMU is to be stopped anyway.
const PATIENCE: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(2);
/// How long QEMU may take to end after it was asked to, or after it closed its output.
const LAST_WORDS: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// A running QEMU. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
    serial: Receiver<Vec<u8>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    files: RunFiles,
    command_line: String,
    scratch: TempDir,
    /// The host ends the child with the *thread* that started it, so this must not go to another one.
    _not_send: PhantomData<*const ()>,
}

/// What comes next from a running QEMU.
pub(crate) enum Output {
    /// The guest wrote this.
    Bytes(Vec<u8>),
    /// Nothing came until the given time.
    Late,
    /// QEMU has closed its output: it is over.
    Over,
}

/// What QEMU leaves when it is over.
pub(crate) struct Remains {
    /// How it ended by itself. Means nothing for a QEMU that was stopped.
    pub(crate) end: End,
    /// Its standard error.
    pub(crate) stderr: String,
    /// Its log of resets.
    pub(crate) qemu_log: String,
    /// What its plugin wrote.
    pub(crate) watched: String,
    /// How it was started.
    pub(crate) command_line: String,
}

impl Process {
    /// Starts the machine with `input` as its serial port's input.
    ///
    /// # Errors
    ///
    /// Whatever is missing: a program, the firmware, the image; or impossible settings.
    pub(crate) fn start(machine: &Machine, input: Stdio) -> Result<Self, Error> {
        machine.check()?;
        if !machine.image().is_file() {
            return Err(Error::MissingImage(machine.image().to_owned()));
        }
        let (setpriv, qemu) = (tools::SETPRIV.find()?, tools::QEMU.find()?);
        let scratch = tempfile::Builder::new().prefix("selix-qemu-").tempdir();
        let scratch = scratch.map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
        let files = run_files(machine, scratch.path())?;

        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(&qemu).args(machine.arguments(&files));
        let command_line = format!("{command:?}");
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io("start", &qemu))?;
        let (sender, serial) = sync_channel(PIECES);
        let stdout = child.stdout.take().expect("was piped");
        let stderr = child.stderr.take().expect("was piped");
        thread::spawn(move || forward(stdout, &sender));
        let stderr = Some(thread::spawn(move || read_bounded(stderr)));
        Ok(Self { child, serial, stderr, files, command_line, scratch, _not_send: PhantomData })
    }

    /// Waits for output, at most until `deadline`. Past it nothing is returned, however much the guest has to say.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> Output {
        let received = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => self.serial.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(Duration::ZERO) => Err(RecvTimeoutError::Timeout),
            Some(left) => self.serial.recv_timeout(left),
        };
        match received {
            Ok(bytes) => Output::Bytes(bytes),
            Err(RecvTimeoutError::Timeout) => Output::Late,
            Err(RecvTimeoutError::Disconnected) => Output::Over,
        }
    }

    /// The folder of this run's files, which goes away with it.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Connects to QEMU's monitor.
    pub(crate) fn monitor(&self) -> Result<Monitor, Error> {
        Monitor::connect(&self.files.monitor, PATIENCE)
    }

    /// Asks QEMU to end, so that it can give a terminal back as it was, and kills it if it does not.
    pub(crate) fn stop(mut self) -> Result<Remains, Error> {
        if let Ok(mut monitor) = Monitor::connect(&self.files.monitor, FAREWELL) {
            // A QEMU that ends while it is being told to has understood.
            let _ = monitor.quit();
        }
        let status = self.wait()?;
        self.remains(status)
    }

    /// Gathers what is left after [`Output::Over`].
    pub(crate) fn finish(mut self) -> Result<Remains, Error> {
        let status = self.wait()?;
        self.remains(status)
    }

    /// Waits a short while for QEMU's own end, then kills it.
    fn wait(&mut self) -> Result<ExitStatus, Error> {
        let deadline = Instant::now() + LAST_WORDS;
        let failed = || Error::io("wait for", Path::new("QEMU"));
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().map_err(failed())? {
                return Ok(status);
            }
            // Nobody wants what comes now, but a QEMU that cannot write cannot end.
            while self.serial.try_recv().is_ok() {}
            thread::sleep(POLL);
        }
        self.child.kill().map_err(failed())?;
        self.child.wait().map_err(failed())
    }

    fn remains(&mut self, status: ExitStatus) -> Result<Remains, Error> {
        let stderr = self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        // A QEMU that refused to start has no log, and one without a plugin nothing watched.
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let (qemu_log, watched) = (read(&self.files.reset_log), read(&self.files.watched));
        Ok(Remains {
            end: End::of_qemu(status, &qemu_log, &stderr),
            stderr,
            qemu_log,
            watched,
            command_line: self.command_line.clone(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that is over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files of one run, in its own folder.
fn run_files(machine: &Machine, scratch: &Path) -> Result<RunFiles, Error> {
    let uefi = match machine.boots_with() {
        Firmware::Bios => None,
        Firmware::Uefi => Some(Uefi::prepare(scratch)?),
    };
    let [reset_log, monitor, watched] = ["resets.log", "monitor", "watched"].map(|name| scratch.join(name));
    Ok(RunFiles { reset_log, monitor, watched, uefi })
}

/// Hands on what QEMU writes, until it ends. When nobody listens any more it is read all the same, so that QEMU never
/// waits for a reader that is gone.
fn forward(mut stdout: impl Read, sender: &SyncSender<Vec<u8>>) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match stdout.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => drop(sender.send(piece[..length].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Reads to the end and keeps the first part.
fn read_bounded(mut stderr: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // An error ends the text, as the end does.
    let _ = stderr.by_ref().take(STDERR_LIMIT).read_to_end(&mut kept);
    let _ = io::copy(&mut stderr, &mut io::sink());
    kept
}
