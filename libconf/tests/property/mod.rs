//! What holds of every text.

use abi::policy::{PolicyHeader, ServicePolicy};
use libconf::{Config, MAX_FAULTS};
use zerocopy::IntoBytes;

/// Demands it. A text that is accepted is good to the last reader; one that is refused is told where.
pub(crate) fn check(text: &str) {
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(faults) => {
            assert!((1..=MAX_FAULTS + 1).contains(&faults.len()), "{} faults", faults.len());
            assert!(faults.is_sorted_by_key(|fault| fault.at), "{faults:#?}");
            for fault in &faults {
                assert!(fault.at.line >= 1 && fault.at.line <= text.matches('\n').count() + 1, "{fault:?}");
                assert!(fault.at.column >= 1, "{fault:?}");
                assert!(!fault.message.chars().any(char::is_control), "{fault:?}");
            }
            return;
        }
    };
    let entries = config.policies();
    let bytes = [PolicyHeader::of(&entries).as_bytes(), entries.as_bytes()].concat();
    let aligned: Vec<u64> = bytes.chunks(8).map(word).collect();
    assert_eq!(abi::policy::parse(aligned.as_bytes()), Ok(&entries[..]));
    says_the_same(&config, &entries);
    libconf::blocks(text).expect("a good policy has good blocks");
}

/// What is written of it reads as the same.
fn says_the_same(config: &Config, entries: &[ServicePolicy]) {
    let text = config.to_text();
    let again = Config::parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults:#?}"));
    assert_eq!(again.policies(), entries, "{text}");
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("header and entries are whole words"))
}
