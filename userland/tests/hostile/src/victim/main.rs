//! Asks the suite what to do, and does it. If it can still speak afterwards, it says so.
#![no_std]
#![no_main]

mod control;
mod memory;
mod privileged;

use abi::{Endpoint, Errno, Message};
use hostile::{Ask, Client, Deed, Order, Survived};
use protocol::{Call, encode};
use sys::Ipc;

sys::entry!(main);

fn main() -> u64 {
    match obey() {
        Ok(()) => 0,
        Err(error) => {
            sys::log!("cannot talk to the suite: {error}");
            1
        }
    }
}

fn obey() -> Result<(), Errno> {
    let suite = sys::lookup(hostile::SUITE).ok_or(Errno::NoEnt)?;
    let order = Client { to: suite, transport: Ipc::default() }.ask(Ask {})?;
    let survived = Survived { trouble: perform(order) };
    rt::send(&Message { peer: suite, ..encode(Survived::KIND, &survived) })?;
    // Its end must not be taken for the kernel's doing.
    rt::receive(Endpoint::ANY).map(drop)
}

/// Does it. Returns what is wrong if that leaves something to say, else 0.
fn perform(Order { deed, argument }: Order) -> u64 {
    memory::perform(deed, argument)
        .or_else(|| privileged::perform(deed, argument))
        .or_else(|| control::perform(deed, argument))
        .unwrap_or_else(|| unknown(deed))
}

fn unknown(deed: Deed) -> u64 {
    sys::log!("does not know how to do {deed:?}");
    u64::MAX
}
