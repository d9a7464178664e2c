//! What must hold for all bytes, tried on many thousands of files that are almost good.

use libexec_testing::property::{Outcome, check};
use libexec_testing::{good, mutation};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

const FILES: u32 = 100_000;
const MOST_CHANGES: usize = 4;
/// Of each hundred files, at least so many should be accepted, else the changes are too coarse to test anything.
const ACCEPTED_PERCENT: u32 = 10;
/// Of all the ways to refuse a file, at least so many should come up.
const REFUSALS: usize = 50;

/// The error without its numbers.
fn kind(outcome: Outcome) -> String {
    let text = format!("{outcome:?}");
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 1);
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn mutated_files_never_surprise() {
    let seeds: Vec<_> = good::all().into_iter().map(|(_, file)| file).collect();
    let changes = prop::collection::vec(mutation::mutation(), 1..=MOST_CHANGES);
    let strategy = (0..seeds.len(), 0..seeds.len(), changes);
    let config = Config { cases: FILES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcomes = RefCell::new(BTreeMap::<String, u32>::new());
    let tried = runner.run(&strategy, |(file, donor, changes)| {
        let outcome = check(&mutation::mutate(&seeds[file], &seeds[donor], &changes).0);
        *outcomes.borrow_mut().entry(kind(outcome)).or_default() += 1;
        Ok(())
    });
    let outcomes = outcomes.into_inner();
    for (outcome, count) in &outcomes {
        println!("{count:6} {outcome}");
    }
    tried.unwrap();
    let count = |name: &str| outcomes.get(name).copied().unwrap_or(0);
    println!(
        "of the accepted files, goblin panicked on {}, was not asked on {}",
        count("NoOpinion"),
        count("NotAsked")
    );
    assert_eq!(outcomes.values().sum::<u32>(), FILES);
    assert!(count("Agreed") >= FILES / 100 * ACCEPTED_PERCENT, "{} accepted", count("Agreed"));
    assert!(count("NoOpinion") + count("NotAsked") <= FILES / 100);
    assert!(outcomes.len() >= REFUSALS, "{} ways", outcomes.len());
}

#[test]
fn malformed_and_good_files_do_not_surprise() {
    for file in libexec_testing::malformed() {
        assert_eq!(check(&file.bytes), Outcome::Refused(file.error), "{}", file.name);
    }
    for (name, file) in good::all() {
        assert_eq!(check(&file.0), Outcome::Agreed, "{name}");
    }
}
