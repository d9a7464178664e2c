//! Waits for the suite, then does what its name says: `clientN` calls a server on the first processor many times and tells
//! the suite what came of it; `waiterN` answers every notification with one.
#![no_std]
#![no_main]

use abi::{Errno, Kind, Message};
use smp::{SUITE, call_echo};

sys::entry!(main);

const CALLS: u64 = 1000;

fn main() -> u64 {
    match work() {
        Ok(()) => 0,
        Err(error) => {
            sys::log!("cannot go on: {error}");
            1
        }
    }
}

fn work() -> Result<(), Errno> {
    let suite = sys::lookup(SUITE).ok_or(Errno::NoEnt)?;
    let me = sys::whoami()?;
    let waiter = sys::name_of(&me.name).starts_with("waiter");
    while rt::receive(suite)?.status.is_notification() && waiter {
        rt::notify(suite)?;
    }
    let server = sys::lookup("echo0").ok_or(Errno::NoEnt)?;
    let kind = call_echo(server, CALLS).map_or_else(Kind::failed, |()| Kind::OK);
    rt::send(&Message::new(suite, kind))
}
