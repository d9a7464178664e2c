//! Shows the tests of in-system suites as tests of a cargo test target (with `harness = false`).
//!
//! A suite `ipc` with the tests `sends` and `waits` gives the tests `ipc::sends`, `ipc::waits` and `ipc::run`, or with
//! a configuration of the label `uefi`, `ipc[uefi]::sends` and so on. All tests of one configuration share one run, which
//! is made when the first of them asks for it; `run` stands for all that the run has shown, and the others each for
//! their own report.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::lines::lines;
use crate::{Error, Goal, Machine, Run, Verdict, declared_tests, run};

/// The test that stands for a whole run; no test of a suite can have this name.
const RUN: &str = "run";
/// How many machines run at once.
const MACHINES_AT_ONCE: usize = 2;
/// How many of the last lines a failed run shows.
const LINES_SHOWN: usize = 20;

/// Makes the machine of a configuration when it is wanted, which may include building its image.
type MakeMachine = Box<dyn Fn() -> Result<Machine, String> + Send + Sync>;

/// A suite, and the machines that it is to run on.
pub struct Suite {
    name: String,
    title: String,
    elf: PathBuf,
    configurations: Vec<(String, MakeMachine)>,
}

impl Suite {
    /// The suite whose process is called `name`. Its tests are read from `elf`, its unstripped program file.
    pub fn new(name: impl Into<String>, elf: impl Into<PathBuf>) -> Self {
        let name = name.into();
        Self { title: name.clone(), name, elf: elf.into(), configurations: Vec::new() }
    }

    /// Shows it under another name than that of its process.
    pub fn titled(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// Runs it on `machine` too. The label tells its tests from those on other machines; it may be empty.
    pub fn on(self, label: impl Into<String>, machine: Machine) -> Self {
        self.on_made(label, move || Ok(machine.clone()))
    }

    /// Runs it too on the machine that `make` makes when a test asks for it: an image is not built for tests that are
    /// filtered out. The error of `make` becomes the tests' failure.
    pub fn on_made(
        mut self,
        label: impl Into<String>,
        make: impl Fn() -> Result<Machine, String> + Send + Sync + 'static,
    ) -> Self {
        self.configurations.push((label.into(), Box::new(make)));
        self
    }
}

/// The tests of `suites`. Each run leaves its logs in the folder `logs`.
///
/// # Errors
///
/// [`Error::NotASuite`] if the tests of a suite cannot be read from its file or one has the name `run`;
/// [`Error::Suites`] if a suite has no machine, or two tests would have the same name.
pub fn trials(suites: Vec<Suite>, logs: &Path) -> Result<Vec<Trial>, Error> {
    let mut trials = Vec::new();
    let mut titles = BTreeSet::new();
    for suite in suites {
        let tests = declared_tests(&suite.elf)?;
        if tests.iter().any(|test| test == RUN) {
            let problem = format!("has a test `{RUN}`: this is the name of the whole run, so choose another");
            return Err(Error::NotASuite { file: suite.elf, problem });
        }
        if suite.configurations.is_empty() {
            return Err(Error::Suites(format!("`{}` has no machine", suite.title)));
        }
        for (label, make) in suite.configurations {
            let title = if label.is_empty() { suite.title.clone() } else { format!("{}[{label}]", suite.title) };
            if !titles.insert(title.clone()) {
                return Err(Error::Suites(format!("there are two of the name `{title}`; give one another label")));
            }
            let goal = Goal::Suite { name: suite.name.clone(), tests: tests.clone() };
            let shared = SharedRun { title, goal, make, logs: logs.to_owned(), result: OnceLock::new() };
            trials.extend(trials_of(&Arc::new(shared), &tests));
        }
    }
    Ok(trials)
}

/// The `main` of a cargo test target: runs those of the suites' tests that the command line asks for.
pub fn main(suites: Vec<Suite>, logs: &Path) -> ExitCode {
    let mut arguments = Arguments::from_args();
    match trials(suites, logs) {
        Ok(trials) => {
            // Most threads only wait for a run; how many machines there are at once is counted elsewhere.
            arguments.test_threads.get_or_insert(trials.len().max(1));
            libtest_mimic::run(&arguments, trials).exit_code()
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The tests of one configuration.
fn trials_of(shared: &Arc<SharedRun>, tests: &[String]) -> Vec<Trial> {
    let trial = |test: &str| {
        let (shared, test) = (Arc::clone(shared), test.to_owned());
        Trial::test(format!("{}::{test}", shared.title), move || shared.judge(&test))
    };
    tests.iter().map(String::as_str).chain([RUN]).map(trial).collect()
}

/// A run that several tests share.
struct SharedRun {
    title: String,
    goal: Goal,
    make: MakeMachine,
    logs: PathBuf,
    result: OnceLock<Result<Finished, String>>,
}

/// A run that has been made.
struct Finished {
    verdict: Verdict,
    last_lines: String,
    log: PathBuf,
}

impl SharedRun {
    /// The outcome of one test, or of the whole run.
    fn judge(&self, test: &str) -> Result<(), Failed> {
        let finished = self.result.get_or_init(|| self.boot()).as_ref()?;
        let log = finished.log.display();
        if test == RUN {
            let Finished { verdict, last_lines, .. } = finished;
            return if verdict.passed() {
                Ok(())
            } else {
                Err(format!("{verdict}\nlast lines:\n{last_lines}\nwhole log: {log}").into())
            };
        }
        let against: Vec<_> = finished.verdict.against(test).iter().map(ToString::to_string).collect();
        if against.is_empty() { Ok(()) } else { Err(format!("{}\nwhole log: {log}", against.join("\n")).into()) }
    }

    fn boot(&self) -> Result<Finished, String> {
        let _slot = Slot::take();
        let machine = (self.make)()?;
        let run = run(&machine, &self.goal).map_err(|error| error.to_string())?;
        let log = run.save(&self.logs, &self.title.replace('/', "-")).map_err(|error| error.to_string())?;
        let Run { evidence, verdict, .. } = run;
        let all: Vec<_> = lines(&evidence.serial).collect();
        let last_lines = all[all.len().saturating_sub(LINES_SHOWN)..].join("\n");
        Ok(Finished { verdict, last_lines, log })
    }
}

/// The machines that may run at the same time. Who holds a slot has one.
struct Slot;

static FREE: Mutex<usize> = Mutex::new(MACHINES_AT_ONCE);
static FREED: Condvar = Condvar::new();

impl Slot {
    fn take() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = FREED.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREED.notify_one();
    }
}
