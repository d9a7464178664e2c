//! What the measuring programs share: readings of the counter, and how figures are told.
//!
//! Each figure is a line `result NAME MEDIAN MIN MAX N`; the last line is `done`.
#![no_std]

pub mod calls;
pub mod timed;

use abi::Errno;
use core::fmt::Display;
use protocol::kernel::AbortHow;

/// How often each path is gone before it is measured.
const WARM_UP: usize = 100;
/// How often it is measured.
const SAMPLES: usize = 1000;
/// How often a path goes in all that [`report`] measures.
pub const PASSES: u64 = (WARM_UP + SAMPLES) as u64;

/// What can go wrong with a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A trap or call failed.
    Failed(Errno),
    /// What came back is not what should.
    WrongAnswer,
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// Measures a path many times and reports median, minimum and maximum.
///
/// # Errors
/// That of the path.
pub fn report(name: impl Display, path: impl FnMut(u64) -> Result<u32, Trouble>) -> Result<(), Trouble> {
    report_some(name, WARM_UP, &mut [0; SAMPLES], path)
}

/// The same for a path that takes long: as many measures as there is room for, which is not none.
///
/// # Errors
/// That of the path.
pub fn report_some(
    name: impl Display,
    warm_up: usize,
    samples: &mut [u32],
    mut path: impl FnMut(u64) -> Result<u32, Trouble>,
) -> Result<(), Trouble> {
    for i in 0..warm_up {
        path(i as u64)?;
    }
    for (i, sample) in (warm_up..).zip(samples.iter_mut()) {
        *sample = path(i as u64)?;
    }
    samples.sort_unstable();
    let n = samples.len();
    let (median, min, max) = (samples[n / 2], samples[0], samples[n - 1]);
    sys::log!("result {name} {median} {min} {max} {n}");
    Ok(())
}

/// Says how measuring ended, and ends the system.
pub fn finish(measured: Result<(), Trouble>) -> ! {
    match measured {
        Ok(()) => sys::log!("done"),
        Err(Trouble::Failed(errno)) => sys::log!("cannot measure: {errno}"),
        Err(Trouble::WrongAnswer) => sys::log!("cannot measure: a wrong answer came"),
    }
    sys::abort(AbortHow::Leave, abi::report::SUITE_PASSED)
}
