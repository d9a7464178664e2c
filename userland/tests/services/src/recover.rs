//! A recovery script: it restarts a service twice, and ends it when it dies a third time.
#![no_std]
#![no_main]

use abi::Errno;
use abi::boot::{BootEntry, NAME_LEN};
use protocol::rs::{Client, Down, Restart};
use sys::Ipc;

sys::entry!(main);

/// So often a service is restarted.
const PATIENCE: u32 = 2;

fn main() -> u64 {
    match decide() {
        Ok(()) => 0,
        Err(error) => {
            sys::log!("cannot decide: {error}");
            error as u64
        }
    }
}

fn decide() -> Result<(), Errno> {
    let root = sef::start()?.root;
    let mut words = sys::arguments().skip(1).map(|word| core::str::from_utf8(word).map_err(|_| Errno::Inval));
    let mut next = || words.next().ok_or(Errno::NoEnt)?;
    let label: [u8; NAME_LEN] = BootEntry::encode_name(next()?).ok_or(Errno::Inval)?;
    let (reason, restarts) = (next()?, next()?.parse::<u32>().map_err(|_| Errno::Inval)?);
    sys::log!("{} has died ({reason}), restarted {restarts} times", sys::name_of(&label));
    let mut client = Client { to: root, transport: Ipc::default() };
    if restarts < PATIENCE {
        client.restart(Restart { label }).map(drop)
    } else {
        client.down(Down { label }).map(drop)
    }
}
