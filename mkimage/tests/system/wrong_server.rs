//! A memory server some of whose kernel requests are wrong: programs may end, and the server may; the kernel, which looks at itself at
//! every fourth trap, stays whole.

use crate::run;
use crate::support::{bios, made};
use qemu::{End, Goal, Run, declared_tests};
use std::time::Duration;

/// The process that has the load done, and how a run of it may last.
const REPORTER: &str = "suite";
const TIMEOUT: Duration = Duration::from_secs(600);
/// The smallest machine; each one has another seed.
const MEMORY_MIB: u32 = 64;
/// Machines that must be enough for all wrong requests.
const MOST_BOOTS: u32 = 200;

/// How many requests were wrong, by what the server has told.
fn wrong_requests(run: &Run) -> u64 {
    let told = |line: &str| line.strip_prefix("vm: ")?.strip_suffix(" requests were wrong")?.parse::<u64>().ok();
    run.evidence.serial.lines().filter_map(told).max().unwrap_or(0)
}

/// The run ended in a way that a wrong server can bring about: the load is done; or the server has killed the program that does it, or has
/// touched what it took from itself.
fn judge(run: &Run) {
    let Run { evidence, verdict, .. } = run;
    let serial = &evidence.serial;
    let is_server_dead = serial.contains("selix: vm cannot go on, and nobody is there to deal with it");
    let is_well = verdict.passed() || matches!(evidence.end, End::SuiteEnded(_)) || is_server_dead;
    assert!(is_well, "{verdict}\n{serial}");
    assert!(!serial.contains("the kernel is not whole"), "{serial}");
}

/// Boots machines until enough requests were wrong.
fn endure(name: &str, cpus: u32) {
    let enough = if std::env::var_os("SELIX_SOAK").is_some() { 50_000 } else { 1000 };
    let made = made("userland/tests/vm/wrong.toml").expect("the image is built");
    let tests = declared_tests(&made.debug.join(REPORTER)).expect("it declares tests");
    let goal = Goal::Suite { name: REPORTER.into(), tests };
    let (mut sum, mut boots, mut passed) = (0, 0, 0);
    while sum < enough {
        assert!(boots < MOST_BOOTS, "{sum} requests were wrong in {boots} runs");
        let machine = bios(&made.iso).smp(cpus).memory_mib(MEMORY_MIB + boots).timeout(TIMEOUT);
        let run = run(&format!("{name}-{boots}"), &machine, &goal);
        judge(&run);
        sum += wrong_requests(&run);
        passed += u32::from(run.verdict.passed());
        boots += 1;
    }
    println!("{sum} requests were wrong in {boots} runs, of which {passed} came to their end");
    assert!(passed > 0, "the load has never been done");
}

#[test]
fn a_wrong_server_leaves_the_kernel_whole() {
    endure("wrong-server", 1);
}

#[test]
fn on_several_processors_too() {
    endure("wrong-server-4-cpus", 4);
}
