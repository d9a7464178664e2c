//! Measures the data store, through the library, with as many entries in it as one service can have.
#![no_std]
#![no_main]

use abi::Errno;
use bench::{Trouble, report, timed};
use ds_client::{DataStore, Flags};
use protocol::ds::{EntryKind, Key, Publish};

sys::entry!(main);

/// The numbers that are there, with keys of this kind.
const ENTRIES: u8 = 64;

fn main() -> u64 {
    bench::finish(measure())
}

fn measure() -> Result<(), Trouble> {
    let to = sys::lookup(ds_client::NAME).ok_or(Errno::Srch)?;
    let mut raw = protocol::ds::Client { to, transport: sys::Ipc::default() };
    for number in 0..ENTRIES {
        let key = Key::new(&[b'n', b'a' + number / 16, b'a' + number % 16]).ok_or(Errno::Inval)?;
        raw.publish(Publish { key, kind: EntryKind::Number, flags: 0, len: 0, value: number.into() })?;
    }
    let mut store = DataStore::at(to);
    report("ds.get_u32", |i| {
        let (key, expected) = [("naa", 0), ("nca", 32), ("ndp", 63)][i as usize % 3];
        let before = timed::now();
        let found = store.number(key);
        let instructions = timed::now().wrapping_sub(before) as u32;
        if found? == expected { Ok(instructions) } else { Err(Trouble::WrongAnswer) }
    })?;
    report("ds.set_u32", |i| {
        let before = timed::now();
        let done = store.set_number("nca", i as u32, Flags::OVERWRITE);
        let instructions = timed::now().wrapping_sub(before) as u32;
        done.map(|()| instructions).map_err(Trouble::from)
    })
}
