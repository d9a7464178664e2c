//! Types command lines, where nobody else does: it has `service` started with one after the other, each when the one before has ended.
#![no_std]
#![no_main]

use abi::Errno;
use abi::boot::{BootEntry, NAME_LEN};
use protocol::rs::{Client, Lookup, Up};
use sys::Ipc;
use sys::grants::scope;

sys::entry!(main);

/// What is typed, word by word.
const LINES: &[&[&str]] = &[
    &["up", "assist", "-label", "first", "-args", "one two"],
    &["up", "assist", "-label", "first"],
    &["up", "assist-crash"],
    &["refresh", "first"],
    &["restart", "first"],
    &["update", "first", "nothing"],
    &["edit", "first", "-period", "0"],
    &["list"],
    &["down", "first"],
    &["down", "first"],
    &["down", "ds"],
    &["down", "rs"],
    &["up", "nothing"],
    &["up"],
    &["edit", "first", "-period", "never"],
    &["frobnicate"],
    &["shutdown"],
    &["--help"],
];
/// Bytes of the longest line.
const LONGEST: usize = 64;

fn main() -> u64 {
    match run() {
        Ok(()) => {
            sys::log!("all is typed");
            0
        }
        Err(error) => panic!("{error}"),
    }
}

fn run() -> Result<(), Errno> {
    let service: [u8; NAME_LEN] = BootEntry::encode_name("service").ok_or(Errno::Inval)?;
    let root = sef::start()?.root;
    let mut client = Client { to: root, transport: Ipc::default() };
    for words in LINES {
        sys::log!("$ service{}", Typed(words));
        let (mut line, mut len) = ([0; LONGEST], 0);
        for word in *words {
            line.get_mut(len..len + word.len()).ok_or(Errno::TooBig)?.copy_from_slice(word.as_bytes());
            len += word.len() + 1;
        }
        let text = line.get(..len).ok_or(Errno::TooBig)?;
        scope(|scope| {
            let lent = scope.read(text, root)?;
            let (arguments, len) = (lent.id(), len as u64);
            client.up(Up { program: service, label: service, arguments, len })
        })?;
        while client.lookup(Lookup { label: service }).is_ok() {
            sys::kernel().setalarm(protocol::kernel::SetAlarm { ticks: 1, absolute: 0 })?;
            rt::receive(abi::Endpoint::CLOCK)?;
        }
    }
    Ok(())
}

/// A line as one would type it.
struct Typed<'a>(&'a [&'a str]);

impl core::fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|word| {
            let quote = if word.contains(' ') { "\"" } else { "" };
            write!(f, " {quote}{word}{quote}")
        })
    }
}
