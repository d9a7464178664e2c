//! QEMU ends when its runner does, however that ends; and a session at the terminal. The program is also the runner
//! that it starts and ends: with the name of a disk in its environment it boots that.

mod guest;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

use guest::{Ending, Guest};
use libtest_mimic::{Arguments, Trial};
use qemu::{End, Failure, Goal, Machine, Run, interactive, run};

/// Tells a runner that is started as a process of its own which disk to boot.
const DISK: &str = "SELIX_TEST_DISK";
const PATIENCE: Duration = Duration::from_secs(60);
/// Time for a guest that is known not to end.
const SHORT: Duration = Duration::from_secs(3);
/// An argument of the program that starts QEMU.
const PDEATHSIG: &[u8] = b"--pdeathsig";
const POLL: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    if let Some(disk) = env::var_os(DISK) {
        let run = interactive(&Machine::disk(disk), std::io::stdout(), str::to_owned).unwrap();
        println!("ended by {:?}: {:?}", run.evidence.end, run.verdict.0);
        return ExitCode::SUCCESS;
    }
    let tests: [(&str, fn()); 8] = [
        ("qemu_dies_with_a_runner_that_is_killed", qemu_dies_with_a_runner_that_is_killed),
        ("an_interrupted_session_ends_in_order", an_interrupted_session_ends_in_order),
        ("qemu_ends_when_its_runner_panics", qemu_ends_when_its_runner_panics),
        ("qemu_is_gone_when_a_run_is_over", qemu_is_gone_when_a_run_is_over),
        ("a_qemu_that_is_killed_is_a_failure", a_qemu_that_is_killed_is_a_failure),
        ("a_qemu_that_is_told_to_end_is_no_reset", a_qemu_that_is_told_to_end_is_no_reset),
        ("a_qemu_that_does_not_answer_is_killed", a_qemu_that_does_not_answer_is_killed),
        ("a_session_shows_each_line_rewritten_and_is_judged", a_session_shows_each_line_rewritten_and_is_judged),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(trial).collect()).exit_code()
}

/// A runner in a process of its own, with its guest up.
struct Runner {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    guest: Guest,
    _scratch: tempfile::TempDir,
}

impl Runner {
    fn start() -> Self {
        let guest = Guest::new("\nselix: up\n", Ending::Hang);
        let scratch = tempfile::tempdir().unwrap();
        let mut process = Command::new(env::current_exe().unwrap())
            .env(DISK, guest.disk())
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        wait_for_line(&mut output, "selix: up");
        assert!(qemu_runs(&guest));
        Self { process, output, guest, _scratch: scratch }
    }

    fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Both fail only for a process that is over.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait_for_line(output: &mut impl BufRead, start: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "no line begins with `{start}`");
        if line.starts_with(start) {
            return line;
        }
    }
}

fn signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// The QEMU that runs with the disk of `guest`.
fn qemu_of(guest: &Guest) -> Option<u32> {
    let folder = guest.disk().parent().map(Path::to_owned).unwrap();
    let folder = folder.to_str().unwrap();
    let is_ours = |process: &fs::DirEntry| {
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        // Until it has become QEMU, a process is the program that starts it.
        words.starts_with(b"/")
            && !words.windows(PDEATHSIG.len()).any(|word| word == PDEATHSIG)
            && String::from_utf8_lossy(&words).contains(folder)
    };
    let process = fs::read_dir("/proc").unwrap().flatten().find(is_ours)?;
    process.file_name().to_str()?.parse().ok()
}

fn qemu_runs(guest: &Guest) -> bool {
    qemu_of(guest).is_some()
}

/// Runs a guest that hangs, and sends its QEMU a signal.
fn run_and_signal(name: &'static str, timeout: Duration) -> Run {
    let guest = Guest::new("\nselix: up\n", Ending::Hang);
    let machine = Machine::disk(guest.disk()).timeout(timeout);
    let run = thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Instant::now() + PATIENCE;
            while qemu_of(&guest).is_none() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
            let process = qemu_of(&guest).expect("QEMU has started");
            signal(process, name);
        });
        run(&machine, &Goal::Session).unwrap()
    });
    assert!(!qemu_runs(&guest));
    run
}

#[track_caller]
fn ends_soon(guest: &Guest) {
    let deadline = Instant::now() + PATIENCE;
    while qemu_runs(guest) {
        assert!(Instant::now() < deadline, "QEMU goes on without its runner");
        thread::sleep(POLL);
    }
}

fn qemu_dies_with_a_runner_that_is_killed() {
    let runner = Runner::start();
    runner.signal("KILL");
    ends_soon(&runner.guest);
}

fn an_interrupted_session_ends_in_order() {
    for signal in ["INT", "TERM"] {
        let mut runner = Runner::start();
        runner.signal(signal);
        assert_eq!(wait_for_line(&mut runner.output, "ended"), "ended by Interrupted: []\n");
        assert!(runner.process.wait().unwrap().success());
        ends_soon(&runner.guest);
    }
}

fn qemu_ends_when_its_runner_panics() {
    let guest = Guest::new("\nselix: up\n", Ending::Hang);
    // Not `panic!`, which would leave a message among those of real failures.
    let rewrite = |_: &str| -> String { panic::resume_unwind(Box::new("on purpose")) };
    let machine = Machine::disk(guest.disk());
    let result = panic::catch_unwind(|| interactive(&machine, std::io::sink(), rewrite).map(|_| ()));
    assert!(result.is_err());
    assert!(!qemu_runs(&guest));
}

fn qemu_is_gone_when_a_run_is_over() {
    let guest = Guest::new("\nselix: up\n", Ending::Hang);
    let run = run(&Machine::disk(guest.disk()), &Goal::Line("selix: up".to_owned())).unwrap();
    assert!(run.verdict.passed(), "{}", run.verdict);
    assert!(!qemu_runs(&guest));
}

fn a_qemu_that_is_killed_is_a_failure() {
    assert_eq!(run_and_signal("KILL", PATIENCE).verdict.0, [Failure::KilledBySignal(9)]);
}

fn a_qemu_that_is_told_to_end_is_no_reset() {
    for name in ["INT", "TERM"] {
        let guest = Guest::new("\nselix: up\n", Ending::Hang);
        let end_when_up = |line: &str| {
            if line == "selix: up" {
                signal(qemu_of(&guest).unwrap(), name);
            }
            line.to_owned()
        };
        let run = interactive(&Machine::disk(guest.disk()), std::io::sink(), end_when_up).unwrap();
        assert_eq!(run.evidence.end, End::Interrupted);
    }
}

fn a_qemu_that_does_not_answer_is_killed() {
    assert_eq!(run_and_signal("STOP", SHORT).evidence.end, End::TimedOut(SHORT));
}

fn a_session_shows_each_line_rewritten_and_is_judged() {
    let guest = Guest::new("\nselix: at 0x10\nselix: panic: \x02\n", Ending::TripleFault);
    let mut output = Vec::new();
    let run = interactive(&Machine::disk(guest.disk()), &mut output, |line| line.replace("0x10", "main")).unwrap();
    let output = String::from_utf8(output).unwrap();
    assert!(output.contains("selix: at main\n"), "{output}");
    assert_eq!(run.evidence.end, End::TripleFault);
    assert!(matches!(&run.verdict.0[..], [Failure::KernelPanic { .. }, Failure::TripleFault]), "{:?}", run.verdict);
}
