//! Makes traps with random registers and checks what comes back.
#![no_std]
#![no_main]

use abi::Message;
use hostile::random_trap::{self, MAGIC, Progress};
use probe::{Random, Register};
use protocol::{Call, encode};

sys::entry!(main);

/// Chosen once, so that every run makes the same traps.
const SEED: u64 = 0x5e11_c0de;
/// Traps between two reports.
const REPORT_EVERY: u64 = 10_000;

fn main() -> u64 {
    let Some(suite) = sys::lookup(hostile::SUITE) else {
        sys::log!("no program {} in this image", hostile::SUITE);
        return 1;
    };
    let mut random = Random::new(SEED);
    // For ever: the suite ends the run when it has seen enough.
    for traps in 1.. {
        let before = random_trap::registers(&mut random);
        let after = probe::trap(&before);
        let verdict = random_trap::check(&before, &after);
        if let Err(rule) = verdict {
            sys::log!("trap {traps}: {rule}");
            for r in Register::ALL {
                sys::log!("{r:?}: {:#018x} before, {:#018x} after", before.get(r), after.get(r));
            }
        }
        if verdict.is_err() || traps % REPORT_EVERY == 0 {
            let progress = Progress { magic: MAGIC, traps, wrong: verdict.is_err().into() };
            if let Err(error) = rt::send(&Message { peer: suite, ..encode(Progress::KIND, &progress) }) {
                sys::log!("cannot report: {error}");
                return 1;
            }
        }
    }
    0
}
