//! Has a service replaced whenever it is notified.
#![no_std]
#![no_main]

use abi::boot::BootEntry;
use abi::{Endpoint, Errno};
use protocol::rs::{self, Update};
use sys::Ipc;

sys::entry!(main);

fn main() -> u64 {
    match run() {
        Ok(never) => match never {},
        Err(error) => panic!("{error}"),
    }
}

fn run() -> Result<core::convert::Infallible, Errno> {
    let begin = sef::start()?;
    let mut root = rs::Client { to: begin.root, transport: Ipc::default() };
    let service = BootEntry::encode_name("assist").ok_or(Errno::Inval)?;
    loop {
        rt::receive(Endpoint::ANY)?;
        root.update(Update { label: service, program: service, state: sef::state::WORK_FREE, patience: 0 })?;
    }
}
