//! What the children of a suite are forked from: calls the suite, and sends back whatever it is answered.
#![no_std]
#![no_main]

use abi::Message;
use family::{SEED_KIND, SUITE};

sys::entry!(main);

fn main() -> u64 {
    let Some(suite) = sys::lookup(SUITE) else { return 1 };
    let mut message = Message::new(suite, SEED_KIND);
    loop {
        message.kind = SEED_KIND;
        if let Err(error) = rt::sendrec(&mut message) {
            sys::log!("cannot call the suite: {error}");
            return 1;
        }
    }
}
