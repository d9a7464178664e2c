//! Waiting for what goes on elsewhere.

use core::hint::{black_box, spin_loop};
use suite::{Failure, Outcome, Text};

/// Timer ticks after which nothing is waited for any longer: half a minute.
const PATIENCE: u64 = 3000;

/// Lets so many rounds of an empty loop go by.
pub fn spin(rounds: u64) {
    for round in 0..rounds {
        black_box(round);
        spin_loop();
    }
}

/// Waits, without giving the processor away, until something on another processor has happened.
///
/// # Errors
/// It does not happen.
#[track_caller]
pub fn until(mut happened: impl FnMut() -> bool) -> Outcome {
    const PAUSE: u64 = 64;
    let start = sys::ticks()?;
    while !happened() {
        spin(PAUSE);
        if sys::ticks()? > start + PATIENCE {
            let line = core::panic::Location::caller().line();
            return Err(Failure::Failed(Text::new(format_args!("line {line}: waited in vain"))));
        }
    }
    Ok(())
}
