//! How far a client has come: numbers in the data store, by the client's endpoint.

use abi::{Endpoint, Errno};
use arrayvec::ArrayString;
use core::fmt::Write;
use protocol::ds::{Client, EntryKind, Flags, INLINE_KEY, Key, Publish, Retrieve};
use sys::Ipc;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// What the service was asked and has answered as it should.
    Rounds,
    /// What it has not answered since it died.
    Losses,
}

fn key(of: Endpoint, what: What) -> Result<Key, Errno> {
    let name = match what {
        What::Rounds => "rounds",
        What::Losses => "losses",
    };
    let mut text = ArrayString::<{ INLINE_KEY as usize }>::new();
    write!(text, "{name}.{}", of.raw()).map_err(|_| Errno::TooBig)?;
    Key::new(text.as_bytes()).ok_or(Errno::TooBig)
}

/// Tells a number of one's own.
///
/// # Errors
/// Those of the data store.
pub fn tell(store: Endpoint, me: Endpoint, what: What, value: u32) -> Result<(), Errno> {
    let (key, flags) = (key(me, what)?, Flags::OVERWRITE.bits());
    let mut store = Client { to: store, transport: Ipc::default() };
    store.publish(Publish { key, kind: EntryKind::Number, flags, len: 0, value: value.into() }).map(drop)
}

/// The number that a client has told last.
///
/// # Errors
/// Those of the data store: `ESRCH` if it has not told any.
pub fn of(store: Endpoint, client: Endpoint, what: What) -> Result<u32, Errno> {
    let key = key(client, what)?;
    let grant = abi::grant::GrantId::INVALID;
    let mut store = Client { to: store, transport: Ipc::default() };
    let found = store.retrieve(Retrieve { key, kind: EntryKind::Number, capacity: 0, reserved: 0, grant })?;
    u32::try_from(found.value).map_err(|_| Errno::Proto)
}
