//! What the programs of the suite have in common.
#![no_std]

use abi::{Endpoint, Errno};
use protocol::echo::{Client, Count, Reverse};
use sys::Ipc;

/// The program that reports.
pub const SUITE: &str = "suite";

/// Calls an echo server this many times. Every answer is checked, and that the server has counted each call once.
///
/// # Errors
/// Those of the calls, and `EPROTO` for a wrong answer or count.
pub fn call_echo(to: Endpoint, calls: u64) -> Result<(), Errno> {
    let mut echo = Client { to, transport: Ipc::default() };
    let before = echo.count(Count {})?.calls;
    for i in 0..calls {
        let words = [i, !i, i << 7, i ^ 0x5555, 4, 5, 6];
        let mut expected = words;
        expected.reverse();
        if echo.reverse(Reverse { words })?.words != expected {
            return Err(Errno::Proto);
        }
    }
    // The first count is a call as well.
    if echo.count(Count {})?.calls == before + 1 + calls { Ok(()) } else { Err(Errno::Proto) }
}
