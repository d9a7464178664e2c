//! A client that calls a service all the time: each answer must count one call more than the one before at least, over every update.
#![no_std]
#![no_main]

use abi::Errno;
use protocol::assist::{Client, Count};
use sys::Ipc;

sys::entry!(main);

fn main() -> u64 {
    match run() {
        Ok(never) => never,
        Err(error) => panic!("{error}"),
    }
}

fn run() -> Result<u64, Errno> {
    sef::start()?;
    let mut client = Client { to: sef::lookup("assist")?, transport: Ipc::default() };
    let mut last = 0;
    loop {
        let calls = client.count(Count {})?.calls;
        if calls <= last {
            return Err(Errno::Proto);
        }
        last = calls;
    }
}
