//! Grants, copies and mappings of several processes, on a machine with real memory, against a model that knows byte by byte who
//! may read and write what.
//!
//! `SELIX_SOAK=1` makes as many steps as there should be.

mod audit;
mod cases;
mod draw;
mod game;
#[path = "../storm/machine.rs"]
#[allow(dead_code, reason = "the storms need more of it")]
mod machine;
mod model;
#[path = "../storm/regs.rs"]
#[allow(dead_code, reason = "the storms need more of it")]
mod regs;
mod server;
mod system;
#[path = "../storm/tables.rs"]
mod tables;

use game::{Game, Histogram};
use system::LENDINGS;
use tables::Tables;

/// What must have come up, each with all that it can come to.
const EXPECTED: &[(&str, &[&str])] = &[
    ("safecopyfrom", &["Ok", "Inval", "Perm", "Loop", "NotReady", "Dom", "Fault", "waits"]),
    ("safecopyto", &["Ok", "Inval", "Perm", "Loop", "NotReady", "Dom", "Fault", "waits"]),
    ("safememset", &["Ok", "Inval", "Perm", "Loop", "NotReady", "Dom", "Fault", "waits"]),
    ("vsafecopy", &["Ok", "Inval", "Perm", "Loop", "NotReady", "Dom", "Fault", "waits"]),
    ("vircopy", &["Ok", "Inval", "Perm", "Dom", "Fault", "waits"]),
    ("safemap", &["Ok", "Inval", "Perm", "Loop", "NotReady", "Fault", "Busy", "NoSpc", "waits"]),
    ("safeunmap", &["Ok", "Inval"]),
    ("saferevmap", &["Ok"]),
    ("saferevmap_at", &["Ok"]),
    ("setgrant", &["Ok", "Inval", "Perm"]),
    ("store", &["Ok", "after a fault", "denied", "brought", "refused"]),
    ("load", &["Ok", "brought"]),
    ("copies", &["shared"]),
    ("maps", &["to read", "to write", "of others"]),
    ("chains", &["1", "2", "3", "4", "5", "6"]),
    ("revokes", &["something"]),
    ("marks", &["noted", "lost"]),
    ("answer", &["yes", "no", "recalled"]),
    ("recall", &["told", "not told"]),
    ("unmap", &["Ok", "Busy"]),
    ("protect", &["Ok", "Busy"]),
    ("part", &["mapped", "nothing mapped"]),
    ("death", &["of a granter", "of a borrower", "of another"]),
    ("exec", &["of a granter", "of another"]),
    ("swap", &["Ok"]),
    ("destroy", &["mapped", "nothing mapped"]),
];

#[test]
fn memory_is_what_the_model_says() {
    /// Steps in one system.
    const IN_ONE: u64 = 10_000;
    let soak = std::env::var_os("SELIX_SOAK").is_some_and(|value| value == "1");
    let steps: u64 = if soak { 1_000_000 } else { 40_000 };
    let mut histogram = Histogram::new();
    let mut restarts = 0;
    for system in 0..steps / IN_ONE {
        let mut tables = Tables::new(LENDINGS);
        let mut game = Game::new(&mut tables, system, &mut histogram);
        game.play(IN_ONE);
        restarts += game.end();
    }
    for ((name, result), count) in &histogram {
        println!("{name:14} {result:16} {count:8}");
    }
    assert!(restarts > 0, "no call was started again at once");
    let came_up = |name, result: &str| histogram.contains_key(&(name, result.to_string()));
    let all = EXPECTED.iter().flat_map(|(name, results)| results.iter().map(move |result| (*name, *result)));
    let missing: Vec<_> = all.filter(|(name, result)| !came_up(name, result)).collect();
    assert!(missing.is_empty(), "{missing:?} did not come up");
}
