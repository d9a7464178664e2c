//! Calls the echo server many times and checks every answer.
#![no_std]
#![no_main]

use abi::Errno;
use core::fmt;
use protocol::echo::{Client, Count, Reverse};
use sys::Ipc;

sys::entry!(main);

/// Name of the server in the boot table.
const SERVER: &str = "echo";
/// Calls whose answer is checked.
const CALLS: u64 = 1000;

/// What can be wrong with an echo.
enum Trouble {
    Absent,
    Died { calls: u64 },
    Failed { calls: u64, error: Errno },
    WrongAnswer { calls: u64 },
    WrongCount { counted: u64 },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "no program named {SERVER} in this image, or no right to look for it"),
            Self::Died { calls } => write!(f, "{SERVER} is dead after {calls} calls"),
            Self::Failed { calls, error } => write!(f, "{SERVER} fails after {calls} calls: {error}"),
            Self::WrongAnswer { calls } => write!(f, "{SERVER} gives a wrong answer after {calls} right ones"),
            Self::WrongCount { counted } => write!(f, "{SERVER} counts {counted} calls, it were {CALLS}"),
        }
    }
}

fn main() -> u64 {
    let checked = check();
    match &checked {
        Ok(()) => sys::log!("{SERVER} answers: {CALLS} calls, all payloads right"),
        Err(trouble) => sys::log!("{trouble}"),
    }
    sys::exit_user(checked.is_err().into())
}

fn check() -> Result<(), Trouble> {
    let to = sys::lookup(SERVER).ok_or(Trouble::Absent)?;
    let mut echo = Client { to, transport: Ipc::default() };
    for calls in 0..CALLS {
        let words = payload(calls);
        let mut expected = words;
        expected.reverse();
        let answer = echo.reverse(Reverse { words }).map_err(|error| failure(calls, error))?;
        if answer.words != expected {
            return Err(Trouble::WrongAnswer { calls });
        }
    }
    let counted = echo.count(Count {}).map_err(|error| failure(CALLS, error))?.calls;
    if counted == CALLS { Ok(()) } else { Err(Trouble::WrongCount { counted }) }
}

fn failure(calls: u64, error: Errno) -> Trouble {
    match error {
        Errno::DeadSrcDst => Trouble::Died { calls },
        error => Trouble::Failed { calls, error },
    }
}

/// Seven words, different in every call and from each other, with high and low bits in use.
fn payload(call: u64) -> [u64; 7] {
    /// Odd, so that multiplying by it maps no two numbers to one.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    core::array::from_fn(|word| (call * 7 + word as u64 + 1).wrapping_mul(SPREAD))
}
