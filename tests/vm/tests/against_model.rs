//! Random calls, reads and writes of several processes against the model.

use crate::bench::test;
use crate::game::{Game, Histogram};

/// What must have come up, each with all that it can come to.
const EXPECTED: &[(&str, &[&str])] = &[
    ("write", &["Ok", "refused"]),
    ("read", &["Ok", "refused"]),
    ("execute", &["Ok", "refused"]),
    ("request", &["Ok", "refused"]),
    ("vm.mmap", &["Ok", "NoMem"]),
    ("a file", &["Ok", "NoMem", "Again", "NotSup"]),
    ("vm.set_cache", &["Ok"]),
    ("vm.map_cache", &["Ok", "NoEnt"]),
    ("vm.forget_cache", &["Ok"]),
    ("vm.munmap", &["Ok"]),
    ("vm.protect", &["Ok", "NoMem", "Perm"]),
    ("vm.brk", &["Ok", "NoMem", "Inval"]),
    ("vm.set_break", &["Ok"]),
    ("vm.remap", &["Ok", "Fault", "Perm", "Exist", "NoMem", "Inval"]),
    ("vm.fork", &["Ok", "NoMem"]),
    ("vm.spawn", &["Ok"]),
    ("vm.will_exit", &["Ok"]),
    ("vm.exit", &["Ok", "Inval"]),
    ("vm.clear", &["Ok"]),
    ("vm.update", &["Ok", "Inval"]),
    ("vm.fix", &["Ok", "Fault"]),
    ("vm.unfix", &["Ok"]),
    ("vm.set_limits", &["Ok"]),
    ("vm.pin", &["Ok"]),
];

#[test]
fn memory_is_what_the_model_says() {
    /// Steps in one system.
    const IN_ONE: u64 = 5_000;
    let soak = std::env::var_os("SELIX_SOAK").is_some_and(|value| value == "1");
    let steps: u64 = if soak { 500_000 } else { 15_000 };
    let mut histogram = Histogram::new();
    for seed in 0..steps / IN_ONE {
        test(|bench| {
            let mut game = Game::new(bench, seed, &mut histogram);
            game.play(IN_ONE);
            game.end();
        });
    }
    for ((name, result), count) in &histogram {
        println!("{name:14} {result:16} {count:8}");
    }
    let came_up = |name, result: &str| histogram.contains_key(&(name, result.to_string()));
    let all = EXPECTED.iter().flat_map(|(name, results)| results.iter().map(move |result| (*name, *result)));
    let missing: Vec<_> = all.filter(|(name, result)| !came_up(name, result)).collect();
    assert!(missing.is_empty(), "{missing:?} did not come up");
}
